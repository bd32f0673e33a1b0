"""The most frequent clients of one API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.core.rollup.ranked import bounds_of
from logrouter.core.rollup.subjects import SubjectKind
from logrouter.query import csv_text, schemas
from logrouter.query.answers import write_bounds
from logrouter.query.parameters import FORMAT, LIMIT, OF_SUBJECT, TIME_RANGE
from logrouter.query.reports.declaration import SubjectReport
from logrouter.query.reports.subject_rows import breakdown_of

if TYPE_CHECKING:
    from logrouter.core.rollup.cells import Cell
    from logrouter.query.answers import Answer
    from logrouter.query.parsing import Query
    from logrouter.query.reports.subject_rows import SubjectRows
    from logrouter.query.steps import Steps


def _answer(subject: SubjectRows, query: Query) -> Steps[Answer]:
    return breakdown_of(subject, query, _clients)


def _clients(cell: Cell, query: Query) -> Answer:
    """The clients by count, largest first, each between two bounds."""
    slack = None if cell.slack is None else cell.slack.clients
    known = [(name, bounds_of(name, n, slack)) for name, n in cell.clients.items()]
    known.sort(key=lambda entry: (-entry[1].middle, entry[0]))
    listed = known[: query.values["limit"]]
    unlisted = [slack.floor if slack is not None else 0, *(bounds.at_most for _, bounds in known[len(listed) :])]
    return {
        "clients": [{"client_id": name, **write_bounds(bounds)} for name, bounds in listed],
        "max_unlisted": max(unlisted),
        "other": max(cell.count - sum(bounds.at_least for _, bounds in listed), 0),
        "count": cell.count,
    }


API_CLIENTS: Final = SubjectReport(
    name="api_clients",
    path="/v1/apis/{api}/clients",
    summary="Most frequent clients of one API",
    parameters=(*TIME_RANGE, LIMIT, FORMAT, *OF_SUBJECT),
    schema=schemas.broken_down(
        "api",
        {
            "clients": schemas.list_of(schemas.object_of({"client_id": schemas.TEXT, **schemas.BOUNDED})),
            "max_unlisted": schemas.UNLISTED,
            "other": schemas.COUNT,
            "count": schemas.COUNT,
        },
    ),
    csv=csv_text.list_writer("clients"),
    kind=SubjectKind.API,
    answer=_answer,
)
