"""The table rows of one client or API, as reports about one subject read them."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Final, NamedTuple

from logrouter.core.rollup.cells import Cell, merge_cells
from logrouter.query import answers
from logrouter.query.answers import SUBJECT_FIELD
from logrouter.query.tiers import Segment, Tier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.core.rollup.subjects import SubjectKind
    from logrouter.query.answers import Answer
    from logrouter.query.parsing import Query, Series
    from logrouter.query.reader import SubjectMoment
    from logrouter.query.row_ranges import RowRange
    from logrouter.query.steps import Steps

LIFETIME: Final = Segment(Tier.LIFE, 0, 1)


class UnknownSubjectError(Exception):
    """No request of this client or API was ever counted."""


class SubjectRows(NamedTuple):
    """The rows of one subject, fetched before: those of the segments that its report says it reads.

    *kept* says how many buckets each tier keeps, *counted_since* when counting began (epoch ms; None: not known).
    """

    moment: SubjectMoment
    kind: SubjectKind
    name: str
    kept: Mapping[Tier, int]
    counted_since: int | None = None

    def lifetime(self) -> Cell:
        """The row of all time; `UnknownSubjectError` if there is none."""
        row = self.moment.cell(Tier.LIFE, 0)
        if row is None:
            raise UnknownSubjectError(f"no request of this {SUBJECT_FIELD[self.kind]} has been counted")
        return row

    def in_series(self, series: Series) -> Steps[list[Cell | None]]:
        """The sums of a series in order, None for each bucket without a row."""
        found: dict[int, Cell] = {}
        for tier, start, stop in series.segments:
            for bucket in range(start, stop):
                cell = self.moment.cell(tier, bucket)
                if cell is not None:
                    number = series.number_of(tier, bucket)
                    known = found.get(number)
                    found[number] = cell if known is None else answers.sum_cells((known, cell))
                yield
        return [found.get(number) for number in range(series.start, series.stop)]

    def sum_in(self, rows: RowRange) -> Steps[Cell]:
        """The sum of the rows of a range; one with a count of 0 when there are none."""
        into = Cell(0)
        for tier, start, stop in rows.segments:
            for bucket in range(start, stop):
                cell = self.moment.cell(tier, bucket)
                if cell is not None and cell.count:
                    merge_cells(into, cell)
                yield
        return into


def segments_of(query: Query, _kept: Mapping[Tier, int]) -> tuple[Segment, ...]:
    """What most reports about one subject read: its lifetime, and the time range or the series of the query."""
    return (LIFETIME, *query.segments)


def breakdown_of(
    subject: SubjectRows, query: Query, content: Callable[[Cell, Query], Answer | Steps[Answer]]
) -> Steps[Answer]:
    """The answer of a report that takes the sum of a time range apart; `UnknownSubjectError` for an unknown subject.

    *content* makes it of the sum, in steps if it does more than a millisecond's work.
    """
    subject.lifetime()
    cell = yield from subject.sum_in(query.time_range.rows)
    found = content(cell, query)
    if isinstance(found, Generator):
        found = yield from found
    return {SUBJECT_FIELD[subject.kind]: subject.name, **answers.interval_of_query(query), **found}
