r"""Requests through a service mesh: entries of Envoy's access log service, and the flat JSON that Istio has written.

    {"common_properties": {…}, "request": {…}, "response": {…}}              an entry; `families.als_entry` reads it
    {"start_time": "…", "method": "GET", "response_code": 200, "response_flags": "-", "upstream_cluster": "…", …}
                                                                              Istio's access log as JSON
    {"sourceIp": "…", "method": "GET", "responseCode": 200, "latency": "12.3ms", "destinationApp": "shop", …}
                                                                              the adapter of Istio's Mixer
    {"app": "shop", "space": "prod", "status": 200, "fwd": "…", "service": "11ms", "total": "12ms", …}
                                                                              the same as logshuttle has set it up

An entry without response is kept. What has a response flag ended as the flag says.
"""

from __future__ import annotations

import re
from typing import Any, Final

from logrouter.core.formats.families.als_entry import TELLS_PASSING, is_entry, is_passing, values_of
from logrouter.core.formats.families.backends import backend_of, put_backend
from logrouter.core.formats.families.istio_upstream import service_of, upstream_of
from logrouter.core.formats.families.json_values import secret_fields
from logrouter.core.formats.families.response_flags import error_by, flags_of, outcome_by
from logrouter.core.formats.format import Format, fixed_format
from logrouter.core.outcomes import is_about_backend, is_http_method, is_http_status
from logrouter.core.redact import names_secret, path_of
from logrouter.core.text.durations import UNIT_UNKNOWN, duration_ms, is_bare
from logrouter.core.text.json_objects import cut_or_malformed, decode_object, repair_flags
from logrouter.core.text.proto_json import camel_case, count_of, get_message, time_text, unwrapped
from logrouter.model import NO_REQUEST, Envelope, Ignored, Parsed, Reason, Rejected, Stage

_ABSENT: Final = (None, "", "-", "unknown")
_SCALARS: Final = (str, int, float, bool)
_NOWHERE: Final = ("", 0)

# What a flat line calls the values that `als_entry.values_of` has: names in snake case, known in camel case, too, or
# those of the headers that hold them, as Envoy Gateway has it; of several that a line has the first counts.
_NAMES: Final = {
    "method": ("method", "request_method", ":method"),
    "protocol": ("protocol",),
    "uri": ("original_path", "x-envoy-original-path", "x-envoy-origin-path", "path", "url", ":path"),
    "status": ("response_code", "status", "status_code"),
    "flags": ("response_flags",),
    "details": ("response_code_details",),
    "domain": ("authority", "http_authority", ":authority", "host"),
    "request_id": ("request_id", "x_request_id", "x-request-id"),
    "client": (
        *("x_forwarded_for", "x-forwarded-for", "fwd", "forwarded_for"),
        *("source_ip", "downstream_remote_address", "origin"),
    ),
    "route": ("route_name",),
    "cluster": ("upstream_cluster",),
    "app": ("app", "destination_app"),
    "space": ("space", "destination_namespace"),
    "service_host": ("destination_service_host",),
    "backend": ("upstream_host",),
    "instance": ("dyno",),
    "user-agent": ("user_agent", "user-agent"),
    "referer": ("referer",),
    "sent": ("bytes_sent", "response_size", "sent_bytes", "bytes"),
    "received": ("bytes_received", "request_size", "received_bytes"),
    "total_ms": ("duration", "latency", "total"),
    "backend_ms": ("upstream_service_time", "x-envoy-upstream-service-time", "service"),
    "time": ("start_time", "time", "timestamp", "request_time"),
}
_PLACES: Final = {
    spelled: (place, rank)
    for place, names in _NAMES.items()
    for rank, name in enumerate(names)
    for spelled in (name, camel_case(name))
}
# One of these is in every line of Envoy's, and in no other's.
_OWN: Final = frozenset(spelled for name in ("response_code", "response_flags") for spelled in (name, camel_case(name)))
_SPANS: Final = ("total_ms", "backend_ms")
_TEXTS: Final = ("method", "protocol", "uri", "details", "domain", "request_id", "client", "route", "cluster")
_HEADERS: Final = ("user-agent", "referer")
_WITH_QUERY: Final = frozenset({"uri", "referer"})
# What a line that is no JSON must hold to be a damaged one of these: a program may print anything in braces.
_ASKED: Final = sorted(
    spelled for spelled, (place, _) in _PLACES.items() if place in ("method", "uri", "status", "flags")
)
_ENTRY: Final = ("common_properties", "commonProperties", "request", "response", "http_logs", "httpLogs")
_OURS = re.compile(rf'\{{\s*+(?:\Z|"[^"]*+\Z)|"(?:{"|".join((*_ASKED, *_ENTRY))})"\s*+:')
_NOT_COUNTED: Final = Ignored(Reason.NOT_COUNTED)
_BATCH: Final = (("http_logs", "log_entry"), ("httpLogs", "logEntry"))


