"""Answers as CSV (RFC 4180): one line per entry of the list, nested members side by side.

Names and URLs come from log lines, and a spreadsheet takes text that begins with one of ``= + - @``, a tab or a
carriage return for a formula: such cells get an apostrophe in front.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from logrouter.query.answers import Answer

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_SPECIAL: Final = frozenset(',"\r\n')


def encode(answer: Answer, rows: str) -> str:
    """The list *rows* of an answer. Columns are those of all entries, in the order in which they come up."""
    entries = [dict(_flat(entry)) for entry in _entries(answer, rows)]
    named = dict.fromkeys(name for entry in entries for name in entry)
    # A member that is null in one entry has members of its own in another.
    parents = {name for name in named if any(other.startswith(f"{name}_") for other in named)}
    columns = [name for name in named if name not in parents or any(entry.get(name) is not None for entry in entries)]
    lines: list[list[Any]] = [list(columns), *([entry.get(name) for name in columns] for entry in entries)]
    return "".join(",".join(map(_cell, line)) + "\r\n" for line in lines)


def _entries(answer: Answer, rows: str) -> Iterable[Mapping[str, Any]]:
    if "times" in answer:  # calls over time: a line for each API and time
        return (
            {"time": time, "api": row["api"], "count": n}
            for row in [*answer["apis"], {"api": "~other", "points": answer["other"]}]
            for time, n in zip(answer["times"], row["points"], strict=True)
        )
    keys: list[str] = answer.get("keys", [])
    # Every point has all keys, so that columns do not depend on what happened first.
    return (
        {**entry, "by": {key: entry["by"].get(key, 0) for key in keys}} if "by" in entry else entry
        for entry in answer[rows]
    )


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
