r"""Envoy access log lines in JSON, as API gateways write them; every generation seen in one and the same stream.

    {"$schema": "/api-gateway/request/1.0.0", "meta": {"dt": …, "uri": "/core/v1/page?x=1", "request_id": …},
     "http": {"method": "GET", "status_code": 200, "client_ip": "<X-Forwarded-For>", "request_headers": {…}},
     "total_time_ms": 12, "client_id": "…", "route": "core"}                                       nested: G4, G5

    {"$schema": …, "meta.dt": …, "http.status_code": 200, "http.request_headers.user-agent": …}    flat: G1 to G3
    {"start_time": …, "req_method": "GET", "resp_code": 200, "jwt_cid": …}                         own names: G0

The same container also prints its application log; only a request line is read, and the rest is ignored. Nothing is
converted: a status of "200" stays a string, for the schema to refuse. docs/formats/envoy.md says what is dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from logrouter.core.jsontext import REPAIRED, Repaired, decode_object
from logrouter.core.redact import path_of
from logrouter.core.unflatten import known_paths, unflatten
from logrouter.model import Ignored, Parsed, Reason, Rejected, Stage

if TYPE_CHECKING:
    from logrouter.model import Envelope

SCHEMA_PREFIX: Final = "/api-gateway/request/"
CANARY_DOMAIN: Final = "canary"

HTTP_LEAVES: Final = ("method", "protocol", "status_code", "client_ip")
META_LEAVES: Final = ("uri", "request_id", "dt", "domain", "stream", "id")
TOP_LEAVES: Final = ("route", "total_time_ms", "backend_time_ms", "bytes_sent", "bytes_received")
HEADERS: Final = "http.request_headers"

G0_NAMES: Final = {
    "start_time": "meta.dt",
    "req_method": "http.method",
    "req_path": "meta.uri",
    "req_proto": "http.protocol",
    "resp_code": "http.status_code",
    "bytes_rx": "bytes_received",
    "bytes_tx": "bytes_sent",
    "upstream_time": "backend_time_ms",
    "duration": "total_time_ms",
    "req_x_forwarded_for": "http.client_ip",
    "req_user_agent": f"{HEADERS}.user-agent",
    "req_request_id": "meta.request_id",
    "req_authority": "meta.domain",
    "jwt_cid": "client_id",
}

PATHS: Final = known_paths(
    [
        "$schema",
        *(f"http.{leaf}" for leaf in HTTP_LEAVES),
        *(f"meta.{leaf}" for leaf in META_LEAVES),
        *TOP_LEAVES,
        "client_id",
        "ratelimit_key",
    ],
    maps=[HEADERS],
    aliases=G0_NAMES,
)

# What a nested line may hold and still be read without looking at every name.
_TOP_KEYS: Final = frozenset({"$schema", "http", "meta", "client_id", "ratelimit_key", *TOP_LEAVES})
_HTTP_KEYS: Final = dict.fromkeys((*HTTP_LEAVES, "request_headers"), True) | {
    "has_cookies": False,
    "response_headers": False,
}
_META_KEYS: Final = {"uri": True, "request_id": True, "domain": True, "dt": False, "stream": False, "id": False}
_ABSENT: Final = (None, "", "-")
_NO_REQUEST: Final = Ignored(Reason.NOT_REQUEST)
_CANARY: Final = Ignored(Reason.CANARY)


def parse(envelope: Envelope) -> Parsed | Ignored | Rejected:
    """The request in an envelope's text or, where the transport has merged it, in its document. Never raises."""
    text = envelope.text
    flags: tuple[str, ...] = ()
    if text[:1] != "{":
        line = envelope.document
        if line is None:
            return _NO_REQUEST
    else:
        found = decode_object(text, Stage.PARSE)
        if type(found) is not dict:
            if isinstance(found, Rejected):
                return _unreadable(text, found)
            if isinstance(found, Repaired):
                flags = (REPAIRED,)
        line = found
    http = line.get("http")
    meta = line.get("meta")
    if type(http) is dict and type(meta) is dict and line.keys() <= _TOP_KEYS:
        event = _canonical(line, http, meta)
        if event is not None:
            return _request(line, meta, event, flags) if _is_request(line, http) else _NO_REQUEST
    return _flat(line, flags)


