"""The table rows of one client or API, as reports about one subject read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from logrouter.query import answers
from logrouter.query.answers import SUBJECT_FIELD
from logrouter.query.tiers import Tier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.core.rollup.cells import Cell
    from logrouter.core.rollup.subjects import SubjectKind
    from logrouter.query.answers import Answer
    from logrouter.query.parsing import Query, Series
    from logrouter.query.reader import TableReader
    from logrouter.query.row_ranges import RowRange


class UnknownSubjectError(Exception):
    """No request of this client or API was ever counted."""


class SubjectRows(NamedTuple):
    """Reads the rows of one subject from the tables of this worker; every read raises `LookupError` if they moved away.

    *kept* says how many buckets each tier keeps.
    """

    reader: TableReader
    kind: SubjectKind
    name: str
    kept: Mapping[Tier, int]

    def lifetime(self) -> Cell:
        """The row of all time; `UnknownSubjectError` if there is none."""
        row = self.reader.rows(self.kind + self.name, Tier.LIFE, (0,))[0]
        if row is None:
            raise UnknownSubjectError(f"no request of this {SUBJECT_FIELD[self.kind]} has been counted")
        return row

    def in_range(self, rows: RowRange) -> list[Cell | None]:
        """The rows of a range in order, None for each bucket without a row."""
        return [
            row
            for segment in rows.segments
            for row in self.reader.rows(self.kind + self.name, segment.tier, range(segment.start, segment.stop))
        ]

    def in_series(self, series: Series) -> list[Cell | None]:
        """The rows of a series in order, None for each bucket without a row."""
        return self.reader.rows(self.kind + self.name, series.step.tier, range(series.start, series.stop))

    def sum_in(self, rows: RowRange) -> Cell:
        """The sum of the rows of a range."""
        return answers.sum_cells(self.in_range(rows))


def breakdown_of(subject: SubjectRows, query: Query, content: Callable[[Cell, Query], Answer]) -> Answer:
    """The answer of a report that takes the sum of a time range apart; `UnknownSubjectError` for an unknown subject."""
    subject.lifetime()
    return {
        SUBJECT_FIELD[subject.kind]: subject.name,
        **answers.interval_of_query(query),
        **content(subject.sum_in(query.time_range.rows), query),
    }
