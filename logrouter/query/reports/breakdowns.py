"""One subject taken apart: by API, URL, client and error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logrouter.core.outcomes import outcome_of
from logrouter.core.rollup.cells import OTHER
from logrouter.core.rollup.failures import NO_FAILURE, NO_STATUS, parse_fault
from logrouter.core.text.timestamps import rfc3339
from logrouter.query.answers import errors_by_label, ranked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.core.rollup.cells import Cell, Failure
    from logrouter.query.answers import Answer
    from logrouter.query.parsing import Query

PEER_FIELD = {"c": "api", "a": "client_id"}
"""What the peer of a recent failure is, by the kind of the subject."""


def apis(cell: Cell, query: Query) -> Answer:
    """The APIs of a client with their statuses, by count; *other* are requests of pairs that were not kept apart."""
    wanted, statuses = query.names.test(), query.statuses
    found: dict[str, dict[str, int]] = {}
    for pair, n in cell.peer.items():
        status, api = pair[:3], pair[3:]
        if pair == OTHER or not n or (statuses is not None and status not in statuses):
            continue
        if wanted is None or wanted(api):
            found.setdefault(api, {})[status] = n
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


def urls(cell: Cell, query: Query) -> Answer:
    """The most frequent URLs with their statuses.

    Each count is too small by *max_undercount* at most, and a URL that is not kept was asked for no more often than
    that. *other* are all requests that are not listed, whatever the reason.
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


def clients(cell: Cell, query: Query) -> Answer:
    """The most frequent clients of an API; bounds as in `urls`."""
    largest = list(ranked(cell.clients).items())[: query.values["limit"]]
    return {
        "clients": [{"client_id": name, "count": n} for name, n in largest],
        "max_undercount": cell.clients_error_bound,
        "other": max(cell.count - sum(n for _, n in largest), 0),
        "count": cell.count,
    }


def errors(kind: str, cell: Cell, life: Cell) -> Answer:
    """Failed requests by error, and the newest of all time, as those are kept with the lifetime only."""
    return {
        "errors": [{"error": label, "count": n} for label, n in ranked(errors_by_label(cell)).items()],
        "success": cell.outcome.get("ok", 0),
        "aborted": cell.outcome.get("aborted", 0),
        "recent": [_recent(kind, failure) for failure in life.recent],
    }


def _recent(kind: str, failure: Failure) -> Answer:
    fault = parse_fault(failure.error)
    return {
        "time": rfc3339(failure.ms),
        "status": None if fault.status == NO_STATUS else fault.status,
        PEER_FIELD[kind]: failure.peer,
        "url": failure.url,
        "error": fault.label,
        **({"request_id": failure.request_id} if failure.request_id else {}),
    }
