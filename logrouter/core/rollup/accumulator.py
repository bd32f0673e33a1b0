"""From requests to partial sums: what a batch of events adds to the tables. The route lane's hot loop ends here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from logrouter.core.rollup.cells import (
    MAX_CLIENTS,
    MAX_MINUTE,
    MAX_NAME,
    MAX_PAIRS,
    MAX_REQUEST_ID,
    MAX_SUM,
    MAX_URL,
    MAX_URLS_OF_API,
    MAX_URLS_OF_CLIENT,
    MAX_WEIGHT,
    Cell,
    Failure,
    add_name,
    newest,
    saturate,
    url_room,
)
from logrouter.core.rollup.failures import NO_FAILURE, NO_STATUS, STATUS, fault_of
from logrouter.core.rollup.sketches import MAX_LATENCY_MS, bucket, trim

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.core.rollup.records import Subjects

_LOOSE: Final = 256
"""Names that a heavy-hitter map may hold within a batch: trimming it now and then is cheaper than keeping it short."""
_MANY: Final = 200
"""Failures that a cell may hold within a batch."""


_Seen = tuple[
    int,  # time
    int | None,  # status
    str,  # its digits
    str | None,  # outcome
    float,  # weight
    int,  # bytes received
    int,  # bytes sent
    int | None,  # latency
    int,  # its place in the sketch
    str | None,  # status and path
    str | None,  # fault
    str | None,  # client
    str,  # API
    tuple[Failure, Failure] | None,  # the failure as its client has it, and as its API has it
]
"""What an event adds to the cells of its client and its API."""


class Accumulator:
    """The partial sums of one batch: every event adds to its client's and its API's cell of that minute.

    Events are only put with their subject at first, and cells are made of them in the end: one at a time, so that what
    belongs together is in the processor's caches together.
    """

    __slots__ = ("_minutes",)

    def __init__(self) -> None:
        # By minute, of clients and of APIs by name: a name keeps its hash, a subject made for the look-up would not.
        self._minutes: dict[int, tuple[dict[str, list[_Seen]], dict[str, list[_Seen]]]] = {}

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
        index = 0
        if latency_ms is not None:
            if not 0 <= latency_ms <= MAX_LATENCY_MS:
                latency_ms = 0 if latency_ms < 0 else MAX_LATENCY_MS
            index = bucket(latency_ms)
        if outcome is not None and len(outcome) > MAX_NAME:
            outcome = outcome[:MAX_NAME]
        if len(api) > MAX_NAME:
            api = api[:MAX_NAME]
        if client is not None and len(client) > MAX_NAME:
            client = client[:MAX_NAME]
        url = digits + path[:MAX_URL] if count_urls and path is not None else None
        fault: str | None = None
        failures: tuple[Failure, Failure] | None = None
        if outcome not in NO_FAILURE:
            fault = fault_of(digits, outcome, error)
            if count_urls:
                path, request_id = (path or "")[:MAX_URL], request_id[:MAX_REQUEST_ID]
                failures = (
                    Failure(time_ms, fault, api, path, request_id),
                    Failure(time_ms, fault, client or "", path, request_id),
                )
        seen = (
            time_ms,
            status,
            digits,
            outcome,
            weight,
            bytes_in,
            bytes_out,
            latency_ms,
            index,
            url,
            fault,
            client,
            api,
            failures,
        )
        subjects = self._minutes.get(minute)
        if subjects is None:
            subjects = self._minutes[minute] = ({}, {})
        if client is not None:
            known = subjects[0].get(client)
            if known is None:
                subjects[0][client] = [seen]
            else:
                known.append(seen)
        if count_api:
            known = subjects[1].get(api)
            if known is None:
                subjects[1][api] = [seen]
            else:
                known.append(seen)

    def take(self) -> Subjects:
        """Everything since the last call, by subject, within the bounds that a reader checks."""
        minutes, self._minutes = self._minutes, {}
        subjects: dict[str, list[Cell]] = {}
        for minute, (clients, apis) in minutes.items():
            for name, events in clients.items():
                subjects.setdefault("c" + name, []).append(_cell_of(minute, events, of_client=True))
            for name, events in apis.items():
                subjects.setdefault("a" + name, []).append(_cell_of(minute, events, of_client=False))
        return list(subjects.items())


def _cell_of(minute: int, events: list[_Seen], *, of_client: bool) -> Cell:
    """The cell of one subject. Spelled out over `merge` of one-event cells, as every request comes here twice."""
    first_ms = last_ms = events[0][0]
    weight = 0.0
    bytes_in = bytes_out = latency_sum = latency_max = latency_count = clients_cut = url_cut = 0
    statuses: dict[int, int] = {}
    outcomes: dict[str, int] = {}
    peers: dict[str, int] = {}
    sketch: dict[int, int] = {}
    clients: dict[str, int] = {}
    urls: dict[str, int] = {}
    errors: dict[str, int] = {}
    recent: list[Failure] = []
    for (
        time_ms,
        status,
        digits,
        outcome,
        stands_for,
        received,
        sent,
        ms,
        index,
        url,
        fault,
        client,
        api,
        failed,
    ) in events:
        if time_ms < first_ms:
            first_ms = time_ms
        elif time_ms > last_ms:
            last_ms = time_ms
        weight += stands_for
        if received:
            bytes_in += received
        if sent:
            bytes_out += sent
        if status is not None:
            statuses[status] = statuses[status] + 1 if status in statuses else 1
        if outcome is not None:
            if outcome in outcomes:
                outcomes[outcome] += 1
            else:
                add_name(outcomes, outcome, 1)
        if ms is not None:
            latency_sum += ms
            latency_count += 1
            if ms > latency_max:  # noqa: PLR1730 - half the price of max()
                latency_max = ms
            sketch[index] = sketch[index] + 1 if index in sketch else 1
        if of_client:
            pair = digits + api
            if pair in peers:
                peers[pair] += 1
            else:
                add_name(peers, pair, 1, MAX_PAIRS)
        elif client is not None:
            if client in clients:
                clients[client] += 1
            else:
                if len(clients) >= _LOOSE:
                    clients_cut += trim(clients, MAX_CLIENTS)
                clients[client] = 1
        if url is not None:
            if url in urls:
                urls[url] += 1
            else:
                if len(urls) >= _LOOSE:
                    url_cut += trim(urls, MAX_URLS_OF_CLIENT if of_client else MAX_URLS_OF_API)
                urls[url] = 1
        if fault is not None:
            add_name(errors, fault, 1)
            if failed is not None:
                recent.append(failed[0 if of_client else 1])
                if len(recent) >= _MANY:
                    recent = newest(recent)
    cell = Cell(
        minute,
        len(events),
        weight,
        bytes_in,
        bytes_out,
        latency_sum,
        latency_max,
        latency_count,
        first_ms,
        last_ms,
        statuses,
        outcomes,
        peers,
        sketch,
        clients,
        clients_cut,
        urls,
        url_cut,
        errors,
        recent,
    )
    _finish(cell)
    return cell


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
