r"""The raw-byte pre-filter: finds records that no route can match, without decoding them.

A record can only satisfy `program: api-gateway` if the bytes `api-gateway` occur in it, or if it holds a `\u00XX`
escape that could spell them. Everything else is written as itself in JSON, except what `literal` leaves out: quotes,
backslashes, control and non-ASCII characters, "/", which rsyslog writes as `\/`, and the `<41>` that
`core.text.json_objects` makes of a byte escaped as `\x41`. So the filter only saves work: what it skips would have
ended as `ignored(unmatched)`, or could not be decoded and names none of the programs that routes ask for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from logrouter.core.match.conditions import Condition

MIN_TOKEN: Final = 4
"""Shorter fragments are in almost every record, so looking for them only costs time."""

_ESCAPE: Final = b"\\u00"
"""How JSON may spell an ASCII character; other escapes are of characters that no token has."""

_PLAIN = re.compile(r'[^/"<>\\\x00-\x1f\x7f-\U0010ffff]+')


def literal(text: str) -> bytes | None:
    """The longest fragment of *text* that JSON can write in one way only, or None if that is too short to look for."""
    longest = max(_PLAIN.findall(text), key=len, default="")
    return longest.encode() if len(longest) >= MIN_TOKEN else None


def compile_prefilter(conditions: Iterable[Condition]) -> Callable[[bytes], bool] | None:
    """A test of raw bytes, False only where none of *conditions* can hold; None if no test is possible."""
    tokens: set[bytes] = set()
    for condition in conditions:
        needed = condition.tokens()
        if needed is None:
            return None
        tokens |= needed
    return _any_of(_minimal(tokens))


def _minimal(tokens: set[bytes]) -> list[bytes]:
    """Tokens without those that contain another one: the shorter is there whenever the longer is."""
    return sorted(token for token in tokens if not any(other != token and other in token for other in tokens))


def _any_of(tokens: Sequence[bytes]) -> Callable[[bytes], bool]:
    """One scan per token, the escape last. For the usual one or two tokens this beats a compiled alternation.

    To look for a single byte costs next to nothing, and without a backslash there is no escape.
    """
    match tokens:
        case []:
            return lambda _value: False
        case [one]:
            return lambda value: one in value or (b"\\" in value and _ESCAPE in value)
        case [one, two]:
            return lambda value: one in value or two in value or (b"\\" in value and _ESCAPE in value)
    search = re.compile(b"|".join(map(re.escape, [*tokens, _ESCAPE]))).search
    return lambda value: search(value) is not None
