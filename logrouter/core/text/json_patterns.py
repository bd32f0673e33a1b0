r"""Patterns that write a JSON object, read by the names in it: for objects that somebody has taken apart already.

    {"time": "$time_iso8601", "http": {"status": $status, "line": "$request_method $request_uri"}}

A line of such a pattern is text like any other to `core.text.line_patterns`. But a transport that understands JSON
merges the object into its own and forgets the text, its order and its blanks; then the names are all that is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from logrouter.core.text.json_numbers import whole
from logrouter.core.text.line_patterns import PatternError, Variable, compile_scan, variables_of

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from logrouter.core.text.line_patterns import Piece

    Members = Callable[[Mapping[str, Any]], list[str | None]]

# In the pattern's own text these can't occur: JSON has no bare control characters.
_OPEN: Final = "\x01"
_CLOSE: Final = "\x02"
_MAX_DEPTH: Final = 8


def compile_members(pieces: Sequence[Piece]) -> Members | None:
    """A function from an object to the values of the pattern's variables, in order.

    None if the pattern writes no object.

    Raises:
        PatternError: a member has two variables that cannot be told apart, as nothing in it is escaped any more.
    """
    template = _template(pieces)
    if template is None:
        return None
    names = variables_of(pieces)
    members = [(path, _inside(text, names)) for path, text in _texts(template, (), 0)]
    wanted = [(path, inside) for path, inside in members if variables_of(inside)]
    if sum(len(variables_of(inside)) for _, inside in wanted) != len(names):
        return None  # a variable makes up a name
    places = [(path, _value_of(inside)) for path, inside in wanted]
    order = [names.index(variable) for _, inside in wanted for variable in variables_of(inside)]

    def members_of(document: Mapping[str, Any]) -> list[str | None]:
        found = [each for path, values in places for each in values(_text(_dig(document, path)))]
        values: list[str | None] = [None] * len(names)
        for index, value in zip(order, found, strict=True):
            values[index] = value
        return values

    return members_of


def _template(pieces: Sequence[Piece]) -> dict[str, Any] | None:
    """The pattern's object, with the number of a variable between marks where its value would be."""
    parts, number, quoted = [], 0, False
    for piece in pieces:
        if isinstance(piece, Variable):
            mark = f"\\u0001{number}\\u0002"
            parts.append(mark if quoted else f'"{mark}"')
            number += 1
        else:
            parts.append(piece)
            plain = piece.replace("\\\\", "").replace('\\"', "")
            quoted ^= plain.count('"') % 2 == 1
    try:
        template = orjson.loads("".join(parts).encode("utf-8", "replace"))
    except ValueError:
        return None
    return template if isinstance(template, dict) else None


def _texts(part: dict[str, Any], above: tuple[str, ...], depth: int) -> Iterator[tuple[tuple[str, ...], str]]:
    for name, value in part.items():
        if isinstance(value, str):
            yield (*above, name), value
        elif isinstance(value, dict) and depth < _MAX_DEPTH:
            yield from _texts(value, (*above, name), depth + 1)


def _inside(text: str, names: Sequence[Variable]) -> list[Piece]:
    """The pieces of one member."""
    first, *rest = text.split(_OPEN)
    pieces: list[Piece] = [first]
    for part in rest:
        number, _, literal = part.partition(_CLOSE)
        pieces += (names[int(number)], literal)
    return [piece for piece in pieces if piece]


def _value_of(inside: list[Piece]) -> Callable[[str | None], Sequence[str | None]]:
    """The values of the variables in one member."""
    if len(inside) == 1:
        return lambda text: (text,)
    count = len(variables_of(inside))
    try:
        match: Callable[[str], re.Match[str] | None] = compile_scan(inside, escaped=False).fullmatch
    except PatternError as error:
        raise PatternError(f"{error}; give each a member of its own") from None

    def values(text: str | None) -> Sequence[str | None]:
        found = match(text) if text is not None else None
        return found.groups() if found is not None else (None,) * count

    return values


def _dig(document: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = document
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _text(value: Any) -> str | None:
    """A member as the server wrote it, before somebody made a number of it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float):
        number = whole(value)
        return f"{value:.3f}" if number is None else str(number)
    return str(value) if isinstance(value, int) else None
