"""The most frequent URLs: of one client, of one API, and of all requests that matched no API."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from logrouter.core.rollup.cells import MAX_URL
from logrouter.core.rollup.failures import NO_STATUS
from logrouter.core.rollup.subjects import SubjectKind
from logrouter.query import csv_text, schemas
from logrouter.query.answers import interval_of_query
from logrouter.query.kinds import text
from logrouter.query.parameters import FORMAT, LIMIT, OF_SUBJECT, STATUSES, TIME_RANGE, Parameter
from logrouter.query.reports.declaration import SubjectReport
from logrouter.query.reports.subject_rows import breakdown_of

if TYPE_CHECKING:
    from logrouter.core.rollup.cells import Cell
    from logrouter.query.answers import Answer
    from logrouter.query.parsing import Query
    from logrouter.query.reports.subject_rows import SubjectRows
    from logrouter.query.steps import Steps

NO_API: Final = "-"
"""The name under which requests that matched no API are counted."""


def _answer(subject: SubjectRows, query: Query) -> Steps[Answer]:
    return breakdown_of(subject, query, _urls)


def _unmatched_answer(subject: SubjectRows, query: Query) -> Steps[Answer]:
    """Without the subject's name; that there was never such a request is no problem but an empty list."""
    cell = yield from subject.sum_in(query.time_range.rows)
    return {**interval_of_query(query), **_urls(cell, query)}


def _urls(cell: Cell, query: Query) -> Answer:
    """The most frequent URLs with their statuses.

    Each count is too small by *max_undercount* at most, and a URL that is not kept was requested no more often than
    that. *other* counts all requests that are not listed, whatever the reason.
    """
    statuses, fragment = query.statuses, (query.values.get("contains") or "").casefold()
    found = [
        (-n, name[3:], name[:3])
        for name, n in cell.url.items()
        if (statuses is None or name[:3] in statuses) and fragment in name[3:].casefold()
    ]
    largest = sorted(found)[: query.values["limit"]]
    return {
        "urls": [
            {"url": url, "status": None if status == NO_STATUS else status, "count": -n} for n, url, status in largest
        ],
        "max_undercount": cell.url_error_bound,
        "other": max(cell.count + sum(n for n, *_ in largest), 0),
        "count": cell.count,
    }


_CONTAINS: Final = Parameter("contains", text(MAX_URL), "Only URLs with this in them; case does not matter.")
_PARAMETERS: Final = (*TIME_RANGE, _CONTAINS, STATUSES, LIMIT, FORMAT, *OF_SUBJECT)
_SCHEMA: Final = {
    "urls": schemas.list_of(schemas.object_of({"url": schemas.TEXT, "status": schemas.STATUS, "count": schemas.COUNT})),
    "max_undercount": schemas.UNDERCOUNT,
    "other": schemas.COUNT,
    "count": schemas.COUNT,
}

CLIENT_URLS: Final = SubjectReport(
    name="client_urls",
    path="/v1/clients/{client_id}/urls",
    summary="Most frequent URLs of one client",
    parameters=_PARAMETERS,
    schema=schemas.broken_down("client_id", _SCHEMA),
    csv=csv_text.list_writer("urls"),
    kind=SubjectKind.CLIENT,
    answer=_answer,
)
API_URLS: Final = SubjectReport(
    name="api_urls",
    path="/v1/apis/{api}/urls",
    summary="Most frequent URLs of one API",
    parameters=_PARAMETERS,
    schema=schemas.broken_down("api", _SCHEMA),
    csv=csv_text.list_writer("urls"),
    kind=SubjectKind.API,
    answer=_answer,
)
UNMATCHED: Final = SubjectReport(
    name="unmatched",
    path="/v1/reports/unmatched",
    summary="Requested URLs that matched no API",
    parameters=(*TIME_RANGE, _CONTAINS, replace(STATUSES, default="404"), LIMIT, FORMAT, *OF_SUBJECT),
    schema=schemas.broken_down(None, _SCHEMA),
    csv=csv_text.list_writer("urls"),
    kind=SubjectKind.API,
    subject=NO_API,
    answer=_unmatched_answer,
    segments=lambda query, _: query.segments,
)
