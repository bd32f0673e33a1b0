"""Top lists: sums per subject over the rows of a window, and the exact merge of several workers' lists.

All rows of a subject live on one worker.  A worker's sums are therefore complete, and the largest K over all workers
are among the largest K of each.
"""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from logrouter.query.answers import count_errors
from logrouter.query.cursors import Cursor
from logrouter.query.parameters import Sort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from logrouter.core.rollup.cells import Cell, CellTotals

_STEP: Final = 2000
"""Subjects that are sorted at a time: about a millisecond."""


class Tally(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The numbers of one subject over a window, without maps and sketch: what a list shows and sorts by."""

    count: int = 0
    weight: float = 0.0
    errors: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    latency_sum: int = 0
    latency_count: int = 0
    latency_max: int = 0
    first_ms: int = 0
    last_ms: int = 0

    def add(self, cell: Cell | CellTotals) -> None:
        """Add one row."""
        self._seen(cell.first_ms, cell.last_ms)
        self.count += cell.count
        self.weight += cell.weight
        self.errors += count_errors(cell)
        self.bytes_in += cell.bytes_in
        self.bytes_out += cell.bytes_out
        self.latency_sum += cell.latency_sum
        self.latency_count += cell.latency_count
        self.latency_max = max(self.latency_max, cell.latency_max)

    def join(self, other: Tally) -> None:
        """Add another tally to this one."""
        if not other.count:
            return
        self._seen(other.first_ms, other.last_ms)
        self.count += other.count
        self.weight += other.weight
        self.errors += other.errors
        self.bytes_in += other.bytes_in
        self.bytes_out += other.bytes_out
        self.latency_sum += other.latency_sum
        self.latency_count += other.latency_count
        self.latency_max = max(self.latency_max, other.latency_max)

    def _seen(self, first_ms: int, last_ms: int) -> None:
        self.first_ms = min(self.first_ms, first_ms) if self.count else first_ms
        self.last_ms = max(self.last_ms, last_ms) if self.count else last_ms


class TopEntry(NamedTuple):
    """One line of a list; *previous* is the time range that it is compared with, None without one."""

    name: str
    tally: Tally
    previous: Tally | None = None


SORT_VALUE: Final[dict[Sort, Callable[[Tally], float]]] = {
    Sort.COUNT: lambda t: t.count,
    Sort.ERRORS: lambda t: t.errors,
    Sort.BYTES: lambda t: t.bytes_in + t.bytes_out,
    # Subjects without any latency come after those with 0 ms.
    Sort.LATENCY: lambda t: t.latency_sum / t.latency_count if t.latency_count else -1.0,
}


def largest_entries(entries: Iterable[TopEntry], sort: Sort, limit: int, after: Cursor | None = None) -> list[TopEntry]:
    """The largest entries first, ties by name: one order, whoever sorts. With *after*, those behind that place."""
    value = SORT_VALUE[sort]
    keyed = ((-value(entry.tally), entry.name, entry) for entry in entries)
    if after is not None:
        place = (-after.value, after.name)
        keyed = (item for item in keyed if item[:2] > place)
    return [entry for *_, entry in heapq.nsmallest(limit, keyed, key=lambda item: item[:2])]


def cursor_behind(sort: Sort, entry: TopEntry) -> Cursor:
    """The cursor that goes on behind an entry."""
    return Cursor(SORT_VALUE[sort](entry.tally), entry.name)


class TopCollector:
    """Collects the rows of a window, in any order, and ranks their subjects.

    It holds one tally per subject of the window.  Where each subject has one row at most (*single*), subjects are
    complete as they come, and it holds no more than a few times *limit*.
    """

    def __init__(self, sort: Sort, limit: int, *, single: bool = False, after: Cursor | None = None) -> None:
        self._sort = sort
        self._limit = limit
        self._single = single
        self._after = after
        self._room = 4 * limit + 1000
        self._tallies: dict[str, Tally] = {}
        self.subjects = 0
        self.total = Tally()

    def add(self, name: str, cell: Cell | CellTotals) -> None:
        """Count one row."""
        if not cell.count:
            return
        tally = self._tallies.get(name)
        if tally is None:
            tally = self._tallies[name] = Tally()
            self.subjects += 1
        tally.add(cell)
        self.total.add(cell)
        if self._single and len(self._tallies) > self._room:
            self._tallies = {entry.name: entry.tally for entry in self.largest_entries()}

    def sift(self) -> Iterator[None]:
        """Sorts out all but the largest, a little at each step: sorting a million at once would take long."""
        best: list[TopEntry] = []
        entries = iter(self._tallies.items())
        while some := [TopEntry(*item) for item in islice(entries, _STEP)]:
            best = largest_entries(best + some, self._sort, self._limit, self._after)
            yield
        self._tallies = {entry.name: entry.tally for entry in best}

    def largest_entries(self) -> list[TopEntry]:
        """The list of all rows so far; quick after `sift`."""
        entries = (TopEntry(*item) for item in self._tallies.items())
        return largest_entries(entries, self._sort, self._limit, self._after)


class PartialTop(msgspec.Struct, forbid_unknown_fields=True):
    """One worker's part: the largest entries, and sums over all subjects that match.

    *subjects* and *total* are None if not every row was read. A subject that matches and is not in *entries* ranks
    behind them or has at most the value *bound*, which is None if all subjects were read.
    """

    entries: list[TopEntry]
    subjects: int | None
    total: Tally | None
    previous: Tally | None = None
    bound: int | None = None


def merge_tops(partials: Iterable[PartialTop], sort: Sort, limit: int) -> PartialTop:
    """The lists of several workers as one of *limit* entries; no subject is in two of them."""
    partials = list(partials)
    subjects = [partial.subjects for partial in partials]
    merged = PartialTop(
        largest_entries((entry for partial in partials for entry in partial.entries), sort, limit),
        None if None in subjects else sum(number for number in subjects if number is not None),
        _sum_tallies(partial.total for partial in partials),
    )
    if any(partial.previous is not None for partial in partials):
        merged.previous = _sum_tallies(partial.previous for partial in partials)
    bounds = [partial.bound for partial in partials if partial.bound is not None]
    merged.bound = max(bounds) if bounds else None
    return merged


def _sum_tallies(tallies: Iterable[Tally | None]) -> Tally | None:
    total = Tally()
    for tally in tallies:
        if tally is None:
            return None
        total.join(tally)
    return total
