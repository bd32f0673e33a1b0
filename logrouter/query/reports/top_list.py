"""The list of the largest clients or APIs, as a report: by a scan of all rows, or by the order that tops give.

A scan is exact, counts what it reads, and costs some microseconds per row. With many clients the order
(`query.ranking`) says which clients to look up, and a bound for all others.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from logrouter.core.rollup.cells import MAX_NAME
from logrouter.core.rollup.subjects import SubjectKind
from logrouter.core.text.timestamps import rfc3339
from logrouter.query import csv_text, schemas
from logrouter.query.answers import (
    SUBJECT_FIELD,
    Answer,
    interval_of_query,
    interval_of_rows,
    mean_latency,
    round_weight,
)
from logrouter.query.cursors import encode_cursor
from logrouter.query.kinds import choice, text
from logrouter.query.parameters import COMPARED, FORMAT, LIMIT, NAMES, OF_ALL, Parameter, Sort
from logrouter.query.ranking import RANKED, Order, merge_orders
from logrouter.query.reports.declaration import ScatterGatherReport
from logrouter.query.reports.tally import (
    SORT_VALUE,
    PartialTop,
    Tally,
    TopCollector,
    TopEntry,
    cursor_behind,
    largest_entries,
    merge_tops,
)
from logrouter.query.reports.work import Lookup, Ranking, Scan

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from logrouter.core.rollup.cells import Cell, CellTotals
    from logrouter.query.parsing import Query
    from logrouter.query.reports.work import Work
    from logrouter.query.row_ranges import RowRange
    from logrouter.query.schemas import Schema
    from logrouter.query.steps import Steps

    Add = Callable[[str, Cell | CellTotals], None]

_COLLECTION: Final = {SubjectKind.CLIENT: "clients", SubjectKind.API: "apis"}
"""The member of the answer that holds the list, by the kind of the subjects."""

FEW: Final = 2_000
"""So many clients are scanned rather than ordered: a scan counts them as well."""
MANY_ROWS: Final = 100_000
"""After so many rows of names that match, a scan is given up for the order: some tenths of a second."""
_AT_ONCE: Final = 100
"""Names that are looked up at a time; between two times it is checked whether that is enough."""


class TopListBuilder:
    """Makes one worker's part of a top list."""

    def __init__(self, kind: SubjectKind, query: Query) -> None:
        self._kind = kind
        self._query = query
        # One more than is shown tells whether there are more.
        self._limit: int = query.values["limit"] + 1
        self._sort: Sort = query.values["sort"]
        self._wanted = query.names.predicate()
        self._result = PartialTop([], 0, Tally())

    def work(self) -> Iterator[Work | None]:
        """The window, and then for what was found in it the time range before."""
        found = (yield from self._order()) if self._kind is SubjectKind.CLIENT else None
        if found is None or (found.bound == 0 and len(found.candidates) <= FEW):
            yield from self._by_scan()
        elif self._wanted is None or not (yield from self._by_scan(MANY_ROWS)):
            yield from self._by_order(found)

    def result(self) -> Steps[PartialTop]:
        """The part of this worker, once all work is done."""
        yield
        return self._result

    def _order(self) -> Generator[Work | None, None, Order | None]:
        """The clients to look up; None if no order is kept, or the caller may not learn it."""
        orders: list[Order | None] = []
        # A mean can be anything: there, the busiest clients are those that are looked at.
        sort = self._sort if self._sort in RANKED else Sort.COUNT
        yield Ranking(sort, self._query.time_range.rows.segments, max(self._room, FEW), self._wanted, orders.append)
        known = [found for found in orders if found is not None]
        return merge_orders(known) if known and len(known) == len(orders) else None

    @property
    def _room(self) -> int:
        """How many names may be looked up; the pages before this one are not known any more."""
        return 2 * self._limit + (100 if self._query.cursor is None else 1_000)

    def _by_order(self, found: Order) -> Iterator[Work | None]:
        time_range, shown, ranked = self._query.time_range, self._limit - 1, self._sort in RANKED
        best: list[TopEntry] = []
        at, bound = 0, found.bound
        while at < min(len(found.candidates), self._room):
            names = [name for _, name in found.candidates[at : at + _AT_ONCE]]
            at += len(names)
            looked_up = yield from self._look_up(names, time_range.rows)
            entries = (entry for entry in looked_up if entry.tally.count)
            best = largest_entries([*best, *entries], self._sort, self._limit, self._query.cursor)
            bound = max(found.candidates[at].most if at < len(found.candidates) else 0, found.bound)
            if ranked and len(best) > shown and SORT_VALUE[self._sort](best[shown - 1].tally) > bound:
                break
        if time_range.previous is not None:
            earlier = yield from self._look_up([entry.name for entry in best], time_range.previous)
            best = [entry._replace(previous=old.tally) for entry, old in zip(best, earlier, strict=True)]
        self._result = PartialTop(best, None, None, bound=bound)

    def _look_up(self, names: Sequence[str], row_range: RowRange) -> Generator[Work | None, None, list[TopEntry]]:
        tallies = {name: Tally() for name in names}

        def add(name: str, row: Cell | CellTotals) -> None:
            tallies[name].add(row)

        for segment in row_range.segments:
            yield Lookup(names, segment, add)
        return [TopEntry(name, tally) for name, tally in tallies.items()]

    def _by_scan(self, most: int | None = None) -> Generator[Work | None, None, bool]:
        """The list by all rows; False if there are more than *most*."""
        time_range = self._query.time_range
        collector = self._collector_of(time_range.rows)
        if not (yield from self._scan(time_range.rows, collector.add, most)):
            return False
        for _ in collector.sift():
            yield None
        entries = collector.largest_entries()
        partial_top = PartialTop(entries, collector.subjects, collector.total)
        if time_range.previous is not None:
            before, listed = Tally(), {entry.name: Tally() for entry in entries}

            def add(name: str, row: Cell | CellTotals) -> None:
                before.add(row)
                if (known := listed.get(name)) is not None:
                    known.add(row)

            if not (yield from self._scan(time_range.previous, add, most)):
                return False
            partial_top.entries = [entry._replace(previous=listed[entry.name]) for entry in entries]
            partial_top.previous = before
        self._result = partial_top
        return True

    def _collector_of(self, row_range: RowRange) -> TopCollector:
        first = row_range.segments[0]
        single = len(row_range.segments) == 1 and first.stop - first.start == 1
        return TopCollector(self._sort, self._limit, single=single, after=self._query.cursor)

    def _scan(self, row_range: RowRange, add: Add, most: int | None) -> Generator[Work | None, None, bool]:
        wanted, left = self._wanted, most

        def some(name: str, _: int, row: Cell | CellTotals) -> bool:
            nonlocal left
            if left is not None:
                left -= 1
                if left < 0:
                    return True
            if wanted is None or wanted(name):
                add(name, row)
            return False

        for segment in row_range.segments:
            yield Scan(self._kind, segment, some, whole=False, prefix=self._query.names.prefix)
        return left is None or left >= 0


