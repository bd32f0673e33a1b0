"""What failed for one client or in one API, and the newest failures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.core.rollup.failures import NO_STATUS, parse_failure_key
from logrouter.core.rollup.subjects import SubjectKind
from logrouter.core.text.timestamps import rfc3339
from logrouter.query import csv_text, schemas
from logrouter.query.answers import SUBJECT_FIELD, by_error_label, interval_of_query, rank_counts
from logrouter.query.parameters import FORMAT, OF_SUBJECT, TIME_RANGE
from logrouter.query.reports.declaration import SubjectReport

if TYPE_CHECKING:
    from logrouter.core.rollup.cells import Failure
    from logrouter.query.answers import Answer
    from logrouter.query.parsing import Query
    from logrouter.query.reports.subject_rows import SubjectRows
    from logrouter.query.schemas import Schema
    from logrouter.query.steps import Steps

_PEER_FIELD: Final = {SubjectKind.CLIENT: "api", SubjectKind.API: "client_id"}
"""The member that names the other side of a failed request, by the kind of the subject."""


def _answer(subject: SubjectRows, query: Query) -> Steps[Answer]:
    """Failed requests of the time range by error; the newest failures are of all time, as only that row keeps them."""
    life = subject.lifetime()
    cell = yield from subject.sum_in(query.time_range.rows)
    return {
        SUBJECT_FIELD[subject.kind]: subject.name,
        **interval_of_query(query),
        "errors": [{"error": label, "count": n} for label, n in rank_counts(by_error_label(cell)).items()],
        "success": cell.outcome.get("ok", 0),
        "aborted": cell.outcome.get("aborted", 0),
        "recent": [_recent(subject.kind, failure) for failure in life.recent],
    }


def _recent(kind: SubjectKind, failure: Failure) -> Answer:
    key = parse_failure_key(failure.error)
    return {
        "time": rfc3339(failure.ms),
        "status": None if key.status == NO_STATUS else key.status,
        _PEER_FIELD[kind]: failure.peer,
        "url": failure.url,
        "error": key.label,
        **({"request_id": failure.request_id} if failure.request_id else {}),
    }


def _schema(kind: SubjectKind) -> Schema:
    recent = schemas.object_of(
        {
            "time": schemas.TIME,
            "status": schemas.STATUS,
            _PEER_FIELD[kind]: schemas.TEXT,
            "url": schemas.TEXT,
            "error": schemas.TEXT,
        },
        {"request_id": schemas.TEXT},
    )
    return schemas.broken_down(
        SUBJECT_FIELD[kind],
        {
            "errors": schemas.list_of(schemas.object_of({"error": schemas.TEXT, "count": schemas.COUNT})),
            "success": schemas.COUNT,
            "aborted": schemas.COUNT,
            "recent": schemas.list_of(recent),
        },
    )


CLIENT_ERRORS: Final = SubjectReport(
    name="client_errors",
    path="/v1/clients/{client_id}/errors",
    summary="What failed for one client, and the newest failures",
    parameters=(*TIME_RANGE, FORMAT, *OF_SUBJECT),
    schema=_schema(SubjectKind.CLIENT),
    csv=csv_text.list_writer("errors"),
    kind=SubjectKind.CLIENT,
    answer=_answer,
)
API_ERRORS: Final = SubjectReport(
    name="api_errors",
    path="/v1/apis/{api}/errors",
    summary="What failed in one API, and the newest failures",
    parameters=(*TIME_RANGE, FORMAT, *OF_SUBJECT),
    schema=_schema(SubjectKind.API),
    csv=csv_text.list_writer("errors"),
    kind=SubjectKind.API,
    answer=_answer,
)
