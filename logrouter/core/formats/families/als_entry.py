"""One entry of Envoy's access log service (`HTTPAccessLogEntry`, API versions 2 and 3) as the values of a request.

    {"common_properties": {"start_time": "…Z", "time_to_last_downstream_tx_byte": "0.012s", "upstream_cluster": "…",
       "downstream_remote_address": {"socket_address": {"address": "192.0.2.7", …}}, "response_flags": {…}, …},
     "protocol_version": "HTTP11",
     "request": {"request_method": "GET", "authority": "…", "path": "/…", "forwarded_for": "…", "request_id": "…", …},
     "response": {"response_code": 200, "response_body_bytes": "512", …}}

Any part may be missing: a request that reached no backend, or whose client left, is a request all the same.
"""

from __future__ import annotations

from typing import Any, Final

from logrouter.core.formats.families.json_values import secret_headers
from logrouter.core.redact import names_secret
from logrouter.core.text.durations import duration_ms
from logrouter.core.text.json_numbers import whole
from logrouter.core.text.proto_json import get_field, get_message, get_number, get_text, time_text

_METHODS: Final = ("", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
_VERSIONS: Final = ("", "HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/3")
_NAMED_VERSIONS: Final = {"HTTP10": "HTTP/1.0", "HTTP11": "HTTP/1.1", "HTTP2": "HTTP/2", "HTTP3": "HTTP/3"}
_UNSPECIFIED: Final = "METHOD_UNSPECIFIED"
_PASSING: Final = frozenset(
    {"DownstreamStart", "DownstreamPeriodic", "DownstreamTunnelSuccessfullyEstablished"}
    | {"UpstreamPoolReady", "UpstreamPeriodic", "UpstreamEnd"}
)
# The same as protobuf numbers them.
_PASSING_NUMBERS: Final = frozenset({4, 5, 7, 8, 9, 10})
TELLS_PASSING: Final = frozenset({"access_log_type", "accessLogType", "intermediate_log_entry", "intermediateLogEntry"})
"""Without one of these names a line is not of a request that goes on."""

_MAX_DEPTH: Final = 8


def is_entry(line: dict[str, Any]) -> bool:
    """Whether this is an entry about a request; entries about connections have other properties."""
    if get_field(line, "connection_properties") is not None:
        return False
    if get_message(line, "common_properties"):
        return True
    request, answer = get_message(line, "request"), get_field(get_message(line, "response"), "response_code")
    return answer is not None and any(get_field(request, name) is not None for name in ("request_method", "path"))


def is_passing(properties: dict[str, Any]) -> bool:
    """Whether Envoy wrote the line while the request went on: another line will count it.

    *properties* are the common ones of an entry, or a flat line, which has the type of the entry under the same name.
    """
    if get_field(properties, "intermediate_log_entry") is True:
        return True
    kind = get_field(properties, "access_log_type")
    return (type(kind) is str and kind in _PASSING) or whole(kind) in _PASSING_NUMBERS


def values_of(line: dict[str, Any]) -> dict[str, Any]:
    """The values by the names that `formats.istio` uses; None for those that are missing."""
    common, request, response = (get_message(line, name) for name in ("common_properties", "request", "response"))
    headers, secrets = _headers(request)
    # Time until the first byte from the backend, less what passed before the request went there.
    first, sent = (_ms(common, f"time_to_first_upstream_{way}_byte") for way in ("rx", "tx"))
    return {
        "method": _method(get_field(request, "request_method")),
        "protocol": _protocol(get_field(line, "protocol_version")),
        "uri": get_text(request, "original_path") or get_text(request, "path"),
        "status": get_field(response, "response_code"),
        "flags": get_field(common, "response_flags"),
        "details": get_text(response, "response_code_details"),
        "domain": get_text(request, "authority"),
        "request_id": get_text(request, "request_id"),
        "client": get_text(request, "forwarded_for") or headers.get("x-forwarded-for") or _client(common),
        "total_ms": _first(_ms(common, "time_to_last_downstream_tx_byte"), _ms(common, "duration")),
        "backend_ms": max(first - (sent or 0), 0) if first is not None else None,
        "sent": get_number(response, "response_body_bytes"),
        "received": get_number(request, "request_body_bytes"),
        "headers": headers,
        "secrets": secrets,
        "route": get_text(common, "route_name"),
        "cluster": get_text(common, "upstream_cluster"),
        "reached": get_field(common, "upstream_remote_address") is not None or first is not None,
        "instance": _instance(common),
        "would_tell": True,
        "time": time_text(get_field(common, "start_time")),
        "fields": _fields(common),
    }


def _fields(common: dict[str, Any]) -> dict[str, Any]:
    """What only sources of client ids and APIs read: who the peer is, and what Envoy's filters knew."""
    fields: dict[str, Any] = {}
    peer = get_message(get_message(common, "tls_properties"), "peer_certificate_properties")
    names = get_field(peer, "subject_alt_name")
    if type(names) is list and names and (principal := get_text(names[0], "uri")) is not None:
        fields["source_principal"] = principal
    for name, value in (
        ("metadata", get_field(get_message(common, "metadata"), "filter_metadata")),
        ("custom_tags", get_field(common, "custom_tags")),
    ):
        if type(value) is dict:
            fields[name] = _without_secrets(value, _MAX_DEPTH)
    return fields


def _without_secrets(part: dict[str, Any], depth: int) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in part.items():
        if type(value) is dict:
            if depth:
                kept[name] = _without_secrets(value, depth - 1)
        elif not names_secret(name) and (type(value) is not list or all(type(each) is str for each in value)):
            kept[name] = value
    return kept


def _headers(request: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any] | None]:
    """The request headers that are logged, by lower-case name, without secrets; and these, None if there are none."""
    written = get_message(request, "request_headers")
    headers = {
        name.lower(): value
        for name, value in written.items()
        if type(value) is str and value not in ("", "-") and not names_secret(name)
    }
    secrets = secret_headers(written) if len(headers) < len(written) else None
    for name, field in (("user-agent", "user_agent"), ("referer", "referer")):
        value = get_text(request, field)
        if value is not None:
            headers[name] = value
    return headers, secrets