def _unreadable(text: str, rejected: Rejected) -> Rejected:
    if rejected.reason is not Reason.INVALID_JSON:
        return rejected
    reason = Reason.MALFORMED if text.rstrip()[-1:] == "}" else Reason.TRUNCATED
    return rejected._replace(reason=reason)


def _flat(line: dict[str, Any], flags: tuple[str, ...]) -> Parsed | Ignored | Rejected:
    """The general way: any mixture of nested, dotted, underscored and old names."""
    nested, conflict = unflatten(line, PATHS)
    http = nested.get("http") or {}
    if not _is_request(nested, http):
        return _NO_REQUEST
    if conflict is not None:
        pointer = "/" + conflict.replace("~", "~0").replace("/", "~1").replace(".", "/")[:200]
        return Rejected(Stage.PARSE, Reason.FIELD_CONFLICT, "two values claim one field", pointer)
    meta = nested.get("meta") or {}
    event = _canonical(nested, http, meta)
    assert event is not None, "unflatten lets no object or list through"  # noqa: S101 - a fault of ours, not of the line
    return _request({**line, **nested}, meta, event, flags)


def _is_request(line: dict[str, Any], http: dict[str, Any]) -> bool:
    """Whether the line says so itself, or at least has both a method and a status."""
    schema = line.get("$schema")
    if type(schema) is str and schema.startswith(SCHEMA_PREFIX):
        return True
    return http.get("method") is not None and http.get("status_code") is not None


def _request(
    fields: dict[str, Any], meta: dict[str, Any], event: dict[str, Any], flags: tuple[str, ...]
) -> Parsed | Ignored:
    if meta.get("domain") == CANARY_DOMAIN:
        return _CANARY
    time = meta.get("dt")
    return Parsed(event, fields, time if type(time) is str else None, flags)


def _canonical(line: dict[str, Any], http: dict[str, Any], meta: dict[str, Any]) -> dict[str, Any] | None:
    """The canonical part of a nested line without null, "" and "-"; None if a name in it needs the general way."""
    request: dict[str, Any] = {}
    for key, value in http.items():
        kept = _HTTP_KEYS.get(key)
        if type(value) is str:
            if kept and value and value != "-":
                request[key] = value
            elif kept is None:
                return None
        elif kept is None or (type(value) is list and kept):
            return None
        elif type(value) is dict:
            if key == "request_headers":
                headers = {
                    name.lower(): text for name, text in value.items() if type(text) is str and text and text != "-"
                }
                if len(headers) != len(value) and not _add_unusual(headers, value):
                    return None
                if headers:
                    request[key] = headers
            elif kept:
                return None
        elif kept and value is not None:
            request[key] = value
    about: dict[str, Any] = {}
    for key, value in meta.items():
        kept = _META_KEYS.get(key)
        if kept is None or type(value) is dict or type(value) is list:
            return None
        if kept and value not in _ABSENT:
            about[key] = value
    uri = about.get("uri")
    if type(uri) is str:
        request["path"] = path_of(uri)
    event: dict[str, Any] = {}
    if request:
        event["http"] = request
    if about:
        event["meta"] = about
    for key in TOP_LEAVES:
        value = line.get(key)
        if value not in _ABSENT:
            if type(value) is dict or type(value) is list:
                return None
            event[key] = value
    return event


def _add_unusual(headers: dict[str, Any], written: dict[str, Any]) -> bool:
    """Headers that are neither text nor absent, for the schema to refuse; False if one is an object or a list."""
    for name, value in written.items():
        if type(value) is dict or type(value) is list:
            return False
        if value not in _ABSENT:
            headers[name.lower()] = value
    return True
