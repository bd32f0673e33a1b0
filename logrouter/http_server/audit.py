"""The audit log: one event per request with caller, route and subject. Never a token, and only harmless parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from logrouter.http_server.authenticator import known_caller
from logrouter.http_server.owner_names import is_about_owner, named_owner
from logrouter.http_server.problems import HttpProblem
from logrouter.http_server.subject_names import subject_name
from logrouter.query.answers import SUBJECT_FIELD
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from aiohttp import web

    from logrouter.access.policy import Policy

PARAMETERS: Final = ("window", "from", "to", "compare", "step", "by", "sort", "limit", "format")
"""Parameters whose values are logged. Those that may hold names or paths are not."""

_MAX_VALUE: Final = 40
_MAX_NAME: Final = 128
_TOO_MANY: Final = 429


def audit(policy: Policy, request: web.Request, status: int, seconds: float) -> None:
    """Log a request that was answered with *status* after *seconds*.

    Only requests to routes under /v1 and /internal are logged, and those about log drains. Not logged are unknown
    callers over their rate, which would fill the log, and anything where access is open, as there is no caller to name.
    """
    name = request.match_info.route.name
    if policy.open or not policy.audit or name is None:
        return
    if not request.path.startswith(("/v1/", "/internal/")) and not is_about_owner(request):
        return
    caller = known_caller(request)
    if caller is None and status == _TOO_MANY:
        return
    log(
        Log.AUDIT,
        who="-" if caller is None else printable(caller.name, _MAX_NAME),
        via="-" if caller is None else caller.via.value,
        method=request.method,
        route=name,
        subject=_subject(request),
        status=status,
        ms=round(seconds * 1000, 1),
        **_parameters(request),
    )


def printable(text: str, length: int) -> str:
    """The beginning of *text* without anything that could disguise a line of the log."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:length])


def _subject(request: web.Request) -> str:
    if is_about_owner(request):
        return _owner(request)
    # By what the router has found: `/v1/%63lients/...` is a path to a client as well.
    kind = next((kind for kind, field in SUBJECT_FIELD.items() if field in request.match_info), None)
    if kind is None:
        return "-"
    try:
        return printable(subject_name(kind, request), _MAX_NAME)
    except HttpProblem:
        return "?"


def _owner(request: web.Request) -> str:
    try:
        named = named_owner(request)
    except HttpProblem:
        return "?"
    if named is None:
        return "-"
    # A slash stands in no name of an app, so an app and its space are told from a name that is both.
    name = named.name if named.pair is None else "/".join(named.pair)
    return printable(f"{named.kind}={name}", _MAX_NAME)


def _parameters(request: web.Request) -> dict[str, Any]:
    found = {name: request.query[name] for name in PARAMETERS if name in request.query}
    return {f"q_{name}": printable(value, _MAX_VALUE) for name, value in found.items()}
