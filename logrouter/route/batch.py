"""What one batch of Kafka messages becomes: records to publish, partial sums, counts. No I/O; the lane's hot loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from logrouter.core import ids
from logrouter.core.event import MAX_AHEAD_MS
from logrouter.core.join import held_lines
from logrouter.core.pipeline import BLOCK_SIZE, Work, process_block
from logrouter.core.rollup.accumulator import Accumulator
from logrouter.core.rollup.counting import add_event
from logrouter.core.rollup.records import pack_records
from logrouter.core.templates.learning import TemplateLearner
from logrouter.kafka.records import LOOP_HEADER
from logrouter.model import ENCODED, UNMATCHED, Accepted, Held, Ignored, RawRecord, Reason, Rejected, Stage
from logrouter.route.ledger import RecreatedTopics
from logrouter.route.output import BatchOutput
from logrouter.route.partial_lines import PartialLines
from logrouter.telemetry import metrics
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logrouter.core.dead_letter import DeadLetterSettings
    from logrouter.core.routing import RouteTable, Source
    from logrouter.kafka.records import Message
    from logrouter.model import OutcomeLabels

EventId = Callable[[int, int], str]

_TOMBSTONE: OutcomeLabels = (UNMATCHED, "ignored", "", Reason.TOMBSTONE)
_EMPTY: OutcomeLabels = (UNMATCHED, "ignored", "", Reason.EMPTY)
_NOT_OURS: OutcomeLabels = (UNMATCHED, "ignored", "", Reason.UNMATCHED)


_MAX_BLOCK_BYTES: Final = 1 << 20
"""A block that is larger goes on as it is, since all of it is decoded at once. So does every record that may be
compressed: it may be a thousand times its own size, and packs enough lines to go through the stages together."""

_FRAGMENT: OutcomeLabels = (UNMATCHED, "held", Stage.DECODE, Reason.PARTIAL)
_UNMATCHED: Final = Ignored(Reason.UNMATCHED)
_LOOP: Final = Ignored(Reason.LOOP)


class BatchProcessor:
    """Turns messages into an `BatchOutput` with one route table; keeps what is compiled per topic and partition."""

    def __init__(
        self,
        table: RouteTable,
        *,
        cluster: str,
        rollup_partitions: int,
        dead_letters: DeadLetterSettings,
        clock_ms: Callable[[], int],
        emitter: str = "logrouter",
        pairing_partitions: int = 1,
        partial_lines: PartialLines | None = None,
        recreated: RecreatedTopics | None = None,
        templates: TemplateLearner | None = None,
        block_size: int = BLOCK_SIZE,
    ) -> None:
        """*partial_lines* is what former batches, even with other route tables, have left of cut lines.

        *recreated* are the topics that are not the first of their names: event ids name theirs. *templates* knows the
        path templates that URLs are counted by.

        *block_size* is how many records, and requests in them, go through the pipeline's stages together.
        """
        self._table = table
        self._cluster = cluster
        self._rollup_partitions = rollup_partitions
        self._dead_letters = dead_letters
        self._clock_ms = clock_ms
        self._emitter = emitter
        self._pairing_partitions = pairing_partitions
        self._block_size = block_size
        self._sources: dict[str, Source | None] = {}
        self._ids: dict[tuple[str, int], EventId] = {}
        self._partial_lines = PartialLines() if partial_lines is None else partial_lines
        self._recreated = RecreatedTopics() if recreated is None else recreated
        self._templates = TemplateLearner() if templates is None else templates
        self._changes = self._recreated.changes

    def process(self, messages: Sequence[Message]) -> BatchOutput:
        """The batch's output. Every record is counted once, by its first outcome; nothing raises."""
        if self._recreated.changes != self._changes:
            self._changes = self._recreated.changes
            self._ids.clear()
        output = BatchOutput()
        sums = Accumulator(self._templates)
        now_ms = self._clock_ms()
        counts = output.counts
        not_ours = 0
        topic: str | None = None
        partition = -1
        event_id: EventId = _no_id
        source: Source | None = None
        may_match: Callable[[bytes], bool] | None = None
        read = [0, 0]
        last: Message | None = None
        block: list[Work] = []
        size = 0
        # Records arrive in runs of one partition: what depends on it alone is looked up when the run changes.
        for message in messages:
            value = message.value()
            if message.partition() != partition or message.topic() != topic:
                if last is not None and topic is not None:
                    _note_position(output, topic, partition, last)
                topic, partition = message.topic(), message.partition()
                source = self.source_of(topic)
                may_match = source.may_match if source is not None and source.joining is None else None
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
            work = Work(source, record, event_id)
            if headers and any(name == LOOP_HEADER for name, _ in headers):
                work.decoded = _LOOP
            if source.joining is None or work.decoded is not None:
                block.append(work)
                size += len(value)
            else:
                ready = self._join_fragments(work, output)
                block += ready
                size += sum(len(each.record.value or b"") for each in ready)
            if len(block) >= self._block_size or size > _MAX_BLOCK_BYTES or not source.searchable:
                self._finish(block, now_ms, output, sums)
                block, size = [], 0
        if last is not None and topic is not None:
            _note_position(output, topic, partition, last)
        if not_ours:
            counts[_NOT_OURS] = counts.get(_NOT_OURS, 0) + not_ours
        if self._partial_lines:
            for joining, fragment in self._partial_lines.take_overdue(self.source_of):
                block.append(_given_up(joining, fragment, self._ids_of(fragment.topic, fragment.partition)))
        self._finish(block, now_ms, output, sums)
        self._partial_lines.take_snapshot(output)
        output.rollup.extend(pack_records(sums.take(now_ms + MAX_AHEAD_MS), self._rollup_partitions))
        return output

    def source_of(self, topic: str) -> Source | None:
        """The source of a topic, compiled for it."""
        if topic not in self._sources:
            self._sources[topic] = self._table.source_of(topic)
        return self._sources[topic]

    def _ids_of(self, topic: str, partition: int) -> EventId:
        if (topic, partition) not in self._ids:
            self._ids[topic, partition] = ids.for_partition(
                self._cluster, topic, partition, self._recreated.by_topic.get(topic, "")
            )
        return self._ids[topic, partition]

    def _join_fragments(self, work: Work, output: BatchOutput) -> list[Work]:
        """What is to be routed because of a record of a source that puts cut lines together.

        The record waits, or ends a line, or is routed as it is; and fragments may be given up.
        """
        source, record = work.source, work.record
        try:
            routed = self._partial_lines.take(source, record, record.value or b"")
        except Exception as exc:  # noqa: BLE001 - a bug of ours must not stop the lane, nor lose the record
            work.bug = exc
            return [work]
        ready = routed.record
        given_up = [_given_up(source, fragment, work.event_id) for fragment in routed.given_up]
        if ready is None:
            output.counts[_FRAGMENT] = output.counts.get(_FRAGMENT, 0) + 1
            return given_up
        work.record, work.decoded = ready, routed.found
        if source.may_match is not None and not source.may_match(ready.value or b""):
            work.decoded = _UNMATCHED
        return [work, *given_up]

    def _finish(self, block: Sequence[Work], now_ms: int, output: BatchOutput, sums: Accumulator) -> None:
        """Take records through the pipeline and put what becomes of them into *output*, in their order.

        The first outcome of a record is counted in `BatchOutput.counts`, the others as copies.
        """
        process_block(block, now_ms, self._block_size)
        for work in block:
            if work.bug is not None:
                work.outcomes = [internal_error(work.bug, work.record, searchable=work.source.searchable)]
            counts = output.copies if work.counted else output.counts
            for index, outcome in enumerate(work.outcomes):
                if isinstance(outcome, Accepted):
                    add_event(output.events, sums, outcome)
                elif isinstance(outcome, Rejected):
                    identity = work.event_id(work.record.offset, index)
                    disclosure = work.source.disclosure_of(outcome.route)
                    letter = self._dead_letters.make_letter(
                        work.record, outcome, identity, self._emitter, now_ms, disclosure
                    )
                    output.dead_letters.append(letter)
                elif isinstance(outcome, Held):
                    key = held_lines.record_key(outcome.route, outcome.pair_key)
                    partition = held_lines.pairing_partition(key, self._pairing_partitions)
                    output.held_lines.append((partition, key, held_lines.encode(outcome)))
                what = outcome.labels
                counts[what] = counts.get(what, 0) + 1
                counts = output.copies


