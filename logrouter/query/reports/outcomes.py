"""The report of outcomes: how many requests of each API ended well, and how many in which error."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from logrouter.core.rollup.cells import OTHER, Cell, merge
from logrouter.core.rollup.failures import parse_fault
from logrouter.query import answers
from logrouter.query.reports.work import Scan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from logrouter.query.answers import Answer
    from logrouter.query.parsing import Query

SUCCESS = "success"
ABORTED = "aborted"
_LEFT_BY_CLIENT = frozenset({"000", "499"})


class Row(NamedTuple):
    """Requests of one API with one outcome, and for failed ones one error; *error* None for those that did not fail."""

    api: str
    outcome: str
    error: str | None
    requests: int


class PartialOutcomes(msgspec.Struct, forbid_unknown_fields=True):
    """The largest rows of one worker, and how many requests and rows there are beside them."""

    rows: list[Row]
    other: int


class OutcomesReport:
    """The share of one worker."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._wanted = query.names.test()
        self._sums: dict[str, Cell] = {}

    def work(self) -> Iterator[Scan]:
        """All APIs of the window."""
        for segment in self._query.time_range.rows.segments:
            yield Scan("a", segment, self._add)

    def _add(self, name: str, _: int, cell: Cell) -> None:
        if self._wanted is not None and not self._wanted(name):
            return
        known = self._sums.get(name)
        if known is None:
            known = self._sums[name] = Cell(0)
        merge(known, answers.bare(cell, errors=True))

    def part(self) -> PartialOutcomes:
        """What the work came to."""
        statuses = self._query.statuses
        rows = (row for api, cell in self._sums.items() for row in rows_of(api, cell, statuses))
        return _cut(rows, self._query.values["limit"], 0)


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
        fault = parse_fault(name)
        failed[fault.status] = failed.get(fault.status, 0) + n
        if statuses is None or fault.status in statuses:
            errors[fault.outcome, fault.label] = errors.get((fault.outcome, fault.label), 0) + n
    if statuses is None:
        well = {SUCCESS: cell.outcome.get("ok", 0), ABORTED: cell.outcome.get("aborted", 0)}
    else:
        well = {SUCCESS: 0, ABORTED: 0}
        for status, n in answers.statuses(cell).items():
            if status in statuses:
                well[ABORTED if status in _LEFT_BY_CLIENT else SUCCESS] += max(n - failed.get(status, 0), 0)
    yield from (Row(api, outcome, None, n) for outcome, n in well.items() if n)
    yield from (Row(api, outcome, label, n) for (outcome, label), n in errors.items() if n)


def _cut(rows: Iterable[Row], limit: int, other: int) -> PartialOutcomes:
    total = 0

    def counted() -> Iterator[Row]:
        nonlocal total
        for row in rows:
            total += row.requests
            yield row

    best = heapq.nsmallest(limit, counted(), key=lambda row: (-row.requests, row.api, row.outcome, row.error or ""))
    return PartialOutcomes(best, other + total - sum(row.requests for row in best))


def answer(query: Query, parts: Sequence[PartialOutcomes]) -> Answer:
    """The report as it is sent: the largest rows first."""
    time_range = query.time_range
    rows = (row for part in parts for row in part.rows)
    merged = _cut(rows, query.values["limit"], sum(part.other for part in parts))
    return {
        **({} if time_range.window is None else {"window": time_range.window}),
        **answers.interval(time_range.rows),
        "rows": [
            {"api": row.api, "outcome": row.outcome, "error": row.error, "count": row.requests} for row in merged.rows
        ],
        "other": merged.other,
    }
