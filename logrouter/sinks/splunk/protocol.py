"""Requests to Splunk's HTTP Event Collector, its answers, and acknowledgements by indexers.

Paths, envelopes, codes and acknowledgement are those of Splunk's documentation: "Format events for HTTP Event
Collector", "Troubleshoot HTTP Event Collector" and "About HTTP Event Collector Indexer Acknowledgment".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from logrouter.sinks.contract import (
    DELIVERED,
    Encoded,
    Refused,
    RefusedBeside,
    RefusedTogether,
    Retry,
    Trouble,
)
from logrouter.sinks.http_messages import MAX_DETAIL, HttpRequest, compress, excerpt, judge_status, read_retry_after
from logrouter.sinks.json_events import read_json_events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logrouter.model import RawRecord
    from logrouter.sinks.contract import Result
    from logrouter.sinks.http_messages import HttpAnswer

_COLLECTOR: Final = "/services/collector"
_MAX_REQUEST_BYTES: Final = 20 << 20
_NOT_JSON: Final = Refused(0, "not JSON, and Splunk's envelopes are JSON")

_TAKEN: Final = frozenset({0, 24, 25})
"""Success, and success with a warning that a queue is nearly full."""
_CONTENT: Final = frozenset({5, 6, 12, 13, 15})
"""No data, a format that can't be read, no `event` or a blank one, wrong indexed fields."""
_TROUBLES: Final = {
    **dict.fromkeys((1, 2, 3, 4, 7, 10, 11, 14, 16, 21, 22), Trouble.DENIED),  # tokens, index, channels
    8: Trouble.UNAVAILABLE,
    **dict.fromkeys((9, 18, 19, 20, 23, 26, 27), Trouble.OVERLOADED),  # busy, full queues, shutting down
}
_ABOUT_CONTENT: Final = frozenset({400, 422})
"""Refusals of what a request holds, where a collector says them. 413 is that from a proxy, too."""
_NO_ACKNOWLEDGEMENT: Final = frozenset({1, 2, 3, 4, 14, 21, 22})
"""A token that is not valid, or that has no acknowledgement."""


@dataclass(frozen=True, slots=True)
class SplunkMetadata:
    """What Splunk keeps beside each event; "" is left to the token's settings."""

    index: str = ""
    source: str = ""
    sourcetype: str = ""


