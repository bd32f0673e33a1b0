"""The URLs of a cell, each between two bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Struct

from logrouter.core.rollup.cells import OTHER, STATUS_WIDTH, CellSlack
from logrouter.core.rollup.failures import NO_STATUS, STATUS, parse_failure_key
from logrouter.core.rollup.ranked import ANY, Bounds
from logrouter.core.templates.masking import VALUE
from logrouter.core.templates.values import match_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from logrouter.core.rollup.cells import Cell
    from logrouter.core.rollup.ranked import Slack

OTHERS: Final = "other"
"""The status of requests whose own was not kept apart."""

_NO_SLACK: Final = CellSlack()


class UrlCount(Struct):
    """What is known of the requests of one path template.

    *status* has those that were counted for sure, by status; *failed* is how many of them failed. As many as *lacks*
    may have been made besides. So may as many as *forgotten*, of which less is known: they are of any URL since an
    upgrade, or of any path before its template was learned.
    """

    template: str
    status: dict[str, int]
    failed: int = 0
    lacks: int = 0
    forgotten: int = 0

    @property
    def at_least(self) -> int:
        """Requests that were counted for sure."""
        return sum(self.status.values())

    @property
    def at_most(self) -> int:
        """More cannot have been made."""
        return self.at_least + self.lacks + self.forgotten

    @property
    def count(self) -> int:
        """The middle of the bounds, never less than half of the truth (but for what was forgotten)."""
        return Bounds(self.at_least, self.at_least + self.lacks).middle


class UrlCounts(NamedTuple):
    """The URLs of a cell that were asked for, in no order, and how many requests any other URL had at most.

    *values* are templates by the paths that are counted under them.
    """

    urls: list[UrlCount]
    max_unlisted: int
    values: Mapping[str, str]


class _Part:
    """One summary of a cell, of the requests that failed or of the others, with its counts by template and status."""

    def __init__(
        self,
        counts: dict[str, int],
        slack: Slack | None,
        total: int,
        statuses: frozenset[str] | None,
        values: Mapping[str, str] | None,
    ) -> None:
        """*total* is how many requests with *statuses* there are to be counted in it, at most.

        *values* are templates by the paths that were counted before they were learned, None to leave these paths alone.
        """
        self._gathers = values is not None
        values = values or {}
        self.templates: dict[str, dict[str, int]] = {}
        self.unsure: dict[str, int] = {}
        self._over: dict[str, int] = {}
        self._floor = 0 if slack is None else slack.floor
        self._joined = frozenset(values.values())
        self.surely = 0
        for name, n in counts.items():
            status, template = name[:STATUS_WIDTH], name[STATUS_WIDTH:]
            template = values.get(template, template)
            found = self.templates.setdefault(template, {})
            if statuses is None or status in statuses:
                found[status] = found.get(status, 0) + n
                self.surely += n
            elif status == ANY:
                self.unsure[template] = self.unsure.get(template, 0) + n
        if slack is not None:
            for template, n in slack.over.items():
                template = values.get(template, template)  # noqa: PLW2901 - what it is counted as
                self._over[template] = self._over.get(template, 0) + n
        self.left = max(total - self.surely, 0)

    def lacks(self, template: str) -> int:
        """How many requests a template may have besides those that are counted."""
        if template not in self.templates:
            return min(self._floor, self.left)
        more = self._over.get(template, 0) + self.unsure.get(template, 0)
        if template in self._joined:
            more += self._floor
        return min(more, self.left)

    def forgotten(self, template: str) -> int:
        """How many more, of a template of which any number of paths may have been dropped, one by one."""
        return self.left - self.lacks(template) if self._gathers and self._floor and VALUE in template else 0

    @property
    def most_unlisted(self) -> int:
        """How many requests a template has at most that is not in this summary."""
        return min(self._floor, self.left)


def count_urls(
    cell: Cell, statuses: frozenset[str] | None, wanted: Callable[[str], bool], *, gather: bool = True
) -> UrlCounts:
    """The URLs of a cell that are *wanted* and have requests with one of *statuses* (None: all).

    Without *gather*, paths that were counted before their template was learned are URLs of their own.
    """
    slack = cell.slack or _NO_SLACK
    values = _values_of(cell) if gather else None
    total, ill = _totals(cell, statuses)
    well = total - ill + cell.error.get(OTHER, 0)
    parts = (
        _Part(cell.url, slack.url, well, statuses, values),
        _Part(cell.failed, slack.failed, ill, statuses, values),
    )
    most = max(total - sum(part.surely for part in parts), 0)
    unlisted = min(sum(part.most_unlisted for part in parts) + slack.unassigned, most)
    found = []
    for template in dict.fromkeys([*parts[0].templates, *parts[1].templates]):
        if not wanted(template):
            continue
        url = UrlCount(template, {}, lacks=min(parts[0].lacks(template) + parts[1].lacks(template), most))
        forgotten = slack.unassigned + parts[0].forgotten(template) + parts[1].forgotten(template)
        url.forgotten = min(forgotten, most - url.lacks)
        for place, part in enumerate(parts):
            for status, n in part.templates.get(template, {}).items():
                url.status[status] = url.status.get(status, 0) + n
                url.failed += n if place else 0
        if url.status:
            found.append(url)
        else:
            unlisted = max(unlisted, url.lacks + url.forgotten)
    return UrlCounts(found, unlisted, values or {})


def write_statuses(counts: Mapping[str, int]) -> dict[str, int]:
    """Requests by status, as answers have them: highest first, and under `OTHERS` those that were not kept apart."""
    return {(OTHERS if name == ANY else name): n for name, n in sorted(counts.items(), reverse=True)}


def _values_of(cell: Cell) -> Mapping[str, str]:
    """The templates by which paths of a cell are counted that were counted one by one."""
    if not any(VALUE in name for names in (cell.url, cell.failed) for name in names):
        return {}
    return match_values({name[STATUS_WIDTH:]: None for names in (cell.url, cell.failed) for name in names})


def _totals(cell: Cell, statuses: frozenset[str] | None) -> tuple[int, int]:
    """How many requests with *statuses* there are, and how many of them failed, at most: `OTHER` is of any status."""
    known = _with(((STATUS[code], n) for code, n in cell.status.items()), statuses)
    if statuses is None or NO_STATUS in statuses:
        known += cell.count - sum(cell.status.values())
    others = cell.error.get(OTHER, 0)
    failed = _with(((parse_failure_key(key).status, n) for key, n in cell.error.items() if key != OTHER), statuses)
    return known, failed + others


def _with(counts: Iterable[tuple[str, int]], statuses: frozenset[str] | None) -> int:
    return sum(n for status, n in counts if statuses is None or status in statuses)
