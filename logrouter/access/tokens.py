"""Static tokens: how they are written, what is stored of them, and which one a caller has sent.

    lrt_<43 characters of base 62><6 characters of checksum>

The 43 characters are 256 random bits, so nobody can guess a token or find it from its hash: plain SHA-256 is enough,
where a password would need a slow and salted hash. The prefix is for people and for scanners that look for leaked
secrets; the checksum tells both a token from something that looks like one.
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
    """Why a token is refused; also a metric label."""

    MISSING = "no_token"
    INVALID = "invalid_token"
    EXPIRED = "expired_token"
    EARLY = "early_token"
    NO_KEYS = "no_keys"


@dataclass(frozen=True, slots=True)
class Token:
    """What is stored of a token: its caller, its *digest*, and its first and last moment in epoch milliseconds."""

    caller: Caller
    digest: bytes
    not_before_ms: int | None = None
    expires_ms: int | None = None


class Tokens:
    """The tokens that a worker accepts at present."""

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


def make_token(random: bytes) -> str:
    """The token made of 32 random bytes."""
    body = PREFIX + _base62(int.from_bytes(random, "big"), _BODY)
    return body + _checksum(body)


def is_token(text: str) -> bool:
    """Whether the text has the form of a token, checksum included."""
    return _FORM.fullmatch(text) is not None and text[-_CHECK:] == _checksum(text[:-_CHECK])


def hash_token(token: str) -> str:
    """The hash of a token as it is stored, as text."""
    return HASH + hashlib.sha256(token.encode()).hexdigest()


def digest_of(kept: str) -> bytes:
    """The digest in a text that `hash_token` gave."""
    return bytes.fromhex(kept.removeprefix(HASH))


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECK)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
