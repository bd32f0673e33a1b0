"""The aiohttp application of one tables worker: routes, and what every answer has in common."""

from __future__ import annotations

import asyncio
import re
import secrets
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Final

from aiohttp import web

from logrouter.access.policy import CLOSED
from logrouter.http_server import problems
from logrouter.http_server.audit import audit
from logrouter.http_server.gate import Gate
from logrouter.http_server.guard import Requirement, guard, whoami
from logrouter.http_server.peers import Peers
from logrouter.http_server.problems import INTERNAL, HttpProblem
from logrouter.http_server.work_queue import WorkQueue
from logrouter.query.endpoints import BY_NAME, ENDPOINTS, Endpoint, Reach
from logrouter.query.row_ranges import KEPT
from logrouter.telemetry.log import Log, log
from logrouter.telemetry.metrics import QUERY_SECONDS, REGISTRY
from logrouter.web import health, page, reports, subjects
from logrouter.web.scatter_gather import PART_PATH
from logrouter.web.view import Limits, View

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from ssl import SSLContext

    from prometheus_client import CollectorRegistry

    from logrouter.access.policy import Policy
    from logrouter.query.reader import TableReader
    from logrouter.query.tiers import Tier

GATE: Final = web.AppKey("gate", Gate)
"""The gate of an application: tokens and keys can be replaced in it while it runs."""
_LEFT: Final = 499
"""What the audit log says of a request whose client did not wait for the answer."""
_HEADERS: Final = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("Server", "logrouter"),
    ("X-Content-Type-Options", "nosniff"),
)


def wall_clock() -> int:
    """Now, in epoch milliseconds."""
    return time_ns() // 1_000_000


def build(
    reader: TableReader,
    *,
    secret: str | None = None,
    clock: Callable[[], int] = wall_clock,
    registry: CollectorRegistry = REGISTRY,
    kept: Mapping[Tier, int] = KEPT,
    limits: Limits | None = None,
    access: Policy = CLOSED,
    peer_tls: SSLContext | None = None,
) -> web.Application:
    """The table view of one worker, to be served in the event loop in which *reader* may be called.

    *secret* is shared by all workers and signs the hop between them, *peer_tls* is for those that are reached by https.
    *kept* says how many buckets each tier keeps. *access* says who is let in: by default nobody.
    """
    limits = limits or Limits()
    peers = Peers(secret, clock, trusting=access.open, tls=peer_tls)
    view = View(reader, peers, clock, registry, kept, limits, WorkQueue(limits.scans, limits.scans_waiting))
    gate, needs = Gate(access, peers, clock), dict[str, Requirement]()
    app = web.Application(middlewares=[_finish(gate), guard(gate, needs)])
    app[GATE] = gate
    app.cleanup_ctx.append(_running(gate))

    def get(
        path: str, handler: Callable[[web.Request], Awaitable[web.Response]], name: str, needed: Requirement
    ) -> None:
        needs[name] = needed
        app.router.add_get(path, handler, name=name, expect_handler=_expect)

    files = page.assets()
    get("/", page.page(files), "page", Requirement.NOTHING)
    get("/assets/{file:.+}", page.asset(files), "asset", Requirement.NOTHING)
    get("/reference", health.index(view), "index", Requirement.NOTHING)
    handlers = {
        "livez": health.live(view),
        "readyz": health.ready(view),
        "metrics": health.metrics(view),
        "openapi": health.openapi(view),
        "whoami": whoami(gate),
        **{name: reports.report(view, BY_NAME[name]) for name in reports.RECIPES},
        "unmatched": subjects.unmatched(view, BY_NAME["unmatched"]),
    }
    for endpoint in ENDPOINTS:
        path = re.sub(r"\{(\w+)\}", r"{\1:[^/]+}", endpoint.path)
        get(path, handlers.get(endpoint.name) or subjects.subject(view, endpoint), endpoint.name, _needs(endpoint))
    for name in reports.RECIPES:
        needed = Requirement.WORKER_CLIENTS if name == "clients" else Requirement.WORKER
        get(f"{PART_PATH}{name}", reports.part(view, BY_NAME[name]), f"part_{name}", needed)
    return app


def _needs(endpoint: Endpoint) -> Requirement:
    if endpoint.reach is Reach.NOBODY:
        return _OF_NOBODY.get(endpoint.name, Requirement.EVERYTHING)
    if endpoint.name == "clients":
        return Requirement.CLIENTS
    return Requirement.CLIENT if "{client_id}" in endpoint.path else Requirement.EVERYTHING


_OF_NOBODY: Final = {
    "livez": Requirement.NOTHING,
    "readyz": Requirement.NOTHING,
    "openapi": Requirement.NOTHING,
    "metrics": Requirement.METRICS,
    "whoami": Requirement.CALLER,
}


async def _expect(_: web.Request) -> None:
    """Bodies of requests are never read, so no expectation about them matters."""


def _running(gate: Gate) -> Callable[[web.Application], AsyncIterator[None]]:
    async def context(_: web.Application) -> AsyncIterator[None]:
        await gate.peers.open()
        await gate.open()
        yield
        await gate.close()
        await gate.peers.close()

    return context


def _finish(gate: Gate) -> Callable[..., Awaitable[web.StreamResponse]]:
    @web.middleware
    async def middleware(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Errors become problems, every answer gets its headers, is measured and written down."""
        start = perf_counter()
        try:
            response = await _respond(request, handler)
        except asyncio.CancelledError:
            audit(gate.policy, request, _LEFT, perf_counter() - start)
            raise
        for name, value in _HEADERS:
            response.headers.setdefault(name, value)
        # The names of routes are the bounded set; requests that match none have none.
        endpoint = request.match_info.route.name or "none"
        seconds = perf_counter() - start
        QUERY_SECONDS.labels(endpoint, str(response.status)).observe(seconds)
        audit(gate.policy, request, response.status, seconds)
        return response

    return middleware


async def _respond(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except HttpProblem as problem:
        return problems.from_problem(problem, request)
    except web.HTTPException as error:
        return problems.from_http(error, request)
    except Exception as exc:  # noqa: BLE001 - the last line of defence: logged with the id that the caller gets
        incident = secrets.token_hex(8)
        log(Log.QUERY_FAILED, exc_info=exc, incident=incident)
        detail = "this is a fault of the server; its log has more under this id"
        return problems.from_problem(HttpProblem(INTERNAL, detail, id=incident), request)