def parse(envelope: Envelope) -> Parsed | Ignored | Rejected:
    """The request in an envelope's text or, where the transport has taken it in, in its document. Never raises."""
    line = envelope.document
    flags: tuple[str, ...] = ()
    if line is None or (envelope.text[:1] == "{" and not _known(line)):
        if envelope.text[:1] != "{":
            return NO_REQUEST
        read = decode_object(envelope.text, Stage.PARSE)
        if isinstance(read, Rejected):
            return cut_or_malformed(read, envelope.text) if _OURS.search(envelope.text) is not None else NO_REQUEST
        line, flags = read, repair_flags(read)
    entry = _alone(line)
    if isinstance(entry, Rejected):
        return entry
    if is_entry(entry):
        if is_passing(get_message(entry, "common_properties")):
            return _NOT_COUNTED
        return _request(values_of(entry), flags)
    found = _placed(entry)
    own = not _OWN.isdisjoint(entry)
    if not _is_request(found) or not (own or _is_answered(found)):
        return NO_REQUEST  # without a name of Envoy's method and status may be those of a job
    if not TELLS_PASSING.isdisjoint(entry) and is_passing(entry):
        return _NOT_COUNTED
    values = _flat(entry, found, own=own)
    for name in _SPANS:
        if values[name] is None and name in found and is_bare(found[name]):
            flags = (*flags, UNIT_UNKNOWN)
            break
    return _request(values, flags)


def _alone(line: dict[str, Any]) -> dict[str, Any] | Rejected:
    """The only entry of a batch; a line that is no batch is that line."""
    for outer, inner in _BATCH:
        entries = get_message(line, outer).get(inner)
        if type(entries) is list:
            if len(entries) == 1 and type(entries[0]) is dict:
                return entries[0]
            return Rejected(Stage.PARSE, Reason.TOO_MANY, f"{len(entries)} entries: the envelope json takes them apart")
    return line


def _known(line: dict[str, Any]) -> bool:
    """Whether a line says what was asked and how it ended."""
    return is_entry(line) or _is_request(_placed(line)) or any(outer in line for outer, _ in _BATCH)


def _is_request(found: dict[str, Any]) -> bool:
    return ("method" in found or "uri" in found) and ("status" in found or "flags" in found)


def _is_answered(found: dict[str, Any]) -> bool:
    """Whether status and method, if there is one, are those of HTTP."""
    return is_http_status(count_of(found["status"])) and (
        "method" not in found or is_http_method(_text(found["method"]))
    )


def _placed(line: dict[str, Any]) -> dict[str, Any]:
    """The values of a flat line by what they are."""
    found: dict[str, Any] = {}
    ranks: dict[str, int] = {}
    for name, value in line.items():
        if name in _PLACES and value not in _ABSENT:
            place, rank = _PLACES[name]
            if rank < ranks.get(place, len(_PLACES)):
                found[place], ranks[place] = value, rank
    return found