def top_list_answer(kind: SubjectKind, query: Query, partials: Sequence[PartialTop]) -> Steps[Answer]:
    """The answer from the lists of all workers."""
    limit, sort, time_range = query.values["limit"], query.values["sort"], query.time_range
    merged = merge_tops(partials, sort, limit + 1)
    listed = merged.entries[:limit]
    last = cursor_behind(sort, listed[-1]) if len(merged.entries) > limit else None
    bound, before = _bound(merged, sort, listed, limit), merged.previous
    shown = []
    for entry in listed:
        numbers = _numbers(entry.tally)
        before_it = {} if entry.previous is None else {"previous": _numbers(entry.previous)}
        shown.append({SUBJECT_FIELD[kind]: entry.name, **numbers, **before_it})
        yield
    return {
        **interval_of_query(query),
        "sort": sort,
        "limit": limit,
        "exact": bound is None,
        "max_unlisted": bound,
        "total": None if merged.total is None else {_COLLECTION[kind]: merged.subjects, **_numbers(merged.total)},
        **(
            {}
            if time_range.previous is None
            else {"previous": None if before is None else {**interval_of_rows(time_range.previous), **_numbers(before)}}
        ),
        _COLLECTION[kind]: shown,
        "next": None if last is None else encode_cursor(last, query.identity),
    }


