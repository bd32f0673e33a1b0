"""The aiohttp application of one tables worker: its routes, and what each requires."""

from __future__ import annotations

import re
from time import time_ns
from typing import TYPE_CHECKING, Final

from aiohttp import web

from logrouter.access.policy import CLOSED
from logrouter.core.rollup.subjects import SubjectKind
from logrouter.http_server.answering import AUTHENTICATOR, finish_responses, open_while_running
from logrouter.http_server.authenticator import Authenticator
from logrouter.http_server.guard import Requirement, guard, whoami_handler
from logrouter.http_server.meter import Meter
from logrouter.http_server.peers import Peers
from logrouter.http_server.probes import live_handler, metrics_handler
from logrouter.http_server.work_queue import Gate
from logrouter.query.reports.declaration import ScatterGatherReport, SubjectReport
from logrouter.query.reports.registry import ENDPOINTS, REPORTS
from logrouter.query.row_ranges import KEPT
from logrouter.telemetry.metrics import REGISTRY
from logrouter.web import health, page, reports, subjects
from logrouter.web.scatter_gather import PARTIAL_REPORT_PATH
from logrouter.web.view import Limits, View, hop_places, work_queues

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from ssl import SSLContext

    from prometheus_client import CollectorRegistry

    from logrouter.access.policy import Policy
    from logrouter.query.reader import TableReader
    from logrouter.query.tiers import Tier

    Handler = Callable[[web.Request], Awaitable[web.Response]]

METER: Final = web.AppKey("meter", Meter)
"""What callers are charged by."""
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
    app = web.Application(middlewares=[finish_responses(authenticator, gate), guard(authenticator, requirements)])
    app[AUTHENTICATOR], app[METER] = authenticator, meter
    app.cleanup_ctx.append(open_while_running(authenticator))

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
        "livez": (live_handler(), Requirement.NOTHING),
        "readyz": (health.ready_handler(view), Requirement.NOTHING),
        "metrics": (metrics_handler(view.registry), Requirement.METRICS),
        "openapi": (health.openapi_handler(view), Requirement.NOTHING),
        "whoami": (whoami_handler(authenticator), Requirement.CALLER),
    }


async def _ignore_expect(_: web.Request) -> None:
    """Ignore the header ``Expect``: bodies of requests are never read."""
