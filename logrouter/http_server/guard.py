"""Who may ask what: every request passes here before its handler, and every route says what it needs.

A route that says nothing is refused, so that a new one cannot be open by mistake.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from aiohttp import web

from logrouter.http_server import problems
from logrouter.http_server.gate import caller_of, refusal
from logrouter.http_server.problems import UNKNOWN_PATH, HttpProblem, json_response
from logrouter.http_server.subject_names import name_of
from logrouter.query import parsing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from logrouter.access.scopes import Caller
    from logrouter.http_server.gate import Gate

__all__ = ["Requirement", "caller_of", "guard", "whoami"]


class Requirement(Enum):
    """What a route needs of its caller."""

    NOTHING = auto()
    """It shows no data of anybody."""
    METRICS = auto()
    """The right to read metrics, unless these are open."""
    CALLER = auto()
    """A known caller, whoever it is: the handler shows what that caller may read and nothing else."""
    CLIENT = auto()
    """The right to read the client in the path."""
    CLIENTS = auto()
    """The right to read any clients at all: the handler lists those that the caller may read and no others."""
    EVERYTHING = auto()
    """The right to read all clients."""
    WORKER = auto()
    """Another worker, in the name of a caller who may read all clients."""
    WORKER_CLIENTS = auto()
    """Another worker, in the name of a caller who may read any clients; the handler reads no others."""


_BETWEEN_WORKERS = frozenset({Requirement.WORKER, Requirement.WORKER_CLIENTS})


def guard(gate: Gate, needs: Mapping[str, Requirement]) -> Callable[..., Awaitable[web.StreamResponse]]:
    """The middleware before all handlers. *needs* holds what each route needs, by the route's name."""

    @web.middleware
    async def middleware(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        # No route: the router's own 404 or 405, which says only what the program's source says.
        if request.match_info.http_exception is None:
            declared = needs.get(request.match_info.route.name or "")
            if declared is None:
                raise refusal("this route does not say what it needs")
            await _admit(gate, request, declared)
        return await handler(request)

    return middleware


def whoami(gate: Gate) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of ``/v1/whoami``: as whom, and for what, the caller is let in."""

    async def handle(request: web.Request) -> web.Response:
        if faults := parsing.reject_parameters(request.query.items()):
            raise problems.bad_parameters(faults)
        caller = caller_of(request)
        return json_response({"name": caller.name, "scopes": list(caller.scopes), "open": gate.policy.open})

    return handle


async def _admit(gate: Gate, request: web.Request, needs: Requirement) -> None:
    # Where everybody is let in, it still counts by which name: metrics may hold client ids.
    metrics_open = gate.policy.metrics_open and not gate.policy.open
    if needs is Requirement.NOTHING or (needs is Requirement.METRICS and metrics_open):
        gate.asker(request)
        return
    if needs in _BETWEEN_WORKERS and gate.asker(request) is None:
        raise HttpProblem(UNKNOWN_PATH, "the page at /reference lists what there is")
    if not _allowed(await gate.identify(request), needs, request):
        raise refusal("no scope of the caller allows this")


def _allowed(caller: Caller, needs: Requirement, request: web.Request) -> bool:
    match needs:
        case Requirement.METRICS:
            return caller.reads_metrics
        case Requirement.CLIENT:
            return caller.reads_all or caller.may_read(name_of("c", request))
        case Requirement.CLIENTS | Requirement.WORKER_CLIENTS:
            return caller.reads_all or bool(caller.clients)
        case Requirement.EVERYTHING | Requirement.WORKER:
            return caller.reads_all
        case Requirement.NOTHING | Requirement.CALLER:
            return True
