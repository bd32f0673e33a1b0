"""Sets of names as scopes give them: some one by one, others by patterns in which `*` stands for any characters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

NOBODY: Final = "-"
"""The subject of requests that name no client, or that no API serves: no pattern means it."""


@dataclass(frozen=True, slots=True)
class Wildcard:
    """A pattern: literal *parts*, two or more, with any characters between them. Case matters.

    The first and the last part are where a name begins and ends; each may be empty.
    """

    parts: tuple[str, ...]

    def matches(self, name: str) -> bool:
        """Whether the whole name fits, in one pass: a part taken where it first is leaves most for those behind it."""
        first, *middle, last = self.parts
        at, end = len(first), len(name) - len(last)
        if at > end or not (name.startswith(first) and name.endswith(last)):
            return False
        for part in middle:
            found = name.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True


@dataclass(frozen=True, slots=True)
class NameSet:
    """Names that are listed, and names that fit one of some patterns. No listed name fits a pattern as well."""

    names: frozenset[str] = frozenset()
    patterns: tuple[Wildcard, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.names or self.patterns)

    def __contains__(self, name: str) -> bool:
        return name in self.names or self.fits(name)

    def fits(self, name: str) -> bool:
        """Whether a pattern means this name."""
        return name != NOBODY and any(pattern.matches(name) for pattern in self.patterns)

    def prefixes(self, within: str = "") -> list[str]:
        """What the names that fit and begin with *within* begin with; no two of these have a name in common."""
        found: list[str] = []
        for prefix in sorted(pattern.parts[0] for pattern in self.patterns):
            longer = prefix if prefix.startswith(within) else within if within.startswith(prefix) else None
            # In order, a prefix comes right before all that begin with it.
            if longer is not None and not (found and longer.startswith(found[-1])):
                found.append(longer)
        return found


def make_name_set(given: Iterable[str | Wildcard]) -> NameSet:
    """The set of these names and patterns, in an order that does not depend on theirs."""
    wanted = set(given)
    patterns = sorted((one for one in wanted if isinstance(one, Wildcard)), key=lambda pattern: pattern.parts)
    fitting = NameSet(patterns=tuple(patterns))
    names = frozenset(one for one in wanted if isinstance(one, str) and not fitting.fits(one))
    return NameSet(names, fitting.patterns)
