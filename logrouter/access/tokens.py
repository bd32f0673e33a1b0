"""Static tokens: how they are written, what is kept of them, and which of them a caller has sent.

    lrt_<43 characters of base 62><6 characters of checksum>

The 43 characters are 256 random bits, so nobody can guess one or find it from its hash: a plain SHA-256 is kept, where
a password would need a slow and salted one. The prefix is for people and for scanners that look for leaked secrets; the
checksum lets both tell a token from something that looks like one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logrouter.access.scopes import Caller

PREFIX: Final = "lrt_"
HASH: Final = "sha256:"
HASH_PATTERN: Final = r"sha256:[0-9a-f]{64}"
RANDOM_BYTES: Final = 32

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY: Final = 43
_CHECK: Final = 6
_FORM: Final = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_BODY + _CHECK}}}")


class Refusal(StrEnum):
    """Why a token lets nobody in; also what a metric is labelled with."""

    MISSING = "no_token"
    INVALID = "invalid_token"
    EXPIRED = "expired_token"
    EARLY = "early_token"
    NO_KEYS = "no_keys"


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token: whom it lets in, its *digest*, and from when until when, in epoch milliseconds."""

    caller: Caller
    digest: bytes
    not_before_ms: int | None = None
    expires_ms: int | None = None


class Tokens:
    """All tokens of a worker, as they are at the moment."""

    def __init__(self, tokens: Iterable[Token] = ()) -> None:
        self._tokens = tuple(tokens)

    def __len__(self) -> int:
        return len(self._tokens)

    def find(self, text: str, now_ms: int) -> Caller | Refusal:
        """Whom the token lets in. Takes the same time whichever it is: all are compared, each in constant time."""
        if not is_token(text):
            return Refusal.INVALID
        digest = hashlib.sha256(text.encode()).digest()
        found: Token | None = None
        for token in self._tokens:
            if hmac.compare_digest(token.digest, digest):
                found = token
        if found is None:
            return Refusal.INVALID
        if found.expires_ms is not None and now_ms >= found.expires_ms:
            return Refusal.EXPIRED
        if found.not_before_ms is not None and now_ms < found.not_before_ms:
            return Refusal.EARLY
        return found.caller


def token_of(random: bytes) -> str:
    """The token made of 32 random bytes."""
    body = PREFIX + _base62(int.from_bytes(random, "big"), _BODY)
    return body + _checksum(body)


def is_token(text: str) -> bool:
    """Whether this is written like a token, checksum included."""
    return _FORM.fullmatch(text) is not None and text[-_CHECK:] == _checksum(text[:-_CHECK])


def hash_of(token: str) -> str:
    """What is kept of a token, as text."""
    return HASH + hashlib.sha256(token.encode()).hexdigest()


def digest_of(kept: str) -> bytes:
    """The digest in what `hash_of` gave."""
    return bytes.fromhex(kept.removeprefix(HASH))


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECK)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
