"""The line of a file that a problem is about, with a caret below; never a line that may hold a secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from logrouter.config.yaml.secrets import looks_secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logrouter.config.yaml.problems import Problem

MAX_WIDTH: Final = 110
"""Longer lines are cut around the place."""

_WORD = re.compile(r"[A-Za-z0-9_.]+")


def excerpt(lines: Sequence[str], problem: Problem) -> tuple[str, str] | None:
    """The line, and a line with the caret below it; None without a position, or if the line may hold a secret."""
    if problem.line is None or problem.column is None or not 0 < problem.line <= len(lines):
        return None
    if _may_hold_secret(lines, problem.line - 1):
        return None
    line = "".join(char if char.isprintable() else " " for char in lines[problem.line - 1])
    column = min(problem.column - 1, len(line))
    start = max(0, min(column - MAX_WIDTH // 2, len(line) - MAX_WIDTH))
    shown = line[start : start + MAX_WIDTH].rstrip()
    return shown, " " * (column - start) + "^"


def _may_hold_secret(lines: Sequence[str], index: int) -> bool:
    """Whether the line, or one that encloses it by indentation, names a secret setting."""
    indent = len(lines[index])
    for line in reversed(lines[: index + 1]):
        here = len(line) - len(line.lstrip())
        if line.strip() and here < indent:
            indent = here
            if any(looks_secret(word) or word == "hash_key" for word in _WORD.findall(line)):
                return True
    return False
