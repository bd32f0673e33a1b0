r"""Envoy access log lines in JSON, as API gateways write them; every generation seen in one and the same stream.

    {"$schema": "/api-gateway/request/1.0.0", "meta": {"dt": …, "uri": "/core/v1/page?x=1", "request_id": …},
     "http": {"method": "GET", "status_code": 200, "client_ip": "<X-Forwarded-For>", "request_headers": {…}},
     "total_time_ms": 12, "client_id": "…", "route": "core"}                                       nested: G4, G5

    {"$schema": …, "meta.dt": …, "http.status_code": 200, "http.request_headers.user-agent": …}    flat: G1 to G3
    {"start_time": …, "req_method": "GET", "resp_code": 200, "jwt_cid": …}                         own names: G0

The same container also prints its application log; only a request line is read, and the rest is ignored. A whole number
that a transport has written as a decimal is the integer it is; nothing else is converted: a status of "200" stays a
string, for the schema to refuse. docs/formats/envoy.md says what is dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import UNSET, DecodeError, Meta, Struct, UnsetType, to_builtins
from msgspec.json import Decoder

from logrouter.core.formats.families.als_entry import TELLS_PASSING, is_passing
from logrouter.core.formats.families.backends import backend_of, put_backend
from logrouter.core.formats.families.beside import read_beside
from logrouter.core.formats.families.json_values import secret_headers
from logrouter.core.formats.format import Format, fixed_format
from logrouter.core.outcomes import is_about_backend, is_http_method, is_http_status
from logrouter.core.redact import names_secret, path_of
from logrouter.core.text.durations import UNIT_UNKNOWN, is_bare
from logrouter.core.text.json_numbers import as_whole
from logrouter.core.text.json_objects import MAX_DETAIL, cut_or_malformed, decode_object, repair_flags
from logrouter.core.text.unflatten import ABSENT, known_paths, unflatten
from logrouter.model import NO_REQUEST, Ignored, Parsed, Reason, Rejected, Stage

if TYPE_CHECKING:
    from logrouter.model import Envelope

SCHEMA_PREFIX: Final = "/api-gateway/request/"
CANARY_DOMAIN: Final = "canary"

HTTP_LEAVES: Final = ("method", "protocol", "status_code", "client_ip")
META_LEAVES: Final = ("uri", "request_id", "dt", "domain", "stream", "id")
FIGURES: Final = ("total_time_ms", "backend_time_ms", "bytes_sent", "bytes_received")
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
        "route",
        *FIGURES,
    ],
    maps=[HEADERS],
    aliases=G0_NAMES,
)

_BARE_TIMES: Final = (("duration", "total_time_ms"), ("upstream_time", "backend_time_ms"))
"""Names that tell no unit."""

_HOST: Final = "upstream_host"
_CLUSTER: Final = "upstream_cluster"
_NOTHING: Final[dict[str, Any]] = {}
_CANARY: Final = Ignored(Reason.CANARY)
_NOT_COUNTED: Final = Ignored(Reason.NOT_COUNTED)
_NO_STATUS: Final = Rejected(Stage.PARSE, Reason.MALFORMED, "the status is none of HTTP", "/http/status_code")

# The common line as types: nested, every value of its own type, nothing unknown, null, "" or "-". Decoding by them
# takes a third of the time of decoding to a dict and looking at every value. What does not fit goes the general way.
_Text = Annotated[str, Meta(min_length=2)] | UnsetType
_Number = Annotated[int, Meta(ge=0, le=2**53 - 1)] | UnsetType
_Status = Annotated[int, Meta(ge=100, le=999)] | UnsetType


class _Http(Struct, forbid_unknown_fields=True, gc=False):
    method: _Text = UNSET
    protocol: _Text = UNSET
    status_code: _Status = UNSET
    client_ip: _Text = UNSET
    request_headers: dict[str, Annotated[str, Meta(min_length=1)]] | UnsetType = UNSET


class _Meta(Struct, forbid_unknown_fields=True, gc=False):
    uri: _Text = UNSET
    request_id: _Text = UNSET
    dt: _Text = UNSET
    domain: _Text = UNSET
    stream: _Text = UNSET
    id: _Text = UNSET


class _Line(Struct, forbid_unknown_fields=True, gc=False, rename={"schema": "$schema"}):
    http: _Http
    meta: _Meta
    schema: _Text = UNSET
    route: _Text = UNSET
    client_id: _Text = UNSET
    ratelimit_key: _Text = UNSET
    total_time_ms: _Number = UNSET
    backend_time_ms: _Number = UNSET
    bytes_sent: _Number = UNSET
    bytes_received: _Number = UNSET


_decode_common = Decoder(_Line).decode
_LOWER_CASE: Final = frozenset(
    {"user-agent", "referer", "accept-language", "x-trusted-request", "x-is-browser", "x-ua-contact", "x-provenance"}
    | {"x-wmf-user-id", "x-wmf-ratelimit-class", "x-wmf-ratelimit-policy", "x-wmf-timelimit-policy"}
)


def parse(envelope: Envelope) -> Parsed | Ignored | Rejected:
    """The request in an envelope's text or, where the transport has merged it, in its document. Never raises."""
    text = envelope.text
    if text[:1] != "{":
        return NO_REQUEST if envelope.document is None else _general(envelope.document, ())
    try:
        common = _decode_common(text)
    except DecodeError:
        line = decode_object(text, Stage.PARSE)
        found = cut_or_malformed(line, text) if isinstance(line, Rejected) else _general(line, repair_flags(line))
    else:
        found = _request(to_builtins(common), ())
    if envelope.document is not None and not isinstance(found, Parsed):
        return read_beside(parse, envelope, found)
    return found


