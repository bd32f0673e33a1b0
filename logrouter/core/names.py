"""Names that come from log lines: limited in length, and replaced where they could break a key or a table."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

SUSPECT: Final = "suspect"
"""The flag of an event whose client id or API had to be cut or hashed."""

TYPED_FROM: Final = ("client_id",)
"""Sources of client ids that say their kind, unless others are named: what the gateway itself calls the client."""


OAUTH_PREFIX: Final = "oauth:"
"""Begins sources that `core.enrich.oauth` reads: the consumer of an OAuth request."""


def bounded_name(text: str, limit: int, *, secret: bool = False) -> str:
    """*text* if it has at most *limit* characters, is printable and is no JSON web token, nor *secret*.

    Otherwise the start of it and a hash, the same every time, so that equal names stay equal.
    """
    token = secret or (text.startswith("eyJ") and "." in text)
    if len(text) <= limit and text.isprintable() and not token:
        return text
    digest = blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
    start = "" if token else "".join(filter(str.isprintable, text[: limit // 2]))
    return f"{start}~{digest}"
