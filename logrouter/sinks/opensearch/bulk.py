"""Bulk requests: documents that are created by the id of their event, so that each is in its index once."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

import orjson

from logrouter.sinks.contract import Encoded, Refused, Skipped, SkipReason
from logrouter.sinks.http_messages import HttpRequest
from logrouter.sinks.opensearch.answers import FILTER, read_answer
from logrouter.sinks.opensearch.credentials import HeaderCredentials
from logrouter.sinks.opensearch.documents import MAKERS, DocumentForm
from logrouter.sinks.opensearch.source_event import id_of, read_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logrouter.model import RawRecord
    from logrouter.sinks.contract import Result
    from logrouter.sinks.http_messages import HttpAnswer
    from logrouter.sinks.opensearch.credentials import Credentials
    from logrouter.sinks.opensearch.rotation import IndexNames

MAX_REQUEST_BYTES: Final = 100_000_000
"""What a node takes by default (`http.max_content_length`). Services take less, and say 413."""
_LEVEL: Final = 3
_GZIP: Final = 31


@dataclass(frozen=True, slots=True)
class OpensearchProtocol:
    """One cluster at *url*, and the *indices* that documents go to: a data stream is one without rotation."""

    url: str
    indices: IndexNames
    form: DocumentForm = DocumentForm.ECS
    credentials: Credentials = field(default_factory=HeaderCredentials)
    compress: bool = True
    patience_seconds: int = 0
    """How long the target may wait for shards that are not there: shorter than we wait, so that it can say so."""
    max_request_bytes: int = MAX_REQUEST_BYTES

    def encode(self, events: Sequence[RawRecord]) -> Encoded:
        """One request that creates a document for each event that is a JSON object."""
        make = MAKERS[self.form]
        settled: list[Refused | Skipped | None] = []
        documents: list[tuple[str, str, bytes]] = []
        for record in events:
            if record.value is None:
                settled.append(Skipped(SkipReason.TOMBSTONE))
                continue
            source = read_event(record, record.value)
            if isinstance(source, Refused):
                settled.append(source)
                continue
            documents.append((self.indices.index_of(source), source.id, orjson.dumps(make(source))))
            settled.append(None)
        if not documents:
            return Encoded(None, 0, settled)
        names = {index for index, _, _ in documents}
        # Where all go to one index it is named in the address, so that not every line has to.
        at = f"/{next(iter(names))}" if len(names) == 1 else ""
        lines: list[bytes] = []
        for index, document_id, document in documents:
            action = {"_id": document_id} if at else {"_index": index, "_id": document_id}
            lines += (orjson.dumps({"create": action}), document)
        body = b"\n".join(lines) + b"\n"
        patience = f"&timeout={self.patience_seconds}s" if self.patience_seconds else ""
        return Encoded(self._request(f"{at}/_bulk?filter_path={FILTER}{patience}", body), len(body), settled)

    def _request(self, path: str, body: bytes) -> HttpRequest:
        headers = {"Content-Type": "application/x-ndjson"}
        if self.compress:
            headers["Content-Encoding"] = "gzip"
            body = zlib.compress(body, _LEVEL, _GZIP)
        return HttpRequest(self.url.rstrip("/") + path, body, headers)

    def authorise(self, request: HttpRequest, now: float) -> HttpRequest:
        """The request with our credentials."""
        return self.credentials.authorise(request, now)

    def classify(self, answer: HttpAnswer, events: Sequence[RawRecord]) -> Sequence[Result]:
        """A result for each event, by its item."""
        return read_answer(answer, len(events), partial(_ids, events))


def _ids(events: Sequence[RawRecord]) -> list[str]:
    return [id_of(event) for event in events]
