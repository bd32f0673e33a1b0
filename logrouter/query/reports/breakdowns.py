"""Requests of one subject by one more name, and by status: a client's APIs; the backends and versions of an API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.core.outcomes import outcome_of
from logrouter.core.rollup.cells import OTHER, STATUS_WIDTH
from logrouter.core.rollup.failures import NO_FAILURE, NO_STATUS
from logrouter.core.rollup.subjects import SubjectKind
from logrouter.query import csv_text, schemas
from logrouter.query.answers import SUBJECT_FIELD
from logrouter.query.parameters import FORMAT, NAMES, OF_SUBJECT, STATUSES, TIME_RANGE
from logrouter.query.reports.declaration import SubjectReport
from logrouter.query.reports.subject_rows import breakdown_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.core.rollup.cells import Cell
    from logrouter.query.answers import Answer
    from logrouter.query.parsing import Query
    from logrouter.query.reports.subject_rows import SubjectRows
    from logrouter.query.schemas import Schema
    from logrouter.query.steps import Steps

_ENTRY: Final[Schema] = {
    "count": schemas.COUNT,
    "errors": schemas.COUNT,
    "status": schemas.COUNTS,
    "status_class": schemas.COUNTS,
}


def _entries(pairs: Mapping[str, int], field: str, query: Query) -> Steps[list[Answer]]:
    """The names in *pairs* of status and name that the query wants, by count, largest first."""
    wanted, statuses = query.names.predicate(), query.statuses
    found: dict[str, dict[str, int]] = {}
    for pair, n in pairs.items():
        status, name = pair[:STATUS_WIDTH], pair[STATUS_WIDTH:]
        if pair == OTHER or not n or (statuses is not None and status not in statuses):
            continue
        if wanted is None or wanted(name):
            found.setdefault(name, {})[status] = n
        yield
    listed = [{field: name, **_figures(counts)} for name, counts in found.items()]
    listed.sort(key=lambda entry: (-entry["count"], entry[field]))
    return listed


def _figures(counts: Mapping[str, int]) -> Answer:
    known = {status: n for status, n in sorted(counts.items()) if status != NO_STATUS}
    classes: dict[str, int] = {}
    for status, n in known.items():
        classes[f"{status[0]}xx"] = classes.get(f"{status[0]}xx", 0) + n
    return {
        "count": sum(counts.values()),
        "errors": sum(n for status, n in known.items() if outcome_of(int(status)) not in NO_FAILURE),
        "status": known,
        "status_class": classes,
    }


def _declare(
    kind: SubjectKind, many: str, field: str, summary: str, pairs_of: Callable[[Cell], Mapping[str, int]]
) -> SubjectReport:
    """A report of *many* by *field*; *other* counts requests whose name and status were not kept apart.

    Of an API, *unknown* are the requests whose lines do not say, whatever the query's filters.
    """
    of_api = kind is SubjectKind.API

    def content(cell: Cell, query: Query) -> Steps[Answer]:
        pairs = pairs_of(cell)
        listed = yield from _entries(pairs, field, query)
        unknown = {"unknown": max(cell.count - sum(pairs.values()), 0)} if of_api else {}
        return {many: listed, "other": pairs.get(OTHER, 0), **unknown}

    def answer(subject: SubjectRows, query: Query) -> Steps[Answer]:
        return breakdown_of(subject, query, content)

    listed = schemas.list_of(schemas.object_of({field: schemas.TEXT, **_ENTRY}))
    unknown = {"unknown": schemas.COUNT} if of_api else {}
    name = SUBJECT_FIELD[kind]
    return SubjectReport(
        name=f"{'api' if of_api else 'client'}_{many}",
        path=f"/v1/{'apis' if of_api else 'clients'}/{{{name}}}/{many}",
        summary=summary,
        parameters=(*TIME_RANGE, *NAMES, STATUSES, FORMAT, *OF_SUBJECT),
        schema=schemas.broken_down(name, {many: listed, "other": schemas.COUNT, **unknown}),
        csv=csv_text.list_writer(many),
        kind=kind,
        answer=answer,
    )


CLIENT_APIS: Final = _declare(
    SubjectKind.CLIENT, "apis", "api", "APIs of one client, by status", lambda cell: cell.peer
)
API_BACKENDS: Final = _declare(
    SubjectKind.API,
    "backends",
    "backend",
    "Backends of one API, by status",
    lambda cell: cell.parts.backend if cell.parts else {},
)
API_VERSIONS: Final = _declare(
    SubjectKind.API,
    "versions",
    "version",
    "Versions of one API, by status",
    lambda cell: cell.parts.version if cell.parts else {},
)