def _bound(merged: PartialTop, sort: Sort, listed: Sequence[TopEntry], limit: int) -> int | None:
    """The largest value that a client may have which belongs in the list and was not read; None if there is no such."""
    if not merged.bound:
        return None
    if sort in RANKED and len(listed) == limit and SORT_VALUE[sort](listed[-1].tally) > merged.bound:
        return None
    return merged.bound


def _numbers(tally: Tally) -> Answer:
    return {
        "count": tally.count,
        "weighted": round_weight(tally.weight),
        "errors": tally.errors,
        "bytes": {"in": tally.bytes_in, "out": tally.bytes_out},
        "latency_ms": {"mean": mean_latency(tally.latency_sum, tally.latency_count), "max": tally.latency_max}
        if tally.latency_count
        else None,
        "first_seen": rfc3339(tally.first_ms) if tally.count else None,
        "last_seen": rfc3339(tally.last_ms) if tally.count else None,
    }


def _schema(kind: SubjectKind) -> Schema:
    members = _COLLECTION[kind]
    previous = schemas.object_of({**schemas.INTERVAL, **schemas.LISTED})
    entry = schemas.object_of(
        {SUBJECT_FIELD[kind]: schemas.TEXT, **schemas.LISTED}, {"previous": schemas.object_of(schemas.LISTED)}
    )
    return schemas.object_of(
        {
            **schemas.INTERVAL,
            "sort": {"enum": [member.value for member in Sort]},
            "limit": schemas.COUNT,
            "exact": {"type": "boolean"},
            "max_unlisted": schemas.nullable(schemas.COUNT),
            "total": schemas.nullable(schemas.object_of({members: schemas.nullable(schemas.COUNT), **schemas.LISTED})),
            members: schemas.list_of(entry),
            "next": schemas.nullable(schemas.TEXT),
        },
        {**schemas.WINDOW, "previous": schemas.nullable(previous)},
    )


_PARAMETERS: Final = (
    *COMPARED,
    Parameter("sort", choice(Sort), "What to order by, largest first; latency is the mean latency.", "count"),
    LIMIT,
    Parameter("prefix", text(MAX_NAME), "Only names that begin with this; case matters."),
    *NAMES,
    Parameter(
        "cursor",
        text(4 * MAX_NAME),
        "The next of an answer before: go on behind its last entry. The rest of the query must be the same.",
    ),
    FORMAT,
    *OF_ALL,
)

CLIENTS: Final = ScatterGatherReport(
    name="clients",
    path="/v1/clients",
    summary="Top clients",
    parameters=_PARAMETERS,
    schema=_schema(SubjectKind.CLIENT),
    csv=csv_text.list_writer("clients"),
    builder=partial(TopListBuilder, SubjectKind.CLIENT),
    partial_report=PartialTop,
    answer=partial(top_list_answer, SubjectKind.CLIENT),
    confined_by=SubjectKind.CLIENT,
)
APIS: Final = ScatterGatherReport(
    name="apis",
    path="/v1/apis",
    summary="Top APIs",
    parameters=_PARAMETERS,
    schema=_schema(SubjectKind.API),
    csv=csv_text.list_writer("apis"),
    builder=partial(TopListBuilder, SubjectKind.API),
    partial_report=PartialTop,
    answer=partial(top_list_answer, SubjectKind.API),
    confined_by=SubjectKind.API,
)
