"""Where the lane begins in each partition that it gets, and goes on where an offset can't be read any more.

A partition that is assigned delivers nothing until the cluster has said, without anybody waiting for it, what the group
has committed and whether the topic is still the one that was read (`kafka.offset_lookup`); then
`kafka.offset_reset.decide` says where to begin. The same happens to a partition of which librdkafka cannot read on. All
other partitions go on meanwhile.

What was lost is published as a dead letter, in the transaction that commits the offset behind it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from logrouter.core import ids
from logrouter.core.redact.disclosure import STRICT
from logrouter.kafka.assignment import FROM_THE_BEGINNING, Start
from logrouter.kafka.commit_text import split_topic_id
from logrouter.kafka.consumer import AssignmentStart
from logrouter.kafka.damaged import DamagedRangeError, find_readable_offset
from logrouter.kafka.errors import FatalError, offset_error, read_error
from logrouter.kafka.offset_lookup import OffsetLookup
from logrouter.kafka.offset_reset import Begin, Cause, Decision, LostRange, ReadPosition, decide, needs_range
from logrouter.model import UNMATCHED, RawRecord, Reason, Rejected, Stage
from logrouter.route.ledger import RecreatedTopics
from logrouter.route.transactional_state import ScreenedRecords, TransactionalState
from logrouter.telemetry import metrics
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from logrouter.core.routing import RouteTable
    from logrouter.kafka.assignment import Assignment
    from logrouter.kafka.errors import ReadError
    from logrouter.kafka.offset_lookup import Found
    from logrouter.kafka.records import Message, Partition
    from logrouter.kafka.transaction import Headers
    from logrouter.route.output import BatchOutput
    from logrouter.route.partial_lines import PartialLines
    from logrouter.route.settings import LaneSettings
    from logrouter.route.transactional_state import Produce

LETTER_INDEX: Final = ids.MAX_INDEX
"""The index in the id of a letter about lost records: no record has so many events."""

_SEARCH_AGAIN_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Due:
    """What the next transaction has to say about a partition: that it goes on at *start*, and what is *lost*."""

    start: int
    cause: Cause
    lost: LostRange | None


class SourceStarts(TransactionalState):
    """Starts of all partitions of the lane. It goes before all other states, so that they see no record too early."""

    def __init__(
        self,
        partial_lines: PartialLines,
        clock_ms: Callable[[], int],
        make_lookup: Callable[[LaneSettings], OffsetLookup] = lambda s: OffsetLookup(s.kafka, s.group),
        recreated: RecreatedTopics | None = None,
        find_readable: Callable[[Mapping[str, Any], Partition, int], int] = find_readable_offset,
    ) -> None:
        """*partial_lines* is asked where to begin; *clock_ms* gives epoch milliseconds, for dead letters.

        *recreated* tells of topics that are made anew while their partitions are ours; *find_readable* is
        `find_readable_offset`, or stands in for it.
        """
        self.cluster = ""
        """The cluster's name in event ids."""
        self._partial_lines = partial_lines
        self._clock_ms = clock_ms
        self._recreated = recreated if recreated is not None else RecreatedTopics()
        self._changes = self._recreated.changes
        self._make_lookup = make_lookup
        self._find_readable = find_readable
        self._damaged: dict[Partition, int] = {}
        self._search_at: dict[Partition, float] = {}
        self._lookup: OffsetLookup | None = None
        self._troubled: dict[Partition, bool] = {}
        self._doubted: set[Partition] = set()
        self._due: dict[Partition, _Due] = {}
        self._in_flight: dict[Partition, _Due] = {}

    def connect(self, assignment: Assignment) -> None:
        """The lane has its consumer."""
        self._assignment = assignment

    def configure(self, settings: LaneSettings, table: RouteTable) -> None:
        """*table* says where sources begin."""
        self._settings, self._table = settings, table
        if self._lookup is None:
            self._lookup = self._make_lookup(settings)

    def assigned(self, partitions: Sequence[Partition]) -> AssignmentStart:
        """All of them wait, at an offset that says nothing: else librdkafka looks up the committed ones itself."""
        for at in partitions:
            self.forget(at)
        self._wait_for(dict.fromkeys(partitions))
        return AssignmentStart(dict.fromkeys(partitions, 0), partitions)

    def take_error(self, message: Message) -> bool:
        """Whether the error says that a partition can't be read on: then it is decided where it goes on.

        A damaged batch is passed over if the file says so; others report it all the same.
        """
        at = message.topic(), message.partition()
        if self._settings.skips_unreadable:
            self._note_damaged(at, read_error(message))
        trouble = offset_error(message)
        if trouble is None or at not in self._assignment.partitions:
            return trouble is not None
        read_to = self._assignment.read_to.get(at)
        # librdkafka keeps errors of before a partition was sent elsewhere, and at 0 it has waited.
        is_former = read_to is not None and trouble.offset is not None and trouble.offset < read_to
        if at in self._assignment.starting or (is_former and not trouble.truncated):
            return True
        self._troubled[at] = trouble.truncated
        self._assignment.hold([at])
        # Records of before are read again while fragments of lines are restored: those are not lost.
        self._wait_for({at: None if self._partial_lines.is_replaying(at) else read_to}, with_range=True)
        return True

    def _note_damaged(self, at: Partition, error: ReadError) -> None:
        """Stop before a damaged batch. Not until the next call is it known whether all before it counts as read."""
        if error.is_unreadable and at in self._assignment.partitions and at not in self._assignment.starting:
            self._assignment.hold([at])
            self._assignment.starting[at] = self._damaged[at] = error.offset

    def _pass_over(self) -> dict[Partition, Start]:
        """Where to go on in partitions with a damaged batch: before it, if the position has gone back meanwhile."""
        starts: dict[Partition, Start] = {}
        for at, damaged in [*self._damaged.items()]:
            position = self._assignment.starting[at]
            if position == damaged and self._settings.skips_unreadable:
                position = self._search(at, damaged)
            if position is not None:
                del self._damaged[at]
                starts[at] = Start(position)
        return starts

    def _search(self, at: Partition, damaged: int) -> int | None:
        """The end of a damaged batch, None if it is not known yet.

        Takes a second or two in which nothing else is done: such batches are rare.
        """
        if time.monotonic() < self._search_at.get(at, 0):
            return None
        try:
            end = self._find_readable(self._settings.kafka, at, damaged)
        except DamagedRangeError as trouble:
            self._search_at[at] = time.monotonic() + _SEARCH_AGAIN_SECONDS
            log(Log.SOURCE_ERROR, topic=at[0], partition=at[1], detail=f"no end of the damaged batch found: {trouble}")
            return None
        first = self._partial_lines.pass_over(at, damaged, end)
        first = max(first, self._assignment.read_to.get(at, first))
        if first < end:
            self._note(at, Decision(Cause.UNREADABLE, end, LostRange(first, end)), Begin.EARLIEST)
        return end

    def _wait_for(self, positions: dict[Partition, int | None], *, with_range: bool = False) -> None:
        assert self._lookup is not None  # noqa: S101 - `configure` comes before all else
        self._assignment.starting |= positions
        self._lookup.ask(positions.keys(), with_range=with_range)

    def take_ready(self, now_ms: int) -> Collection[Partition]:  # noqa: ARG002
        """The partitions of which it is decided now where they go on."""
        if self._recreated.changes != self._changes:
            self._changes = self._recreated.changes
            self._begin_anew()
        if not self._assignment.starting or self._lookup is None:
            return ()
        starts = self._pass_over()
        for at, found in self._lookup.take().items():
            start = self._start_of(at, found)
            if start is not None:
                starts[at] = start
        if starts:
            self._assignment.start(starts)
        return starts.keys()

    def _begin_anew(self) -> None:
        """Topics that have got another id while their partitions were ours: what is committed is about the former."""
        for at in self._assignment.partitions:
            known, present = self._assignment.topic_ids.get(at, ""), self._recreated.by_topic.get(at[0], "")
            if present in ("", known):
                continue
            if at in self._assignment.starting:  # an answer that is on its way may be about the former one
                position = None if self._damaged.pop(at, None) is not None else self._assignment.starting[at]
                self._wait_for({at: position}, with_range=at in self._troubled)
            elif known:
                self._assignment.hold([at])
                self._wait_for({at: None})

    def _start_of(self, at: Partition, found: Found) -> Start | None:
        """Where to go on; None if something more has to be asked."""
        text, committed_id = split_topic_id(found.text)
        position = self._assignment.starting[at]
        place = ReadPosition(found.offset, committed_id)
        if position is not None:
            place = ReadPosition(position, self._assignment.topic_ids.get(at, ""))
        begin = Begin.EARLIEST if place.offset is not None else self._begin_of(at[0])
        if found.log is None and needs_range(place, found.topic_id, begin):
            self._ask_range(at)
            return None
        if found.log is None:
            decision = Decision(Cause.COMMITTED if place.offset is not None else Cause.NO_COMMIT, place.offset)
        else:
            truncated = self._troubled.get(at, False)
            decision = decide(place, found.log, found.topic_id, begin, truncated=truncated)
        if decision.cause is Cause.BEYOND_END:
            if at in self._doubted:
                raise self._beyond_end(at, place, found)
            self._doubted.add(at)  # leaders may just have changed
            self._ask_range(at)
            return None
        self._doubted.discard(at)
        self._troubled.pop(at, None)
        self._assignment.topic_ids[at] = found.topic_id
        self._note(at, decision, begin)
        if decision.cause is not Cause.COMMITTED or position is not None:
            if decision.cause is Cause.RETENTION and decision.start is not None:
                self._partial_lines.begin_after_gap(at, decision.start)
            elif decision.cause is not Cause.COMMITTED:
                self._partial_lines.forget(at)
            return Start(FROM_THE_BEGINNING if decision.start is None else decision.start)
        assert found.offset is not None  # noqa: S101 - it is what `COMMITTED` means
        first = self._partial_lines.replay(at, found.offset, text)
        if found.log is not None:
            first = max(first, found.log.low)
        return Start(first, found.epoch if first == found.offset else None)

    def _begin_of(self, topic: str) -> Begin:
        source = self._table.source_of(topic)
        return Begin.LATEST if source is not None and source.begins_latest else Begin.EARLIEST

    def _ask_range(self, at: Partition) -> None:
        assert self._lookup is not None  # noqa: S101 - it has just answered
        self._lookup.ask([at], with_range=True)

    def _note(self, at: Partition, decision: Decision, begin: Begin) -> None:
        """Remember what the next transaction has to say."""
        lost = decision.lost
        if lost is not None:
            log(
                Log.RECORDS_LOST,
                topic=at[0],
                partition=at[1],
                cause=decision.cause.value,
                first=lost.first,
                end=lost.end if lost.end is not None else "unknown",
                next=decision.start,
            )
        chosen_end = decision.cause is Cause.NO_COMMIT and begin is Begin.LATEST
        if decision.start is not None and (lost is not None or chosen_end):
            self._due[at] = _Due(decision.start, decision.cause, lost)

    def _beyond_end(self, at: Partition, place: ReadPosition, found: Found) -> FatalError:
        topic, partition = at
        group = self._settings.group
        high = found.log.high if found.log is not None else -1
        ends = place.offset is not None and place.offset > high
        what = f"ends at {high}" if ends else "has other records before that"
        return FatalError(
            f"{topic} [{partition}]: group {group} goes on at offset {place.offset}, but the log {what}: records that "
            "were read are gone, as after an unclean leader election. Choose where to go on: kafka-consumer-groups "
            f"--group {group} --topic {topic}:{partition} --reset-offsets --to-offset {high} --execute",
            fenced=False,
        )

    def screen(self, messages: list[Message], now_ms: int) -> ScreenedRecords:  # noqa: ARG002
        """Records of partitions that have not begun are too early: it is not known yet where to begin."""
        waiting = {at for at, position in self._assignment.starting.items() if position is None}
        if not waiting:
            return ScreenedRecords(messages, ())
        return ScreenedRecords([m for m in messages if (m.topic(), m.partition()) not in waiting], ())

    def process(self, messages: Sequence[Message], output: BatchOutput, now_ms: int) -> bool:  # noqa: ARG002
        """Add what is due to *output*."""
        for at, due in self._due.items():
            output.positions.setdefault(at, due.start)
            if due.lost is None:
                continue
            topic, partition = at
            record = RawRecord(topic, partition, due.lost.first, self._clock_ms(), None)
            topic_id = self._recreated.by_topic.get(topic, "")
            identity = ids.for_partition(self.cluster, topic, partition, topic_id)(due.lost.first, LETTER_INDEX)
            rejected = Rejected(Stage.READ, Reason.RECORDS_LOST, _detail(due), UNMATCHED)
            letter = self._settings.dead_letters.make_letter(
                record, rejected, identity, self._settings.emitter, now_ms, STRICT, _lost(due.lost)
            )
            output.dead_letters.append(letter)
        return bool(self._due)

    def publish(self, output: BatchOutput, produce: Produce, headers: Headers) -> AbstractSet[Partition]:  # noqa: ARG002
        """`process` has put it into *output*."""
        self._in_flight, self._due = self._due, {}
        return frozenset()

    def committed(self, output: BatchOutput) -> None:  # noqa: ARG002 - `publish` has taken what counts
        """What was lost is on record."""
        for (topic, _), due in self._in_flight.items():
            if due.lost is not None:
                metrics.RECORDS_LOST.labels(topic).inc(due.lost.end - due.lost.first if due.lost.end is not None else 1)
        self._in_flight = {}

    def aborted(self) -> None:
        """What was to be said about lost records depends on what is committed, so it is decided anew."""
        undone, self._in_flight, self._due = self._in_flight | self._due, {}, {}
        for at, due in undone.items():
            if due.lost is None:
                self._due[at] = due
            elif at in self._assignment.partitions:
                if at not in self._assignment.starting:
                    self._assignment.hold([at])
                self._damaged.pop(at, None)
                self._wait_for({at: None}, with_range=True)

    def forget(self, at: Partition) -> None:
        """The partition is not ours (any more)."""
        for states in (self._due, self._in_flight, self._troubled, self._damaged, self._search_at):
            states.pop(at, None)
        self._doubted.discard(at)
        if self._lookup is not None:
            self._lookup.discard(at)

    def close(self) -> None:
        """Close the client that asks."""
        if self._lookup is not None:
            self._lookup.close()


def _lost(lost: LostRange) -> dict[str, int]:
    """The range as data; without `end` where it is unknown."""
    return {"first": lost.first} | ({"end": lost.end} if lost.end is not None else {})


def _detail(due: _Due) -> str:
    assert due.lost is not None  # noqa: S101 - only such letters are written
    if due.cause is Cause.RECREATED:
        return (
            f"the topic was deleted and made anew: whatever the former one had from offset {due.lost.first} on was "
            f"never read; the new one is read from offset {due.start} on"
        )
    if due.cause is Cause.UNREADABLE:
        return (
            f"offsets {due.lost.first} to {due.start - 1} are a batch whose bytes are damaged; "
            f"reading goes on at offset {due.start}"
        )
    return (
        f"offsets {due.lost.first} to {due.start - 1} were deleted before they were read; "
        f"reading goes on at offset {due.start}"
    )
