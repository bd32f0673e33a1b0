"""One client or API over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.core.rollup.subjects import SubjectKind
from logrouter.query.answers import SUBJECT_FIELD
from logrouter.query.parameters import FORMAT, OF_SUBJECT, SERIES, By, split_by
from logrouter.query.reports.declaration import SubjectReport
from logrouter.query.reports.points import points_answer, points_schema, write_points

if TYPE_CHECKING:
    from logrouter.query.answers import Answer
    from logrouter.query.parsing import Query
    from logrouter.query.reports.subject_rows import SubjectRows
    from logrouter.query.steps import Steps


def _answer(subject: SubjectRows, query: Query) -> Steps[Answer]:
    subject.lifetime()  # A client that nobody has seen is unknown, whatever the time range.
    cells = yield from subject.in_series(query.series)
    points = yield from points_answer(query.series, cells)
    return {SUBJECT_FIELD[subject.kind]: subject.name, **points}


CLIENT_SERIES: Final = SubjectReport(
    name="client_series",
    path="/v1/clients/{client_id}/series",
    summary="One client over time",
    parameters=(*SERIES, split_by(*By), FORMAT, *OF_SUBJECT),
    schema=points_schema("client_id"),
    csv=write_points,
    kind=SubjectKind.CLIENT,
    answer=_answer,
)
API_SERIES: Final = SubjectReport(
    name="api_series",
    path="/v1/apis/{api}/series",
    summary="One API over time",
    parameters=(*SERIES, split_by(By.STATUS, By.STATUS_CLASS, By.OUTCOME, By.ERROR), FORMAT, *OF_SUBJECT),
    schema=points_schema("api"),
    csv=write_points,
    kind=SubjectKind.API,
    answer=_answer,
)
