"""Requests to eventgate: `POST /v1/events` with an array, guaranteed (never `hasty`, which may lose events).

No header of a request says anything about its events: eventgate would write a user agent or a request id of ours into
events that have none (`deliver.targets` sees to it that the client sends no user agent).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logrouter.sinks.contract import Encoded, Refused, Skipped, SkipReason
from logrouter.sinks.eventgate.answers import assign, judge, read_items
from logrouter.sinks.eventgate.document import StreamEvent, make_document
from logrouter.sinks.http_messages import HttpRequest, compress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logrouter.model import RawRecord
    from logrouter.sinks.contract import Result
    from logrouter.sinks.http_messages import HttpAnswer

_MAX_REQUEST_BYTES: Final = 5_000_000
"""Half of what eventgate reads, unpacked: it may repeat all events with reasons, which has to fit into an answer."""
MAX_ANSWER_BYTES: Final = 32 << 20
_HEADERS: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class EventgateProtocol:
    """One eventgate. *url* is the service's; *stream* is `meta.stream` of documents of canonical events.

    With *compress* bodies are sent in gzip.
    """

    url: str
    stream: str
    compress: bool = False
    max_request_bytes: int = _MAX_REQUEST_BYTES

    def encode(self, events: Sequence[RawRecord]) -> Encoded:
        """One request with the documents of all events that can have one."""
        settled: list[Refused | Skipped | None] = []
        values: list[bytes] = []
        for event in events:
            made = Skipped(SkipReason.TOMBSTONE) if event.value is None else make_document(event, self.stream)
            if isinstance(made, StreamEvent):
                values.append(made.value)
                settled.append(None)
            else:
                settled.append(made)
        if not values:
            return Encoded(None, 0, settled)
        body = b"[" + b",".join(values) + b"]"
        request = HttpRequest(f"{self.url.rstrip('/')}/v1/events", body, _HEADERS)
        return Encoded(compress(request) if self.compress else request, len(body), settled)

    def authorise(self, request: HttpRequest, now: float) -> HttpRequest:  # noqa: ARG002 - certificates say who we are
        """The request as it is."""
        return request

    def classify(self, answer: HttpAnswer, events: Sequence[RawRecord]) -> Sequence[Result]:
        """What the answer says of each event, which has a document, as it was sent."""
        items = read_items(answer)
        if items is None:
            return [judge(answer)] * len(events)
        documents = [made for event in events if isinstance(made := make_document(event, self.stream), StreamEvent)]
        return assign(items, documents, answer.status)
