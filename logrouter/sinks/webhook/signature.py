"""What Standard Webhooks 1.0.0 says of any request: its signatures, and what answers to it mean."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from typing import TYPE_CHECKING, Final

from logrouter.sinks.contract import DELIVERED, Retry, Trouble
from logrouter.sinks.http_messages import judge_status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logrouter.sinks.contract import Result
    from logrouter.sinks.http_messages import HttpAnswer, HttpRequest

LONG_PAUSE: Final = 3600.0
"""Seconds between two requests to a receiver that says it wants none."""
_GONE: Final = "the receiver wants no more events: take this sink out, or name another url"


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """A signature with one key: `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def sign_request(request: HttpRequest, keys: Sequence[bytes], now: float) -> HttpRequest:
    """The request, whose headers have its `webhook-id`, with its time and a signature with each of *keys*."""
    timestamp = int(now)
    headers = {**request.headers, "webhook-timestamp": str(timestamp)}
    if keys:
        signatures = (sign(key, headers["webhook-id"], timestamp, request.body) for key in keys)
        headers["webhook-signature"] = " ".join(signatures)
    return request._replace(headers=headers)


def judge_answer(answer: HttpAnswer) -> Result:
    """What an answer means for all events of its request: 2xx is delivered, 410 that none is wanted any more."""
    if 200 <= answer.status < 300:
        return DELIVERED
    if answer.status == 410:
        return Retry(Trouble.DENIED, 410, _GONE, LONG_PAUSE)
    return judge_status(answer)