@dataclass(frozen=True, slots=True)
class SplunkProtocol:
    """One collector. *url* is its address, with or without the path; *channel* a UUID, needed for acknowledgement."""

    url: str = field(repr=False)
    token: str = field(repr=False)
    metadata: SplunkMetadata = field(default_factory=SplunkMetadata)
    channel: str = ""
    compress: bool = False
    max_request_bytes: int = _MAX_REQUEST_BYTES

    def encode(self, events: Sequence[RawRecord]) -> Encoded:
        """One request with an envelope for each event that is JSON."""
        found, settled = read_json_events(events, _NOT_JSON)
        same = {name: getattr(self.metadata, name) for name in ("index", "source", "sourcetype")}
        same = {name: text for name, text in same.items() if text}
        envelopes = [
            orjson.dumps(_time_of(record, document) | _host_of(document) | same | {"event": orjson.Fragment(value)})
            for record, value, document in found
        ]
        if not envelopes:
            return Encoded(None, 0, settled)
        body = b"\n".join(envelopes)
        return Encoded(self._request("/event", body), len(body), settled)

    def authorise(self, request: HttpRequest, now: float) -> HttpRequest:  # noqa: ARG002 - of the protocol of sinks
        """The request with the token and the channel, and then compressed."""
        headers = {**request.headers, "Authorization": f"Splunk {self.token}"}
        if self.channel:
            headers["X-Splunk-Request-Channel"] = self.channel
        made = request._replace(headers=headers)
        return compress(made) if self.compress else made

    def classify(self, answer: HttpAnswer, events: Sequence[RawRecord]) -> Sequence[Result]:
        """By the code in the answer's body, else by its status.

        An event that the collector names as the wrong one is refused. Those beside it are sent again: whether the ones
        in front of it were taken is not documented.
        """
        document = _read(answer)
        code = _number(document, "code")
        if 200 <= answer.status < 300:
            if code in _TAKEN:
                if self.channel and self.read_receipt(answer) is None:
                    return [Retry(Trouble.NONSENSE, answer.status, "taken, but without an ackId")] * len(events)
                return [DELIVERED] * len(events)
            if code not in _TROUBLES and code not in _CONTENT:
                return [Retry(Trouble.NONSENSE, answer.status, _not_of_collector(answer))] * len(events)
        detail = _say(document)
        if code in _CONTENT:
            wrong = _number(document, "invalid-event-number")
            if wrong is not None and 0 <= wrong < len(events):
                results: list[Result] = [RefusedBeside(answer.status, detail)] * len(events)
                results[wrong] = Refused(answer.status, detail)
                return results
            return [RefusedTogether(answer.status, detail)] * len(events)
        if code is not None and code in _TROUBLES:
            return [Retry(_TROUBLES[code], answer.status, detail, read_retry_after(answer.headers))] * len(events)
        if code is None and answer.status in _ABOUT_CONTENT:
            # A proxy in front says so to plain http, or to a client without its certificate: nothing about events.
            return [Retry(Trouble.DENIED, answer.status, _not_of_collector(answer))] * len(events)
        return [judge_status(answer)] * len(events)

    def read_receipt(self, answer: HttpAnswer) -> int | None:
        """The id (`ackId`) by which to ask whether the events of a request were indexed; None without one."""
        document = _read(answer)
        return _number(document, "ackId") if _number(document, "code") in _TAKEN else None

    def ask(self, receipt: int) -> HttpRequest:
        """A request that asks whether the events behind a receipt were indexed."""
        return self._request("/ack", orjson.dumps({"acks": [receipt]}))

    def is_acknowledged(self, answer: HttpAnswer, receipt: int) -> bool:
        """Whether an answer to `ask` says so."""
        acks = _read(answer).get("acks")
        return answer.status == 200 and isinstance(acks, dict) and acks.get(str(receipt)) is True

    def refuse_acknowledgement(self, answer: HttpAnswer) -> Retry | None:
        """What an answer to `ask` says against asking at all; None if nothing."""
        document = _read(answer)
        code = _number(document, "code")
        if code in _NO_ACKNOWLEDGEMENT:
            return Retry(Trouble.DENIED, answer.status, f"acknowledgement: {_say(document)}")
        # 400 with another code is no refusal: the channel is unknown yet, and so is the receipt that was asked for.
        # Without a code it is not of a collector but of something in front, and the question is open still.
        if answer.status == 400 and code is not None:
            return None
        if answer.status == 200 and isinstance(document.get("acks"), dict):
            return None
        judged = judge_status(answer)
        trouble = judged.trouble if isinstance(judged, Retry) else Trouble.NONSENSE
        return Retry(trouble, answer.status, f"acknowledgement: {judged.detail}"[:MAX_DETAIL])

    def _request(self, path: str, body: bytes) -> HttpRequest:
        base = self.url.rstrip("/").removesuffix("/event").removesuffix(_COLLECTOR)
        return HttpRequest(f"{base}{_COLLECTOR}{path}", body, {"Content-Type": "application/json"})


def _read(answer: HttpAnswer) -> dict[str, Any]:
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _not_of_collector(answer: HttpAnswer) -> str:
    return f"no answer of an event collector: {excerpt(answer.body)}"[:MAX_DETAIL]


def _say(document: dict[str, Any]) -> str:
    """The code and the text of an answer, in one line."""
    text = " ".join(str(document.get("text", "")).split())
    return f"code {_number(document, 'code')}: {text}"[:MAX_DETAIL]


def _number(document: dict[str, Any], name: str) -> int | None:
    found = document.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _time_of(event: RawRecord, document: object) -> dict[str, float]:
    """Epoch seconds of the event's `meta.dt`, else of its record; nothing if neither has one."""
    text = _text_at(document, "meta", "dt")
    if text:
        try:
            read = datetime.fromisoformat(text)
            return {"time": (read if read.tzinfo is not None else read.replace(tzinfo=UTC)).timestamp()}
        except (ValueError, OverflowError):
            pass
    return {"time": event.timestamp_ms / 1000} if event.timestamp_ms >= 0 else {}


def _host_of(document: object) -> dict[str, str]:
    host = _text_at(document, "source", "host")
    return {"host": host} if host else {}


def _text_at(document: object, section: str, name: str) -> str:
    inside = document.get(section) if isinstance(document, dict) else None
    found = inside.get(name) if isinstance(inside, dict) else None
    return found if isinstance(found, str) else ""
