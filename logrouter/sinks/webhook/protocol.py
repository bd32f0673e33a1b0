"""Requests to a webhook, signed as `sinks/webhook/signature.py` says, and what answers mean.

The Standard Webhooks specification says nothing of compression:
what is signed is the body before it, as receivers see it whose framework has undone it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import orjson

from logrouter.sinks.contract import Encoded, Refused
from logrouter.sinks.http_messages import HttpRequest, compress
from logrouter.sinks.json_events import read_json_events
from logrouter.sinks.webhook.signature import judge_answer, sign_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from logrouter.model import RawRecord
    from logrouter.sinks.contract import Result
    from logrouter.sinks.http_messages import HttpAnswer

_MAX_REQUEST_BYTES: Final = 20 << 20
_NOT_JSON: Final = Refused(0, "not JSON, and the body of a webhook is JSON")
_MESSAGE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""No full stop: a signature covers `id.timestamp.body`, and what is before each of them must be unmistakable."""


class WebhookBody(StrEnum):
    """How events lie in a body."""

    EVENT = "event"
    ARRAY = "array"
    LINES = "lines"


_CONTENT_TYPES: Final = {
    WebhookBody.EVENT: "application/json",
    WebhookBody.ARRAY: "application/json",
    WebhookBody.LINES: "application/x-ndjson",
}


@dataclass(frozen=True, slots=True)
class WebhookProtocol:
    """One endpoint. *headers* go with every request; with *keys* each is signed, by all of them."""

    url: str = field(repr=False)
    body: WebhookBody = WebhookBody.EVENT
    keys: Sequence[bytes] = field(default=(), repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    compress: bool = False
    max_request_bytes: int = _MAX_REQUEST_BYTES

    def encode(self, events: Sequence[RawRecord]) -> Encoded:
        """One request with all events that are JSON, as they are in the topic."""
        found, settled = read_json_events(events, _NOT_JSON)
        if not found:
            return Encoded(None, 0, settled)
        body = self._join([event.value for event in found])
        own_id = _id_of(found[-1].document) if self.body is WebhookBody.EVENT else ""
        headers = {
            **self.headers,
            "Content-Type": _CONTENT_TYPES[self.body],
            "webhook-id": own_id or _make_id([event.record for event in found], body),
        }
        size = len(body)
        if self.body is WebhookBody.EVENT and len(found) > 1:
            size = max(
                size, self.max_request_bytes + 1
            )  # so that the delivery halves them, as for one that is too large
        return Encoded(HttpRequest(self.url, body, headers), size, settled)

    def _join(self, values: Sequence[bytes]) -> bytes:
        match self.body:
            case WebhookBody.EVENT:
                return b"\n".join(values)
            case WebhookBody.ARRAY:
                return b"[" + b",".join(values) + b"]"
            case WebhookBody.LINES:
                # In JSON, ends of lines are nothing but space between tokens.
                return b"".join(value.replace(b"\n", b" ").replace(b"\r", b" ") + b"\n" for value in values)

    def authorise(self, request: HttpRequest, now: float) -> HttpRequest:
        """The request with its time and signatures, and then compressed."""
        signed = sign_request(request, self.keys, now)
        return compress(signed) if self.compress else signed

    def classify(self, answer: HttpAnswer, events: Sequence[RawRecord]) -> Sequence[Result]:
        """2xx is delivered; the rest by its status."""
        return [judge_answer(answer)] * len(events)


def _id_of(document: object) -> str:
    """`meta.id` of an event, if it can be the id of a message; else ""."""
    meta = document.get("meta") if isinstance(document, dict) else None
    found = meta.get("id") if isinstance(meta, dict) else None
    return found if isinstance(found, str) and _MESSAGE_ID.fullmatch(found) else ""


def _make_id(events: Sequence[RawRecord], body: bytes) -> str:
    """An id of what a message holds: the same when it is sent again, and no other message's, even of equal events.

    Times are a part of it, as a topic that is made anew has the same places.
    """
    places = [(event.topic, event.partition, event.offset, event.timestamp_ms) for event in events]
    return hashlib.sha256(orjson.dumps(places) + body).hexdigest()[:32]
