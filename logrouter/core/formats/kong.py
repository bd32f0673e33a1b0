r"""What Kong Gateway's logging plugins write (file-log, http-log and their kin): one JSON object per request.

    {"request":{"method":"GET","uri":"/cart?x=1","url":"https://api.example.com:443/cart?x=1","size":316,"headers":{…}},
     "response":{"status":200,"size":512,"headers":{…}},"latencies":{"request":12,"kong":1,"proxy":11},
     "client_ip":"192.0.2.7","started_at":1777629600250,"route":{"name":"cart",…},"service":{"name":"shop",…},
     "consumer":{"username":"ann",…},"tries":[{"ip":"198.51.100.20","port":8080}],"upstream_uri":"/cart?x=1",…}

The object is that of `kong.log.serialize` (https://developer.konghq.com/gateway/pdk/reference/kong.log/); operators may
take parts of it away and add their own. Latencies are milliseconds, and `proxy` is -1 where no backend was asked.
What a client sends stands in `request` only, inside values. docs/formats/kong.md says what is dropped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from logrouter.core.formats.families.backends import backend_of, put_backend
from logrouter.core.formats.families.json_values import (
    host_of,
    join_texts,
    read_headers,
    read_parts,
    secret_headers,
    without_secrets,
)
from logrouter.core.formats.format import Format, fixed_format
from logrouter.core.outcomes import FIRST_STATUS, is_about_backend, outcome_of
from logrouter.core.redact import path_of
from logrouter.core.text.json_numbers import MAX_WHOLE, as_whole, whole, written_whole
from logrouter.core.text.json_objects import cut_or_malformed, decode_object, repair_flags
from logrouter.core.text.unflatten import ABSENT
from logrouter.model import NO_REQUEST, Parsed, Reason, Rejected, Stage

if TYPE_CHECKING:
    from logrouter.model import Envelope, Ignored

_PARTS: Final = ("request", "response", "latencies", "route", "service")
_LATENCIES: Final = frozenset({"request", "kong", "proxy"})
_ASKED: Final = frozenset({"upstream_uri", "tries", "client_ip"})
# In what is no object: names that only Kong is known to write. In values quotes are escaped.
_QUOTED: Final = ('"latencies"', '"upstream_uri"')
_QUOTED_TIME: Final = '"started_at"'

_LEAVES: Final = (
    *(("request", name) for name in ("method", "uri", "url", "size", "id")),
    *(("response", name) for name in ("status", "size")),
    *(("latencies", name) for name in ("request", "proxy")),
    *(("route", name) for name in ("name", "id")),
)
"""What goes into the event out of a part, each a text or a figure."""

_GATEWAY: Final = frozenset({"kong", "exit", "error"})
_BACKEND: Final = frozenset({"upstream", "service"})
_TRIES = re.compile(r"\s*+[,:]\s*+")
_MAX_STATUSES: Final = 256
_TRACES: Final = ("w3c", "b3", "datadog", "jaeger", "ot", "aws", "gcp")
_TRY: Final = ("ip", "port", "state", "code")
# Not for sources: in the event, with a query in it, or what nobody asks for.
_UNASKED: Final = frozenset({*_PARTS, "tries", "upstream_uri", "started_at", "trace_id", "client_ip"}) - {"service"}


def parse(envelope: Envelope) -> Parsed | Ignored | Rejected:
    """The request in an envelope's text or, where the transport has merged it, in its document. Never raises."""
    if not _signature(envelope):
        return NO_REQUEST
    text, document = envelope.text, envelope.document
    if text[:1] not in ("{", "["):
        return NO_REQUEST if document is None else _of_object(document, ())
    line = decode_object(text, Stage.PARSE)
    if not isinstance(line, Rejected):
        found = _of_object(line, repair_flags(line))
        return _of_object(document, ()) if found is NO_REQUEST and document is not None else found
    if document is not None:  # the text is its message
        return _of_object(document, ())
    if not any(name in text for name in _QUOTED):
        return NO_REQUEST
    if line.reason is Reason.NOT_OBJECT:
        return Rejected(Stage.PARSE, Reason.MALFORMED, "a list of requests, which the envelope json takes apart")
    return cut_or_malformed(line, text)


