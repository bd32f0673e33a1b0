"""Who may ask what: every request passes here before its handler, and every route says what it needs.

A route that says nothing is refused, so that a new one cannot be open by mistake.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from aiohttp import web

from logrouter.access.scopes import ANYONE, Caller
from logrouter.query import questions
from logrouter.web import problems
from logrouter.web.names import name_of
from logrouter.web.problems import NOT_ALLOWED, NOT_AUTHENTICATED, Problem
from logrouter.web.view import json_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from logrouter.access.policy import Policy

_CALLER: Final = web.RequestKey("caller", Caller)
REALM: Final = 'Bearer realm="logrouter"'
UNCONFIGURED: Final = (
    "access is not configured, so nobody is let in: give topics.yaml a section `access` with tokens_file or jwt, or "
    "`access: {mode: open}` where everybody who reaches the port may read all usage"
)


class Needs(Enum):
    """What a route needs of its caller."""

    NOTHING = auto()
    """It shows no data of anybody."""
    METRICS = auto()
    CALLER = auto()
    """A known caller, whoever it is: the handler shows what that caller may read and nothing else."""
    CLIENT = auto()
    """The right to read the client in the path."""
    EVERYTHING = auto()
    """The right to read all clients."""
    WORKER = auto()
    """Another worker asks for a caller; the handler shows what that caller may read and nothing else."""


def caller_of(request: web.Request) -> Caller:
    """Who asks. For handlers behind `guard`; a route that needs nothing has no caller."""
    return request[_CALLER]


class Gate:
    """Lets callers in by a policy."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    @property
    def open(self) -> bool:
        """Whether everybody is let in."""
        return self._policy.open

    async def admit(self, request: web.Request, needs: Needs) -> None:
        """Returns if the request may go on to its handler; raises a `Problem` if not."""
        if needs is Needs.NOTHING or (needs is Needs.METRICS and self._policy.metrics_open):
            return
        caller = self._authenticate()
        request[_CALLER] = caller
        if not _allowed(caller, needs, request):
            raise refusal("the token has no scope that allows this")

    def _authenticate(self) -> Caller:
        if self._policy.open:
            return ANYONE
        raise _with(Problem(NOT_AUTHENTICATED, UNCONFIGURED), REALM)


def guard(gate: Gate, needs: Mapping[str, Needs]) -> Callable[..., Awaitable[web.StreamResponse]]:
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
            await gate.admit(request, declared)
        return await handler(request)

    return middleware


def whoami(gate: Gate) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of ``/v1/whoami``: as whom, and for what, the caller is let in."""

    async def handle(request: web.Request) -> web.Response:
        if faults := questions.nothing(request.query.items()):
            raise problems.bad_parameters(faults)
        caller = caller_of(request)
        return json_response({"name": caller.name, "scopes": list(caller.scopes), "open": gate.open})

    return handle


def refusal(detail: str) -> Problem:
    """The 403 of a caller that lacks a scope."""
    return _with(Problem(NOT_ALLOWED, detail), f'{REALM}, error="insufficient_scope"')


def _allowed(caller: Caller, needs: Needs, request: web.Request) -> bool:
    match needs:
        case Needs.METRICS:
            return caller.reads_metrics
        case Needs.CLIENT:
            return caller.reads_all or caller.may_read(name_of("c", request))
        case Needs.EVERYTHING:
            return caller.reads_all
    return True


def _with(problem: Problem, challenge: str) -> Problem:
    problem.headers["WWW-Authenticate"] = challenge
    return problem
