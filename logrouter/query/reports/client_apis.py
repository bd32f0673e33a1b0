"""The APIs of one client, by status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.core.outcomes import outcome_of
from logrouter.core.rollup.cells import OTHER
from logrouter.core.rollup.failures import NO_FAILURE, NO_STATUS
from logrouter.core.rollup.subjects import SubjectKind
from logrouter.query import csv_text, schemas
from logrouter.query.parameters import FORMAT, NAMES, OF_SUBJECT, STATUSES, TIME_RANGE
from logrouter.query.reports.declaration import SubjectReport
from logrouter.query.reports.subject_rows import breakdown_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.core.rollup.cells import Cell
    from logrouter.query.answers import Answer
    from logrouter.query.parsing import Query
    from logrouter.query.reports.subject_rows import SubjectRows
    from logrouter.query.steps import Steps


def _answer(subject: SubjectRows, query: Query) -> Steps[Answer]:
    return breakdown_of(subject, query, _apis)


def _apis(cell: Cell, query: Query) -> Steps[Answer]:
    """The APIs by count, largest first; *other* counts requests whose API and status were not kept apart."""
    wanted, statuses = query.names.predicate(), query.statuses
    found: dict[str, dict[str, int]] = {}
    for pair, n in cell.peer.items():
        status, api = pair[:3], pair[3:]
        if pair == OTHER or not n or (statuses is not None and status not in statuses):
            continue
        if wanted is None or wanted(api):
            found.setdefault(api, {})[status] = n
        yield
    listed = [_api(api, counts) for api, counts in found.items()]
    listed.sort(key=lambda entry: (-entry["count"], entry["api"]))
    return {"apis": listed, "other": cell.peer.get(OTHER, 0)}


def _api(api: str, counts: Mapping[str, int]) -> Answer:
    known = {status: n for status, n in sorted(counts.items()) if status != NO_STATUS}
    classes: dict[str, int] = {}
    for status, n in known.items():
        classes[f"{status[0]}xx"] = classes.get(f"{status[0]}xx", 0) + n
    return {
        "api": api,
        "count": sum(counts.values()),
        "errors": sum(n for status, n in known.items() if outcome_of(int(status)) not in NO_FAILURE),
        "status": known,
        "status_class": classes,
    }


CLIENT_APIS: Final = SubjectReport(
    name="client_apis",
    path="/v1/clients/{client_id}/apis",
    summary="APIs of one client, by status",
    parameters=(*TIME_RANGE, *NAMES, STATUSES, FORMAT, *OF_SUBJECT),
    schema=schemas.broken_down(
        "client_id",
        {
            "apis": schemas.list_of(
                schemas.object_of(
                    {
                        "api": schemas.TEXT,
                        "count": schemas.COUNT,
                        "errors": schemas.COUNT,
                        "status": schemas.COUNTS,
                        "status_class": schemas.COUNTS,
                    }
                )
            ),
            "other": schemas.COUNT,
        },
    ),
    csv=csv_text.list_writer("apis"),
    kind=SubjectKind.CLIENT,
    answer=_answer,
)
