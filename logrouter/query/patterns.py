"""What callers pick names and statuses by: wildcards, prefixes and status patterns, all without backtracking.

Names are what clients and URLs made them, and patterns come from callers, so neither may cost more than its length
times the other's: each part between two `*` is looked for once, from left to right, and never given back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logrouter.core.rollup.failures import NO_STATUS, STATUS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_STATUS_PATTERN: Final = re.compile(r"[0-9xX?*]{1,3}")
_ALL: Final = (*STATUS, NO_STATUS)


def compile_wildcard(pattern: str) -> Callable[[str], bool]:
    """A predicate for whole names: `*` stands for any characters, `?` for one; case does not matter."""
    first, *rest = (_part(part) for part in pattern.casefold().split("*"))
    if rest:
        # An atomic group is never entered again: the leftmost place of each part is as good as any other.
        first += "".join(f"(?>.*?{part})" for part in rest[:-1] if part) + ".*" + rest[-1]
    fullmatch = re.compile(first, re.DOTALL).fullmatch
    return lambda name: fullmatch(name.casefold()) is not None


def _part(part: str) -> str:
    return "".join("." if letter == "?" else re.escape(letter) for letter in part)


@dataclass(frozen=True, slots=True)
class NameFilter:
    """A filter of names: they begin with *prefix*, match one of *include* if there are any, and none of *exclude*."""

    prefix: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def predicate(self) -> Callable[[str], bool] | None:
        """The predicate for names; None if every name passes."""
        include = [compile_wildcard(pattern) for pattern in self.include]
        exclude = [compile_wildcard(pattern) for pattern in self.exclude]
        prefix = self.prefix
        if not (include or exclude or prefix):
            return None

        def wanted(name: str) -> bool:
            return (
                name.startswith(prefix)
                and (not include or any(matches(name) for matches in include))
                and not any(matches(name) for matches in exclude)
            )

        return wanted


def statuses_matching(pattern: str) -> frozenset[str] | None:
    """The statuses that match `404`, `4??`, `50*`, `5xx`, `*` and the like, or `---` for no status; None if invalid.

    Statuses are three digits; x and ? stand for one of them, `*` for the rest.
    """
    if pattern == NO_STATUS:
        return frozenset({NO_STATUS})
    if not _STATUS_PATTERN.fullmatch(pattern) or (len(pattern) < 3 and "*" not in pattern):
        return None
    matches = compile_wildcard(pattern.lower().replace("x", "?"))
    return frozenset(status for status in _ALL if matches(status)) or None


def union_of_statuses(patterns: Iterable[frozenset[str]]) -> frozenset[str] | None:
    """The statuses of several patterns together; None, which means all, if there are no patterns."""
    found = frozenset[str]().union(*patterns)
    return found or None
