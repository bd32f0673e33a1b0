r"""The access log of Traefik 2 and 3 in JSON (`accessLog.format: json`): one flat object per request, names sorted.

    {"ClientAddr":"192.0.2.7:51234","ClientHost":"192.0.2.7","DownstreamStatus":200,"Duration":12400000,
     "OriginDuration":11000000,"OriginStatus":200,"RequestMethod":"GET","RequestPath":"/cart?x=1",…,
     "request_User-Agent":"…","StartUTC":"2026-05-01T10:00:00.25Z","level":"info","msg":"","time":"…"}

The names are those of https://doc.traefik.io/traefik/observability/access-logs/. Durations are nanoseconds. An operator
may drop each of them; only `DownstreamStatus` has to be there. What a client or a backend sends stands behind
`request_`, `origin_` and `downstream_`, or inside a value, so it can't become another field. Traefik's own log may be
in the same stream, with `level`, `msg` and `time` as well. docs/formats/traefik.md says what is dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from logrouter.core.formats.families.backends import backend_of, put_backend
from logrouter.core.formats.families.beside import read_beside
from logrouter.core.formats.families.weblog import begin_of
from logrouter.core.formats.format import Format, fixed_format
from logrouter.core.outcomes import FIRST_STATUS, outcome_of
from logrouter.core.redact import REDACTED, names_secret, path_of
from logrouter.core.text.json_numbers import MAX_WHOLE, as_whole
from logrouter.core.text.json_objects import cut_or_malformed, decode_object, repair_flags
from logrouter.core.text.unflatten import ABSENT
from logrouter.model import NO_REQUEST, Parsed, Reason, Rejected, Stage

if TYPE_CHECKING:
    from logrouter.model import Envelope, Ignored

_STATUS: Final = "DownstreamStatus"
_QUOTED_STATUS: Final = f'"{_STATUS}"'
# Names are sorted, so a line that has the status begins with it or with one of these, and a cut one as well.
_BEGINNINGS: Final = tuple(
    f'{{"{name}"'
    for name in ("ClientAddr", "ClientHost", "ClientPort", "ClientUsername", "DownstreamContentSize", _STATUS)
)
# Beside the status one of these, so that it is a request's. Without it the second row tells that Traefik has written
# the line: others write RequestMethod and RequestPath, too.
_ASKED: Final = frozenset({"RequestMethod", "RequestPath", "RequestHost", "RequestAddr", "RouterName", "StartUTC"})
_OWN: Final = frozenset({"DownstreamContentSize", "OriginStatus", "RouterName", "ClientAddr", "entryPointName"})

_SERVICE: Final = ("ServiceName", "ServiceURL", "ServiceAddr")
_CORRELATION: Final = ("trace_id", "TraceId")
_STARTS: Final = ("StartUTC", "StartLocal")
_HTTP: Final = (("RequestMethod", "method"), ("RequestProtocol", "protocol"))
_SIZES: Final = (("DownstreamContentSize", "bytes_sent"), ("RequestContentSize", "bytes_received"))
_TIMES: Final = (("Duration", "total_time_ms"), ("OriginDuration", "backend_time_ms"))
_READ: Final = frozenset(
    {_STATUS, "OriginStatus", "ClientAddr", "ClientHost", "RequestPath", "RequestHost", "RequestAddr", "RouterName"}
    | {*_CORRELATION, *(name for name, _ in (*_HTTP, *_SIZES, *_TIMES))}
)
"""What goes into the event, but for headers."""

_HEADER: Final = "request_"
_REQUEST_ID: Final = "x-request-id"
# Not for sources: what has a query in it, and what every line of the process has.
_UNASKED: Final = frozenset({"RequestPath", "level", "msg", "time"})
_NESTED: Final = (dict, list)
_NUMBERS: Final = (int, float)
_MAX_NANOSECONDS: Final = (1 << 63) - 1


def parse(envelope: Envelope) -> Parsed | Ignored | Rejected:
    """The request in an envelope's text or, where the transport has merged it, in its document. Never raises."""
    if not _signature(envelope):
        return NO_REQUEST
    text = envelope.text
    if text[:1] != "{":
        return NO_REQUEST if envelope.document is None else _of_object(envelope.document, ())
    line = decode_object(text, Stage.PARSE)
    found = cut_or_malformed(line, text) if isinstance(line, Rejected) else _of_object(line, repair_flags(line))
    if envelope.document is not None and not isinstance(found, Parsed):
        return read_beside(parse, envelope, found)
    return found