def _of_object(line: dict[str, Any], flags: tuple[str, ...]) -> Parsed | Ignored | Rejected:
    """The request in an object, if Kong has written it about one, and not about a connection."""
    latencies = line.get("latencies")
    timed = type(latencies) is dict and not latencies.keys().isdisjoint(_LATENCIES)
    if not timed and not ("started_at" in line and "response" in line and not line.keys().isdisjoint(_ASKED)):
        return NO_REQUEST
    if "session" in line:
        return NO_REQUEST
    parts = read_parts(line, _PARTS, _LEAVES)
    if isinstance(parts, Rejected):
        return parts
    if parts["response"].get("status") in ABSENT:
        return Rejected(Stage.PARSE, Reason.MALFORMED, "no response.status", "/response/status")
    return _request(line, parts, flags)


def _request(line: dict[str, Any], parts: dict[str, dict[str, Any]], flags: tuple[str, ...]) -> Parsed | Rejected:
    """The event in a line whose parts are objects."""
    asked, answered, latencies = parts["request"], parts["response"], parts["latencies"]
    written = asked.get("headers")
    headers = read_headers(written)
    status = as_whole(answered["status"])
    if type(status) is int and status < FIRST_STATUS and status:
        return Rejected(Stage.PARSE, Reason.MALFORMED, "response.status is none of HTTP", "/response/status")
    http: dict[str, Any] = {"status_code": status} if status != 0 else {}
    event: dict[str, Any] = {"http": http}
    if (method := asked.get("method")) not in ABSENT:
        http["method"] = method
    if meta := _asked(asked, headers) | _ids(line, parts, headers):
        event["meta"] = meta
        if type(meta.get("uri")) is str:
            http["path"] = path_of(meta["uri"])
    if (client := _client(line.get("client_ip"), headers)) not in ABSENT:
        http["client_ip"] = client
    if headers:
        http["request_headers"] = headers
    if route := next((route for name in ("name", "id") if (route := parts["route"].get(name)) not in ABSENT), None):
        event["route"] = route
    for name, size in (("bytes_sent", answered.get("size")), ("bytes_received", asked.get("size"))):
        if size not in ABSENT:
            known = written_whole(size)
            if known is None or known >= 0:
                event[name] = size if known is None else known
    for name, taken in (("total_time_ms", latencies.get("request")), ("backend_time_ms", latencies.get("proxy"))):
        if taken not in ABSENT and (known := _milliseconds(taken)) is not None:
            event[name] = known
    backend = _backend_status(line)
    if backend is not None and backend != status:
        event["backend_status_code"] = backend
    outcome = _outcome(line, status, backend, reached="backend_time_ms" in event)
    fields = _fields(line, parts, event)
    put_backend(event, fields, _asked_backend(line, parts, event))
    parsed = Parsed(event, fields, _time(line.get("started_at")), flags, outcome)
    if type(written) is dict and len(headers) < len(written):
        parsed.secrets = secret_headers(written)
    return parsed


