"""What one worker tells another about the caller on whose behalf it asks, signed so that it can be believed.

    X-Logrouter-Hop: 1
    X-Logrouter-Hop-Caller: base64url of {"name": ..., "scopes": [...]}
    X-Logrouter-Hop-Time: epoch milliseconds
    X-Logrouter-Hop-Signature: HMAC-SHA-256 of method, target, caller and time, in hexadecimal digits

The time limits how long an overheard request can be sent again: within that time it gives the same answer to the same
question.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any, Final

import orjson

from logrouter.access.scopes import Caller, Via, make_caller

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "X-Logrouter-Hop"
HOP: Final = PREFIX
CALLER: Final = f"{PREFIX}-Caller"
TIME: Final = f"{PREFIX}-Time"
SIGNATURE: Final = f"{PREFIX}-Signature"
WINDOW_MS: Final = 30_000
"""How far the clocks of two workers may be apart, travel included."""


def sign_hop(secret: bytes, method: str, target: str, who: Caller, now_ms: int) -> dict[str, str]:
    """The headers of a request to another worker on behalf of *who*.

    *target* is path and query as they are sent, *now_ms* epoch milliseconds.
    """
    said = base64.urlsafe_b64encode(orjson.dumps({"name": who.name, "scopes": who.scopes})).decode()
    time = str(now_ms)
    return {HOP: "1", CALLER: said, TIME: time, SIGNATURE: _signature(secret, method, target, said, time)}


def verify_hop(secret: bytes, method: str, target: str, given: Mapping[str, str], now_ms: int) -> Caller | None:
    """The caller on whose behalf a worker asks; None unless *secret* has signed this very request just now."""
    said, time, signature = given.get(CALLER, ""), given.get(TIME, ""), given.get(SIGNATURE, "")
    wanted = _signature(secret, method, target, said, time)
    if given.get(HOP) != "1" or not hmac.compare_digest(_bytes(signature), wanted.encode()):
        return None
    if not (time.isascii() and time.isdigit() and len(time) < 20) or abs(now_ms - int(time)) > WINDOW_MS:
        return None
    return _decoded(said)


def _decoded(said: str) -> Caller | None:
    try:
        content: Any = orjson.loads(base64.urlsafe_b64decode(said))
        return make_caller(str(content["name"]), Via.HOP, map(str, content["scopes"]))
    except (ValueError, KeyError, TypeError):  # signed, but by a worker that speaks otherwise
        return None


def _signature(secret: bytes, method: str, target: str, said: str, time: str) -> str:
    # No part can hold a line break, so no two requests have the same text.
    text = f"logrouter-hop-1\n{method}\n{target}\n{said}\n{time}"
    return hmac.new(secret, _bytes(text), hashlib.sha256).hexdigest()


def _bytes(text: str) -> bytes:
    """Headers and targets as they came: what is no UTF-8 arrives as surrogates."""
    return text.encode(errors="surrogateescape")
