"""The most frequent clients of one API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.core.rollup.subjects import SubjectKind
from logrouter.query import csv_text, schemas
from logrouter.query.answers import rank_counts
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
    """The clients by count, largest first; bounds as in the report of URLs."""
    largest = list(rank_counts(cell.clients).items())[: query.values["limit"]]
    return {
        "clients": [{"client_id": name, "count": n} for name, n in largest],
        "max_undercount": cell.clients_error_bound,
        "other": max(cell.count - sum(n for _, n in largest), 0),
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
            "clients": schemas.list_of(schemas.object_of({"client_id": schemas.TEXT, "count": schemas.COUNT})),
            "max_undercount": schemas.UNDERCOUNT,
            "other": schemas.COUNT,
            "count": schemas.COUNT,
        },
    ),
    csv=csv_text.list_writer("clients"),
    kind=SubjectKind.API,
    answer=_answer,
)