def _asked(asked: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    """The URI, and the host that the client asked for. Only the oldest versions have no `uri`."""
    url, uri = asked.get("url", asked.get("request_uri")), asked.get("uri")
    host = host_of(url) or headers.get("host", "").partition(":")[0]
    found = {"uri": url if uri in ABSENT else uri, "domain": host}
    return {name: value for name, value in found.items() if value not in ABSENT}


def _ids(line: dict[str, Any], parts: dict[str, dict[str, Any]], headers: dict[str, str]) -> dict[str, Any]:
    """The ids that Kong, its plugin correlation-id and its tracing give to a request."""
    sent = parts["response"].get("headers")
    request_id = parts["request"].get("id")
    if request_id in ABSENT and type(sent) is dict:
        request_id = join_texts(sent.get("x-kong-request-id"))
    if request_id in ABSENT:
        request_id = headers.get("x-request-id")
    trace = line.get("trace_id")
    traces = [trace.get(name) for name in _TRACES] if type(trace) is dict else []
    correlation = headers.get("kong-request-id") or next((each for each in traces if type(each) is str and each), None)
    found = {"request_id": request_id, "correlation_id": correlation}
    return {name: value for name, value in found.items() if value not in ABSENT}


def _client(address: Any, headers: dict[str, str]) -> Any:
    """Everybody that the request came through, nearest last: X-Forwarded-For, then who Kong takes for the client."""
    forwarded = headers.get("x-forwarded-for")
    if forwarded is None or forwarded == address:
        return address
    if address in ABSENT:
        return forwarded
    return f"{forwarded}, {address}" if type(address) is str else address


def _milliseconds(value: Any) -> Any:
    """Whole milliseconds; None for a negative figure, which says that nothing was measured.

    What is no figure stays, for the schema to refuse.
    """
    if type(value) not in (int, float) or not value <= MAX_WHOLE:
        return value
    return int(value + 0.5) if value >= 0 else None


def _backend_status(line: dict[str, Any]) -> int | None:
    """The status of the backend's answer, of several tries that of the last one."""
    said = line.get("upstream_status")
    if type(said) is str:
        said = written_whole(_TRIES.split(said[-_MAX_STATUSES:].strip())[-1])
    if said is None:
        said = _last_try(line).get("code")
    status = whole(said)
    return status if status is not None and 100 <= status <= 999 else None


def _last_try(line: dict[str, Any]) -> dict[str, Any]:
    """The balancer's last try, {} without one."""
    tries = line.get("tries")
    last = tries[-1] if type(tries) is list and tries else None
    return last if type(last) is dict else {}


def _asked_backend(
    line: dict[str, Any], parts: dict[str, dict[str, Any]], event: dict[str, Any]
) -> dict[str, str] | None:
    """The last server that was tried, and the service, which Kong writes although it has not asked it, too."""
    last, service = _last_try(line), parts["service"]
    host, port = last.get("ip"), whole(last.get("port"))
    if type(host) is str and port is not None:
        host = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    alone = "backend_time_ms" in event or is_about_backend(event["http"].get("status_code"))
    return backend_of(host, service.get("name") or service.get("host"), alone=alone)


def _outcome(line: dict[str, Any], status: Any, backend: int | None, *, reached: bool) -> str | None:
    """How it ended, where the line tells that no backend has made a 5xx."""
    if type(status) is not int or status < 500:
        return None
    source = line.get("source")
    source = source if type(source) is str else None
    if source in _BACKEND or (source not in _GATEWAY and (backend or 0) >= 500):
        return None
    if source in _GATEWAY or backend is not None or not (reached or _last_try(line)):
        return outcome_of(status, from_backend=False)
    return None


def _time(started: object) -> str | None:
    """When the request came, as digits: epoch milliseconds."""
    if type(started) is float and 0 <= started <= MAX_WHOLE:
        started = int(started)
    number = written_whole(started)
    return str(number) if number is not None else None


def _fields(line: dict[str, Any], parts: dict[str, dict[str, Any]], event: dict[str, Any]) -> dict[str, Any]:
    """What sources may ask for."""
    fields: dict[str, Any] = {
        name: kept for name, value in line.items() if name not in _UNASKED and (kept := without_secrets(name, value))
    }
    for part, names in (("route", ("name", "id")), ("latencies", ("kong", "receive"))):
        fields |= {f"{part}.{name}": value for name in names if (value := parts[part].get(name)) not in ABSENT}
    if tls := parts["request"].get("tls"):
        fields["request.tls"] = without_secrets("tls", tls)
    if last := _last_try(line):
        fields |= {f"tries.{name}": last[name] for name in _TRY if name in last and type(last[name]) in (str, int)}
        fields["tries.count"] = len(line["tries"])
    fields |= event
    return fields


def _signature(envelope: Envelope) -> bool:
    """Whether an object has Kong's names for what it took or when it began, or a cut one others of its names."""
    text, document = envelope.text, envelope.document
    if document is not None and not document.keys().isdisjoint(("latencies", "started_at")):
        return True
    return text[:1] in ("{", "[") and (_QUOTED_TIME in text or any(name in text for name in _QUOTED))


FORMAT: Final[Format] = fixed_format(parse, _signature)
