r"""Lines that a server writes by a pattern of literals and variables, read back in one pass.

    $remote_addr - $remote_user [$time_local] "$request" $status         what the server is told
    192.0.2.7 - ann [01/May/2026:10:00:00 +0000] "GET / HTTP/1.1" 200    what it writes

Where a variable ends is decided by what follows it in the pattern, in one of three ways:

run     the next literal begins with a character that the variable can't hold: it ends there. Servers escape quotes and
        control characters, so `"$request"` is such, and so is a tab-separated line.
shape   it is known how the variable is written (a time, a list of addresses): it ends where that does.
search  else it ends where, for the first time, everything fits that follows up to a character that it can't hold.

The pattern becomes one expression of possessive repeats and atomic groups. It never goes back behind a variable that
has ended, and in a *search* nothing is tried twice but what stands between two spaces, so it takes linear time. Two
variables that a client can fill with what stands between them can't be told apart, and are an error.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class PatternError(ValueError):
    """A pattern that cannot be read back: why, and where in it."""


MAX_VARIABLES: Final = 200
_CONTROLS: Final = r"\x00-\x1f"
_LONGEST: Final = 1024


class VariableKind(NamedTuple):
    """The values that a variable can have.

    *chars* is a class of characters, "" for any. *shape* is an expression for how values are written, if that is known;
    with *fixed* it finds the end of a value whatever follows. A value is not followed by a match of *not_before*,
    unless it ends there anyway. *empty* is what a server writes for an empty text. *figures* says that there are only
    figures in it, with commas and colons between them.
    """

    chars: str
    shape: str = ""
    not_before: str = ""
    fixed: bool = False
    empty: str = ""
    figures: bool = False


ANY: Final = VariableKind("")
"""Whatever a client sends."""
TOKEN: Final = VariableKind(r'[^\s"]')
"""No space and no quote."""
HOST: Final = VariableKind(r"[\w:.%-]")
"""An address or the name of a host, as a server has found it; a socket's is `unix:`."""
NUMBER: Final = VariableKind(r"[0-9.-]", not_before="[0-9.-]", figures=True)
FIGURES: Final = VariableKind(
    "",
    r"[0-9.-]{1,20}+(?:(?:, | : )[0-9.-]{1,20}+){0,63}+",
    r"(?:, | : )(?:[0-9.-]|\Z)|[0-9.-]",
    figures=True,
)
"""Figures of several tries: one behind another server with a comma, one behind a redirect with a colon."""
_ENTRY: Final = r'(?:\[[0-9A-Fa-f:.]{2,45}+\](?::\d{1,5}+)?+|[^\s,"]{1,64}+)'
ADDRESSES: Final = VariableKind("", rf"{_ENTRY}(?:,[ ]?{_ENTRY}){{0,31}}+", r"[\w,.:-]")
"""The addresses of X-Forwarded-For, where nothing else says where they end."""
CLF_TIME: Final = VariableKind("", r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}", fixed=True)
ISO_TIME: Final = VariableKind("", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)", fixed=True)
EPOCH_TIME: Final = VariableKind("", r"\d{9,10}\.\d{3}", fixed=True)
"""Times as servers write them."""


class Variable(NamedTuple):
    """A variable of a pattern: *name* as written, *at* which character, and *meaning* for who reads the values."""

    name: str
    at: int
    meaning: str
    kind: VariableKind = ANY


Piece = str | Variable


def variables_of(pieces: Sequence[Piece]) -> list[Variable]:
    """The variables in order, as the groups of `compile_scan` are."""
    return [piece for piece in pieces if isinstance(piece, Variable)]


def compile_scan(pieces: Sequence[Piece], *, escaped: bool = True) -> re.Pattern[str]:
    """The expression that reads lines of the pattern by `fullmatch`, with a group per variable in order.

    *escaped* says that the server escapes quotes and control characters in values.

    Raises:
        PatternError: two variables cannot be told apart, or there is none.
    """
    names = variables_of(pieces)
    if not names:
        raise PatternError("there is no variable in it")
    if len(names) > MAX_VARIABLES:
        raise PatternError(f"{len(names)} variables, at most {MAX_VARIABLES} are read")
    return re.compile(_Compiler(pieces, escaped=escaped).expression(), re.ASCII | re.DOTALL)


def head_of(pieces: Sequence[Piece], *, escaped: bool = True) -> re.Pattern[str]:
    """The expression for the beginning of lines of the pattern, by `match`.

    It ends with the first variable of a fixed shape, else behind the third variable. A line that begins so and is not
    of the pattern was cut or damaged, or its pattern is not quite that of the server. Where the fixed variable is the
    first one it takes what follows as well: other programs begin their lines with a time, too.
    """
    seen = 0
    for index, piece in enumerate(pieces):
        if isinstance(piece, Variable):
            seen += 1
            if seen == 3 or piece.kind.fixed:
                pieces = pieces[: index + 1 if piece.kind.fixed and seen > 1 else index + 2]
                break
    return re.compile(_Compiler(pieces, escaped=escaped, end="").expression(), re.ASCII | re.DOTALL)


