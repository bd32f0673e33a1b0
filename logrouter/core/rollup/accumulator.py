"""Adds the events of a batch up to partial sums, one cell per subject and minute. Called for every event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import replace

from logrouter.core.rollup.cells import (
    MAX_MINUTE,
    MAX_NAME,
    MAX_PAIRS,
    MAX_REQUEST_ID,
    MAX_SUM,
    MAX_URL,
    MAX_WEIGHT,
    ApiParts,
    Cell,
    Failure,
    add_name,
    newest_failures,
    trim_cell,
    trim_url_latency,
)
from logrouter.core.rollup.failures import NO_FAILURE, NO_STATUS, STATUS, failure_key_of
from logrouter.core.rollup.shrinking import saturate_cell
from logrouter.core.rollup.sketches import MAX_LATENCY_MS, coarse_bucket, latency_bucket
from logrouter.core.rollup.subjects import SubjectKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.core.rollup.records import Subjects
    from logrouter.core.templates.learning import TemplateLearner

_CLIENT: Final = SubjectKind.CLIENT.value
_API: Final = SubjectKind.API.value
_MANY: Final = 200
"""Failures that a cell may hold within a batch."""


class _Contribution(Struct, gc=False):
    """What one event adds to the cells of its client and its API, everything already within the bounds of a cell.

    Every event makes one: with ``gc=False`` it is cheaper than a tuple, as the garbage collector does not follow it.
    *digits* is the status as three digits, *sketch_index* the bucket of the latency, *url* status and path template as
    one name; so are *backend* and *version*, which are counted for the API. *failures* is the failed request as its
    client has it and as its API has it, None if it does not show among the recent ones.
    """

    time_ms: int
    status: int | None
    digits: str
    outcome: str | None
    weight: float
    bytes_in: int
    bytes_out: int
    latency_ms: int | None
    sketch_index: int
    url: str | None
    failure_key: str | None
    client: str | None
    api: str
    template: str | None
    backend: str | None
    version: str | None
    failures: tuple[Failure, Failure] | None


class Accumulator:
    """The partial sums of one batch: every event adds to its client's and its API's cell of that minute.

    `add` only puts events with their subjects; `take` makes cells of them, one subject after the other, which keeps
    what belongs together in the processor's caches.
    """

    __slots__ = ("_minutes", "_template_of")

    def __init__(self, templates: TemplateLearner | None = None) -> None:
        """*templates* says by which template a path is counted; without it, a path is counted as it is."""
        self._template_of = None if templates is None else templates.template_of
        # By minute, of clients and of APIs by name: a name keeps its hash, a subject made for the look-up would not.
        self._minutes: dict[int, tuple[dict[str, list[_Contribution]], dict[str, list[_Contribution]]]] = {}

    def add(
        self,
        client: str | None,
        api: str,
        time_ms: int,
        status: int | None,
        outcome: str | None,
        *,
        weight: float = 1.0,
        bytes_in: int = 0,
        bytes_out: int = 0,
        latency_ms: int | None = None,
        path: str | None = None,
        template: str | None = None,
        backend: str | None = None,
        version: str | None = None,
        error: Mapping[str, Any] | None = None,
        request_id: str = "",
        count_api: bool = True,
        count_urls: bool = True,
    ) -> None:
        """Count one event.

        *client* and *api* are names, "-" when absent; *client* None counts the event for no client, *count_api* False
        for no API. *time_ms* is epoch milliseconds, and a time before 1970 counts as 1970. An event without a status
        or an outcome (None) is in the number of requests, but under no status or outcome. *weight* is the number of
        requests that the event stands for. *path* is without query and secrets, *template* what it is counted as if
        that is declared, *backend* the instance or group that was asked, *version* that of the API, *error* the event's
        own. *count_urls* False counts no URL and keeps no recent failure.
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
            index = latency_bucket(latency_ms)
        if outcome is not None and len(outcome) > MAX_NAME:
            outcome = outcome[:MAX_NAME]
        if len(api) > MAX_NAME:
            api = api[:MAX_NAME]
        if client is not None and len(client) > MAX_NAME:
            client = client[:MAX_NAME]
        url: str | None = None
        if not count_urls:
            template = None
        else:
            if template is None and path is not None:
                template_of = self._template_of
                template = path if template_of is None else template_of(api, path, succeeded=outcome == "ok")
            if template is not None:
                if len(template) > MAX_URL:
                    template = template[:MAX_URL]
                url = digits + template
        failure_key: str | None = None
        failures: tuple[Failure, Failure] | None = None
        if outcome not in NO_FAILURE:
            failure_key = failure_key_of(digits, outcome, error)
            if count_urls:
                path, request_id = (path or "")[:MAX_URL], request_id[:MAX_REQUEST_ID]
                failures = (
                    Failure(time_ms, failure_key, api, path, request_id),
                    Failure(time_ms, failure_key, client or "", path, request_id),
                )
        contribution = _Contribution(
            time_ms=time_ms,
            status=status,
            digits=digits,
            outcome=outcome,
            weight=weight,
            bytes_in=bytes_in,
            bytes_out=bytes_out,
            latency_ms=latency_ms,
            sketch_index=index,
            url=url,
            failure_key=failure_key,
            client=client,
            api=api,
            template=template,
            backend=None if backend is None else digits + backend[:MAX_NAME],
            version=None if version is None else digits + version[:MAX_NAME],
            failures=failures,
        )
        subjects = self._minutes.get(minute)
        if subjects is None:
            subjects = self._minutes[minute] = ({}, {})
        if client is not None:
            known = subjects[0].get(client)
            if known is None:
                subjects[0][client] = [contribution]
            else:
                known.append(contribution)
        if count_api:
            known = subjects[1].get(api)
            if known is None:
                subjects[1][api] = [contribution]
            else:
                known.append(contribution)

    def take(self, latest_ms: int | None = None) -> Subjects:
        """The cells of everything added since the last call, by subject, within the bounds that a reader checks.

        Events after *latest_ms* come from wrong clocks: they are counted at that time, not in years to come.
        """
        if latest_ms is not None and any(minute > latest_ms // 60_000 for minute in self._minutes):
            self._bring_back(latest_ms)
        minutes, self._minutes = self._minutes, {}
        subjects: dict[str, list[Cell]] = {}
        for minute, (clients, apis) in minutes.items():
            for name, events in clients.items():
                subjects.setdefault(_CLIENT + name, []).append(_cell_of(minute, events, of_client=True))
            for name, events in apis.items():
                subjects.setdefault(_API + name, []).append(_cell_of(minute, events, of_client=False))
        return list(subjects.items())

    def _bring_back(self, latest_ms: int) -> None:
        latest = latest_ms // 60_000
        for minute in [minute for minute in self._minutes if minute > latest]:
            into = self._minutes.setdefault(latest, ({}, {}))
            for names, ahead in zip(into, self._minutes.pop(minute), strict=True):
                for name, events in ahead.items():
                    for each in events:
                        _bring_back(each, latest_ms)
                    names.setdefault(name, []).extend(events)


def _bring_back(event: _Contribution, latest_ms: int) -> None:
    event.time_ms = latest_ms
    if event.failures is not None:
        of_client, of_api = event.failures
        event.failures = replace(of_client, ms=latest_ms), replace(of_api, ms=latest_ms)


def _cell_of(minute: int, events: list[_Contribution], *, of_client: bool) -> Cell:
    """The cell of one subject. Spelled out over `merge_cells` of one-event cells, as every request comes here twice."""
    first_ms = last_ms = events[0].time_ms
    weight = 0.0
    bytes_in = bytes_out = latency_sum = latency_max = latency_count = 0
    statuses: dict[int, int] = {}
    outcomes: dict[str, int] = {}
    peers: dict[str, int] = {}
    sketch: dict[int, int] = {}
    urls: dict[str, int] = {}
    failed: dict[str, int] = {}
    errors: dict[str, int] = {}
    recent: list[Failure] = []
    for each in events:
        time_ms = each.time_ms
        outcome = each.outcome
        status = each.status
        ms = each.latency_ms
        url = each.url
        if time_ms < first_ms:
            first_ms = time_ms
        elif time_ms > last_ms:
            last_ms = time_ms
        weight += each.weight
        if received := each.bytes_in:
            bytes_in += received
        if sent := each.bytes_out:
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
            index = each.sketch_index
            sketch[index] = sketch[index] + 1 if index in sketch else 1
        if of_client:
            pair = each.digits + each.api
            if pair in peers:
                peers[pair] += 1
            else:
                add_name(peers, pair, 1, MAX_PAIRS)
        if url is not None:
            names = urls if each.failure_key is None else failed
            names[url] = names[url] + 1 if url in names else 1
        if each.failure_key is not None:
            add_name(errors, each.failure_key, 1)
            if (shown := each.failures) is not None:
                recent.append(shown[0 if of_client else 1])
                if len(recent) >= _MANY:
                    recent = newest_failures(recent)
    cell = Cell(  # the numbers in their order: a call with more than 15 keywords takes six times as long
        minute,
        len(events),
        int(weight) if weight.is_integer() else weight,  # mostly one byte of a record, in place of nine
        bytes_in,
        bytes_out,
        latency_sum,
        latency_max,
        latency_count,
        first_ms,
        last_ms,
        status=statuses,
        outcome=outcomes,
        peer=peers,
        sketch=sketch,
        url=urls,
        failed=failed,
        error=errors,
        recent=recent,
    )
    if not of_client:
        _add_what_apis_have(cell, events)
    _bound_cell(cell)
    return cell


def _add_what_apis_have(cell: Cell, events: list[_Contribution]) -> None:
    clients, parts = cell.clients, ApiParts()
    latencies = parts.url_latency
    for each in events:
        client = each.client
        if client is not None:
            clients[client] = clients[client] + 1 if client in clients else 1
        template = each.template
        if template is not None and each.latency_ms is not None:
            sketch = latencies.get(template)
            if sketch is None:
                sketch = latencies[template] = {}
            index = coarse_bucket(each.sketch_index)
            sketch[index] = sketch[index] + 1 if index in sketch else 1
        if each.backend is not None:
            add_name(parts.backend, each.backend, 1, MAX_PAIRS)
        if each.version is not None:
            add_name(parts.version, each.version, 1, MAX_PAIRS)
    if latencies or parts.backend or parts.version:
        cell.parts = parts


def _bound_cell(cell: Cell) -> None:
    """Leave in a cell what a reader of partial sums accepts."""
    if not (0 <= cell.bytes_in <= MAX_SUM and 0 <= cell.bytes_out <= MAX_SUM and 0 <= cell.weight <= MAX_WEIGHT):
        _repair_cell(cell)
    trim_cell(cell)
    if cell.parts is not None:
        trim_url_latency(cell, cell.parts)
    if len(cell.recent) > 1:
        cell.recent = newest_failures(cell.recent)


def _repair_cell(cell: Cell) -> None:
    """Cut what no sound event has: one absurd value must not make a whole record unreadable."""
    cell.bytes_in, cell.bytes_out = max(cell.bytes_in, 0), max(cell.bytes_out, 0)
    cell.weight = cell.weight if 0 <= cell.weight <= MAX_WEIGHT else float(cell.count)
    saturate_cell(cell)
