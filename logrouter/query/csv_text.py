"""Answers as CSV (RFC 4180): one line per entry of the list, nested members side by side.

Names and URLs come from log lines, and a spreadsheet takes text that begins with one of ``= + - @`` (in East Asian
settings also their full-width forms), a tab or a line break for a formula: such cells get an apostrophe in front.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from logrouter.query.answers import Answer

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_SPECIAL: Final = frozenset(',"\r\n')


def list_writer(member: str) -> Callable[[Answer], Iterator[str]]:
    """A function that writes the list under *member* of an answer as CSV."""
    return lambda answer: write_entries(answer[member])


def write_entries(entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Entries as CSV text, in pieces to be joined. The columns are those of all entries, in the order they come up.

    Making one piece is little work, and many pieces are empty: the caller may serve others between two of them.
    """
    rows: list[dict[str, Any]] = []
    named: dict[str, None] = {}
    for entry in entries:
        rows.append(dict(_flatten(entry)))
        named.update(dict.fromkeys(rows[-1]))
        yield ""
    # A member that is null in one entry has members of its own in another.
    parents = _parents(named)
    columns = [name for name in named if name not in parents or any(row.get(name) is not None for row in rows)]
    yield write_line(columns)
    for row in rows:
        yield write_line(map(row.get, columns))


def _parents(names: Iterable[str]) -> set[str]:
    """The names with which other names begin, a `_` behind them."""
    ordered = sorted(names)
    found = set()
    for name in ordered:
        at = bisect_left(ordered, f"{name}_")
        if at < len(ordered) and ordered[at].startswith(f"{name}_"):
            found.add(name)
    return found


def write_line(cells: Iterable[Any]) -> str:
    """One line, with its line break."""
    return ",".join(map(write_cell, cells)) + "\r\n"


def _flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        if isinstance(item, dict):
            yield from _flatten(item, f"{prefix}{name}_")
        else:
            yield f"{prefix}{name}", item


def write_cell(value: Any) -> str:
    """One value, quoted where needed; None is empty."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return str(value)
    text = "'" + value if value.startswith(_FORMULA) else value
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.intersection(text) else text
