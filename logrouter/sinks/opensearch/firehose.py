"""Events as Amazon's pipeline writes them: `{id, timestamp, message}`, the message with keys of API Gateway's log.

Queries, saved searches and boards that were made for access logs that came through CloudWatch and Firehose read such
documents as they read those, `message.status:50*` as well: a status is a keyword.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from logrouter.core.text.timestamps import rfc3339
from logrouter.sinks.opensearch.fields import DocumentBuilder, DocumentField, Kind, text_of, whole_of

if TYPE_CHECKING:
    from logrouter.sinks.opensearch.source_event import SourceEvent

_FROM_EVENT: Final = (
    DocumentField("meta.request_id", "message.requestId"),
    DocumentField("meta.domain", "message.domainName"),
    DocumentField("meta.uri", "message.path"),
    DocumentField("api", "message.apiId"),
    DocumentField("stage", "message.stage"),
    DocumentField("tenant", "message.accountId"),
    DocumentField("route", "message.routeKey"),
    DocumentField("client_id", "message.caller"),
    DocumentField("user", "message.user"),
    DocumentField("http.method", "message.httpMethod"),
    DocumentField("http.protocol", "message.protocol"),
    DocumentField("http.client_ip", "message.ip"),
    DocumentField("bytes_sent", "message.responseLength", Kind.LONG),
    DocumentField("total_time_ms", "message.responseLatency", Kind.LONG),
    DocumentField("backend_time_ms", "message.integrationLatency", Kind.LONG),
    DocumentField("error.code", "message.errorResponseType"),
    DocumentField("error.message", "message.errorMessage", Kind.TEXT),
)
_MADE: Final = (
    DocumentField("meta.id", "id"),
    DocumentField("meta.dt", "timestamp", Kind.EPOCH_MS),
    DocumentField("meta.dt", "message.requestTime"),
    DocumentField("meta.dt", "message.requestTimeEpoch", Kind.EPOCH_MS),
    DocumentField("meta.request_id", "message.extendedRequestId"),
    DocumentField("path_template", "message.resourcePath"),
    DocumentField("http.status_code", "message.status"),
    DocumentField("backend_status_code", "message.integrationStatus"),
    DocumentField("http.request_headers.user-agent", "message.userAgent"),
)
FIREHOSE_FIELDS: Final = (*_MADE, *_FROM_EVENT)
"""All fields of a document."""
_BUILDER: Final = DocumentBuilder(_FROM_EVENT)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def to_firehose(source: SourceEvent) -> dict[str, Any]:
    """The document of an event. What is not known is not there, where the gateway would write `-`."""
    event = source.event
    message = _BUILDER.build(event).get("message", {})
    message["requestTime"] = log_time(source.time_ms)
    message["requestTimeEpoch"] = source.time_ms
    http = event.get("http")
    http = http if isinstance(http, dict) else {}
    _tell_ids_apart(event, message)
    status, behind = whole_of(http.get("status_code")), whole_of(event.get("backend_status_code"))
    if status is not None:
        message["status"] = str(status)
    if behind is not None:
        message["integrationStatus"] = str(behind)
    headers = http.get("request_headers")
    if isinstance(headers, dict) and (agent := text_of(headers.get("user-agent"))) is not None:
        message["userAgent"] = agent
    if "path" not in message and (path := text_of(http.get("path"))) is not None:
        message["path"] = path
    if (resource := _resource(event, http)) is not None:
        message["resourcePath"] = resource
    return {"id": source.id, "timestamp": source.time_ms, "message": message}


def _tell_ids_apart(event: dict[str, Any], message: dict[str, Any]) -> None:
    """API Gateway has two ids for a request; the event's is the extended one, as clients may choose the other."""
    source, meta = event.get("source"), event.get("meta")
    format_name = text_of(source.get("format")) if isinstance(source, dict) else None
    own = text_of(meta.get("correlation_id")) if isinstance(meta, dict) else None
    if own is not None and (format_name or "").startswith("aws_") and "requestId" in message:
        message["extendedRequestId"], message["requestId"] = message["requestId"], own


def log_time(ms: int) -> str:
    """A time as logs of the gateway have it: `04/May/2026:10:00:00 +0000`."""
    text = rfc3339(ms)
    return f"{text[8:10]}/{_MONTHS[int(text[5:7]) - 1]}/{text[:4]}:{text[11:19]} +0000"


def _resource(event: dict[str, Any], http: dict[str, Any]) -> str | None:
    """The path with its variables as names, as far as anything says so; else the path."""
    template = text_of(event.get("path_template"))
    if template is not None:
        return template
    route = text_of(event.get("route")) or ""
    path = route.partition(" ")[2] or route  # `GET /pets/{id}` of HTTP APIs
    return path if path.startswith("/") else text_of(http.get("path"))
