"""Answers as CSV (RFC 4180): one line per entry of the list, nested members side by side.

Names and URLs come from log lines, and a spreadsheet takes text that begins with one of ``= + - @`` (in East Asian
settings also their full-width forms), a tab or a line break for a formula: such cells get an apostrophe in front.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from logrouter.query.answers import Answer

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_SPECIAL: Final = frozenset(',"\r\n')


def pieces(answer: Answer, rows: str) -> Iterator[str]:
    """The list *rows* of an answer, to be put together. Columns are those of all entries, in the order they come up.

    Each piece, of which many are empty, is little work: whoever serves others as well can do so between two.
    """
    if "times" in answer:
        yield from _calls(answer)
        return
    entries: list[dict[str, Any]] = []
    named: dict[str, None] = {}
    for entry in _entries(answer, rows):
        entries.append(dict(_flat(entry)))
        named.update(dict.fromkeys(entries[-1]))
        yield ""
    # A member that is null in one entry has members of its own in another.
    parents = {name for name in named if any(other.startswith(f"{name}_") for other in named)}
    columns = [name for name in named if name not in parents or any(entry.get(name) is not None for entry in entries)]
    yield _line(columns)
    for entry in entries:
        yield _line(map(entry.get, columns))


def _calls(answer: Answer) -> Iterator[str]:
    """Calls over time: a line for each API and time."""
    yield _line(("time", "api", "count"))
    for row in [*answer["apis"], {"api": "~other", "points": answer["other"]}]:
        api = _cell(row["api"])
        yield "".join(f"{time},{api},{n}\r\n" for time, n in zip(answer["times"], row["points"], strict=True))


def _entries(answer: Answer, rows: str) -> Iterator[Mapping[str, Any]]:
    keys: list[str] = answer.get("keys", [])
    # Every point has all keys, so that columns do not depend on what happened first.
    for entry in answer[rows]:
        yield {**entry, "by": {key: entry["by"].get(key, 0) for key in keys}} if "by" in entry else entry


def _line(cells: Iterable[Any]) -> str:
    return ",".join(map(_cell, cells)) + "\r\n"


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        if isinstance(item, dict):
            yield from _flat(item, f"{prefix}{name}_")
        else:
            yield f"{prefix}{name}", item


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return str(value)
    text = "'" + value if value.startswith(_FORMULA) else value
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.intersection(text) else text
