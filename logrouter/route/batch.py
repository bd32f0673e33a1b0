"""What one batch of Kafka messages becomes: records to publish, partial sums, counts. No I/O; the lane's hot loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from logrouter import telemetry
from logrouter.core import deadletter, ids
from logrouter.core.accumulate import Accumulator
from logrouter.core.pipeline import process_matching
from logrouter.core.rollup import pack
from logrouter.model import ANONYMOUS, UNMATCHED, Accepted, Ignored, RawRecord, Reason, Rejected, Stage
from logrouter.telemetry import Log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logrouter.core.routing import RouteTable, Source
    from logrouter.model import Outcome

LOOP_HEADER = "logrouter-generation"
"""Every record we publish carries it; one that we read with it is our own output come back."""

Count = tuple[str, str, str, str]
"""(route, outcome, stage, reason): the labels of `telemetry.EVENTS`."""

EventId = Callable[[int, int], str]

DeadLetter = tuple[bytes, bytes, list[tuple[str, str | bytes | None]]]
"""(key, value, headers)."""

Clean = tuple[str, bytes, bytes | None]
"""A clean event to publish: (topic, value, key)."""

_TOMBSTONE: Count = (UNMATCHED, "ignored", "", Reason.TOMBSTONE)
_EMPTY: Count = (UNMATCHED, "ignored", "", Reason.EMPTY)
_NOT_OURS: Count = (UNMATCHED, "ignored", "", Reason.UNMATCHED)


_NOTHING: Final[dict[str, Any]] = {}


class Message(Protocol):
    """The part of `confluent_kafka.Message` that is read here."""

    def topic(self) -> str: ...  # noqa: D102 - Kafka's own words
    def partition(self) -> int: ...  # noqa: D102
    def offset(self) -> int: ...  # noqa: D102
    def key(self) -> bytes | None: ...  # noqa: D102
    def value(self) -> bytes | None: ...  # noqa: D102
    def timestamp(self) -> tuple[int, int]: ...  # noqa: D102
    def headers(self) -> Any: ...  # noqa: D102
    def error(self) -> Any: ...  # noqa: D102


@dataclass(slots=True)
class Output:
    """Everything to commit with one transaction."""

    events: list[Clean] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    rollup: list[tuple[int, bytes]] = field(default_factory=list)
    counts: dict[Count, int] = field(default_factory=dict)
    """The first outcome of every record: they add up to the records read."""
    copies: dict[Count, int] = field(default_factory=dict)
    """Further outcomes of records that several routes had."""
    read: dict[str, list[int]] = field(default_factory=dict)
    """Records and bytes read, by source."""
    positions: dict[tuple[str, int], int] = field(default_factory=dict)
    """The offset after the last record read, by topic and partition: what the transaction commits."""
    first: dict[tuple[str, int], int] = field(default_factory=dict)
    """The offset of the first record read, by topic and partition: where an abort goes back to."""


@dataclass(frozen=True, slots=True)
class DeadLetterSettings:
    """Where dead letters go and how much of the raw bytes they keep."""

    topic: str
    max_raw_bytes: int


class BatchProcessor:
    """Turns messages into an `Output` with one route table; keeps what is compiled per topic and partition."""

    def __init__(
        self,
        table: RouteTable,
        *,
        cluster: str,
        rollup_partitions: int,
        dead_letters: DeadLetterSettings,
        clock_ms: Callable[[], int],
        emitter: str = "logrouter",
    ) -> None:
        self._table = table
        self._cluster = cluster
        self._rollup_partitions = rollup_partitions
        self._dead_letters = dead_letters
        self._clock_ms = clock_ms
        self._emitter = emitter
        self._sources: dict[str, Source | None] = {}
        self._ids: dict[tuple[str, int], EventId] = {}

    def process(self, messages: Sequence[Message]) -> Output:
        """The batch's output. Every record is counted once, by its first outcome; nothing raises."""
        output = Output()
        sums = Accumulator()
        now_ms = self._clock_ms()
        counts = output.counts
        not_ours = 0
        positions = output.positions
        topic: str | None = None
        partition = -1
        event_id: EventId = _no_id
        source: Source | None = None
        may_match: Callable[[bytes], bool] | None = None
        read = [0, 0]
        last: Message | None = None
        # Records arrive in runs of one partition: what depends on it alone is looked up when the run changes.
        for message in messages:
            value = message.value()
            if message.partition() != partition or message.topic() != topic:
                if last is not None and topic is not None:
                    positions[topic, partition] = last.offset() + 1
                topic, partition = message.topic(), message.partition()
                source = self._source_of(topic)
                may_match = source.may_match if source is not None else None
                event_id = self._ids_of(topic, partition)
                output.first.setdefault((topic, partition), message.offset())
                read = output.read.setdefault(source.name if source is not None else UNMATCHED, [0, 0])
            last = message
            read[0] += 1
            if not value:
                what = _TOMBSTONE if value is None else _EMPTY
                counts[what] = counts.get(what, 0) + 1
                continue
            read[1] += len(value)
            if source is None or (may_match is not None and not may_match(value)):
                not_ours += 1
                continue
            headers = message.headers()
            record = RawRecord(
                topic, partition, message.offset(), message.timestamp()[1], value, tuple(headers) if headers else ()
            )
            self._one(source, record, headers, event_id, now_ms, output, sums)
        if last is not None and topic is not None:
            positions[topic, partition] = last.offset() + 1
        if not_ours:
            counts[_NOT_OURS] = counts.get(_NOT_OURS, 0) + not_ours
        output.rollup.extend(pack(sums.take(), self._rollup_partitions))
        return output

    def _source_of(self, topic: str) -> Source | None:
        if topic not in self._sources:
            self._sources[topic] = self._table.source_of(topic)
        return self._sources[topic]

    def _ids_of(self, topic: str, partition: int) -> EventId:
        if (topic, partition) not in self._ids:
            self._ids[topic, partition] = ids.for_partition(self._cluster, topic, partition)
        return self._ids[topic, partition]

    def _one(
        self,
        source: Source,
        record: RawRecord,
        headers: Any,
        event_id: EventId,
        now_ms: int,
        output: Output,
        sums: Accumulator,
    ) -> None:
        outcomes: tuple[Outcome, ...]
        if headers and any(name == LOOP_HEADER for name, _ in headers):
            outcomes = (Ignored(Reason.LOOP),)
        else:
            try:
                outcomes = process_matching(source, record, record.value or b"", now_ms, event_id)
            except Exception as exc:  # noqa: BLE001 - a bug of ours must not stop the lane, nor lose the record
                outcomes = (_internal_error(exc, record),)
        counts = output.counts
        for index, outcome in enumerate(outcomes):
            what: Count
            if isinstance(outcome, Accepted):
                # Of the event only its bytes are kept: a batch of whole ones would hold tens of megabytes.
                output.events.append((outcome.topic, outcome.value, outcome.key))
                if outcome.also:
                    output.events.extend((topic, outcome.value, outcome.key) for topic in outcome.also)
                what = (outcome.route, "accepted", "", "")
                _add(sums, outcome)
            elif isinstance(outcome, Rejected):
                what = (outcome.route, "rejected", outcome.stage, outcome.reason)
                output.dead_letters.append(self._dead_letter(record, outcome, event_id(record.offset, index), now_ms))
            else:
                what = (outcome.route, "ignored", "", outcome.reason)
            counts[what] = counts.get(what, 0) + 1
            counts = output.copies

    def _dead_letter(self, record: RawRecord, rejected: Rejected, event_id: str, now_ms: int) -> DeadLetter:
        letter = deadletter.encode(
            record,
            rejected,
            event_id=event_id,
            emitter=self._emitter,
            stream=self._dead_letters.topic,
            max_raw_bytes=self._dead_letters.max_raw_bytes,
            now_ms=now_ms,
        )
        return deadletter.coordinates(record), letter, deadletter.headers(rejected)


