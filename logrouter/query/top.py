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
from logrouter.query.cursors import Cursor, encode
from logrouter.query.parameters import Sort
from logrouter.query.reports import Scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from logrouter.core.cells import Cell
    from logrouter.query.questions import Asked
    from logrouter.query.spans import Span

COLLECTION: Final = {"c": "clients", "a": "apis"}
"""What a list of a subject kind is called in answers and paths."""

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
    """One line of a list; *previous* is the stretch that it is compared with, None if that was not asked for."""

    name: str
    tally: Tally
    previous: Tally | None = None


_BY: Final[dict[Sort, Callable[[Tally], float]]] = {
    Sort.COUNT: lambda t: t.count,
    Sort.ERRORS: lambda t: t.errors,
    Sort.BYTES: lambda t: t.bytes_in + t.bytes_out,
    # Subjects without any latency come after those with 0 ms.
    Sort.LATENCY: lambda t: t.latency_sum / t.latency_count if t.latency_count else -1.0,
}


def largest(entries: Iterable[Entry], sort: Sort, limit: int, after: Cursor | None = None) -> list[Entry]:
    """The largest entries first, ties by name: one order, whoever sorts. With *after*, those behind that place."""
    value = _BY[sort]
    keyed = ((-value(entry.tally), entry.name, entry) for entry in entries)
    if after is not None:
        place = (-after.value, after.name)
        keyed = (item for item in keyed if item[:2] > place)
    return [entry for *_, entry in heapq.nsmallest(limit, keyed, key=lambda item: item[:2])]


def cursor_of(sort: Sort, entry: Entry) -> Cursor:
    """The place behind an entry."""
    return Cursor(_BY[sort](entry.tally), entry.name)


class Board:
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

    def add(self, name: str, cell: Cell) -> None:
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
            self._tallies = {entry.name: entry.tally for entry in self.largest()}

    def sift(self) -> Iterator[None]:
        """Sorts out all but the largest, a little at each step: sorting a million at once would take long."""
        best: list[Entry] = []
        entries = iter(self._tallies.items())
        while some := [Entry(*item) for item in islice(entries, _STEP)]:
            best = largest(best + some, self._sort, self._limit, self._after)
            yield
        self._tallies = {entry.name: entry.tally for entry in best}

    def largest(self) -> list[Entry]:
        """The list of all rows so far; quick after `sift`."""
        return largest((Entry(*item) for item in self._tallies.items()), self._sort, self._limit, self._after)


class Part(msgspec.Struct, forbid_unknown_fields=True):
    """One worker's share: the largest entries, how many subjects there are in all, and what they add up to."""

    entries: list[Entry]
    subjects: int
    total: Tally
    previous: Tally | None = None


class TopReport:
    """The share of one worker of a top list, as a report (`query.reports.Report`)."""

    def __init__(self, kind: str, asked: Asked) -> None:
        self._kind = kind
        self._asked = asked
        # One more than is shown tells whether there are more.
        self._limit, self._sort = asked.values["limit"] + 1, asked.values["sort"]
        self._wanted = asked.names.test()
        self._board = self._board_of(asked.time.span)
        self._part = Part([], 0, Tally())

    def _board_of(self, covered: Span) -> Board:
        first = covered.segments[0]
        single = len(covered.segments) == 1 and first.stop - first.start == 1
        return Board(self._sort, self._limit, single=single, after=self._asked.cursor)

    def scans(self) -> Iterator[Scan | None]:
        """The window, and then for what was found in it the stretch before."""
        board, wanted, stretch = self._board, self._wanted, self._asked.time
        for segment in stretch.span.segments:
            yield Scan(self._kind, segment, _adder(board.add, wanted))
        for _ in board.sift():
            yield None
        entries = board.largest()
        self._part = Part(entries, board.subjects, board.total)
        if stretch.previous is None:
            return
        before, listed = Tally(), {entry.name: Tally() for entry in entries}

        def add(name: str, cell: Cell) -> None:
            before.add(cell)
            if (known := listed.get(name)) is not None:
                known.add(cell)

        for segment in stretch.previous.segments:
            yield Scan(self._kind, segment, _adder(add, wanted))
        self._part.entries = [entry._replace(previous=listed[entry.name]) for entry in entries]
        self._part.previous = before

    def part(self) -> Part:
        """What the scans came to."""
        return self._part


def _adder(
    add: Callable[[str, Cell], None], wanted: Callable[[str], bool] | None
) -> Callable[[str, int, Cell], bool | None]:
    if wanted is None:
        return lambda name, _, cell: add(name, cell)
    return lambda name, _, cell: add(name, cell) if wanted(name) else None


def merge(parts: Iterable[Part], sort: Sort, limit: int) -> Part:
    """One list of the lists of workers that share no subject."""
    merged = Part([], 0, Tally())
    for part in parts:
        merged.entries += part.entries
        merged.subjects += part.subjects
        merged.total.join(part.total)
        if part.previous is not None:
            merged.previous = merged.previous or Tally()
            merged.previous.join(part.previous)
    merged.entries = largest(merged.entries, sort, limit)
    return merged


def answer(kind: str, asked: Asked, parts: Sequence[Part]) -> Answer:
    """A top list as it is sent."""
    limit, sort, stretch = asked.values["limit"], asked.values["sort"], asked.time
    merged = merge(parts, sort, limit + 1)
    listed = merged.entries[:limit]
    more = len(merged.entries) > limit
    last = cursor_of(sort, listed[-1]) if more else None
    return {
        **({} if stretch.window is None else {"window": stretch.window}),
        **interval(stretch.span),
        "sort": sort,
        "limit": limit,
        "total": {COLLECTION[kind]: merged.subjects, **_numbers(merged.total)},
        **_previous(stretch.previous, merged.previous),
        COLLECTION[kind]: [
            {
                SUBJECT_FIELD[kind]: entry.name,
                **_numbers(entry.tally),
                **({} if entry.previous is None else {"previous": _numbers(entry.previous)}),
            }
            for entry in listed
        ],
        "next": None if last is None else encode(last, asked.identity),
    }


def _previous(covered: Span | None, tally: Tally | None) -> Answer:
    return {} if covered is None else {"previous": {**interval(covered), **_numbers(tally or Tally())}}


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
