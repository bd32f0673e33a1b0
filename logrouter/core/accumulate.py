"""From requests to partial sums: what a batch of events adds to the tables. The route lane's hot loop ends here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from logrouter.core.cells import (
    MAX_CLIENTS,
    MAX_MINUTE,
    MAX_NAME,
    MAX_PAIRS,
    MAX_REQUEST_ID,
    MAX_SUM,
    MAX_URL,
    MAX_WEIGHT,
    Cell,
    Failure,
    add_name,
    newest,
    saturate,
    url_room,
)
from logrouter.core.faults import NO_FAILURE, NO_STATUS, STATUS, fault_of
from logrouter.core.sketches import MAX_LATENCY_MS, bucket, trim

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.core.rollup import Subjects

_LOOSE: Final = 256
"""Names that a heavy-hitter map may hold within a batch: trimming it now and then is cheaper than keeping it short."""
_MANY: Final = 200
"""Failures that a cell may hold within a batch."""


def _count(
    cell: Cell,
    time_ms: int,
    status: int | None,
    outcome: str | None,
    weight: float,
    bytes_in: int,
    bytes_out: int,
    latency_ms: int | None,
    index: int | None,
    url: str | None,
    failure: Failure | None,
    error: str | None,
) -> None:
    if time_ms < cell.first_ms:
        cell.first_ms = time_ms
    elif time_ms > cell.last_ms:
        cell.last_ms = time_ms
    cell.count += 1
    cell.weight += weight
    if bytes_in:
        cell.bytes_in += bytes_in
    if bytes_out:
        cell.bytes_out += bytes_out
    if status is not None:
        statuses = cell.status
        statuses[status] = statuses.get(status, 0) + 1
    if outcome is not None:
        outcomes = cell.outcome
        if outcome in outcomes:
            outcomes[outcome] += 1
        else:
            add_name(outcomes, outcome, 1)
    if index is not None and latency_ms is not None:
        cell.latency_sum += latency_ms
        cell.latency_count += 1
        cell.latency_max = latency_ms if latency_ms > cell.latency_max else cell.latency_max  # noqa: FURB136 - half the price of max()
        sketch = cell.sketch
        sketch[index] = sketch.get(index, 0) + 1
    if url is not None:
        urls = cell.url
        if url in urls:
            urls[url] += 1
        else:
            if len(urls) >= _LOOSE:
                cell.url_cut += trim(urls, url_room(cell))
            urls[url] = 1
    if error is not None:
        add_name(cell.error, error, 1)
        if failure is not None:
            cell.recent.append(failure)
            if len(cell.recent) >= _MANY:
                cell.recent = newest(cell.recent)


class Accumulator:
    """The partial sums of one batch: every event adds to its client's and its API's cell of that minute."""

    __slots__ = ("_minutes",)

    def __init__(self) -> None:
        # By minute, of clients and of APIs by name: a name keeps its hash, a subject made for the look-up would not.
        self._minutes: dict[int, tuple[dict[str, Cell], dict[str, Cell]]] = {}

    def add(  # positional, as the hot loop calls it
        self,
        client: str | None,
        api: str,
        time_ms: int,
        status: int | None,
        outcome: str | None,
        weight: float = 1.0,
        bytes_in: int = 0,
        bytes_out: int = 0,
        latency_ms: int | None = None,
        path: str | None = None,
        error: Mapping[str, Any] | None = None,
        request_id: str = "",
        *,
        count_api: bool = True,
        count_urls: bool = True,
    ) -> None:
        """Count one event; *client* and *api* are names, "-" when absent. Times before 1970 count as 1970.

        *client* None counts no client, *count_api* False no API, *count_urls* False neither URLs nor recent failures.
        An event without a status (or an outcome) is in the count, but under no status (or outcome). *path* is without
        query and secrets, *error* the event's own.
        """
        minute = time_ms // 60_000
        if not 0 <= minute <= MAX_MINUTE:
            minute = 0 if minute < 0 else MAX_MINUTE
        if status is None or not 0 <= status <= 999:
            status, digits = None, NO_STATUS
        else:
            digits = STATUS[status]
        if latency_ms is None:
            index = None
        else:
            if not 0 <= latency_ms <= MAX_LATENCY_MS:
                latency_ms = 0 if latency_ms < 0 else MAX_LATENCY_MS
            index = bucket(latency_ms)
        if outcome is not None and len(outcome) > MAX_NAME:
            outcome = outcome[:MAX_NAME]
        if len(api) > MAX_NAME:
            api = api[:MAX_NAME]
        url = digits + path[:MAX_URL] if count_urls and path is not None else None
        fault = fault_of(digits, outcome, error) if outcome not in NO_FAILURE else None
        failure: Failure | None = None
        cells = self._minutes.get(minute)
        if cells is None:
            cells = self._minutes[minute] = ({}, {})
        # Spelled out over `merge` of a one-event cell: this is half the price, and every request pays it twice.
        if client is not None:
            if len(client) > MAX_NAME:
                client = client[:MAX_NAME]
            if fault is not None and count_urls:
                failure = Failure(time_ms, fault, api, (path or "")[:MAX_URL], request_id[:MAX_REQUEST_ID])
            cell = cells[0].get(client)
            if cell is None:
                # Maps of its own: a default would be one map shared by all.
                cells[0][client] = Cell(
                    minute,
                    1,
                    weight,
                    bytes_in,
                    bytes_out,
                    latency_ms or 0,
                    latency_ms or 0,
                    0 if index is None else 1,
                    time_ms,
                    time_ms,
                    {} if status is None else {status: 1},
                    {} if outcome is None else {outcome: 1},
                    {digits + api: 1},
                    {} if index is None else {index: 1},
                    {},
                    0,
                    {} if url is None else {url: 1},
                    0,
                    {} if fault is None else {fault: 1},
                    [] if failure is None else [failure],
                )
            else:
                peers, pair = cell.peer, digits + api
                if pair in peers:
                    peers[pair] += 1
                else:
                    add_name(peers, pair, 1, MAX_PAIRS)
                _count(
                    cell,
                    time_ms,
                    status,
                    outcome,
                    weight,
                    bytes_in,
                    bytes_out,
                    latency_ms,
                    index,
                    url,
                    failure,
                    fault,
                )
        if count_api:
            if fault is not None and count_urls:
                failure = Failure(time_ms, fault, client or "", (path or "")[:MAX_URL], request_id[:MAX_REQUEST_ID])
            cell = cells[1].get(api)
            if cell is None:
                cell = cells[1][api] = Cell(minute, first_ms=time_ms, last_ms=time_ms)
            if client is not None:
                clients = cell.clients
                if client in clients:
                    clients[client] += 1
                else:
                    if len(clients) >= _LOOSE:
                        cell.clients_cut += trim(clients, MAX_CLIENTS)
                    clients[client] = 1
            _count(
                cell,
                time_ms,
                status,
                outcome,
                weight,
                bytes_in,
                bytes_out,
                latency_ms,
                index,
                url,
                failure,
                fault,
            )

    def take(self) -> Subjects:
        """Everything since the last call, by subject, within the bounds that a reader checks."""
        minutes, self._minutes = self._minutes, {}
        subjects: dict[str, list[Cell]] = {}
        for clients, apis in minutes.values():
            for kind, cells in (("c", clients), ("a", apis)):
                for name, cell in cells.items():
                    _finish(cell)
                    subjects.setdefault(kind + name, []).append(cell)
        return list(subjects.items())


def _finish(cell: Cell) -> None:
    """Leave in a cell what a reader of partial sums accepts."""
    if not (0 <= cell.bytes_in <= MAX_SUM and 0 <= cell.bytes_out <= MAX_SUM and 0 <= cell.weight <= MAX_WEIGHT):
        _make_readable(cell)
    if len(cell.url) > 1:
        cell.url_cut += trim(cell.url, url_room(cell))
    if cell.clients:
        cell.clients_cut += trim(cell.clients, MAX_CLIENTS)
    if len(cell.recent) > 1:
        cell.recent = newest(cell.recent)


def _make_readable(cell: Cell) -> None:
    """Cut what no sound event has: one absurd value must not make a whole record unreadable."""
    cell.bytes_in, cell.bytes_out = max(cell.bytes_in, 0), max(cell.bytes_out, 0)
    cell.weight = cell.weight if 0 <= cell.weight <= MAX_WEIGHT else float(cell.count)
    saturate(cell)
