"""Everything over time: summed from the rows of all APIs, as every event counts in exactly one of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from logrouter.core.rollup.cells import OTHER, Cell, merge_cells
from logrouter.core.rollup.subjects import SubjectKind
from logrouter.query import answers
from logrouter.query.parameters import FORMAT, OF_ALL, SERIES, By, split_by
from logrouter.query.reports.calls import CallsCollector, PartialCalls, merge_calls
from logrouter.query.reports.declaration import ScatterGatherReport
from logrouter.query.reports.points import points_answer, points_schema, write_points
from logrouter.query.reports.work import Scan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from logrouter.query.answers import Answer
    from logrouter.query.parsing import Query
    from logrouter.query.steps import Steps
    from logrouter.query.tiers import Tier

MAX_APIS: Final = 64
"""How many APIs the points are split by at most, the largest; the others count together."""


class PartialTotalsSeries(msgspec.Struct, forbid_unknown_fields=True):
    """One worker's part: its sums by bucket, and by API where the points are split by that."""

    cells: list[Cell]
    calls: PartialCalls | None = msgspec.field(default=None, name="grid")


class TotalsSeriesBuilder:
    """Makes one worker's part of the report."""

    def __init__(self, query: Query) -> None:
        self._series = query.series
        self._cells: dict[int, Cell] = {}
        self._calls = CallsCollector(MAX_APIS, self._series) if self._series.by is By.API else None

    def work(self) -> Iterator[Scan]:
        """The APIs in every bucket."""
        for segment in self._series.segments:
            yield Scan(SubjectKind.API, segment, partial(self._add, segment.tier))

    def _add(self, tier: Tier, name: str, bucket: int, cell: Cell) -> None:
        bucket = self._series.number_of(tier, bucket)
        known = self._cells.get(bucket)
        if known is None:
            known = self._cells[bucket] = Cell(bucket)
        merge_cells(known, answers.without_breakdowns(cell))
        if self._calls is not None:
            self._calls.add(name, bucket, cell)

    def result(self) -> Steps[PartialTotalsSeries]:
        """The part of this worker, once all work is done."""
        calls = None if self._calls is None else (yield from self._calls.result())
        return PartialTotalsSeries(list(self._cells.values()), calls)


def _answer(query: Query, partials: Sequence[PartialTotalsSeries]) -> Steps[Answer]:
    series = query.series
    merged: dict[int, list[Cell]] = {}
    for part in partials:
        for cell in part.cells:
            merged.setdefault(cell.minute, []).append(cell)
    cells = (answers.sum_cells(merged.get(bucket, ())) for bucket in range(series.start, series.stop))
    calls = [part.calls for part in partials if part.calls is not None]
    split: list[dict[str, int]] | None = None
    if series.by is By.API:
        by_api = yield from merge_calls(calls, MAX_APIS, series.stop - series.start)
        split = []
        for index, others in enumerate(by_api.other):
            found = {name: counts[index] for name, counts in by_api.rows if counts[index]}
            split.append({**found, OTHER: others} if others else found)
            yield
    return (yield from points_answer(series, cells, split))


TOTALS_SERIES: Final = ScatterGatherReport(
    name="totals_series",
    path="/v1/totals/series",
    summary="Everything over time",
    parameters=(*SERIES, split_by(By.STATUS, By.STATUS_CLASS, By.OUTCOME, By.API), FORMAT, *OF_ALL),
    schema=points_schema(),
    csv=write_points,
    builder=TotalsSeriesBuilder,
    partial_report=PartialTotalsSeries,
    answer=_answer,
)
