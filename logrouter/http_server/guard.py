"""Authorisation: a middleware in front of all handlers, which compares the caller with the requirement of the route.

A route without a requirement is refused, so that a new one cannot be open by mistake.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from aiohttp import web

from logrouter.core.rollup.subjects import SubjectKind
from logrouter.http_server import problems
from logrouter.http_server.authenticator import caller_of, refusal
from logrouter.http_server.owner_names import named_owner
from logrouter.http_server.problems import UNKNOWN_PATH, HttpProblem, json_response
from logrouter.http_server.subject_names import subject_name
from logrouter.query import parsing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from logrouter.access.drain_scopes import OwnerSet
    from logrouter.access.scopes import Caller
    from logrouter.core.drains.named_owner import NamedOwner
    from logrouter.http_server.authenticator import Authenticator

__all__ = ["Requirement", "caller_of", "drain_owners", "guard", "whoami_handler"]


class Requirement(Enum):
    """What a route requires of its caller."""

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
    API = auto()
    """The right to read the API in the path."""
    APIS = auto()
    """The right to read any APIs at all: the handler lists those that the caller may read and no others."""
    EVERYTHING = auto()
    """The right to read all clients."""
    WORKER = auto()
    """Another worker, in the name of a caller who may read all clients."""
    WORKER_CLIENTS = auto()
    """Another worker, in the name of a caller who may read any clients; the handler reads no others."""
    WORKER_APIS = auto()
    """Another worker, in the name of a caller who may read any APIs; the handler reads no others."""
    DRAINS_READ = auto()
    """The right to read the drains of the owner in the path. An app's name may mean several: the handler asks again."""
    DRAINS_WRITE = auto()
    """The right to make and remove drains of the owner in the path; the handler asks again as well."""


_BETWEEN_WORKERS = frozenset({Requirement.WORKER, Requirement.WORKER_CLIENTS, Requirement.WORKER_APIS})
_ONE = {Requirement.CLIENT: SubjectKind.CLIENT, Requirement.API: SubjectKind.API}
_SOME = {
    Requirement.CLIENTS: SubjectKind.CLIENT,
    Requirement.WORKER_CLIENTS: SubjectKind.CLIENT,
    Requirement.APIS: SubjectKind.API,
    Requirement.WORKER_APIS: SubjectKind.API,
}


def guard(
    authenticator: Authenticator, requirements: Mapping[str, Requirement]
) -> Callable[..., Awaitable[web.StreamResponse]]:
    """The middleware. *requirements* holds the requirement of each route by the route's name."""

    @web.middleware
    async def middleware(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        # No route: the router's own 404 or 405, which says only what the program's source says.
        if request.match_info.http_exception is None:
            declared = requirements.get(request.match_info.route.name or "")
            if declared is None:
                raise refusal("this route does not say what it needs")
            await _admit(authenticator, request, declared)
        return await handler(request)

    return middleware


def whoami_handler(authenticator: Authenticator) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of ``/v1/whoami``: as whom, and for what, the caller is let in."""

    async def handle(request: web.Request) -> web.Response:
        if faults := parsing.reject_parameters(request.query.items()):
            raise problems.bad_parameters(faults)
        caller = caller_of(request)
        return json_response({"name": caller.name, "scopes": list(caller.scopes), "open": authenticator.policy.open})

    return handle


async def _admit(authenticator: Authenticator, request: web.Request, requirement: Requirement) -> None:
    # Where everybody is let in, it still counts by which name: metrics may hold client ids.
    metrics_open = authenticator.policy.metrics_open and not authenticator.policy.open
    if requirement is Requirement.NOTHING or (requirement is Requirement.METRICS and metrics_open):
        authenticator.forwarded_caller(request)
        return
    if requirement in _BETWEEN_WORKERS and authenticator.forwarded_caller(request) is None:
        raise HttpProblem(UNKNOWN_PATH, "/openapi.json lists what there is")
    if not _allowed(await authenticator.identify(request), requirement, request):
        raise refusal("no scope of the caller allows this")


def _allowed(caller: Caller, requirement: Requirement, request: web.Request) -> bool:
    if requirement in (Requirement.NOTHING, Requirement.CALLER):
        return True
    if requirement is Requirement.METRICS:
        return caller.reads_metrics
    if requirement in (Requirement.DRAINS_READ, Requirement.DRAINS_WRITE):
        return _allows_drains(drain_owners(caller, requirement), named_owner(request))
    if caller.reads_all:
        return True
    if (kind := _ONE.get(requirement)) is not None:
        return caller.may_read(kind, subject_name(kind, request))
    return bool(caller.confined_to(_SOME.get(requirement)))


def drain_owners(caller: Caller, requirement: Requirement) -> OwnerSet:
    """The owners whose drains the caller may read or change, as the route requires."""
    return caller.drains.writes if requirement is Requirement.DRAINS_WRITE else caller.drains.reads


def _allows_drains(owners: OwnerSet, named: NamedOwner | None) -> bool:
    if named is None:
        return False
    return owners.has_name(named.kind, named.name) if named.pair is None else owners.has_pair(named.pair)
