"""Signing keys as Standard Webhooks 1.0.0 writes them."""

from __future__ import annotations

from base64 import b64decode
from typing import Final

KEY_PREFIX: Final = "whsec_"


def read_key(text: str) -> bytes:
    """The bytes of a signing key: base64 behind `whsec_`.

    Raises:
        ValueError: it is written otherwise, or has fewer than 24 or more than 64 bytes; nothing of it is repeated.
    """
    if not text.startswith(KEY_PREFIX):
        raise ValueError(f"must begin with {KEY_PREFIX}")
    key = b64decode(text.removeprefix(KEY_PREFIX), validate=True)
    if not 24 <= len(key) <= 64:
        raise ValueError("must be 24 to 64 bytes in base64")
    return key
