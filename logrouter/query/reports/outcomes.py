"""The report of outcomes: how many requests of each API ended well, and how many in which error."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from logrouter.core.rollup.cells import OTHER, Cell, merge_cells
from logrouter.core.rollup.failures import parse_failure_key
from logrouter.core.rollup.subjects import SubjectKind
from logrouter.query import answers, csv_text, schemas
from logrouter.query.parameters import FORMAT, LIMIT, NAMES, OF_ALL, STATUSES, TIME_RANGE
from logrouter.query.reports.declaration import ScatterGatherReport
from logrouter.query.reports.work import Scan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from logrouter.query.answers import Answer
    from logrouter.query.parsing import Query
    from logrouter.query.steps import Steps

SUCCESS = "success"
ABORTED = "aborted"
LEFT_BY_CLIENT = frozenset({"000", "499"})


class Row(NamedTuple):
    """Requests of one API with one outcome, and for failed ones one error; *error* None for those that did not fail."""

    api: str
    outcome: str
    error: str | None
    requests: int


class PartialOutcomes(msgspec.Struct, forbid_unknown_fields=True):
    """The largest rows of one worker; *other* counts the requests of all other rows."""

    rows: list[Row]
    other: int


class OutcomesBuilder:
    """Makes one worker's part of the report."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._wanted = query.names.predicate()
        self._sums: dict[str, Cell] = {}

    def work(self) -> Iterator[Scan]:
        """All APIs of the window."""
        for segment in self._query.time_range.rows.segments:
            yield Scan(SubjectKind.API, segment, self._add)

    def _add(self, name: str, _: int, cell: Cell) -> None:
        if self._wanted is not None and not self._wanted(name):
            return
        known = self._sums.get(name)
        if known is None:
            known = self._sums[name] = Cell(0)
        merge_cells(known, answers.without_breakdowns(cell, errors=True))

    def result(self) -> Steps[PartialOutcomes]:
        """The part of this worker, once all work is done."""
        statuses, found = self._query.statuses, list[Row]()
        for api, cell in self._sums.items():
            found += rows_of(api, cell, statuses)
            yield
        return _keep_largest(found, self._query.values["limit"], 0)


def rows_of(api: str, cell: Cell, statuses: frozenset[str] | None) -> Iterator[Row]:
    """The rows of one API; with *statuses* only requests with one of those.

    Errors beyond what a cell keeps have no status any more: they are in their row whatever *statuses* says.
    """
    errors: dict[tuple[str, str], int] = {}
    failed: dict[str, int] = {}
    for name, n in cell.error.items():
        if name == OTHER:
            errors[OTHER, OTHER] = n
            continue
        key = parse_failure_key(name)
        failed[key.status] = failed.get(key.status, 0) + n
        if statuses is None or key.status in statuses:
            errors[key.outcome, key.label] = errors.get((key.outcome, key.label), 0) + n
    if statuses is None:
        well = {SUCCESS: cell.outcome.get("ok", 0), ABORTED: cell.outcome.get("aborted", 0)}
    else:
        well = {SUCCESS: 0, ABORTED: 0}
        for status, n in answers.by_status(cell).items():
            if status in statuses:
                well[ABORTED if status in LEFT_BY_CLIENT else SUCCESS] += max(n - failed.get(status, 0), 0)
    yield from (Row(api, outcome, None, n) for outcome, n in well.items() if n)
    yield from (Row(api, outcome, label, n) for (outcome, label), n in errors.items() if n)


def _keep_largest(rows: Iterable[Row], limit: int, other: int) -> PartialOutcomes:
    total = 0

    def counted() -> Iterator[Row]:
        nonlocal total
        for row in rows:
            total += row.requests
            yield row

    best = heapq.nsmallest(limit, counted(), key=lambda row: (-row.requests, row.api, row.outcome, row.error or ""))
    return PartialOutcomes(best, other + total - sum(row.requests for row in best))


def _answer(query: Query, partials: Sequence[PartialOutcomes]) -> Steps[Answer]:
    yield
    rows = (row for partial in partials for row in partial.rows)
    merged = _keep_largest(rows, query.values["limit"], sum(partial.other for partial in partials))
    return {
        **answers.interval_of_query(query),
        "rows": [
            {"api": row.api, "outcome": row.outcome, "error": row.error, "count": row.requests} for row in merged.rows
        ],
        "other": merged.other,
    }


OUTCOMES: Final = ScatterGatherReport(
    name="outcomes",
    path="/v1/reports/outcomes",
    summary="Success and failure by API and error",
    parameters=(*TIME_RANGE, *NAMES, STATUSES, LIMIT, FORMAT, *OF_ALL),
    schema=schemas.broken_down(
        None,
        {
            "rows": schemas.list_of(
                schemas.object_of(
                    {
                        "api": schemas.TEXT,
                        "outcome": schemas.TEXT,
                        "error": schemas.nullable(schemas.TEXT),
                        "count": schemas.COUNT,
                    }
                )
            ),
            "other": schemas.COUNT,
        },
    ),
    csv=csv_text.list_writer("rows"),
    builder=OutcomesBuilder,
    partial_report=PartialOutcomes,
    answer=_answer,
    confined_by=SubjectKind.API,
)
