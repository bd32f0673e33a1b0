"""Events as documents of the Elastic Common Schema, version 8; what it has no field for is under `logrouter`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from logrouter.core.text.timestamps import rfc3339
from logrouter.sinks.opensearch.fields import (
    DocumentBuilder,
    DocumentField,
    Kind,
    address_of,
    nest,
    pairs_of,
    text_of,
    texts_of,
    whole_of,
)

if TYPE_CHECKING:
    from logrouter.sinks.opensearch.source_event import SourceEvent

ECS_VERSION: Final = "8.11.0"
_MAX_ENTRIES: Final = 64
_NANOSECONDS: Final = 1_000_000
_MAX_DURATION_MS: Final = (2**63 - 1) // _NANOSECONDS
_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}", re.ASCII)

_FROM_EVENT: Final = (
    DocumentField("$schema", "logrouter.schema"),
    DocumentField("meta.stream", "event.dataset"),
    DocumentField("meta.request_id", "http.request.id"),
    DocumentField("meta.response_id", "logrouter.response_id"),
    DocumentField("meta.correlation_id", "logrouter.correlation_id"),
    DocumentField("meta.domain", "url.domain"),
    DocumentField("meta.uri", "url.original"),
    DocumentField("api", "service.name"),
    DocumentField("api_version", "service.version"),
    DocumentField("stage", "service.environment"),
    DocumentField("api_provider", "logrouter.api_provider"),
    DocumentField("route", "logrouter.route"),
    DocumentField("tenant", "logrouter.tenant"),
    DocumentField("application", "logrouter.application"),
    DocumentField("path_template", "logrouter.path_template"),
    DocumentField("status_class", "logrouter.status_class"),
    DocumentField("outcome", "logrouter.outcome"),
    DocumentField("weight", "logrouter.weight", Kind.DOUBLE),
    DocumentField("client_id", "logrouter.client.id"),
    DocumentField("client_type", "logrouter.client.type"),
    DocumentField("user", "user.name"),
    DocumentField("user_agent_family", "user_agent.name"),
    DocumentField("geo.country", "client.geo.country_iso_code"),
    DocumentField("geo.asn", "client.as.number", Kind.LONG),
    DocumentField("http.method", "http.request.method"),
    DocumentField("http.path", "url.path"),
    DocumentField("http.status_code", "http.response.status_code", Kind.LONG),
    DocumentField("http.client_ip", "client.address"),
    DocumentField("bytes_sent", "http.response.bytes", Kind.LONG),
    DocumentField("bytes_received", "http.request.bytes", Kind.LONG),
    DocumentField("total_time_ms", "logrouter.total_time_ms", Kind.LONG),
    DocumentField("backend_time_ms", "logrouter.backend.time_ms", Kind.LONG),
    DocumentField("backend_status_code", "logrouter.backend.status_code", Kind.LONG),
    DocumentField("backend.instance", "logrouter.backend.instance"),
    DocumentField("backend.cluster", "logrouter.backend.cluster"),
    DocumentField("backend.method", "logrouter.backend.method"),
    DocumentField("backend.uri", "logrouter.backend.uri"),
    DocumentField("error.code", "error.code"),
    DocumentField("error.class", "error.type"),
    DocumentField("error.message", "error.message", Kind.TEXT),
    DocumentField("error.source", "logrouter.error_source"),
    DocumentField("source.host", "host.name"),
    DocumentField("source.program", "process.name"),
    DocumentField("source.format", "logrouter.source.format"),
    DocumentField("source.topic", "logrouter.source.topic"),
    DocumentField("source.partition", "logrouter.source.partition", Kind.LONG),
    DocumentField("source.offset", "logrouter.source.offset", Kind.LONG),
    DocumentField("source.index", "logrouter.source.index", Kind.LONG),
)
_MADE: Final = (
    DocumentField("meta.dt", "@timestamp", Kind.DATE),
    DocumentField("", "ecs.version"),
    DocumentField("meta.id", "event.id"),
    DocumentField("", "event.kind"),
    DocumentField("", "event.category"),
    DocumentField("", "event.type"),
    DocumentField("", "event.created", Kind.DATE),
    DocumentField("outcome", "event.outcome"),
    DocumentField("total_time_ms", "event.duration", Kind.LONG),
    DocumentField("http.protocol", "http.version"),
    DocumentField("http.client_ip", "client.ip", Kind.IP),
    DocumentField("http.request_headers.user-agent", "user_agent.original"),
    DocumentField("http.request_headers.referer", "http.request.referrer"),
    DocumentField("http.request_headers", "logrouter.request_headers"),
    DocumentField("meta.uri", "url.query"),
    DocumentField("meta.correlation_id", "trace.id"),
    DocumentField("meta.correlation_id", "span.id"),
    DocumentField("client", "logrouter.client.attributes"),
    DocumentField("flags", "logrouter.flags"),
)
ECS_FIELDS: Final = (*_MADE, *_FROM_EVENT)
"""All fields of a document."""
_BUILDER: Final = DocumentBuilder(_FROM_EVENT)
_KIND: Final = {"kind": "event", "category": ["web"], "type": ["access"]}


def to_ecs(source: SourceEvent) -> dict[str, Any]:
    """The document of an event."""
    event = source.event
    sections = _BUILDER.build(event)
    sections[""] = {"@timestamp": rfc3339(source.time_ms)}
    sections["ecs"] = {"version": ECS_VERSION}
    about = sections.setdefault("event", {})
    about |= _KIND
    about["id"] = source.id
    about["created"] = rfc3339(source.arrival_ms)
    about["outcome"] = _outcome(event)
    duration = whole_of(event.get("total_time_ms"))
    if duration is not None and abs(duration) <= _MAX_DURATION_MS:
        about["duration"] = duration * _NANOSECONDS
    http = event.get("http")
    if isinstance(http, dict):
        _add_http(sections, http)
    own = sections.setdefault("logrouter", {})
    own.setdefault("weight", 1.0)
    if flags := texts_of(event.get("flags"), _MAX_ENTRIES):
        own["flags"] = flags
    if attributes := pairs_of(event.get("client"), _MAX_ENTRIES):
        sections.setdefault("logrouter.client", {})["attributes"] = attributes
    if "url" in sections:
        url = sections["url"]
        path, _, query = url.get("original", "").partition("?")
        if path.startswith("/"):  # an absolute URL, as proxies get them, or `host:443` of CONNECT is no path
            url.setdefault("path", path)
        if query:
            url["query"] = query
    if (correlation := own.get("correlation_id")) is not None:
        _add_trace(sections, correlation)
    return nest(sections)


def _add_http(sections: dict[str, dict[str, Any]], http: dict[str, Any]) -> None:
    protocol = text_of(http.get("protocol"))
    if protocol is not None:
        sections.setdefault("http", {})["version"] = protocol.removeprefix("HTTP/")
    address = address_of(http.get("client_ip"))
    if address is not None:
        sections["client"]["ip"] = address
    headers = http.get("request_headers")
    if not isinstance(headers, dict):
        return
    if (agent := text_of(headers.get("user-agent"))) is not None:
        sections.setdefault("user_agent", {})["original"] = agent
    if (referrer := text_of(headers.get("referer"))) is not None:
        sections.setdefault("http.request", {})["referrer"] = referrer
    others = {name: value for name, value in headers.items() if name not in ("user-agent", "referer")}
    if pairs := pairs_of(others, _MAX_ENTRIES):
        sections.setdefault("logrouter", {})["request_headers"] = pairs


def _outcome(event: dict[str, Any]) -> str:
    """ECS knows three outcomes; of a client that went away nobody knows which it would have been."""
    outcome = text_of(event.get("outcome"))
    if outcome is not None:
        return {"ok": "success", "aborted": "unknown"}.get(outcome, "failure")
    http = event.get("http")
    status = whole_of(http.get("status_code")) if isinstance(http, dict) else None
    if status is None or not 100 <= status <= 599:
        return "unknown"
    return "success" if status < 400 else "failure"


def _add_trace(sections: dict[str, dict[str, Any]], correlation: str) -> None:
    """The ids of a trace in the notation of W3C (`traceparent`), else the whole text as one."""
    parent = _TRACE_PARENT.fullmatch(correlation)
    if parent is None:
        sections["trace"] = {"id": correlation}
    else:
        sections["trace"], sections["span"] = {"id": parent[1]}, {"id": parent[2]}