def _note_position(output: BatchOutput, topic: str, partition: int, last: Message) -> None:
    """*last* is the last record of its partition so far."""
    output.positions[topic, partition] = last.offset() + 1
    epoch = last.leader_epoch()
    if epoch is not None:
        output.epochs[topic, partition] = epoch


def _given_up(source: Source, fragment: RawRecord, event_id: EventId) -> Work:
    """A fragment that is routed as it is. It was counted as held, so this is a further outcome of its record."""
    ours = source.may_match is None or source.may_match(fragment.value or b"")
    return Work(source, fragment, event_id, None if ours else _UNMATCHED, counted=True)


def _no_id(_offset: int, _index: int) -> str:
    raise AssertionError("no record before the first run")


def internal_error(exc: Exception, record: RawRecord, *, searchable: bool = True) -> Rejected:
    """What becomes of a record that a bug of ours stumbles over; *searchable* is as in `Source`.

    Its bytes are shown only where they are text: no eye finds the secrets in what is compressed.
    """
    metrics.INTERNAL_ERRORS.labels("route").inc()
    # Its text may repeat the line: where it was raised says enough.
    shown = RuntimeError(type(exc).__name__).with_traceback(exc.__traceback__)
    log(Log.INTERNAL_ERROR, exc_info=shown, topic=record.topic, partition=record.partition, offset=record.offset)
    return Rejected(Stage.PARSE, Reason.INTERNAL, type(exc).__name__, raw=None if searchable else ENCODED)
