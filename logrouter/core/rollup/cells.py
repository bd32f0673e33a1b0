"""Cells: everything the tables know of one subject in one bucket of time, and how cells merge.

Cells merge like sums, so the same struct serves for the partial sums of a batch, for the rows of every tier and for
answers over many rows.  Sums, and maps of names as long as they have room, are the same in any order and grouping
(floating-point rounding apart).  The most frequent of more names are not, but always within the bounds that they state
(`core.rollup.ranked`).

A *subject* is one kind letter and a name: ``c<client_id>`` or ``a<api>``; ``c-`` and ``a-`` are the absent ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from logrouter.core.rollup.ranked import MAX_GROUPS, NAMES_OF_GROUP, Slack, copy_slack, merge_ranked, trim_ranked
from logrouter.core.rollup.sketches import MAX_BUCKET, ZERO, bucket_value, quantiles

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_NAMES: Final = 64
"""Outcomes and errors that a cell tells apart."""
MAX_PAIRS: Final = 256
"""Pairs of status and API that the cell of a client tells apart."""
MAX_CLIENTS: Final = 50
"""Clients that the cell of an API tells apart: whoever makes 2 % of its requests is among them."""
MAX_URLS_OF_API: Final = MAX_GROUPS
"""Path templates of requests that did not fail, and as many of those that did."""
MAX_URLS_OF_CLIENT: Final = 50
"""As few as tell all URLs with 2 % of the requests: floors of both maps together are less than that."""
STATUS_WIDTH: Final = 3
"""Names of URLs begin with so many digits of a status, or with `NO_STATUS`."""
MAX_URL_LATENCIES: Final = MAX_URLS_OF_API
"""Path templates of which latencies are known."""
MAX_RECENT: Final = 20
MAX_NAME: Final = 512
MAX_URL: Final = 256
MAX_REQUEST_ID: Final = 64
OTHER: Final = "~other"
"""Where the counts of names go that an over-full map has no room for. No API or outcome is called so."""

MAX_MINUTE: Final = 2**32 - 1
"""Bucket numbers are four bytes in row keys."""
MAX_SUM: Final = 2**63 - 1
MAX_WEIGHT: Final = 1e18

_Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_SUM)]
_Millis = Annotated[int, msgspec.Meta(ge=-MAX_SUM, le=MAX_SUM)]
_Bucket = Annotated[int, msgspec.Meta(ge=0, le=MAX_MINUTE)]
_Weight = Annotated[float, msgspec.Meta(ge=0, le=MAX_WEIGHT)]
_Name = Annotated[str, msgspec.Meta(max_length=MAX_NAME)]
_WithStatus = Annotated[str, msgspec.Meta(max_length=MAX_NAME + 3)]
_Status = Annotated[int, msgspec.Meta(ge=0, le=999)]
_Names = Annotated[dict[_WithStatus, _Count], msgspec.Meta(max_length=MAX_NAMES + 1)]
_Pairs = Annotated[dict[_WithStatus, _Count], msgspec.Meta(max_length=MAX_PAIRS + 1)]
_Clients = Annotated[dict[_Name, _Count], msgspec.Meta(max_length=MAX_CLIENTS)]
_Urls = Annotated[dict[_WithStatus, _Count], msgspec.Meta(max_length=NAMES_OF_GROUP * MAX_URLS_OF_API)]
_Sketch = Annotated[
    dict[Annotated[int, msgspec.Meta(ge=ZERO, le=MAX_BUCKET)], _Count],
    msgspec.Meta(max_length=MAX_BUCKET + 2),
]


class Failure(msgspec.Struct, array_like=True, frozen=True, order=True):
    """One failed request, as it is shown among the recent ones.

    *ms* is its time in epoch milliseconds and *error* its failure key (`core.rollup.failures`). *peer* is the API in
    the cell of a client, and the client in the cell of an API. Failures have a total order, by time first, so that the
    newest ones are the same in whatever order cells are merged.
    """

    ms: _Millis
    error: _Name
    peer: _Name
    url: _Name = ""
    request_id: _Name = ""


class CellSlack(msgspec.Struct, array_like=True):
    """What three maps of a cell lack, None for one that has all names (`core.rollup.ranked`).

    *unassigned* counts requests of which an older version has forgotten the URL: they may be of any.
    """

    url: Slack | None = None
    failed: Slack | None = None
    clients: Slack | None = None
    unassigned: _Count = 0


_NO_SLACK: Final = CellSlack()


class ApiParts(msgspec.Struct, array_like=True):
    """What only the cell of an API has: most cells are of clients, and each map costs them time and memory.

    ===========  ======================================================================================================
    backend      requests by status and instance or group of the backend: ``503192.0.2.7:8080``
    version      requests by status and version of the API: ``200v1``
    url_latency  latencies by path template and coarse bucket (`COARSE` of *sketch* make one)
    ===========  ======================================================================================================
    """

    backend: _Pairs = {}
    version: _Pairs = {}
    url_latency: Annotated[dict[_Name, _Sketch], msgspec.Meta(max_length=MAX_URL_LATENCIES)] = {}


class FirstFields(msgspec.Struct, array_like=True):
    """The fields that cells of all versions begin with; *minute* is the bucket number in the unit of its tier."""

    minute: _Bucket
    count: _Count = 0
    weight: _Weight = 0.0
    bytes_in: _Count = 0
    bytes_out: _Count = 0
    latency_sum: _Count = 0
    latency_max: _Count = 0
    latency_count: _Count = 0
    first_ms: _Millis = 0
    last_ms: _Millis = 0
    status: Annotated[dict[_Status, _Count], msgspec.Meta(max_length=1000)] = {}
    outcome: _Names = {}
    peer: _Pairs = {}
    sketch: _Sketch = {}


class Cell(FirstFields, array_like=True):
    """Sums of one subject in one bucket of time.

    The numbers come first so that a reader can stop before the maps (`CellTotals`). Cells are mutable, and no two share
    a map: `merge_cells` and `copy_cell` make their own.

    The fields that version 2 had stand where it had them, as its tables workers read rows of this version while a fleet
    is upgraded or taken back, and write them anew: *first_url* is empty, and in a row *url_error_bound* is the number
    of requests of which they see no URL, *clients_error_bound* the most that the count of a client may lack.

    ===========  ======================================================================================================
    status       requests by status code
    outcome      requests by outcome
    peer         of a client, requests by status (three digits or `NO_STATUS`) and API, as one name: ``200core``.
                 An API's cell has no peers.
    sketch       latencies by bucket
    url          requests that did not fail by status and path template: ``200/items/{id}``; *slack* tells its bounds
    failed       failed requests in the same way
    error        failed requests by failure key (`core.rollup.failures`)
    recent       the newest failed requests, newest first: in partial sums and lifetime rows only
    clients      of an API, requests by client; *slack* tells its bounds
    slack        what *url*, *failed* and *clients* lack; None while each of them has all names
    parts        of an API, what lines tell of its backends, versions and the latencies of its URLs; None if nothing
    ===========  ======================================================================================================
    """

    clients: _Clients = {}
    clients_error_bound: _Count = 0
    first_url: Annotated[dict[str, int], msgspec.Meta(max_length=0)] = {}
    url_error_bound: _Count = 0
    error: _Names = {}
    recent: Annotated[list[Failure], msgspec.Meta(max_length=MAX_RECENT)] = []
    url: _Urls = {}
    failed: _Urls = {}
    slack: CellSlack | None = None
    parts: ApiParts | None = None


class CellTotals(msgspec.Struct, array_like=True):
    """The numbers of a cell and its outcomes: decoding this skips the other maps, which are most of a cell."""

    minute: int
    count: int = 0
    weight: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    latency_sum: int = 0
    latency_max: int = 0
    latency_count: int = 0
    first_ms: int = 0
    last_ms: int = 0
    status: msgspec.Raw = msgspec.Raw()
    outcome: dict[str, int] = {}


def copy_cell(cell: Cell, number: int) -> Cell:
    """A copy of the cell with maps of its own, for bucket *number*."""
    return Cell(  # the numbers in their order: a call with more than 15 keywords takes six times as long
        number,
        cell.count,
        cell.weight,
        cell.bytes_in,
        cell.bytes_out,
        cell.latency_sum,
        cell.latency_max,
        cell.latency_count,
        cell.first_ms,
        cell.last_ms,
        status=cell.status.copy(),
        outcome=cell.outcome.copy(),
        peer=cell.peer.copy(),
        sketch=cell.sketch.copy(),
        url=cell.url.copy(),
        failed=cell.failed.copy(),
        error=cell.error.copy(),
        recent=cell.recent.copy(),
        clients=cell.clients.copy(),
        slack=_copy_slack(cell.slack),
        parts=_copy_parts(cell.parts),
    )


def _copy_slack(slack: CellSlack | None) -> CellSlack | None:
    if slack is None:
        return None
    return CellSlack(copy_slack(slack.url), copy_slack(slack.failed), copy_slack(slack.clients), slack.unassigned)


def _copy_parts(parts: ApiParts | None) -> ApiParts | None:
    if parts is None:
        return None
    latencies = {name: sketch.copy() for name, sketch in parts.url_latency.items()}
    return ApiParts(parts.backend.copy(), parts.version.copy(), latencies)


def add_name(names: dict[str, int], name: str, count: int, room: int = MAX_NAMES) -> None:
    """Add to a map of at most *room* names. What finds no room is counted under `OTHER`, so that totals stay right."""
    if name not in names and len(names) - (OTHER in names) >= room:
        name = OTHER
    names[name] = names.get(name, 0) + count


def url_room(cell: Cell) -> int:
    """How many names the map *url* of this cell has room for. A cell with peers is that of a client."""
    return MAX_URLS_OF_CLIENT if cell.peer else MAX_URLS_OF_API


def merge_cells(into: Cell, cell: Cell) -> None:
    """Add *cell* to *into*, which keeps its own bucket number."""
    # Every row of every flush passes here, and most cells that come are of one request: what is absent is not touched,
    # and the loops are spelled out, as a call costs more than what it would do for one name.
    if not into.count or cell.first_ms < into.first_ms:
        into.first_ms = cell.first_ms
    if not into.count or cell.last_ms > into.last_ms:
        into.last_ms = cell.last_ms
    into.count += cell.count
    into.weight += cell.weight
    if cell.bytes_in:
        into.bytes_in += cell.bytes_in
    if cell.bytes_out:
        into.bytes_out += cell.bytes_out
    into.latency_sum += cell.latency_sum
    into.latency_count += cell.latency_count
    if cell.latency_max > into.latency_max:  # noqa: PLR1730 - twice as fast as max()
        into.latency_max = cell.latency_max
    sums = into.status
    for code, n in cell.status.items():
        sums[code] = sums[code] + n if code in sums else n
    sums = into.sketch
    for index, n in cell.sketch.items():
        sums[index] = sums[index] + n if index in sums else n
    names = into.outcome
    for name, n in cell.outcome.items():
        if name in names:
            names[name] += n
        else:
            add_name(names, name, n)
    names = into.peer
    for name, n in cell.peer.items():
        if name in names:
            names[name] += n
        else:
            add_name(names, name, n, MAX_PAIRS)
    if cell.error:
        _merge_names(into.error, cell.error, MAX_NAMES)
    if cell.recent:
        into.recent = newest_failures(into.recent + cell.recent)
    if into.slack is not None or cell.slack is not None:
        _merge_with_slack(into, cell)
    else:
        _merge_exact(into, cell)
    if cell.parts is not None:
        if into.parts is None:
            into.parts = _copy_parts(cell.parts)
        else:
            _merge_parts(into, into.parts, cell.parts)


def _merge_exact(into: Cell, cell: Cell) -> None:
    """URLs and clients of two cells that have all names."""
    sums = into.url
    for name, n in cell.url.items():
        sums[name] = sums[name] + n if name in sums else n
    if cell.failed:
        sums = into.failed
        for name, n in cell.failed.items():
            sums[name] = sums[name] + n if name in sums else n
    if cell.clients:
        sums = into.clients
        for name, n in cell.clients.items():
            sums[name] = sums[name] + n if name in sums else n
    trim_cell(into)


def _merge_names(into: dict[str, int], names: dict[str, int], room: int) -> None:
    for name, n in names.items():
        if name in into:
            into[name] += n
        else:
            add_name(into, name, n, room)


def _merge_with_slack(into: Cell, cell: Cell) -> None:
    """URLs and clients where one of the cells lacks some."""
    room = url_room(into)
    mine, other = into.slack or CellSlack(), cell.slack or CellSlack()
    mine.url = merge_ranked(into.url, mine.url, cell.url, other.url, room, STATUS_WIDTH)
    mine.failed = merge_ranked(into.failed, mine.failed, cell.failed, other.failed, room, STATUS_WIDTH)
    mine.clients = merge_ranked(into.clients, mine.clients, cell.clients, other.clients, MAX_CLIENTS, 0)
    mine.unassigned += other.unassigned
    into.slack = mine


def _merge_parts(into: Cell, mine: ApiParts, others: ApiParts) -> None:
    """Add *others* to *mine*, the parts of *into*, whose URLs are merged already."""
    _merge_names(mine.backend, others.backend, MAX_PAIRS)
    _merge_names(mine.version, others.version, MAX_PAIRS)
    latencies = mine.url_latency
    for template, sketch in others.url_latency.items():
        sums = latencies.get(template)
        if sums is None:
            latencies[template] = sketch.copy()
        else:
            for index, n in sketch.items():
                sums[index] = sums[index] + n if index in sums else n
    if len(latencies) > MAX_URL_LATENCIES:
        trim_url_latency(into, mine)


def trim_url_latency(cell: Cell, parts: ApiParts) -> None:
    """Leave latencies of the templates with most requests only, if there are too many."""
    known = parts.url_latency
    if len(known) <= MAX_URL_LATENCIES:
        return
    counts = dict.fromkeys(known, 0)
    for names in (cell.url, cell.failed):
        for name, n in names.items():
            template = name[STATUS_WIDTH:]
            if template in counts:
                counts[template] += n
    ranked = sorted(((n, template) for template, n in counts.items()), reverse=True)
    parts.url_latency = {template: known[template] for _, template in ranked[:MAX_URL_LATENCIES]}


def trim_cell(cell: Cell) -> None:
    """Leave in the maps of URLs and clients as many names as they have room for."""
    room = url_room(cell)
    if len(cell.url) <= room and len(cell.failed) <= room and len(cell.clients) <= MAX_CLIENTS:
        return
    slack = cell.slack or CellSlack()
    slack.url = trim_ranked(cell.url, slack.url, room, STATUS_WIDTH)
    slack.failed = trim_ranked(cell.failed, slack.failed, room, STATUS_WIDTH)
    slack.clients = trim_ranked(cell.clients, slack.clients, MAX_CLIENTS, 0)
    cell.slack = None if slack == _NO_SLACK else slack


def newest_failures(failures: list[Failure]) -> list[Failure]:
    """The newest `MAX_RECENT` of some failures, newest first."""
    failures.sort(reverse=True)
    return failures[:MAX_RECENT]


def latency_quantiles(cell: Cell, shares: Sequence[float]) -> list[float] | None:
    """Latencies in milliseconds below which the given shares of the requests lie, each within 2 %.

    *shares* lie between 0 and 1 and rise. None without latencies.
    """
    found, longest = quantiles(cell.sketch, shares, bucket_value), float(cell.latency_max)
    return found and [min(ms, longest) for ms in found]