def _flat(line: dict[str, Any], found: dict[str, Any], *, own: bool) -> dict[str, Any]:
    """The values of a line without nesting, of the types that those of an entry have.

    *own* says that it has names of Envoy's, whose bare durations are milliseconds.
    """
    values: dict[str, Any] = {name: _text(found.get(name)) for name in _TEXTS}
    app, space = _text(found.get("app")), _text(found.get("space"))
    if app is None and (host := _text(found.get("service_host"))) is not None:
        service = service_of(host)
        app, space = service[0] or None, service[1] or space
    fields = _fields(line)
    return {
        **values,
        "app": app,
        "space": space,
        "status": found.get("status"),
        "flags": found.get("flags"),
        "sent": count_of(found.get("sent")),
        "received": count_of(found.get("received")),
        "total_ms": _span(found.get("total_ms"), own=own),
        "backend_ms": _span(found.get("backend_ms"), own=own),
        "time": time_text(found.get("time")),
        "headers": {name: value for name in _HEADERS if (value := _text(found.get(name))) is not None},
        "reached": "backend" in found or values["cluster"] is None,
        "instance": _text(found.get("backend") or found.get("instance")),
        "would_tell": "upstream_host" in line or "upstreamHost" in line,
        "fields": fields,
        "secrets": secret_fields(line, fields),
    }


def _fields(line: dict[str, Any]) -> dict[str, Any]:
    """Every scalar of a flat line, but for secrets and what may hold one in a query."""
    return {
        name: value
        for name, value in line.items()
        if type(value) in _SCALARS
        and value not in _ABSENT
        and _PLACES.get(name, _NOWHERE)[0] not in _WITH_QUERY
        and not names_secret(name)
    }


def _text(value: object) -> str | None:
    value = unwrapped(value)
    return value if type(value) is str else None


def _span(value: object, *, own: bool) -> int | None:
    """A duration with its unit, or where *own* as a whole number of milliseconds; None where its unit is not known."""
    count = count_of(value)
    if count is not None:
        return count if own else None
    return None if is_bare(value) else duration_ms(value)


def _request(values: dict[str, Any], flags: tuple[str, ...]) -> Parsed | Rejected:
    """The event that the values make."""
    written = values["status"]
    status = 0 if written is None else count_of(written)
    if status is None:
        return Rejected(Stage.PARSE, Reason.MALFORMED, "the response code is no number", "/response_code")
    if status and not is_http_status(status):
        return Rejected(Stage.PARSE, Reason.MALFORMED, "the response code is no status of HTTP", "/response_code")
    upstream = upstream_of(values["cluster"] or "")
    uri, set_flags = values["uri"], flags_of(values["flags"])
    app, space = values.get("app") or upstream.app or None, values.get("space") or upstream.space or None
    event = _present(
        api=app,
        api_version=upstream.version or None,
        tenant=space,
        route=values["route"],
        total_time_ms=values["total_ms"],
        backend_time_ms=values["backend_ms"],
        bytes_sent=values["sent"],
        bytes_received=values["received"],
        http=_present(
            method=values["method"],
            path=path_of(uri) if uri is not None else None,
            protocol=values["protocol"],
            # Without a response only the flags tell whether the client has left, or nobody knows.
            status_code=status if status or any(flag.outcome == "aborted" for flag in set_flags) else None,
            client_ip=values["client"],
            request_headers=values["headers"] or None,
        )
        or None,
        meta=_present(uri=uri, domain=values["domain"], request_id=values["request_id"]) or None,
        error=error_by(set_flags, values["details"]),
    )
    fields = {
        **_present(
            app=app,
            space=space,
            subset=upstream.subset or None,
            port=upstream.port or None,
            upstream_cluster=values["cluster"],
            response_flags=",".join(flag.short for flag in set_flags) or None,
        ),
        **values["fields"],
        **event,
    }
    alone = values["reached"] or not values["would_tell"] or is_about_backend(status)
    put_backend(event, fields, backend_of(values["instance"], values["cluster"], alone=alone))
    outcome = outcome_by(status, set_flags, reached=values["reached"])
    return Parsed(event, fields, values["time"], flags, outcome, secrets=values["secrets"])


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _signature(envelope: Envelope) -> bool:
    """Whether the line is an object, or the transport has taken one in."""
    return envelope.document is not None or envelope.text[:1] == "{"


FORMAT: Final[Format] = fixed_format(parse, _signature)
