"""Top lists: sums per subject over the rows of a window, and the exact merge of several workers' lists.

All rows of a subject live on one worker.  A worker's sums are therefore complete, and the largest K over all workers
are among the largest K of each.
"""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from logrouter.core.timestamps import rfc3339
from logrouter.query.answers import SUBJECT_FIELD, Answer, errors, interval, mean, weighted
from logrouter.query.parameters import Sort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from logrouter.core.cells import Cell
    from logrouter.query.questions import Top
    from logrouter.query.spans import Span


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

    def add(self, cell: Cell) -> None:
        """Add one row."""
        self._seen(cell.first_ms, cell.last_ms)
        self.count += cell.count
        self.weight += cell.weight
        self.errors += errors(cell)
        self.bytes_in += cell.bytes_in
        self.bytes_out += cell.bytes_out
        self.latency_sum += cell.latency_sum
        self.latency_count += cell.latency_count
        self.latency_max = max(self.latency_max, cell.latency_max)

    def join(self, other: Tally) -> None:
        """Add another tally."""
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


class Entry(NamedTuple):
    """One line of a list."""

    name: str
    tally: Tally


class Ranked(NamedTuple):
    """The largest entries in order, how many subjects there are in all, and what they add up to."""

    entries: list[Entry]
    subjects: int
    total: Tally


_BY: Final[dict[Sort, Callable[[Tally], float]]] = {
    Sort.COUNT: lambda t: t.count,
    Sort.ERRORS: lambda t: t.errors,
    Sort.BYTES: lambda t: t.bytes_in + t.bytes_out,
    # Subjects without any latency come after those with 0 ms.
    Sort.LATENCY: lambda t: t.latency_sum / t.latency_count if t.latency_count else -1.0,
}


def largest(entries: Iterable[Entry], sort: Sort, limit: int) -> list[Entry]:
    """The largest entries first, ties by name: one order, whoever sorts."""
    value = _BY[sort]
    return heapq.nsmallest(limit, entries, key=lambda entry: (-value(entry.tally), entry.name))


class Board:
    """Collects the rows of a window, in any order, and ranks their subjects.

    It holds one tally per subject of the window.  Where each subject has one row at most (*single*), subjects are
    complete as they come, and it holds no more than a few times *limit*.
    """

    def __init__(self, sort: Sort, limit: int, *, single: bool = False) -> None:
        self._sort = sort
        self._limit = limit
        self._single = single
        self._room = 4 * limit + 1000
        self._tallies: dict[str, Tally] = {}
        self._subjects = 0
        self._total = Tally()

    def add(self, name: str, cell: Cell) -> None:
        """Count one row."""
        if not cell.count:
            return
        tally = self._tallies.get(name)
        if tally is None:
            tally = self._tallies[name] = Tally()
            self._subjects += 1
        tally.add(cell)
        self._total.add(cell)
        if self._single and len(self._tallies) > self._room:
            self._tallies = dict(self._largest())

    def sift(self) -> Iterator[None]:
        """Sorts out all but the largest, a little at each step: sorting a million at once would take long."""
        best: list[Entry] = []
        entries = iter(self._tallies.items())
        while some := [Entry(*item) for item in islice(entries, _STEP)]:
            best = largest(best + some, self._sort, self._limit)
            yield
        self._tallies = dict(best)

    def ranked(self) -> Ranked:
        """The list of all rows so far; quick after `sift`."""
        return Ranked(self._largest(), self._subjects, self._total)

    def _largest(self) -> list[Entry]:
        return largest((Entry(*item) for item in self._tallies.items()), self._sort, self._limit)


def merge(parts: Iterable[Ranked], sort: Sort, limit: int) -> Ranked:
    """One list of the lists of workers that share no subject."""
    entries: list[Entry] = []
    subjects, total = 0, Tally()
    for part in parts:
        entries += part.entries
        subjects += part.subjects
        total.join(part.total)
    return Ranked(largest(entries, sort, limit), subjects, total)


def answer(kind: str, asked: Top, span: Span, ranked: Ranked) -> Answer:
    """A top list as it is sent."""
    return {
        "window": asked.window.text,
        **interval(span),
        "sort": asked.sort,
        "limit": asked.limit,
        "total": {"clients" if kind == "c" else "apis": ranked.subjects, **_numbers(ranked.total)},
        "clients" if kind == "c" else "apis": [
            {SUBJECT_FIELD[kind]: entry.name, **_numbers(entry.tally)} for entry in ranked.entries
        ],
    }


def _numbers(tally: Tally) -> Answer:
    return {
        "count": tally.count,
        "weighted": weighted(tally.weight),
        "errors": tally.errors,
        "bytes": {"in": tally.bytes_in, "out": tally.bytes_out},
        "latency_ms": {"mean": mean(tally.latency_sum, tally.latency_count), "max": tally.latency_max}
        if tally.latency_count
        else None,
        "first_seen": rfc3339(tally.first_ms) if tally.count else None,
        "last_seen": rfc3339(tally.last_ms) if tally.count else None,
    }
