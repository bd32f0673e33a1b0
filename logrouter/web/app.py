"""The aiohttp application of one tables worker: routes, and what every answer has in common."""

from __future__ import annotations

import asyncio
import re
import secrets
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Final

from aiohttp import web

from logrouter.access.policy import CLOSED
from logrouter.core.rollup.subjects import SubjectKind
from logrouter.http_server import problems
from logrouter.http_server.audit import audit
from logrouter.http_server.authenticator import Authenticator
from logrouter.http_server.guard import Requirement, guard, whoami_handler
from logrouter.http_server.meter import Meter
from logrouter.http_server.peers import Peers
from logrouter.http_server.problems import INTERNAL, HttpProblem
from logrouter.http_server.work_queue import Gate
from logrouter.query.reports.declaration import ScatterGatherReport, SubjectReport
from logrouter.query.reports.registry import ENDPOINTS, REPORTS
from logrouter.query.row_ranges import KEPT
from logrouter.telemetry.log import Log, log
from logrouter.telemetry.metrics import QUERY_SECONDS, REGISTRY
from logrouter.web import health, page, reports, subjects
from logrouter.web.scatter_gather import PARTIAL_REPORT_PATH
from logrouter.web.view import Limits, View, hop_places, work_queues

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from ssl import SSLContext

    from prometheus_client import CollectorRegistry

    from logrouter.access.policy import Policy
    from logrouter.query.reader import TableReader
    from logrouter.query.tiers import Tier

    Handler = Callable[[web.Request], Awaitable[web.Response]]

AUTHENTICATOR: Final = web.AppKey("authenticator", Authenticator)
"""The authenticator of an application: tokens and keys can be replaced in it while it runs."""
METER: Final = web.AppKey("meter", Meter)
"""What callers are charged by."""
_PROBES: Final = frozenset({"livez", "readyz"})
"""Routes that wait for nobody."""
_CLIENT_LEFT: Final = 499
"""The status in the audit log of a request whose client did not wait for the answer."""
_OF_ONE: Final = {SubjectKind.CLIENT: Requirement.CLIENT, SubjectKind.API: Requirement.API}
_OF_SOME: Final = {
    None: Requirement.EVERYTHING,
    SubjectKind.CLIENT: Requirement.CLIENTS,
    SubjectKind.API: Requirement.APIS,
}
_OF_PARTS: Final = {
    None: Requirement.WORKER,
    SubjectKind.CLIENT: Requirement.WORKER_CLIENTS,
    SubjectKind.API: Requirement.WORKER_APIS,
}
"""What reports require, by the kind that they are about; the last two of those that a caller may be confined in."""
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


