"""Secrets of a request in its answer: targets that show what they were sent give them away."""

from __future__ import annotations

import html
import json
from base64 import b64decode
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HIDDEN: Final = b"********"
_SHORTEST: Final = 8
"""What is shorter may be part of any word."""


def hide_texts(body: bytes, texts: Iterable[str]) -> bytes:
    """*body* without *texts*, however it spells them; those of fewer than eight characters are left alone."""
    spellings = {spelling for text in texts for spelling in _spellings(text) if len(spelling) >= _SHORTEST}
    for spelling in sorted(spellings, key=len, reverse=True):
        body = body.replace(spelling.encode(), _HIDDEN)
    return body


def _spellings(text: str) -> Iterator[str]:
    """As it is; as a user and a password that it is the base64 of; and each of them in JSON, HTML and URLs."""
    for plain in (text, *_decoded(text)):
        in_json = json.dumps(plain)[1:-1]
        yield from (plain, in_json, in_json.replace("/", "\\/"), html.escape(plain), quote(plain, safe=""))


def _decoded(text: str) -> tuple[str, ...]:
    try:
        decoded = b64decode(text, validate=True).decode()
    except ValueError:
        return ()
    user, colon, password = decoded.partition(":")
    return (decoded, password) if user and colon and decoded.isprintable() else ()