def _client(common: dict[str, Any]) -> str | None:
    for name in ("downstream_remote_address", "downstream_direct_remote_address"):
        found = get_text(_socket(get_field(common, name)), "address")
        if found is not None:
            return found
    return None


def _instance(common: dict[str, Any]) -> str | None:
    """The instance that was asked: its address with the port, or its socket."""
    written = get_field(common, "upstream_remote_address")
    if written is None:
        return None
    socket = _socket(written)
    host = get_text(socket, "address")
    if host is None:
        path = get_text(get_message(written, "pipe"), "path")
        return f"unix:{path}" if path is not None else None
    port = get_number(socket, "port_value") or get_number(get_message(socket, "PortSpecifier"), "PortValue")
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{port}" if port else host


def _socket(address: Any) -> dict[str, Any]:
    """The host and port of an address, {} where it has none, as it is one of a pipe."""
    below = get_field(address, "Address")
    return get_message(below or address, "socket_address") or get_message(below, "SocketAddress")


def _method(value: object) -> str | None:
    if type(value) is str:
        return value if value != _UNSPECIFIED else None
    number = whole(value)
    return _METHODS[number] or None if number is not None and 0 <= number < len(_METHODS) else None


def _protocol(value: object) -> str | None:
    if type(value) is str:
        return _NAMED_VERSIONS.get(value)
    number = whole(value)
    return _VERSIONS[number] or None if number is not None and 0 <= number < len(_VERSIONS) else None


def _ms(common: dict[str, Any], name: str) -> int | None:
    return duration_ms(get_field(common, name))


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)
