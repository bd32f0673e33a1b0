"""The owner of log drains in a path: one reader, as access control, handlers and the audit log must take the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from logrouter.core.drains.named_owner import NamedOwner
from logrouter.core.drains.owner import MAX_NAME, OwnerKind, name_of
from logrouter.core.formats.families.app_space import AppSpace
from logrouter.http_server import problems
from logrouter.query.parameters import ParameterFault

if TYPE_CHECKING:
    from aiohttp import web

OWNER_PATHS: Final = (
    (OwnerKind.APP, "/apps/{app_space:[^/]+}"),
    (OwnerKind.APP, "/apps/{app:[^/]+}/spaces/{space:[^/]+}"),
    (OwnerKind.SITE, "/sites/{site:[^/]+}"),
    (OwnerKind.API, "/apis/{drained_api:[^/]+}"),
    (OwnerKind.CLIENT, "/clients/{drained_client:[^/]+}"),
)
"""What paths to drains begin with; the names in braces are known to `named_owner`."""

_FOUND: Final = frozenset({"app_space", "space", "site", "drained_api", "drained_client"})
_APP: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")
_DOMAIN: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62}))*")


def is_about_owner(request: web.Request) -> bool:
    """Whether the router has found an owner of drains in the path."""
    return not _FOUND.isdisjoint(request.match_info)


def named_owner(request: web.Request) -> NamedOwner | None:
    """The owner that the router has found in the path; None if the route is about none.

    Read from the path as it was sent, as `subject_name` does. `HttpProblem` 400 for what can't be a name.
    """
    found = request.match_info
    if "app_space" in found:
        return NamedOwner(OwnerKind.APP, _fitting(_segment(request, 2, "app"), _APP, "app"))
    if "space" in found:
        app, space = (_fitting(_segment(request, at, name), _APP, name) for at, name in ((2, "app"), (4, "space")))
        pair = AppSpace(app, space)
        return NamedOwner(OwnerKind.APP, name_of(pair), pair)
    if "site" in found:
        return NamedOwner(OwnerKind.SITE, _fitting(_segment(request, 2, "site").lower(), _DOMAIN, "site"))
    if "drained_api" in found:
        return NamedOwner(OwnerKind.API, _segment(request, 2, "api"))
    if "drained_client" in found:
        return NamedOwner(OwnerKind.CLIENT, _segment(request, 2, "client_id"))
    return None


def _segment(request: web.Request, at: int, name: str) -> str:
    try:
        text = unquote_to_bytes(request.rel_url.raw_path.split("/")[at]).decode()
    except UnicodeError:
        raise _unusable(name, "must be UTF-8, percent-encoded") from None
    if len(text) > MAX_NAME:
        raise _unusable(name, f"is longer than the {MAX_NAME} characters that names can have")
    return text


def _fitting(text: str, pattern: re.Pattern[str], name: str) -> str:
    if pattern.fullmatch(text) is None:
        raise _unusable(name, "must be a name as in host names, in small letters")
    return text


def _unusable(name: str, detail: str) -> problems.HttpProblem:
    return problems.bad_parameters([ParameterFault(name, detail)])
