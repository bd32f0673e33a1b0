"""The line of a file that a problem is about, with a caret below; never a line that may hold a secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logrouter.config.yaml.problems import Problem

MAX_WIDTH: Final = 110
"""Longer lines are cut around the place."""

MAX_LINE: Final = 4_000
"""Of a longer line nothing is shown: nobody reads it, and looking at each of its words would take long."""

_WORD = re.compile(r"[A-Za-z0-9_.]+")
_URL_WITH_MORE = re.compile(r"://[^\s@?#]*[@?#]")
"""A URL with a user and a password, or a query."""


def excerpt(lines: Sequence[str], problem: Problem, is_secret: Callable[[str], bool]) -> tuple[str, str] | None:
    """The line, and a line with the caret below it; None without a position, or if the line may hold a secret.

    *is_secret* says whether a word of the file may be the key of one.
    """
    if problem.line is None or problem.column is None or not 0 < problem.line <= len(lines):
        return None
    if _URL_WITH_MORE.search(lines[problem.line - 1]) or _may_hold_secret(lines, problem.line - 1, is_secret):
        return None
    line = "".join(char if char.isprintable() else " " for char in lines[problem.line - 1])
    column = min(problem.column - 1, len(line))
    start = max(0, min(column - MAX_WIDTH // 2, len(line) - MAX_WIDTH))
    shown = line[start : start + MAX_WIDTH].rstrip()
    return shown, " " * (column - start) + "^"


def _may_hold_secret(lines: Sequence[str], index: int, is_secret: Callable[[str], bool]) -> bool:
    """Whether the line, or one that encloses it by indentation, names a secret setting."""
    indent = len(lines[index])
    for line in reversed(lines[: index + 1]):
        here = len(line) - len(line.lstrip())
        if line.strip() and here < indent:
            indent = here
            if len(line) > MAX_LINE or any(map(is_secret, _WORD.findall(line))):
                return True
    return False