def _of_object(line: dict[str, Any], flags: tuple[str, ...]) -> Parsed | Ignored | Rejected:
    """The request in an object, if Traefik has written it about one."""
    if line.keys().isdisjoint(_ASKED):
        return NO_REQUEST
    if _STATUS not in line:
        if "RequestMethod" not in line or line.keys().isdisjoint(_OWN):
            return NO_REQUEST
        return Rejected(Stage.PARSE, Reason.MALFORMED, f"no {_STATUS}")
    known = {name: value for name, value in line.items() if value not in ABSENT}
    if _STATUS not in known:
        return Rejected(Stage.PARSE, Reason.MALFORMED, f"{_STATUS} has no value", f"/{_STATUS}")
    for name in known.keys() & _READ:
        if type(known[name]) in _NESTED:
            return Rejected(Stage.PARSE, Reason.MALFORMED, f"{name} is an object or a list", f"/{name}")
    return _request(known, flags)


def _request(line: dict[str, Any], flags: tuple[str, ...]) -> Parsed | Rejected:
    """The event in a line's values, none of them absent."""
    status = as_whole(line[_STATUS])
    if type(status) is int and status < FIRST_STATUS:
        if status:
            return Rejected(Stage.PARSE, Reason.MALFORMED, f"{_STATUS} is none of HTTP", f"/{_STATUS}")
        status = None  # a client that left, or a WebSocket that had ended: the line does not say which
    headers, fields, secrets = _headers_and_fields(line)
    event: dict[str, Any] = {"http": _http(line, status, headers)}
    if meta := _meta(line, headers):
        event["meta"] = meta
    if "RouterName" in line:
        event["route"] = line["RouterName"]
    for name, field in _SIZES:
        if name in line:
            size = as_whole(line[name])
            if type(size) is not int or size >= 0:
                event[field] = size
    for name, field in _TIMES:
        if name in line and (took := _milliseconds(line[name])) is not None:
            event[field] = took
    origin = as_whole(line.get("OriginStatus"))
    if origin is not None and origin != status and (type(origin) is not int or origin >= FIRST_STATUS):
        event["backend_status_code"] = origin
    fields |= event
    put_backend(event, fields, _backend(line))
    parsed = Parsed(event, fields, _time(line, event.get("total_time_ms")), flags, _outcome(line, status, origin))
    parsed.secrets = secrets
    return parsed


def _headers_and_fields(line: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any], dict[str, Any] | None]:
    """Request headers by lower-case name, what sources may ask for, and secrets; none with what is redacted."""
    headers: dict[str, str] = {}
    fields: dict[str, Any] = {}
    secrets: dict[str, Any] | None = None
    for name, value in line.items():
        if value == REDACTED:
            continue
        if name.startswith(_HEADER):
            header = name[len(_HEADER) :].lower()
            if header and type(value) is str:
                if names_secret(header):
                    secrets = {f"header:{header}": value, **(secrets or {})}
                else:
                    headers.setdefault(header, value)
        elif name not in _UNASKED and type(value) not in _NESTED:
            if _is_secret(name):
                secrets = {**(secrets or {}), name: value}
            else:
                fields[name] = value
    return headers, fields, secrets


def _is_secret(name: str) -> bool:
    """Whether a name, or the header in it (`origin_Auth`), says that it is a secret."""
    return names_secret(name) or names_secret(name.partition("_")[2])


def _http(line: dict[str, Any], status: object, headers: dict[str, str]) -> dict[str, Any]:
    """What was asked and answered."""
    http: dict[str, Any] = {} if status is None else {"status_code": status}
    for name, field in _HTTP:
        if name in line:
            http[field] = line[name]
    uri = line.get("RequestPath")
    if uri is not None:
        http["path"] = path_of(uri) if type(uri) is str else uri
    client = _client(line)
    if client is not None:
        http["client_ip"] = client
    if headers:
        http["request_headers"] = headers
    return http


