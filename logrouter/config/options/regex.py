"""Regular expressions in linear time: RE2 matches; texts that every match contains are read from the expression.

RE2 has no back references and no look-around, and so never backtracks. Its time grows with the length of the text
times the size of the expression's program; both are bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import re2

from logrouter.core.match.prefilter import literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MAX_PROGRAM: Final = 1000
"""Steps of a compiled expression. The worst that was found, like `(a|b)*a(a|b){200}c` on random text,
take 0.9 ms per KiB and 100 steps. Usual ones take a few microseconds per KiB, whatever their size."""

_MAX_MEMORY: Final = 1 << 20


class RegexError(ValueError):
    """The text is no regular expression of RE2, or one that is too large; says why."""


@dataclass(frozen=True, slots=True)
class Regex:
    """A compiled expression. *accepts* searches in a text; only anchors in the expression bind it to the ends.

    *needs* are texts of which one occurs in every match, None if not known. *impossible* says that no text matches.
    """

    accepts: Callable[[str], bool]
    needs: frozenset[bytes] | None
    impossible: bool


def compile_regex(pattern: str, *, fold_case: bool = False) -> Regex:
    """Compile an expression of RE2; `RegexError` if it is not one or is too large."""
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _MAX_MEMORY
    options.case_sensitive = not fold_case
    try:
        compiled = re2.compile(pattern.encode("utf-8", "replace"), options)
    except re2.error as error:
        raise RegexError(f"is not a regular expression of RE2: {_words(error)}") from None
    if compiled.programsize > MAX_PROGRAM:
        raise RegexError(f"compiles to {compiled.programsize} steps, at most {MAX_PROGRAM} are allowed")
    search = compiled.search

    def accepts(text: str) -> bool:
        return search(text.encode("utf-8", "replace")) is not None

    alternatives = _alternatives(pattern)
    if alternatives is None:
        return Regex(accepts, None, impossible=False)
    return Regex(accepts, None if fold_case else _needs(alternatives), all(map(_impossible, alternatives)))


def compile_mask(patterns: Sequence[str], instead: str) -> Callable[[str], str]:
    """A function that replaces whatever one of the expressions matches.

    Raises:
        RegexError: one of them is not an expression of RE2, is too large, or matches a text that is empty.
    """
    compiled = []
    for pattern in patterns:
        options = re2.Options()
        options.log_errors = False
        options.max_mem = _MAX_MEMORY
        try:
            made = re2.compile(pattern.encode("utf-8", "replace"), options)
        except re2.error as error:
            raise RegexError(f"is not a regular expression of RE2: {_words(error)}") from None
        if made.programsize > MAX_PROGRAM:
            raise RegexError(f"compiles to {made.programsize} steps, at most {MAX_PROGRAM} are allowed")
        if made.search(b"") is not None:
            raise RegexError("matches the empty text, and so between any two characters")
        compiled.append(made)
    hidden = instead.encode()

    def mask(text: str) -> str:
        raw = text.encode("utf-8", "surrogateescape")
        for each in compiled:
            if each.search(raw) is not None:
                raw = each.sub(hidden, raw)
        return raw.decode("utf-8", "surrogateescape")

    return mask


def _words(error: Exception) -> str:
    text = error.args[0] if error.args else ""
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


class _Piece(NamedTuple):
    """One piece of an expression at its top level; *sure* says that it can't be left out."""

    kind: str
    text: str
    sure: bool


_PIECE = re.compile(
    r"""\\(?P<escaped>[^0-9A-Za-z\s]) | \\(?:(?P<shorthand>[dDwWsS])|(?P<edge>[bB])|(?P<head>A)|(?P<tail>z)|[aftnrv])
    |(?P<set>\[\^?\]?(?:\[:\^?[a-z]+:\]|\\.|[^\]\\])*\]) | (?P<open>\((?:\?:|\?P?<\w+>)?(?!\?)) | (?P<close>\))
    |(?P<or>\|) | (?P<start>\^) | (?P<end>\$) | (?P<dot>\.) | (?P<char>[^\\\[*+?(){}|]) | (?P<brace>[{}])""",
    re.VERBOSE | re.DOTALL,
)
_QUANTIFIER = re.compile(r"[*+?]\??|\{[0-9]+(?:,[0-9]*)?\}\??")
_KINDS: Final = {"escaped": "char", "char": "char", "head": "start", "start": "start", "tail": "end", "end": "end"}
_KINDS_THAT_CONSUME: Final = frozenset({"char", "shorthand", "set", "dot"})


def _alternatives(pattern: str) -> list[list[_Piece]] | None:
    """The alternatives at the top level, None for syntax that is not looked into (flags, quotes, numeric escapes)."""
    made: list[list[_Piece]] = [[]]
    try:
        for part in _parts(pattern):
            if part.kind == "or":
                made.append([])
            else:
                made[-1].append(part)
    except RegexError:
        return None
    return made


def _parts(pattern: str) -> Iterator[_Piece]:
    at = depth = 0
    while at < len(pattern):
        found = _PIECE.match(pattern, at)
        if found is None:
            raise RegexError("syntax that is not looked into")
        kind, at = found.lastgroup or "other", found.end()
        depth += (kind == "open") - (kind == "close")
        sure = True
        times = _QUANTIFIER.match(pattern, at) if kind not in ("open", "or") else None
        if times is not None:
            at = times.end()
            sure = times[0][0] == "+"
        if depth == 0:
            yield _Piece("group" if kind == "close" else _KINDS.get(kind, kind), found[0][-1], sure)
            if times is not None:
                yield _Piece("repeat", "", sure=False)


def _needs(alternatives: list[list[_Piece]]) -> frozenset[bytes] | None:
    """The longest run of plain characters of each alternative; None if one has none."""
    needed = [_plain_run(parts) for parts in alternatives]
    found = frozenset(token for token in needed if token is not None)
    return found if found and None not in needed else None


def _plain_run(parts: list[_Piece]) -> bytes | None:
    """A run of plain characters goes on from one sure character to the next; after a repetition another one begins."""
    text = "".join(part.text if part.kind == "char" and part.sure else "\x00" for part in parts)
    return literal(text)


def _impossible(parts: list[_Piece]) -> bool:
    """Whether a character must stand before the text begins, or after it has ended."""
    consumed = ended = False
    for part in parts:
        consumes = part.sure and part.kind in _KINDS_THAT_CONSUME
        if (part.kind == "start" and part.sure and consumed) or (consumes and ended):
            return True
        consumed = consumed or consumes
        ended = ended or (part.kind == "end" and part.sure)
    return False