def beginning_of(pieces: Sequence[Piece], *, escaped: bool = True) -> re.Pattern[str]:
    """The expression for a beginning of lines that is all of these pieces, by `match`."""
    return re.compile(_Compiler(pieces, escaped=escaped, end="").expression(), re.ASCII | re.DOTALL)


class _Compiler:
    """One pass over the pieces. A literal of which a *search* has taken the beginning is replaced by its rest."""

    def __init__(self, pieces: Sequence[Piece], *, escaped: bool, end: str = r"\Z") -> None:
        self._pieces = [piece for piece in pieces if piece != ""]
        self._escaped = escaped
        self._end = end
        for piece, following in zip(self._pieces, self._pieces[1:], strict=False):
            if isinstance(piece, Variable) and isinstance(following, Variable) and not piece.kind.fixed:
                detail = f"nothing stands between {piece.name} and {following.name}, so they can't be told apart"
                raise _at(following, detail)

    def expression(self) -> str:
        parts, index = [], 0
        while index < len(self._pieces):
            part, index = self._part(index, None)
            parts.append(part)
        return "".join(parts)

    def _part(self, index: int, within: Variable | None) -> tuple[str, int]:
        """The expression from a piece on, and where to go on; *within* is the variable whose end is being searched."""
        piece = self._pieces[index]
        if isinstance(piece, str):
            return re.escape(piece), index + 1
        following = self._pieces[index + 1] if index + 1 < len(self._pieces) else ""
        follows = following if isinstance(following, str) else ""
        if piece.kind.fixed:
            # In the beginning that tells whose a line is, a time that is absent would tell nothing.
            return f"((?>{piece.kind.shape}{'|-|' if self._end else ''}))", index + 1
        ends = not follows or not self._holds(piece, follows[0])
        before = self._pieces[index - 1] if index else ""
        alike = isinstance(before, str) and all(self._holds(piece, char) for char in before)
        if within is not None and alike and not self._behind_time(index):
            detail = f"it can't be told where {within.name} ends and {piece.name} begins: both may hold what is between"
            hint = "put one of them in quotes" if self._escaped else "let the server escape values"
            raise _at(piece, f"{detail}; {hint}")
        if ends:
            empty = f"{re.escape(piece.kind.empty)}|" if piece.kind.empty else ""
            return f"((?>{empty}{self._run(piece)}))", index + 1
        if piece.kind.not_before and re.match(piece.kind.not_before, follows):
            raise _at(piece, f"it can't be told where {piece.name} ends: it may hold {follows[0]!r} itself")
        if piece.kind.shape:
            shape = piece.kind.shape.replace("[^", f"[^{re.escape(follows[0])}")
            return f"((?>{shape}|-|))", index + 1
        chain, index = self._search(piece, index + 1)
        empty = f"{re.escape(piece.kind.empty)}|" if piece.kind.empty else ""
        return f"(?>((?:{empty}{self._char(piece)}*?)){chain})", index

    def _behind_time(self, index: int) -> bool:
        """Whether a time and figures end at a variable of figures: then no client can have written what looks so.

        What a client writes comes before the server's own time, and figures can't hold that.
        """
        for piece in reversed(self._pieces[: index + 1]):
            if isinstance(piece, Variable) and not piece.kind.figures:
                return piece.kind.fixed
        return False

    def _search(self, variable: Variable, index: int) -> tuple[str, int]:
        """What follows a variable up to a character that it can't hold, or to the end of the line."""
        parts = []
        while index < len(self._pieces):
            piece = self._pieces[index]
            if isinstance(piece, str):
                cut = next((n for n, char in enumerate(piece) if not self._holds(variable, char)), None)
                if cut is not None:
                    self._pieces[index] = piece[cut + 1 :]
                    parts.append(re.escape(piece[: cut + 1]))
                    return "".join(parts), index if self._pieces[index] else index + 1
            part, index = self._part(index, variable)
            parts.append(part)
        return "".join(parts) + self._end, index

    def _holds(self, variable: Variable, char: str) -> bool:
        if variable.kind.chars:
            return re.fullmatch(variable.kind.chars, char) is not None
        return not self._escaped or not (char == '"' or char < " ")

    def _char(self, variable: Variable) -> str:
        if variable.kind.chars:
            return variable.kind.chars
        return rf'(?:[^"\\{_CONTROLS}]|\\.)' if self._escaped else "."

    def _run(self, variable: Variable) -> str:
        if variable.kind.chars:
            return f"(?>{variable.kind.chars}{{1,{_LONGEST}}}+|-|)"
        return rf'(?:[^"\\{_CONTROLS}]++|\\.)*+' if self._escaped else ".*+"


def _at(variable: Variable, detail: str) -> PatternError:
    return PatternError(f"at character {variable.at}: {detail}")