def _general(line: dict[str, Any], flags: tuple[str, ...]) -> Parsed | Ignored | Rejected:
    """Any mixture of nested, dotted, underscored and old names; a bare `status` is a status where a method is."""
    nested, conflict = unflatten(line, PATHS)
    schema = nested.get("$schema")
    own = (type(schema) is str and schema.startswith(SCHEMA_PREFIX)) or "resp_code" in line
    flags = _settle_figures(nested, line, flags, own=own)
    parsed = _request(nested, flags)
    if isinstance(parsed, Parsed):
        if not TELLS_PASSING.isdisjoint(line) and is_passing(line):
            return _NOT_COUNTED
        status = nested["http"].get("status_code") if "http" in nested else None
        if type(status) is int and not is_http_status(status):
            if not own:
                return NO_REQUEST  # a job's exit status, say
            if status:  # 0 is Envoy's word for a client that left
                return _NO_STATUS
        if conflict is not None:
            return Rejected(Stage.PARSE, Reason.FIELD_CONFLICT, "two values claim one field", _pointer(conflict))
        parsed.fields = {**line, **parsed.fields}
        if _HOST in line or _CLUSTER in line:
            alone = _HOST not in line or is_about_backend(status)
            put_backend(parsed.event, parsed.fields, backend_of(line.get(_HOST), line.get(_CLUSTER), alone=alone))
    return parsed


def _settle_figures(
    nested: dict[str, Any], line: dict[str, Any], flags: tuple[str, ...], *, own: bool
) -> tuple[str, ...]:
    """Make the figures in *nested* those of an event, as far as *line* tells what they are. Returns the flags.

    *own* says that the gateway has written the line: its `duration` is milliseconds, and whole.
    """
    for name in FIGURES:
        figure = nested.get(name)
        if type(figure) is float:
            figure = nested[name] = as_whole(figure)
        if type(figure) is int and figure < 0:
            del nested[name]
    http = nested.get("http", _NOTHING)
    if type(http.get("status_code")) is float:
        http["status_code"] = as_whole(http["status_code"])
    if "status" in line and "method" in http:
        status = as_whole(line["status"])
        if is_http_status(status) and is_http_method(http["method"]):  # jobs have methods and states, too
            http.setdefault("status_code", status)
    upstream = nested.get("backend_time_ms")
    if type(upstream) is str and upstream.isascii() and upstream.isdigit() and len(upstream) < 10:
        # The first generations print a response header here, which is text by nature: reading it is no coercion.
        nested["backend_time_ms"] = int(upstream)
    for name, field in _BARE_TIMES:
        if (
            name in line
            and not (own and type(nested.get(field)) is int)
            and _is_bare_time(line[name], nested.get(field))
        ):
            del nested[field]
            flags = (*flags, UNIT_UNKNOWN) if UNIT_UNKNOWN not in flags else flags
    return flags


def _is_bare_time(written: Any, read: Any) -> bool:
    """Whether the time that was read is the one that was written under a name that tells no unit, and has none."""
    return type(read) is not str and written == read and is_bare(written)


def _pointer(path: tuple[str, ...]) -> str:
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)[:MAX_DETAIL]


def _request(line: dict[str, Any], flags: tuple[str, ...]) -> Parsed | Ignored:
    """The event in a nested line that holds known names only, none of them absent; the line becomes its fields."""
    http = line.get("http", {})
    meta = line.get("meta", {})
    schema = line.get("$schema")
    # A request says so itself, or at least has both a method and a status.
    if not (type(schema) is str and schema.startswith(SCHEMA_PREFIX)) and not (
        "method" in http and "status_code" in http
    ):
        return NO_REQUEST
    if meta.get("domain") == CANARY_DOMAIN:
        return _CANARY
    headers, secrets = http.get("request_headers"), None
    if headers is not None and not (headers and headers.keys() <= _LOWER_CASE and "-" not in headers.values()):
        secrets = _normalise(http, headers)
    uri = meta.get("uri")
    if type(uri) is str:
        http["path"] = path_of(uri)
    event = line.copy()
    # Who called is for client-id sources to read, and never published as it is.
    if "client_id" in event:
        del event["client_id"]
    if "ratelimit_key" in event:
        del event["ratelimit_key"]
    if http:
        event["http"] = http
    elif "http" in event:
        del event["http"]
    if not meta and "meta" in event:
        del event["meta"]
    time = meta.get("dt")
    parsed = Parsed(event, line, time if type(time) is str else None, flags)
    if secrets is not None:
        parsed.secrets = secrets
    return parsed


def _normalise(http: dict[str, Any], headers: dict[str, Any]) -> dict[str, Any] | None:
    """Lower-case names, no absent values, no secrets. Skipped where a glance tells that all of this holds already.

    Returns the secrets, None if there are none.
    """
    kept = {name.lower(): value for name, value in headers.items() if value not in ABSENT and not names_secret(name)}
    if kept:
        http["request_headers"] = kept
    else:
        del http["request_headers"]
    return secret_headers(headers) if len(kept) < len(headers) else None


def _signature(envelope: Envelope) -> bool:
    """Whether the line is an object, or the transport has taken one in."""
    return envelope.document is not None or envelope.text[:1] == "{"


FORMAT: Final[Format] = fixed_format(parse, _signature)