def _no_id(_offset: int, _index: int) -> str:
    raise AssertionError("no record before the first run")


def _add(sums: Accumulator, accepted: Accepted) -> None:
    event = accepted.event
    tables = accepted.tables
    http = event.get("http", _NOTHING)
    path, request_id, error = http.get("path"), event["meta"].get("request_id"), event.get("error")
    sums.add(
        event.get("client_id", ANONYMOUS) if "clients" in tables else None,
        event.get("api", ANONYMOUS),
        accepted.time_ms,
        http.get("status_code"),
        event.get("outcome"),
        event["weight"],
        event.get("bytes_received", 0),
        event.get("bytes_sent", 0),
        event.get("total_time_ms"),
        # A schema of the operator's own may let other types pass here.
        path if type(path) is str else None,
        error if type(error) is dict else None,
        request_id if type(request_id) is str else "",
        count_api="apis" in tables,
        count_urls="urls" in tables,
    )


def _internal_error(exc: Exception, record: RawRecord) -> Rejected:
    telemetry.INTERNAL_ERRORS.labels("route").inc()
    telemetry.log(
        Log.INTERNAL_ERROR, exc_info=exc, topic=record.topic, partition=record.partition, offset=record.offset
    )
    return Rejected(Stage.PARSE, Reason.INTERNAL, type(exc).__name__)
