"""Figures over everything: summed from the cells of all APIs, as every event counts in exactly one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from logrouter.core.rollup.cells import OTHER, Cell, merge
from logrouter.query import answers
from logrouter.query.parameters import By
from logrouter.query.reports.calls import Grid, GridPart, merge_grids
from logrouter.query.reports.work import Scan
from logrouter.query.tiers import Segment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from logrouter.core.rollup.cells import Numbers
    from logrouter.query.answers import Answer
    from logrouter.query.parsing import Query
    from logrouter.query.row_ranges import RowRange

MAX_ROWS: Final = 50_000
"""Rows of clients that one worker reads to count clients; with more of them, their number is not told."""
MAX_APIS: Final = 64


class PartialTotals(msgspec.Struct, forbid_unknown_fields=True):
    """One worker's share: the sum of its APIs, how many they are, and how many clients (None: too many to count)."""

    total: Cell
    apis: int
    clients: int | None
    previous: Cell | None = None


class TotalsReport:
    """The share of one worker of the figures over everything."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._part = PartialTotals(Cell(0), 0, None)

    def work(self) -> Iterator[Scan]:
        """The APIs of the window and of the stretch before, and then the clients of the window."""
        time_range = self._query.time_range
        total, apis = Cell(0), set[str]()
        yield from _summed(time_range.rows, total, apis)
        previous = None
        if time_range.previous is not None:
            previous = Cell(0)
            yield from _summed(time_range.previous, previous, set())
        clients, rows = set[str](), 0

        def count(name: str, _: int, cell: Cell | Numbers) -> bool:
            nonlocal rows
            rows += 1
            if cell.count:
                clients.add(name)
            return rows > MAX_ROWS

        for segment in time_range.rows.segments:
            if rows <= MAX_ROWS:
                yield Scan("c", segment, count, whole=False)
        self._part = PartialTotals(total, len(apis), len(clients) if rows <= MAX_ROWS else None, previous)

    def part(self) -> PartialTotals:
        """What the work came to."""
        return self._part


def _summed(row_range: RowRange, into: Cell, names: set[str]) -> Iterator[Scan]:
    def add(name: str, _: int, cell: Cell) -> None:
        if cell.count:
            names.add(name)
            merge(into, answers.bare(cell, errors=True))

    for segment in row_range.segments:
        yield Scan("a", segment, add)


def answer(query: Query, parts: Sequence[PartialTotals]) -> Answer:
    """The figures over everything as they are sent."""
    time_range = query.time_range
    counts = [part.clients for part in parts]
    previous = answers.total(part.previous for part in parts)
    return {
        **({} if time_range.window is None else {"window": time_range.window}),
        **answers.interval(time_range.rows),
        "total": answers.figures(answers.total(part.total for part in parts), apis=False),
        "clients": sum(n for n in counts if n is not None) if None not in counts else None,
        "apis": sum(part.apis for part in parts),
        **(
            {"previous": {**answers.interval(time_range.previous), **answers.figures(previous, apis=False)}}
            if time_range.previous is not None
            else {}
        ),
    }


class SeriesPart(msgspec.Struct, forbid_unknown_fields=True):
    """One worker's share: its sums by bucket, and by API where that is asked for."""

    cells: list[Cell]
    grid: GridPart | None = None


class TotalsSeries:
    """The share of one worker of a series over everything."""

    def __init__(self, query: Query) -> None:
        self._points = query.points
        self._cells: dict[int, Cell] = {}
        self._grid = Grid(MAX_APIS, self._points) if self._points.by is By.API else None

    def work(self) -> Iterator[Scan]:
        """The APIs in every bucket."""
        points = self._points
        yield Scan("a", Segment(points.step.tier, points.start, points.stop), self._add)

    def _add(self, name: str, bucket: int, cell: Cell) -> None:
        known = self._cells.get(bucket)
        if known is None:
            known = self._cells[bucket] = Cell(bucket)
        merge(known, answers.bare(cell))
        if self._grid is not None:
            self._grid.add(name, bucket, cell)

    def part(self) -> SeriesPart:
        """What the work came to."""
        return SeriesPart(list(self._cells.values()), None if self._grid is None else self._grid.part())


def series_answer(query: Query, parts: Sequence[SeriesPart]) -> Answer:
    """A series over everything as it is sent."""
    points = query.points
    merged: dict[int, list[Cell]] = {}
    for part in parts:
        for cell in part.cells:
            merged.setdefault(cell.minute, []).append(cell)
    cells = [answers.total(merged.get(bucket, ())) for bucket in range(points.start, points.stop)]
    grids = [part.grid for part in parts if part.grid is not None]
    split: list[dict[str, int]] | None = None
    if points.by is By.API:
        grid = merge_grids(grids, MAX_APIS, points.stop - points.start)
        split = [
            {
                **{name: counts[index] for name, counts in grid.rows if counts[index]},
                **({OTHER: grid.other[index]} if grid.other[index] else {}),
            }
            for index in range(points.stop - points.start)
        ]
    return answers.points(points, cells, split)
