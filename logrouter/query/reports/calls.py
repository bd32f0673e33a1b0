"""Counts of names by bucket: the largest names one by one, the others together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from logrouter.core.text.timestamps import rfc3339
from logrouter.query.reports.work import Scan
from logrouter.query.row_ranges import MINUTE_MS
from logrouter.query.tiers import Segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from logrouter.core.rollup.cells import Cell
    from logrouter.query.answers import Answer
    from logrouter.query.parsing import Query, Series


class GridPart(msgspec.Struct, forbid_unknown_fields=True):
    """The largest names with their counts by bucket, largest first, and what all others add up to."""

    rows: list[tuple[str, list[int]]]
    other: list[int]


class Grid:
    """Collects counts by name and bucket."""

    def __init__(self, limit: int, points: Series) -> None:
        self._limit = limit
        self._start, self._width = points.start, points.stop - points.start
        self._counts: dict[str, dict[int, int]] = {}

    def add(self, name: str, bucket: int, cell: Cell) -> None:
        """Count one row."""
        counts = self._counts.get(name)
        if counts is None:
            counts = self._counts[name] = {}
        counts[bucket] = counts.get(bucket, 0) + cell.count

    def part(self) -> GridPart:
        """The largest names and the rest."""
        rows = ((name, self._row(counts)) for name, counts in self._counts.items())
        return _cut(rows, self._limit, [0] * self._width)

    def _row(self, counts: dict[int, int]) -> list[int]:
        row = [0] * self._width
        for bucket, n in counts.items():
            row[bucket - self._start] = n
        return row


def merge_grids(parts: Iterable[GridPart], limit: int, width: int) -> GridPart:
    """One grid of those of several workers, which share no name."""
    rows: list[tuple[str, list[int]]] = []
    other = [0] * width
    for part in parts:
        rows += part.rows
        for index, n in enumerate(part.other):
            other[index] += n
    return _cut(rows, limit, other)


def _cut(rows: Iterable[tuple[str, list[int]]], limit: int, other: list[int]) -> GridPart:
    best: list[tuple[tuple[int, str], list[int]]] = []
    for name, row in rows:
        best.append(((-sum(row), name), row))
        if len(best) > 2 * limit:
            best = _leave(best, limit, other)
    return GridPart([(key[1], row) for key, row in _leave(best, limit, other)], other)


def _leave(
    best: list[tuple[tuple[int, str], list[int]]], limit: int, other: list[int]
) -> list[tuple[tuple[int, str], list[int]]]:
    ordered = sorted(best, key=lambda item: item[0])
    for _, row in ordered[limit:]:
        for index, n in enumerate(row):
            other[index] += n
    return ordered[:limit]


class CallsReport:
    """The share of one worker of the report of calls per API over time."""

    def __init__(self, query: Query) -> None:
        self._points = query.points
        self._wanted = query.names.test()
        self._grid = Grid(query.values["limit"], query.points)

    def work(self) -> Iterator[Scan]:
        """The APIs in every bucket."""
        points = self._points
        yield Scan("a", Segment(points.step.tier, points.start, points.stop), self._add)

    def _add(self, name: str, bucket: int, cell: Cell) -> None:
        if self._wanted is None or self._wanted(name):
            self._grid.add(name, bucket, cell)

    def part(self) -> GridPart:
        """What the work came to."""
        return self._grid.part()


def calls_answer(query: Query, parts: Sequence[GridPart]) -> Answer:
    """Calls per API over time as they are sent."""
    points = query.points
    width_ms = points.step.tier.value * MINUTE_MS
    grid = merge_grids(parts, query.values["limit"], points.stop - points.start)
    return {
        "step": points.step,
        "from": rfc3339(points.start * width_ms),
        "to": rfc3339(points.stop * width_ms),
        "apis": [{"api": name, "count": sum(row), "points": row} for name, row in grid.rows],
        "times": [rfc3339(bucket * width_ms) for bucket in range(points.start, points.stop)],
        "other": grid.other,
    }
