"""What the boards show, for each form of documents: queries, and the fields that they count by."""

from __future__ import annotations

from dataclasses import dataclass

from logrouter.sinks.opensearch.documents import DocumentForm


@dataclass(frozen=True)
class Contents:
    """Names of fields, and queries in Lucene's language, of the documents of one form.

    *weight* is the field with the number of requests that a document stands for, "" where each is one.
    """

    form: DocumentForm
    time: str
    api: str
    client: str
    path: str
    milliseconds: str
    weight: str
    columns: tuple[str, ...]
    server_errors: str
    client_errors: str
    throttled: str
    slow: str
    classes: tuple[tuple[str, str], ...]


ECS = Contents(
    form=DocumentForm.ECS,
    time="@timestamp",
    api="service.name",
    client="logrouter.client.id",
    path="url.path",
    milliseconds="logrouter.total_time_ms",
    weight="logrouter.weight",
    columns=("service.name", "http.request.method", "url.path", "http.response.status_code", "logrouter.client.id"),
    server_errors="http.response.status_code:[500 TO 599]",
    client_errors="http.response.status_code:[400 TO 499]",
    throttled="logrouter.outcome:throttled",
    slow="logrouter.total_time_ms:>=1000",
    classes=tuple((f"{n}xx", f"http.response.status_code:[{n}00 TO {n}99]") for n in (2, 3, 4, 5)),
)
FIREHOSE = Contents(
    form=DocumentForm.FIREHOSE,
    time="timestamp",
    api="message.apiId",
    client="message.caller",
    path="message.resourcePath",
    milliseconds="message.responseLatency",
    weight="",
    columns=("message.apiId", "message.httpMethod", "message.resourcePath", "message.status", "message.caller"),
    server_errors="message.status:50*",
    client_errors="message.status:4*",
    throttled="message.status:429",
    slow="message.responseLatency:>=1000",
    classes=tuple((f"{n}xx", f"message.status:{n}*") for n in (2, 3, 4, 5)),
)
ALL = (ECS, FIREHOSE)
