"""Requests to a webhook, their signatures (Standard Webhooks, "Signature scheme"), and what answers mean."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import orjson

from logrouter.sinks.contract import DELIVERED, Encoded, Refused, Skipped, SkipReason
from logrouter.sinks.http_messages import HttpRequest, judge_status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from logrouter.model import RawRecord
    from logrouter.sinks.contract import Result
    from logrouter.sinks.http_messages import HttpAnswer

KEY_PREFIX: Final = "whsec_"
_MAX_REQUEST_BYTES: Final = 20 << 20


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


def read_key(text: str) -> bytes:
    """The bytes of a signing key: base64 behind `whsec_`.

    Raises:
        ValueError: it is written otherwise, or has fewer than 24 or more than 64 bytes.
    """
    if not text.startswith(KEY_PREFIX):
        raise ValueError(f"must begin with {KEY_PREFIX}")
    key = b64decode(text.removeprefix(KEY_PREFIX), validate=True)
    if not 24 <= len(key) <= 64:
        raise ValueError("must be 24 to 64 bytes in base64")
    return key


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """A signature with one key: `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


@dataclass(frozen=True, slots=True)
class WebhookProtocol:
    """One endpoint. *headers* go with every request; with *keys* each is signed, by all of them."""

    url: str
    body: WebhookBody = WebhookBody.EVENT
    keys: Sequence[bytes] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    max_request_bytes: int = _MAX_REQUEST_BYTES

    def encode(self, events: Sequence[RawRecord]) -> Encoded:
        """One request with all events as they are in the topic; of a body per event only the first is in it."""
        settled: list[Refused | Skipped | None] = [
            Skipped(SkipReason.TOMBSTONE) if event.value is None else None for event in events
        ]
        values = [event.value for event in events if event.value is not None]
        if not values:
            return Encoded(None, 0, settled)
        if self.body is WebhookBody.ARRAY:
            body = b"[" + b",".join(values) + b"]"
        else:
            body = b"\n".join(values) + (b"\n" if self.body is WebhookBody.LINES else b"")
        headers = {**self.headers, "Content-Type": _CONTENT_TYPES[self.body], "webhook-id": _message_id(events, body)}
        return Encoded(HttpRequest(self.url, body, headers), len(body), settled)

    def authorise(self, request: HttpRequest, now: float) -> HttpRequest:
        """The request with its time and signatures."""
        timestamp = int(now)
        headers = {**request.headers, "webhook-timestamp": str(timestamp)}
        if self.keys:
            signatures = (sign(key, headers["webhook-id"], timestamp, request.body) for key in self.keys)
            headers["webhook-signature"] = " ".join(signatures)
        return request._replace(headers=headers)

    def classify(self, answer: HttpAnswer, events: Sequence[RawRecord]) -> Sequence[Result]:
        """2xx is delivered; the rest by its status."""
        if 200 <= answer.status < 300:
            return [DELIVERED] * len(events)
        return [judge_status(answer)] * len(events)


def _message_id(events: Sequence[RawRecord], body: bytes) -> str:
    """The id of a message, the same whenever it is sent again: that of its event, or one made of all that it holds."""
    if len(events) == 1:
        try:
            found = orjson.loads(events[0].value or b"")["meta"]["id"]
        except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
            found = None
        if isinstance(found, str) and found.isascii() and found.isprintable() and 0 < len(found) <= 128:
            return found
    return hashlib.sha256(body).hexdigest()[:32]
