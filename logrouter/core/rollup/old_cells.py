"""Cells of versions 1 and 2 of rollup records and rows, and what they are in this version.

Version 1 had the first 14 fields, with requests of a client by API without the status. Version 2 counted URLs by status
and path, whether they failed or not, by Misra and Gries's algorithm: of each, up to *url_error_bound* requests more may
have been made, and so for clients of an API.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from logrouter.core.outcomes import outcome_of
from logrouter.core.rollup.cells import (
    MAX_NAME,
    MAX_NAMES,
    MAX_RECENT,
    MAX_SUM,
    OTHER,
    STATUS_WIDTH,
    Cell,
    CellSlack,
    Failure,
    FirstFields,
    trim_cell,
)
from logrouter.core.rollup.failures import NO_FAILURE, NO_STATUS, STATUS
from logrouter.core.rollup.ranked import Slack
from logrouter.core.templates.masking import VALUE, WRITTEN_VALUE, mask_segments

FIRST_FIELDS: Final = 14
"""How many fields a cell had in version 1."""
SECOND_FIELDS: Final = 20
"""How many fields a cell had in version 2."""
_MAX_HEAVY: Final = 64

_Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_SUM)]
_Name = Annotated[str, msgspec.Meta(max_length=MAX_NAME + 3)]
_Heavy = Annotated[dict[_Name, _Count], msgspec.Meta(max_length=_MAX_HEAVY)]


class OldCell(FirstFields, array_like=True):
    """A cell of version 1 or 2."""

    clients: _Heavy = msgspec.field(default_factory=dict)
    clients_error_bound: _Count = 0
    url: _Heavy = msgspec.field(default_factory=dict)
    url_error_bound: _Count = 0
    error: Annotated[dict[_Name, _Count], msgspec.Meta(max_length=MAX_NAMES + 1)] = msgspec.field(default_factory=dict)
    recent: Annotated[list[Failure], msgspec.Meta(max_length=MAX_RECENT)] = msgspec.field(default_factory=list)


def upgrade_cell(old: OldCell, *, first: bool = False) -> Cell:
    """The cell of this version with the sums of an older one, that of version 1 if *first*. Its maps are taken over.

    Paths become templates by their form. What an older version forgot about URLs may be of any template.
    """
    peer = {name if name == OTHER else NO_STATUS + name: n for name, n in old.peer.items()} if first else old.peer
    url: dict[str, int] = {}
    failed: dict[str, int] = {}
    for name, n in old.url.items():
        status = name[:STATUS_WIDTH]
        into = url if _went_well(status) else failed
        name = status + mask_segments(name[STATUS_WIDTH:].replace(VALUE, WRITTEN_VALUE))  # noqa: PLW2901 - what it is counted as from now on
        into[name] = into.get(name, 0) + n
    cell = Cell(
        old.minute,
        old.count,
        old.weight,
        old.bytes_in,
        old.bytes_out,
        old.latency_sum,
        old.latency_max,
        old.latency_count,
        old.first_ms,
        old.last_ms,
        status=old.status,
        outcome=old.outcome,
        peer=peer,
        sketch=old.sketch,
        url=url,
        failed=failed,
        error=old.error,
        recent=old.recent,
        clients=old.clients,
        slack=_slack_of(old, url, failed),
    )
    trim_cell(cell)
    return cell


def _slack_of(old: OldCell, url: dict[str, int], failed: dict[str, int]) -> CellSlack | None:
    lost, unknown = old.url_error_bound, old.clients_error_bound
    misplaced = _misplaced(old) if old.url else 0
    if not lost and not unknown and not misplaced:
        return None
    slack = CellSlack(unassigned=misplaced)
    if lost:
        slack.url, slack.failed = _evenly(url, lost, STATUS_WIDTH), _evenly(failed, lost, STATUS_WIDTH)
        slack.unassigned += max(old.count - sum(old.url.values()), 0)
    if unknown:
        slack.clients = _evenly(old.clients, unknown, 0)
    return slack


def _misplaced(old: OldCell) -> int:
    """How many requests may be counted with those that failed and did not, or the other way round, by their status.

    What is left of either, for URLs that newer cells lack, seems to be less by so many.
    """
    failed: dict[str, int] = {}
    found = old.error.get(OTHER, 0)
    for key, n in old.error.items():
        if key != OTHER:
            failed[key[:STATUS_WIDTH]] = failed.get(key[:STATUS_WIDTH], 0) + n
    totals = {STATUS[code]: n for code, n in old.status.items()}
    totals[NO_STATUS] = max(old.count - sum(totals.values()), 0)
    for status, n in totals.items():
        of_status = min(failed.get(status, 0), n)
        found += of_status if _went_well(status) else n - of_status
    return found


def _went_well(status: str) -> bool:
    """Whether a request counts as one that did not fail, as far as its status tells."""
    return status.isdecimal() and status.isascii() and outcome_of(int(status)) in NO_FAILURE


def _evenly(counts: dict[str, int], lost: int, width: int) -> Slack:
    """The slack of a summary of which every count may lack the same."""
    return Slack(lost, dict.fromkeys((name[width:] for name in counts), lost))