def build_app(
    reader: TableReader,
    *,
    secret: str | None = None,
    clock: Callable[[], int] = wall_clock,
    registry: CollectorRegistry = REGISTRY,
    kept: Mapping[Tier, int] = KEPT,
    limits: Limits | None = None,
    access: Policy = CLOSED,
    peer_tls: SSLContext | None = None,
    waits_for: Callable[[], str] = str,
) -> web.Application:
    """The application of one worker, to be served in the event loop in which *reader* may be called.

    *secret* is shared by all workers and signs the hop between them, *peer_tls* is for those that are reached by https.
    *waits_for* says in one line what the worker waits for before it can recover tables, as `View.waits_for`.
    *kept* says how many buckets each tier keeps. *access* says who is let in: by default nobody.
    """
    limits = limits or Limits()
    peers = Peers(secret, clock, trusting=access.open, tls=peer_tls)
    meter = Meter(access.rows)
    view = View(
        reader, peers, clock, registry, kept, limits, meter, *work_queues(limits), hop_places(limits), waits_for
    )
    authenticator, requirements = Authenticator(access, peers, clock), dict[str, Requirement]()
    gate = Gate(limits.admitted)
    app = web.Application(middlewares=[_finish_responses(authenticator, gate), guard(authenticator, requirements)])
    app[AUTHENTICATOR], app[METER] = authenticator, meter
    app.cleanup_ctx.append(_open_while_running(authenticator))

    def add_get(path: str, handler: Handler, name: str, requirement: Requirement) -> None:
        requirements[name] = requirement
        app.router.add_get(path, handler, name=name, expect_handler=_ignore_expect)

    files = page.load_assets()
    add_get("/", page.page_handler(files), "page", Requirement.NOTHING)
    add_get("/assets/{file:.+}", page.asset_handler(files), "asset", Requirement.NOTHING)
    add_get("/reference", health.index_handler(view), "index", Requirement.NOTHING)
    of_worker = _worker_handlers(view, authenticator)
    for endpoint in ENDPOINTS:
        path = re.sub(r"\{(\w+)\}", r"{\1:[^/]+}", endpoint.path)
        match endpoint:
            case SubjectReport():
                handler, requirement = subjects.subject_handler(view, endpoint), _subject_requirement(endpoint)
            case ScatterGatherReport():
                handler = reports.report_handler(view, endpoint)
                requirement = _OF_SOME[endpoint.confined_by]
            case _:
                handler, requirement = of_worker[endpoint.name]
        add_get(path, handler, endpoint.name, requirement)
    for report in REPORTS:
        if isinstance(report, ScatterGatherReport):
            path, name = f"{PARTIAL_REPORT_PATH}{report.name}", f"part_{report.name}"
            add_get(path, reports.partial_report_handler(view, report), name, _OF_PARTS[report.confined_by])
    return app


def _subject_requirement(report: SubjectReport) -> Requirement:
    return _OF_ONE[report.kind] if report.subject is None else Requirement.EVERYTHING


def _worker_handlers(view: View, authenticator: Authenticator) -> dict[str, tuple[Handler, Requirement]]:
    """Handler and requirement of each of `WORKER_ENDPOINTS`, by name."""
    return {
        "livez": (health.live_handler(view), Requirement.NOTHING),
        "readyz": (health.ready_handler(view), Requirement.NOTHING),
        "metrics": (health.metrics_handler(view), Requirement.METRICS),
        "openapi": (health.openapi_handler(view), Requirement.NOTHING),
        "whoami": (whoami_handler(authenticator), Requirement.CALLER),
    }


async def _ignore_expect(_: web.Request) -> None:
    """Ignore the header ``Expect``: bodies of requests are never read."""


def _open_while_running(authenticator: Authenticator) -> Callable[[web.Application], AsyncIterator[None]]:
    async def context(_: web.Application) -> AsyncIterator[None]:
        await authenticator.peers.open()
        await authenticator.open()
        yield
        await authenticator.close()
        await authenticator.peers.close()

    return context


def _finish_responses(authenticator: Authenticator, gate: Gate) -> Callable[..., Awaitable[web.StreamResponse]]:
    @web.middleware
    async def middleware(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Turns errors into problem documents; adds headers, a metric and an audit event to every answer."""
        start = perf_counter()
        try:
            if request.match_info.route.name not in _PROBES:
                await gate.enter()
            response = await _catch_errors(request, handler)
        except asyncio.CancelledError:
            audit(authenticator.policy, request, _CLIENT_LEFT, perf_counter() - start)
            raise
        for name, value in _HEADERS:
            response.headers.setdefault(name, value)
        # The names of routes are the bounded set; requests that match none have none.
        endpoint = request.match_info.route.name or "none"
        seconds = perf_counter() - start
        QUERY_SECONDS.labels(endpoint, str(response.status)).observe(seconds)
        audit(authenticator.policy, request, response.status, seconds)
        return response

    return middleware


async def _catch_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except HttpProblem as problem:
        return problems.problem_response(problem, request)
    except web.HTTPException as error:
        return problems.http_error_response(error, request)
    except Exception as exc:  # noqa: BLE001 - the last line of defence: logged with the id that the caller gets
        incident = secrets.token_hex(8)
        log(Log.QUERY_FAILED, exc_info=exc, incident=incident)
        detail = "this is a fault of the server; its log has more under this id"
        return problems.problem_response(HttpProblem(INTERNAL, detail, id=incident), request)
