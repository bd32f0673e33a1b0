"""One client or API: lifetime, the last 24 hours, and any time range beside the one that it is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.core.rollup.subjects import SubjectKind
from logrouter.query import schemas
from logrouter.query.answers import SUBJECT_FIELD, comparison, figures_of, interval_of_rows
from logrouter.query.parameters import ANY_TIME_RANGE, OF_SUBJECT
from logrouter.query.reports.declaration import SubjectReport
from logrouter.query.reports.subject_rows import segments_of
from logrouter.query.row_ranges import Window, rows_of_window

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.query.answers import Answer
    from logrouter.query.parsing import Query
    from logrouter.query.reports.subject_rows import SubjectRows
    from logrouter.query.schemas import Schema
    from logrouter.query.steps import Steps
    from logrouter.query.tiers import Segment, Tier

LAST_24H: Final = Window("24h", 24 * 60)


def _answer(subject: SubjectRows, query: Query) -> Steps[Answer]:
    apis = subject.kind is SubjectKind.CLIENT
    life = subject.lifetime()
    day = rows_of_window(LAST_24H, query.now_ms, subject.kept)
    last_24h = yield from subject.sum_in(day)
    body = {
        SUBJECT_FIELD[subject.kind]: subject.name,
        "lifetime": figures_of(life, apis=apis),
        "last_24h": {**interval_of_rows(day), **figures_of(last_24h, apis=apis)},
    }
    time_range = query.time_range_or_none
    if time_range is None:
        return body
    length = {} if time_range.window is None else {"length": time_range.window}
    rows, previous = time_range.rows, time_range.previous
    cell = yield from subject.sum_in(rows)
    body["window"] = {**length, **interval_of_rows(rows), **figures_of(cell, apis=apis)}
    if previous is not None:
        cell = yield from subject.sum_in(previous)
        body |= comparison(previous, cell, subject.counted_since, apis=apis)
    return body


def _segments(query: Query, kept: Mapping[Tier, int]) -> tuple[Segment, ...]:
    return (*segments_of(query, kept), *rows_of_window(LAST_24H, query.now_ms, kept).segments)


def _schema(field: str) -> Schema:
    range_figures = schemas.ref("Stretch")
    return schemas.object_of(
        {field: schemas.TEXT, "lifetime": schemas.ref("Figures"), "last_24h": range_figures},
        {"window": range_figures, **schemas.COMPARISON},
    )


CLIENT: Final = SubjectReport(
    name="client",
    path="/v1/clients/{client_id}",
    summary="One client: lifetime, last 24 hours and any window; - is everybody without an id",
    parameters=(*ANY_TIME_RANGE, *OF_SUBJECT),
    schema=_schema("client_id"),
    kind=SubjectKind.CLIENT,
    answer=_answer,
    segments=_segments,
)
API: Final = SubjectReport(
    name="api",
    path="/v1/apis/{api}",
    summary="One API: lifetime, last 24 hours and any window; - is no API known",
    parameters=(*ANY_TIME_RANGE, *OF_SUBJECT),
    schema=_schema("api"),
    kind=SubjectKind.API,
    answer=_answer,
    segments=_segments,
)
