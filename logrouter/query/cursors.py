"""Where a list goes on: behind the entry with this value and this name, in the same query.

A cursor names a place in the order, not a number of entries, so what is folded between two pages neither repeats nor
hides an entry whose own figures stay.  It is no secret and grants nothing: what it says is checked like any parameter.
"""

from __future__ import annotations

import base64
import binascii
import math
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import orjson

from logrouter.core.rollup.cells import MAX_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable


class Cursor(NamedTuple):
    """The last entry that was shown: what it is sorted by, and its name."""

    value: float
    name: str


def fingerprint(endpoint: str, pairs: Iterable[tuple[str, str]]) -> str:
    """Identifies a query, whatever the order of its parameters: 12 hexadecimal digits."""
    return blake2b(orjson.dumps([endpoint, sorted(pairs)]), digest_size=6).hexdigest()


def encode_cursor(cursor: Cursor, identity: str) -> str:
    """The cursor as callers get it: URL-safe, to be sent back as it is."""
    return base64.urlsafe_b64encode(orjson.dumps([identity, *cursor])).decode().rstrip("=")


def decode_cursor(text: str, identity: str) -> Cursor | None:
    """The cursor that a caller sent; None unless `encode_cursor` may have made it for the same query."""
    try:
        padded = text + "=" * (-len(text) % 4)
        content = orjson.loads(base64.b64decode(padded.encode(), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        return None
    match content:
        case [str(made_for), int() | float() as value, str(name)] if (
            made_for == identity and not isinstance(value, bool) and math.isfinite(value) and len(name) <= MAX_NAME
        ):
            return Cursor(value, name)
    return None
