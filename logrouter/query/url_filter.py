"""Which URLs a caller wants: those with a fragment in them, or those that match a wildcard."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from logrouter.query.patterns import compile_wildcard

if TYPE_CHECKING:
    from collections.abc import Callable

_FOLDED: Final = "\u00dfss \u0130i \u0149n \u017fs \u01f0j \u1e96h \u1e97t \u1e98w \u1e99y \u1e9aa \u1e9ess \u212ak"
_LIGATURES: Final = "\ufb00ff \ufb01fi \ufb02fl \ufb03ffi \ufb04ffl \ufb05st \ufb06st"
FOLDED_TO_ASCII: Final = {word[0]: word[1:] for word in f"{_FOLDED} {_LIGATURES}".split()}
"""The letters beyond ASCII that are, where case does not matter, partly or wholly the same as letters of ASCII."""

_PLAIN: Final = re.compile(r"[\x00-)+->@-\x7f]+")
"""A run of ASCII without the wildcards `*` and `?`."""


class ByteSearch(NamedTuple):
    """What bytes in UTF-8 must have in them to hold a text that is looked for, without regard to case.

    *needle* is in small letters. Where one of *folded* occurs, it may be there in another form.
    """

    needle: bytes
    folded: tuple[bytes, ...]

    def may_be_in(self, value: bytes) -> bool:
        """Whether *value* may hold the text: a few searches for bytes, some microseconds for the longest row."""
        return self.needle in value.lower() or any(letter in value for letter in self.folded)


def url_predicate(wanted: str | None) -> Callable[[str], bool]:
    """A predicate of URLs: those that have *wanted* in them, or match all of it if it has `*` or `?`. None is all."""
    if not wanted:
        return lambda _: True
    if "*" in wanted or "?" in wanted:
        return compile_wildcard(wanted)
    fragment = wanted.casefold()
    return lambda url: fragment in url.casefold()


def url_search(wanted: str | None) -> ByteSearch | None:
    """What is in the bytes of every row that has such a URL; None if that cannot be told."""
    runs: list[str] = _PLAIN.findall((wanted or "").casefold())
    if not runs:
        return None
    needle = max(runs, key=len)
    folded = (letter for letter, letters in FOLDED_TO_ASCII.items() if not set(letters).isdisjoint(needle))
    return ByteSearch(needle.encode(), tuple(letter.encode() for letter in folded))
