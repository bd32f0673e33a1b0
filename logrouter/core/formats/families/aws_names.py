"""Names in access logs of Amazon API Gateway: which are one name, which are never read, and what is read from which.

Operators choose the names of what they log; the `$context` variables behind them are few. So names are compared without
case, dots, dashes and underscores and without `$context.` before them: `identity.sourceIp`, `source_ip` nested in
`identity`, and `identitySourceIp` are one name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from logrouter.core.formats.format import FormatSettingsError
from logrouter.core.redact import names_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.core.formats.format import FormatSettings

TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "http.method": ("httpMethod", "method", "requestMethod"),
    "http.protocol": ("protocol",),
    "http.client_ip": ("identity.sourceIp", "sourceIp", "ip", "clientIp"),
    "http.request_headers.user-agent": ("identity.userAgent", "userAgent"),
    "meta.uri": ("path", "requestPath", "uri"),
    "meta.domain": ("domainName",),
    "meta.request_id": ("extendedRequestId", "requestId"),
    "meta.correlation_id": (),
    "route": ("routeKey", "resourcePath"),
    "stage": ("stage", "stageName"),
    "api": (),
    "api_version": (),
    "application": (),
    "tenant": (),
    "backend.instance": (),
    "backend.cluster": (),
    "error.code": ("error.responseType", "responseType"),
    "error.message": (
        *("error.message", "error.messageString", "integrationErrorMessage", "integration.error"),
        *("authorizer.error", "authorize.error", "authenticate.error", "error.validationErrorString"),
    ),
}
"""Texts of the event and the variables they are read from, the first that is there. Empty ones have aliases only."""

NUMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "http.status_code": ("status", "statusCode"),
    "total_time_ms": ("responseLatency", "latency"),
    "backend_time_ms": ("integrationLatency",),
    "backend_status_code": ("integration.integrationStatus", "integrationStatus"),
    "bytes_sent": ("responseLength",),
    "bytes_received": ("requestLength",),
}
"""Numbers of the event, likewise. They are whole and written as text."""

FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "apiKeyId": ("identity.apiKeyId", "apiKeyId"),
    "client_id": ("authorizer.claims.client_id", "authorizer.jwt.claims.client_id", "claims.client_id", "client_id"),
    "principalId": ("authorizer.principalId", "principalId"),
    "user": ("identity.user", "user", "identity.userArn", "userArn"),
    "caller": ("identity.caller", "caller"),
    "apiId": ("apiId",),
    "resourcePath": ("resourcePath",),
    "routeKey": ("routeKey",),
}
"""What sources of client id and API find under these names, whatever the line calls it. None of it is published."""

TIMES: Final = ("requestTimeEpoch", "requestTime", "time", "timestamp")
"""When the request began, the most exact first."""

_PUBLIC: Final = "apikeyid"
_BULK: Final = frozenset({"body", "payload", "requestbody", "responsebody", "clientcertpem", "accesskey"})
_MAX_CACHED: Final = 4096
_WITHOUT: Final = str.maketrans("", "", "._-")

# Names of one stream are always the same; hostile input can only make these start over.
_plain: dict[str, str | None] = {}


def plain(name: str) -> str | None:
    """The name in the form that is compared; None for one that holds a secret or bulk data and is never read."""
    if name in _plain:
        return _plain[name]
    found: str | None = name.lower().translate(_WITHOUT).removeprefix("$").removeprefix("context")
    if found in _BULK or (names_secret(name) and not (found or "").endswith(_PUBLIC)):
        found = None
    if len(_plain) >= _MAX_CACHED:
        _plain.clear()
    if len(name) <= 64:
        _plain[name] = found
    return found


def plain_path(name: str) -> str | None:
    """`plain` of a dotted name; None if any part of it holds a secret."""
    parts = [plain(part) for part in (*name.split("."), name)]
    return None if None in parts else "".join(part or "" for part in parts[:-1])


def known_names(settings: FormatSettings) -> frozenset[str]:
    """The compared names that are read."""
    targets = targets_of(settings)
    in_event = (names for part in (targets.texts, targets.numbers) for _, names in part.values())
    return frozenset(name for names in (*in_event, *targets.fields.values(), targets.times) for name in names)


class Targets(NamedTuple):
    """For each target the compared names that it is read from, and its path if it is in the event."""

    texts: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
    numbers: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
    fields: dict[str, tuple[str, ...]]
    times: tuple[str, ...]


def targets_of(settings: FormatSettings) -> Targets:
    """The targets with their names, aliases first."""
    known = {**TEXTS, **NUMBERS, **FIELDS}
    for target, names in settings.aliases.items():
        if target not in known:
            raise FormatSettingsError("aliases", f"there is no field {target}; there are {', '.join(sorted(known))}")
        for name in names:
            if not plain_path(name):
                raise FormatSettingsError("aliases", f"{name} holds a secret or a body, which is never read")
    names_of = {
        target: tuple(filter(None, map(plain_path, (*settings.aliases.get(target, ()), *names))))
        for target, names in known.items()
    }
    texts, numbers = ({name: (tuple(name.split(".")), names_of[name]) for name in part} for part in (TEXTS, NUMBERS))
    return Targets(texts, numbers, {name: names_of[name] for name in FIELDS}, tuple(filter(None, map(plain, TIMES))))
