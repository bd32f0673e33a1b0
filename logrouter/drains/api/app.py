"""The aiohttp application of the drains API: its routes, and what each requires."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from logrouter import __version__
from logrouter.access.policy import CLOSED
from logrouter.drains.api.handlers import DrainHandlers, make_ids
from logrouter.drains.api.openapi import describe_drains_api
from logrouter.http_server.answering import AUTHENTICATOR, finish_responses, open_while_running
from logrouter.http_server.authenticator import Authenticator, DrainManners
from logrouter.http_server.guard import Requirement, guard, whoami_handler
from logrouter.http_server.owner_names import OWNER_PATHS
from logrouter.http_server.peers import Peers
from logrouter.http_server.probes import live_handler, metrics_handler, refuse_parameters
from logrouter.http_server.problems import json_response
from logrouter.http_server.work_queue import Gate
from logrouter.telemetry.metrics import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from prometheus_client import CollectorRegistry

    from logrouter.access.policy import Policy
    from logrouter.drains.api.contract import DrainRegistry, DrainReporter, DrainVetting

    Handler = Callable[[web.Request], Awaitable[web.Response]]

ADMITTED: Final = 8
"""Requests that are looked at in one pass of the event loop, beside what it delivers."""
_ID: Final = "{id:[^/]+}"


def build_drains_app(
    registry: DrainRegistry,
    vet: DrainVetting,
    reporter: DrainReporter,
    *,
    clock: Callable[[], int],
    access: Policy = CLOSED,
    on_loopback: bool = False,
    waits_for: Callable[[], str] = str,
    metrics: CollectorRegistry = REGISTRY,
    new_ids: Callable[[], tuple[str, str]] = make_ids,
) -> web.Application:
    """The application, to be served in the event loop in which *registry*, *vet* and *reporter* may be called.

    *clock* gives epoch milliseconds. *access* says who is let in: by default nobody. *on_loopback* says that the
    process listens on loopback: only then, and for callers on it, `mode: open` lets anybody have drains. *waits_for*
    says in one line what keeps the process from knowing all drains, nothing once it knows them.
    """
    handlers = DrainHandlers(registry, vet, reporter, clock, waits_for, new_ids)
    authenticator = Authenticator(access, Peers(None, clock), clock, drains=DrainManners(on_loopback=on_loopback))
    requirements = dict[str, Requirement]()
    app = web.Application(
        middlewares=[finish_responses(authenticator, Gate(ADMITTED)), guard(authenticator, requirements)]
    )
    app[AUTHENTICATOR] = authenticator
    app.cleanup_ctx.append(open_while_running(authenticator))

    def add(method: str, path: str, name: str, handler: Handler, requirement: Requirement) -> None:
        requirements[name] = requirement
        app.router.add_route(method, path, handler, name=name)

    for number, (kind, owner) in enumerate(OWNER_PATHS):
        place = f"{kind}_pair" if number == 1 else str(kind)
        drains = f"{owner}/log-drains"
        for method, path, verb, handler, requirement in (
            ("GET", drains, "list", handlers.show_all, Requirement.DRAINS_READ),
            ("POST", drains, "add", handlers.add, Requirement.DRAINS_WRITE),
            ("GET", f"{drains}/{_ID}", "show", handlers.show, Requirement.DRAINS_READ),
            ("DELETE", f"{drains}/{_ID}", "remove", handlers.remove, Requirement.DRAINS_WRITE),
            ("GET", f"{drains}/{_ID}/status", "status", handlers.status, Requirement.DRAINS_READ),
            ("POST", f"{drains}/{_ID}/test", "test", handlers.test, Requirement.DRAINS_WRITE),
            ("POST", f"{drains}/{_ID}/enable", "enable", handlers.enable, Requirement.DRAINS_WRITE),
        ):
            add(method, path, f"drains_{verb}_{place}", handler, requirement)
    add("GET", "/livez", "livez", live_handler(), Requirement.NOTHING)
    add("GET", "/readyz", "readyz", handlers.ready, Requirement.NOTHING)
    add("GET", "/octhc", "octhc", handlers.octhc, Requirement.NOTHING)
    add("GET", "/metrics", "metrics", metrics_handler(metrics), Requirement.METRICS)
    add("GET", "/openapi.json", "openapi", _openapi_handler(), Requirement.NOTHING)
    add("GET", "/v1/whoami", "whoami", whoami_handler(authenticator), Requirement.CALLER)
    return app


def _openapi_handler() -> Handler:
    described = describe_drains_api(__version__)

    async def handle(request: web.Request) -> web.Response:
        refuse_parameters(request)
        return json_response(described)

    return handle
