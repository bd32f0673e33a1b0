"""Names in scopes: percent-encoded as in a path, so that a scope is one word whatever the name holds."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote_to_bytes

from logrouter.access.names import Wildcard

_RESERVED: Final = frozenset("?[]")
"""Signs that mean something in other notations for patterns and nothing here: a name has them percent-encoded."""
_DIGITS: Final = frozenset("0123456789ABCDEFabcdef")


def decode_name(encoded: str, most: int) -> str | None:
    """The name of which this is the percent-encoded form; None for any other text, or over *most* characters."""
    name = _decoded(encoded)
    return name if name and len(name) <= most else None


def decode_pattern(encoded: str, most: int) -> str | Wildcard | None:
    """The name, or the pattern of names in which `*` stands for any characters; None for anything else.

    `%2A` is a star that is meant itself.
    """
    if not encoded or not _RESERVED.isdisjoint(encoded):
        return None
    parts = [_decoded(part) for part in encoded.split("*")]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or sum(map(len, known)) > most:
        return None
    return known[0] if len(known) == 1 else Wildcard((known[0], *filter(None, known[1:-1]), known[-1]))


def _decoded(encoded: str) -> str | None:
    try:
        name = unquote_to_bytes(encoded).decode()
    except UnicodeError:
        return None
    # Lists of scopes have spaces between.
    return name if encoded.isprintable() and " " not in encoded and _escapes_whole(encoded) else None


def _escapes_whole(encoded: str) -> bool:
    return all(len(part) >= 2 and _DIGITS.issuperset(part[:2]) for part in encoded.split("%")[1:])