def _meta(line: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    """Where it was asked, and by which ids."""
    meta: dict[str, Any] = {}
    if "RequestPath" in line:
        meta["uri"] = line["RequestPath"]
    if "RequestHost" in line:
        meta["domain"] = line["RequestHost"]
    elif "RequestAddr" in line:
        meta["domain"] = _without_port(line["RequestAddr"])
    if _REQUEST_ID in headers:
        meta["request_id"] = headers[_REQUEST_ID]
    correlation = next((line[name] for name in _CORRELATION if name in line), None)
    if correlation is not None:
        meta["correlation_id"] = correlation
    return meta


def _backend(line: dict[str, Any]) -> dict[str, str] | None:
    """The server that was asked, and the service it belongs to: Traefik writes neither where it asked none."""
    instance = line.get("ServiceAddr") or line.get("ServiceURL")
    if type(instance) is dict:  # as Traefik 2 writes a URL
        instance = instance.get("Host")
    return backend_of(instance, line.get("ServiceName"))


def _client(line: dict[str, Any]) -> Any:
    """Everybody that the request came through, nearest last: ClientHost is X-Forwarded-For, if there was one.

    What is no text stays what it is, for the schema to refuse.
    """
    host, address = line.get("ClientHost"), _without_port(line.get("ClientAddr"))
    if host is None or address is None or host == address:
        return address if host is None else host
    if type(host) is str and type(address) is str:
        return f"{host}, {address}"
    return address if type(host) is str else host


def _without_port(address: Any) -> Any:
    """The host of `192.0.2.7:443` and `[2001:db8::7]:443`; anything else as it is."""
    if type(address) is not str:
        return address
    host, _, port = address.rpartition(":")
    if not port.isdigit() or not host:
        return address
    if host[0] == "[" and host[-1] == "]":
        return host[1:-1] or address
    return address if ":" in host else host


def _is_zero(value: Any) -> bool:
    """Whether a figure is 0: Traefik's word for what has not been measured, where 0 can't be a result."""
    return type(value) in _NUMBERS and value == 0


def _milliseconds(value: Any) -> Any:
    """Nanoseconds rounded to milliseconds, None if none were measured; what is none stays, for the schema to refuse."""
    if type(value) not in _NUMBERS or value > _MAX_NANOSECONDS:
        return value
    if value <= 0:
        return None  # nothing takes no time
    return (int(value) + 500_000) // 1_000_000


def _outcome(line: dict[str, Any], status: Any, origin: Any) -> str | None:
    """How it ended, where the line tells that no backend has made a 5xx."""
    if type(status) is not int or status < 500 or _is_backend_s(line, origin):
        return None
    return outcome_of(status, from_backend=False)


def _is_backend_s(line: dict[str, Any], origin: Any) -> bool:
    """Whether a 5xx may be the backend's: it is not where its status is another, or it was not asked.

    Without a status of the backend that has to be told by more than what is missing, as operators drop fields: Traefik
    notes the service where it asks one, and an overhead that is less than the duration.
    """
    if type(origin) is int:
        return origin >= 500
    if any(name in line for name in _SERVICE):
        return True
    if "OriginDuration" in line:
        return not _is_zero(line["OriginDuration"])
    return "Duration" not in line or line.get("Overhead") != line["Duration"]


def _time(line: dict[str, Any], total: object) -> str | None:
    """When the request began: as it is written, else the time of the entry, which is its end, less its duration."""
    for name in _STARTS:
        if type(line.get(name)) is str:
            return str(line[name])
    end = line.get("time")
    if type(end) is not str:
        return None
    return begin_of(end, total) if type(total) is int and 0 < total <= MAX_WHOLE else end


def _signature(envelope: Envelope) -> bool:
    """Whether an object has the status of a Traefik request, or begins as such lines do."""
    text = envelope.text
    if text[:1] == "{" and (_QUOTED_STATUS in text or text.startswith(_BEGINNINGS)):
        return True
    return envelope.document is not None and not envelope.document.keys().isdisjoint((_STATUS, *_OWN))


FORMAT: Final[Format] = fixed_format(parse, _signature, users=("ClientUsername",))
