"""What access logs of Amazon API Gateway say, in whichever notation: named texts to an event and to fields.

Operators choose the names of what they log; the `$context` variables behind them are few. So names are compared without
case, dots, dashes and underscores and without `$context.` before them: `identity.sourceIp`, `source_ip` nested in
`identity`, and `identitySourceIp` are one name. Every value is text as the gateway put it in, or "-" where it had none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from logrouter.core.enrich import outcome_of
from logrouter.core.enrich.api import compile_glob
from logrouter.core.envelopes import getter
from logrouter.core.formats.apigatewayerrors import WAF, fault_of, harmless_message
from logrouter.core.formats.kind import SettingsError
from logrouter.core.redact import names_secret, path_of
from logrouter.model import Ignored, Parsed, Reason, Rejected, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.core.formats.kind import Settings
    from logrouter.model import Envelope

    Index = dict[str, Any]
    Reader = Callable[[dict[str, Any], Envelope, tuple[str, ...]], Parsed | Ignored | Rejected]

TAKES: Final = frozenset({"aliases", "errors", "log_groups"})
"""Settings that every notation of these logs takes."""

NO_REQUEST: Final = Ignored(Reason.NOT_REQUEST)

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

_TIMES: Final = ("requestTimeEpoch", "requestTime", "time", "timestamp")
_EXECUTION_GROUP: Final = "API-Gateway-Execution-Logs_"
_REPLACED_ID: Final = "UUID_REPLACED_INVALID_REQUEST_ID"
_PUBLIC: Final = ("apikeyid",)
_BULK: Final = frozenset({"body", "payload", "requestbody", "responsebody", "clientcertpem", "accesskey"})
_DIGITS = re.compile(r"[0-9]{1,16}")
_ROUTE_KEY = re.compile(r"([A-Z]{1,16}) (/.*)", re.DOTALL)
_MAX_NUMBER: Final = (1 << 53) - 1
_MAX_DEPTH: Final = 8
_MAX_CACHED: Final = 4096
_MAX_GROUP: Final = 512

_WITHOUT: Final = str.maketrans("", "", "._-")

# Names of one stream are always the same; hostile input can only make these start over.
_plain: dict[str, str | None] = {}

_log_group = getter("log_group")
_origin: Final = tuple((name, getter(name)) for name in ("log_group", "log_stream", "account"))


def plain(name: str) -> str | None:
    """The name as it is compared; None for one that holds a secret or bulk, which is never read at all."""
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
    """`plain` of a dotted name: None if any part of it holds a secret."""
    parts = [plain(part) for part in (*name.split("."), name)]
    return None if None in parts else "".join(part or "" for part in parts[:-1])


def is_execution_log(envelope: Envelope) -> bool:
    """Whether the line is of the other log of the same gateway, told by its group or its looks: `(request id) text`."""
    if envelope.text[:1] == "(":
        return True
    group = _log_group(envelope)
    return group is not None and group.startswith(_EXECUTION_GROUP)


def is_status(text: str) -> bool:
    """Whether a value stands where a status is in a notation without names."""
    return text == "-" or (len(text) == 3 and text.isascii() and text.isdigit())


def compile_reader(settings: Settings) -> Reader:
    """How to read a line's named values (nested as they are), of an envelope, with flags. What it returns never raises.

    Raises SettingsError for an alias of no field or of a secret, and for a glob that is none.
    """
    texts, numbers, fields = _targets(settings)
    groups = _groups(settings)
    times = tuple(filter(None, map(plain, _TIMES)))
    errors = settings.errors

    def read(line: dict[str, Any], envelope: Envelope, flags: tuple[str, ...]) -> Parsed | Ignored | Rejected:
        index: Index = {}
        public = _index(line, index, "", 0)
        if not _is_request(index, numbers["http.status_code"]):
            return NO_REQUEST
        event: dict[str, Any] = {}
        for name, (path, candidates) in texts.items():
            value = _first(index, candidates)
            if value is not None and name == "error.message":
                value = harmless_message(value)
            if value:
                _put(event, path, value)
        for path, candidates in numbers.values():
            value = _first(index, candidates)
            if value is not None:
                _put(event, path, _whole(value))
        found = {name: value for name, candidates in fields.items() if (value := _first(index, candidates)) is not None}
        from_group = groups(_log_group(envelope))
        public |= found | {name: value for name, get in _origin if (value := get(envelope)) is not None}
        _settle(event, found, index, from_group)
        if from_group:
            public["group"] = from_group
        if address := event.get("http", {}).get("client_ip"):
            public["http.client_ip"] = address
        outcome = _fault(event, index, errors)
        return Parsed(event, public, _first(index, times), flags, outcome)

    return read


def known_names(settings: Settings) -> frozenset[str]:
    """The compared names that anything is read from."""
    targets = _targets(settings)
    paths = (names for part in (targets.texts, targets.numbers) for _, names in part.values())
    return frozenset(name for names in (*paths, *targets.fields.values(), _TIMES) for name in map(plain, names) if name)


class _Targets(NamedTuple):
    """The compared names that each target is read from, and its path where it is in the event."""

    texts: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
    numbers: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
    fields: dict[str, tuple[str, ...]]


def _targets(settings: Settings) -> _Targets:
    """What is read from where, aliases first."""
    known = {**TEXTS, **NUMBERS, **FIELDS}
    for target, names in settings.aliases.items():
        if target not in known:
            raise SettingsError("aliases", f"there is no field {target}; there are {', '.join(sorted(known))}")
        for name in names:
            if not plain_path(name):
                raise SettingsError("aliases", f"{name} holds a secret or a body, which is never read")
    names_of = {
        target: tuple(filter(None, map(plain_path, (*settings.aliases.get(target, ()), *names))))
        for target, names in known.items()
    }
    texts, numbers = ({name: (tuple(name.split(".")), names_of[name]) for name in part} for part in (TEXTS, NUMBERS))
    return _Targets(texts, numbers, {name: names_of[name] for name in FIELDS})


def _groups(settings: Settings) -> Callable[[str | None], dict[str, str]]:
    """What the globs name in a log group, by the first that fits."""
    try:
        globs = [compile_glob(glob) for glob in settings.log_groups]
    except ValueError as error:
        raise SettingsError("log_groups", str(error)) from None
    cache: dict[str, dict[str, str]] = {}

    def groups(name: str | None) -> dict[str, str]:
        if name is None or not globs:
            return {}
        if name not in cache:
            if len(cache) >= _MAX_CACHED:
                cache.clear()
            matches = (glob.fullmatch(name) for glob in globs) if len(name) <= _MAX_GROUP else iter(())
            cache[name[:_MAX_GROUP]] = found = next((each.groupdict() for each in matches if each is not None), {})
            return dict(found)
        return dict(cache[name])

    return groups


def _index(part: dict[str, Any], index: Index, prefix: str, depth: int) -> dict[str, Any]:
    """Put every value into *index* under its compared name, the first of a name.

    Returns *part* without what is absent or may not be read.
    """
    kept: dict[str, Any] = {}
    for name, given in part.items():
        own = plain(name)
        if own is None:
            continue
        key = prefix + own
        if type(given) is dict:
            if depth < _MAX_DEPTH and (below := _index(given, index, key, depth + 1)):
                kept[name] = below
            continue
        value = given.strip() if type(given) is str else given
        if key not in index or _absent(index[key]):
            index[key] = value
        if not _absent(value) and not (type(value) is list and any(type(item) in (dict, list) for item in value)):
            kept[name] = value
    return kept


def _absent(value: Any) -> bool:
    return value is None or value in ("", "-")


def _first(index: Index, names: tuple[str, ...]) -> str | None:
    for name in names:
        value = index.get(name)
        if type(value) is str:
            if value and value not in ("-", _REPLACED_ID):
                return value
        elif type(value) is int:
            return str(value)
    return None


def _is_request(index: Index, status: tuple[Any, tuple[str, ...]]) -> bool:
    """Whether there is a status, be it "-", and anything that was asked for."""
    if index.get("eventtype") == "DISCONNECT" or not any(name in index for name in status[1]):
        return False
    return any(name in index for name in ("httpmethod", "method", "routekey", "resourcepath", "path", "eventtype"))


def _put(event: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        event = event.setdefault(name, {})
    event[path[-1]] = value


def _whole(text: str) -> int | str:
    """The number, or the text that is none, for the schema to refuse."""
    if _DIGITS.fullmatch(text) and (number := int(text)) <= _MAX_NUMBER:
        return number
    return text


def _settle(event: dict[str, Any], fields: dict[str, str], index: Index, from_group: dict[str, str]) -> None:
    """What follows from several values: path, method, ids, stage."""
    http, meta = event.setdefault("http", {}), event.setdefault("meta", {})
    route_key = _ROUTE_KEY.fullmatch(fields.get("routeKey", ""))
    path = meta.get("uri") or fields.get("resourcePath") or (route_key[2] if route_key else None)
    if route_key and route_key[1] != "ANY":
        http.setdefault("method", route_key[1])
    if path is not None:
        http["path"] = path_of(path)
    request_id = _first(index, ("requestid",))
    if request_id is not None and request_id != meta.get("request_id"):
        meta.setdefault("correlation_id", request_id)
    if "stage" in from_group:
        event.setdefault("stage", from_group["stage"])
    if not meta:
        del event["meta"]
    if not http:
        del event["http"]


def _fault(event: dict[str, Any], index: Index, errors: Mapping[str, Any]) -> str | None:
    """How the request ended, where the status alone does not tell; notes class and code of an error in the event."""
    error = event.get("error", {})
    http = event.get("http", {})
    code = error.get("code")
    blocked = index.get("wafresponsecode") == "WAF_BLOCK" or str(index.get("wafstatus", ""))[:1] == "4"
    fault = WAF if blocked else fault_of(code)
    if fault is not None:
        event["error"] = error
        error["class"] = fault.kind
        error.setdefault("code", fault.code)
    rule = errors.get(error.get("code", ""))
    status, backend = http.get("status_code"), event.get("backend_status_code")
    if type(backend) is int and type(status) is int and backend // 100 == status // 100:
        del event["backend_status_code"]  # it says nothing that the status does not
    if rule is not None:
        if status is None and rule.status is not None:
            event.setdefault("http", {})["status_code"] = rule.status
        return str(rule.outcome)
    if fault is not None:
        return fault.outcome
    reached = [name for name in ("integrationstatus", "integrationintegrationstatus") if name in index]
    if type(status) is int and status >= 500 and reached and backend is None:
        return outcome_of(status, from_backend=False)
    return None


def unreadable(detail: str, reason: Reason = Reason.MALFORMED) -> Rejected:
    """A line that looks like a request and is none that can be read."""
    return Rejected(Stage.PARSE, reason, detail)
