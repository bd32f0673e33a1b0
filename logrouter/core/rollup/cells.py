"""Cells: everything the tables know of one subject in one bucket of time, and how cells merge.

Cells merge like sums, so the same struct serves for the partial sums of a batch, for the rows of every tier and for
answers over many rows.  Sums, and maps of names as long as they have room, are the same in any order and grouping
(floating-point rounding apart).  Heavy hitters are not, but always within their stated bound (`core.rollup.sketches`).

A *subject* is one kind letter and a name: ``c<client_id>`` or ``a<api>``; ``c-`` and ``a-`` are the absent ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from logrouter.core.rollup.failures import NO_STATUS
from logrouter.core.rollup.sketches import MAX_BUCKET, ZERO, bucket_value, merge_counts, trim_counts

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_NAMES: Final = 64
"""Outcomes and errors that a cell tells apart."""
MAX_PAIRS: Final = 256
"""Pairs of status and API that the cell of a client tells apart."""
MAX_CLIENTS: Final = 64
"""Heavy hitters among the clients of an API."""
MAX_URLS_OF_API: Final = 64
MAX_URLS_OF_CLIENT: Final = 32
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
_Heavy = Annotated[dict[_WithStatus, _Count], msgspec.Meta(max_length=MAX_CLIENTS)]
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


class Cell(msgspec.Struct, array_like=True):
    """Sums of one subject in one bucket of time; *minute* is the bucket number in the unit of its tier.

    The numbers come first so that a reader can stop before the maps (`CellTotals`). Cells are mutable, and no two share
    a map: `merge_cells` and `copy_cell` make their own.

    ===========  ======================================================================================================
    status       requests by status code
    outcome      requests by outcome
    peer         of a client, requests by status (three digits or `NO_STATUS`) and API, as one name: ``200core``.
                 An API's cell has no peers.
    sketch       latencies by bucket
    clients      of an API, heavy hitters among its clients; *clients_error_bound* is their error bound
    url          heavy hitters among statuses and paths: ``404/core/x``; *url_error_bound* is their error bound
    error        failed requests by failure key (`core.rollup.failures`)
    recent       the newest failed requests, newest first: in partial sums and lifetime rows only
    ===========  ======================================================================================================
    """

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
    # Since version 2 of rollup records; older rows and records end here.
    clients: _Heavy = {}
    clients_error_bound: _Count = 0
    url: _Heavy = {}
    url_error_bound: _Count = 0
    error: _Names = {}
    recent: Annotated[list[Failure], msgspec.Meta(max_length=MAX_RECENT)] = []


FIRST_FIELDS: Final = 14
"""How many fields a cell had in version 1, where *peer* of a client was requests by API alone."""


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


def upgrade_cell(cell: Cell) -> None:
    """Turn a cell of version 1 into one of this version. It counted by API without the status, which stays unknown."""
    if cell.peer:
        cell.peer = {name if name == OTHER else NO_STATUS + name: n for name, n in cell.peer.items()}


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
        clients=cell.clients.copy(),
        clients_error_bound=cell.clients_error_bound,
        url=cell.url.copy(),
        url_error_bound=cell.url_error_bound,
        error=cell.error.copy(),
        recent=cell.recent.copy(),
    )


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
    names = into.url
    for name, n in cell.url.items():
        names[name] = names[name] + n if name in names else n
    if len(names) > MAX_URLS_OF_CLIENT:
        into.url_error_bound += trim_counts(names, url_room(into))
    if cell.url_error_bound:
        into.url_error_bound += cell.url_error_bound
    if cell.clients:
        into.clients_error_bound += merge_counts(into.clients, cell.clients, MAX_CLIENTS)
    if cell.clients_error_bound:
        into.clients_error_bound += cell.clients_error_bound
    if cell.error:
        names = into.error
        for name, n in cell.error.items():
            if name in names:
                names[name] += n
            else:
                add_name(names, name, n)
    if cell.recent:
        into.recent = newest_failures(into.recent + cell.recent)


def newest_failures(failures: list[Failure]) -> list[Failure]:
    """The newest `MAX_RECENT` of some failures, newest first."""
    failures.sort(reverse=True)
    return failures[:MAX_RECENT]


def latency_quantiles(cell: Cell, shares: Sequence[float]) -> list[float] | None:
    """Latencies in milliseconds below which the given shares of the requests lie, each within 2 %.

    *shares* lie between 0 and 1 and rise. None without latencies.
    """
    sketch = cell.sketch
    total = sum(sketch.values())
    if total <= 0:
        return None
    found: list[float] = []
    longest, left = float(cell.latency_max), iter(shares)
    rank, seen = next(left) * (total - 1), 0
    for index in sorted(sketch):
        seen += sketch[index]
        while seen > rank:
            found.append(min(bucket_value(index), longest))
            if len(found) == len(shares):
                return found
            rank = next(left) * (total - 1)
    return found


_SUMS: Final = (
    "count",
    "bytes_in",
    "bytes_out",
    "latency_sum",
    "latency_max",
    "latency_count",
    "clients_error_bound",
    "url_error_bound",
)


def saturate_cell(cell: Cell) -> None:
    """Cap every sum at what the encoding can carry, so that an absurd input does not stop the lane."""
    for name in _SUMS:
        setattr(cell, name, min(getattr(cell, name), MAX_SUM))
    cell.weight = min(cell.weight, MAX_WEIGHT)
    for sums in (cell.status, cell.outcome, cell.peer, cell.sketch, cell.clients, cell.url, cell.error):
        for key, n in sums.items():
            sums[key] = min(n, MAX_SUM)  # type: ignore[index]  # each map keeps its own key type
