"""Who called a URL: the clients of all URLs that are asked for, over all APIs, by a scan of the rows of clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.core.rollup.cells import Cell
from logrouter.core.rollup.subjects import SubjectKind
from logrouter.query import csv_text, schemas
from logrouter.query.answers import interval_of_query
from logrouter.query.parameters import CONTAINS, FORMAT, LIMIT, NAMES, OF_ALL, STATUSES, TIME_RANGE
from logrouter.query.reports.caller_counts import CallerCollector, PartialCallers, merge_callers
from logrouter.query.reports.declaration import ScatterGatherReport
from logrouter.query.reports.url_counts import count_urls, write_statuses
from logrouter.query.reports.work import Scan
from logrouter.query.url_filter import url_predicate, url_search

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from logrouter.core.rollup.cells import CellTotals
    from logrouter.query.answers import Answer
    from logrouter.query.parsing import Query
    from logrouter.query.reports.caller_counts import ClientOfUrl
    from logrouter.query.steps import Steps


class CallersBuilder:
    """Makes one worker's part of the report."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._limit: int = query.values["limit"]
        self._of_client = query.names.predicate()
        self._of_url = url_predicate(query.values["contains"])
        self._statuses = query.statuses
        self._callers = CallerCollector()

    def work(self) -> Iterator[Scan]:
        """The clients of the time range."""
        search = url_search(self._query.values["contains"])
        for segment in self._query.time_range.rows.segments:
            yield Scan(SubjectKind.CLIENT, segment, self._add, search=search)

    def _add(self, name: str, _: int, cell: Cell | CellTotals) -> None:
        # Rows that come as numbers have no such URL, and lack none.
        if isinstance(cell, Cell) and (self._of_client is None or self._of_client(name)):
            unassigned = 0 if cell.slack is None else cell.slack.unassigned
            # As rows have them: which paths belong to a template another row may not tell.
            self._callers.add(name, count_urls(cell, self._statuses, self._of_url, gather=False), unassigned)

    def result(self) -> Steps[PartialCallers]:
        """The part of this worker, once all work is done."""
        return self._callers.result(self._limit)


def _answer(query: Query, partials: Sequence[PartialCallers]) -> Steps[Answer]:
    yield
    merged = merge_callers(partials, query.values["limit"])
    yield
    return {
        **interval_of_query(query),
        "callers": [_caller(caller) for caller in merged.callers],
        "max_unlisted": merged.max_unlisted,
        "other": merged.count - sum(caller.at_least for caller in merged.callers),
        "count": merged.count,
    }


def _caller(caller: ClientOfUrl) -> Answer:
    return {
        "client_id": caller.client,
        "url": caller.url,
        "count": caller.count,
        "at_least": caller.at_least,
        "at_most": caller.at_most,
        "failed": caller.failed,
        "status": write_statuses(caller.status),
    }


CALLERS: Final = ScatterGatherReport(
    name="callers",
    path="/v1/callers",
    summary="Who called a URL",
    parameters=(*TIME_RANGE, CONTAINS, STATUSES, *NAMES, LIMIT, FORMAT, *OF_ALL),
    schema=schemas.object_of(
        {
            **schemas.INTERVAL,
            "callers": schemas.list_of(
                schemas.object_of(
                    {
                        "client_id": schemas.TEXT,
                        "url": schemas.TEXT,
                        **schemas.BOUNDED,
                        "failed": schemas.COUNT | {"description": "How many of at_least failed."},
                        "status": schemas.COUNTS,
                    }
                )
            ),
            "max_unlisted": schemas.UNLISTED,
            "other": schemas.COUNT | {"description": "How many of count are not of a listed client and URL."},
            "count": schemas.COUNT | {"description": "Requests of such URLs that were counted for sure."},
        },
        schemas.WINDOW,
    ),
    csv=csv_text.list_writer("callers"),
    builder=CallersBuilder,
    partial_report=PartialCallers,
    answer=_answer,
)
