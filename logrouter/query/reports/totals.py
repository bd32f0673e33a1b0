"""Figures over everything: summed from the cells of all APIs, as every event counts in exactly one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from logrouter.core.rollup.cells import Cell, merge_cells
from logrouter.core.rollup.subjects import SubjectKind
from logrouter.query import answers, schemas
from logrouter.query.parameters import COMPARED, OF_ALL
from logrouter.query.reports.declaration import ScatterGatherReport
from logrouter.query.reports.work import Beginning, Scan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from logrouter.core.rollup.cells import CellTotals
    from logrouter.query.answers import Answer
    from logrouter.query.parsing import Query
    from logrouter.query.row_ranges import RowRange
    from logrouter.query.steps import Steps

MAX_ROWS: Final = 50_000
"""Rows of clients that one worker reads to count clients; with more of them, their number is null."""


class PartialTotals(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One worker's part: the sum of its APIs, how many they are, and how many clients (None: too many to count).

    Of a comparison, *began_ms* is when counting began, None if that is not known.
    """

    total: Cell
    apis: int
    clients: int | None
    previous: Cell | None = None
    began_ms: int | None = None


class TotalsBuilder:
    """Makes one worker's part of the report."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._result = PartialTotals(Cell(0), 0, None)

    def work(self) -> Iterator[Scan | Beginning]:
        """The APIs of the time range and of the one before, and then the clients of the time range."""
        time_range = self._query.time_range
        total, apis = Cell(0), set[str]()
        yield from _sum_rows(time_range.rows, total, apis)
        previous, began = None, list[int | None]()
        if time_range.previous is not None:
            previous = Cell(0)
            yield from _sum_rows(time_range.previous, previous, set())
            yield Beginning(began.append)
        clients, rows = set[str](), 0

        def count(name: str, _: int, cell: Cell | CellTotals) -> bool:
            nonlocal rows
            rows += 1
            if cell.count:
                clients.add(name)
            return rows > MAX_ROWS

        for segment in time_range.rows.segments:
            if rows <= MAX_ROWS:
                yield Scan(SubjectKind.CLIENT, segment, count, whole=False)
        self._result = PartialTotals(total, len(apis), len(clients) if rows <= MAX_ROWS else None, previous)
        self._result.began_ms = min((ms for ms in began if ms is not None), default=None)

    def result(self) -> Steps[PartialTotals]:
        """The part of this worker, once all work is done."""
        yield
        return self._result


def _sum_rows(row_range: RowRange, into: Cell, names: set[str]) -> Iterator[Scan]:
    def add(name: str, _: int, cell: Cell) -> None:
        if cell.count:
            names.add(name)
            merge_cells(into, answers.without_breakdowns(cell, errors=True))

    for segment in row_range.segments:
        yield Scan(SubjectKind.API, segment, add)


def _answer(query: Query, partials: Sequence[PartialTotals]) -> Steps[Answer]:
    yield
    time_range = query.time_range
    counts = [partial.clients for partial in partials]
    began = [partial.began_ms for partial in partials if partial.began_ms is not None]
    previous = answers.sum_cells(partial.previous for partial in partials)
    return {
        **answers.interval_of_query(query),
        "total": answers.figures_of(answers.sum_cells(partial.total for partial in partials), apis=False),
        "clients": sum(n for n in counts if n is not None) if None not in counts else None,
        "apis": sum(partial.apis for partial in partials),
        **(
            answers.comparison(time_range.previous, previous, min(began, default=None), apis=False)
            if time_range.previous is not None
            else {}
        ),
    }


TOTALS: Final = ScatterGatherReport(
    name="totals",
    path="/v1/totals",
    summary="Figures over everything",
    parameters=(*COMPARED, *OF_ALL),
    schema=schemas.object_of(
        {
            **schemas.INTERVAL,
            "total": schemas.ref("Figures"),
            "clients": schemas.nullable(schemas.COUNT),
            "apis": schemas.COUNT,
        },
        {**schemas.WINDOW, **schemas.COMPARISON},
    ),
    builder=TotalsBuilder,
    partial_report=PartialTotals,
    answer=_answer,
)
