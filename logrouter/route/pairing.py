"""The pairing partitions that this process owns: their state, what comes into it, and what leaves it.

The state of a partition changes with the transaction that publishes what leaves it. Every change that outlives a batch
is written to a changelog in the same transaction, from which whoever owns the partition next begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logrouter.config.compile.pairing import pairing_changelog
from logrouter.core.join import held_lines, pairs
from logrouter.core.join.held_lines import PairResult
from logrouter.core.join.pairs import PairingBuffer, Resolved
from logrouter.core.join.partition_clock import BREAK_MS, PartitionClock
from logrouter.core.join.versions import NewerStateError
from logrouter.kafka.consumer import AssignmentStart
from logrouter.model import RawRecord
from logrouter.route.newer_version import check_newer
from logrouter.route.paired import PairFinisher
from logrouter.route.pairing_restore import PairingRestore
from logrouter.route.transactional_state import ScreenedRecords, StateTopic, TransactionalState
from logrouter.telemetry import metrics
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from logrouter.core.join.held_lines import HeldLine
    from logrouter.core.routing import RouteTable
    from logrouter.core.templates.learning import TemplateLearner
    from logrouter.kafka.assignment import Assignment
    from logrouter.kafka.records import Message, Partition
    from logrouter.kafka.transaction import Headers
    from logrouter.route.output import BatchOutput
    from logrouter.route.settings import LaneSettings
    from logrouter.route.transactional_state import Produce

_STEP_SECONDS: Final = 0.05
_OPTION: Final = "outputs.pairing"
_PLACED: Final = "lines of a request are"


@dataclass(frozen=True, slots=True)
class PairingSettings:
    """The pairing topic and its changelog, of *partitions* each, and what may wait in a partition."""

    topic: str
    partitions: int
    max_lines: int
    max_bytes: int

    @property
    def state_topic(self) -> str:
        """The changelog."""
        return pairing_changelog(self.topic)


class PairingStates(TransactionalState):
    """States of pairing partitions by number. There are none before topics.yaml has a route that pairs.

    A partition is ready once its state is restored; until then it is paused. The lane closes this when it ends.
    """

    def __init__(
        self, clock_ms: Callable[[], int], elapsed_ms: Callable[[], int], templates: TemplateLearner | None = None
    ) -> None:
        """*clock_ms* gives epoch milliseconds, for dead letters; *elapsed_ms* those of a clock that nobody sets."""
        self._templates = templates
        self._clock_ms = clock_ms
        self._elapsed_ms = elapsed_ms
        self._assignment: Assignment | None = None
        self._settings: PairingSettings | None = None
        self._restore: PairingRestore | None = None
        self._finisher: PairFinisher | None = None
        self._buffers: dict[int, PairingBuffer] = {}
        self._clocks: dict[int, PartitionClock] = {}
        self._turn_ms = 0

    def topics(self, settings: LaneSettings) -> Mapping[str, StateTopic]:
        """The pairing topic, which the group reads, and its changelog. Once chosen, they stay while the lane runs."""
        chosen = self._settings or settings.pairing
        if chosen is None:
            return {}
        return {
            chosen.topic: StateTopic(chosen.partitions, _PLACED, _OPTION, is_read=True),
            chosen.state_topic: StateTopic(chosen.partitions, _PLACED, _OPTION, is_read=False),
        }

    def connect(self, assignment: Assignment) -> None:
        """The lane has its consumer."""
        self._assignment = assignment

    def refusal(self, settings: LaneSettings) -> str:
        """Once chosen, the topics stay: lines may wait in them, even if a file in between was without."""
        if self._settings is None or settings.pairing in (None, self._settings):
            return ""
        return f"{_OPTION}: can't change while running, so restart with this file, or leave it as it was"

    def configure(self, settings: LaneSettings, table: RouteTable) -> None:
        """Finish lines by the routes of *table*: what waits for its route is tried again with the next turn."""
        if self._settings is None:
            if settings.pairing is None:
                return
            self._settings = settings.pairing
            chosen = settings.pairing
            self._restore = PairingRestore(
                settings.kafka, chosen.state_topic, group=settings.group, group_topic=chosen.topic
            )
            self._take_over()
        self._finisher = PairFinisher(
            table,
            rollup_partitions=settings.rollup_partitions,
            dead_letters=settings.dead_letters,
            clock_ms=self._clock_ms,
            emitter=settings.emitter,
            templates=self._templates,
        )

    def assigned(self, partitions: Sequence[Partition]) -> AssignmentStart:
        """Pairing partitions are paused, and their state is restored."""
        own = [at for at in partitions if self._owns(at[0])]
        for at in own:
            self.forget(at)
            if self._restore is not None:
                self._restore.add(at[1])
        return AssignmentStart({}, own)

    def _take_over(self) -> None:
        """Pairing begins while partitions of its topic are read already, as an expression of a source selects it.

        The group does not assign them anew, so they are paused here until their state is restored.
        """
        if self._assignment is None or self._restore is None:
            return
        own = sorted(at for at in self._assignment.partitions if self._owns(at[0]))
        for _, partition in own:
            self._restore.add(partition)
        if own:
            self._assignment.pause(own)

    def forget(self, at: Partition) -> None:
        """The partition is not ours (any more)."""
        topic, partition = at
        if self._restore is None or not self._owns(topic):
            return
        self._restore.discard(partition)
        if self._buffers.pop(partition, None) is not None:
            metrics.drop_pairing_pending(partition)
        self._clocks.pop(partition, None)

    def take_ready(self, now_ms: int) -> Collection[Partition]:  # noqa: ARG002 - a clock that may be wrong
        """Go on restoring, if there is something to restore: the partitions that are ready now."""
        if not self._restore or self._settings is None:
            return ()
        chosen = self._settings
        done = self._restore.step(_STEP_SECONDS)
        for partition, entries in done.items():
            buffer = PairingBuffer(max_lines=chosen.max_lines, max_bytes=chosen.max_bytes)
            buffer.restore(entries.items())
            self._buffers[partition] = buffer
            self._clocks[partition] = PartitionClock(buffer.at_ms, self._elapsed_ms())
            log(Log.PAIRING_RESTORED, partition=partition, pending=len(entries))
        return [(chosen.topic, partition) for partition in done]

    def note_outage(self, now_ms: int) -> None:  # noqa: ARG002 - a clock that may be wrong
        """Lines could not come until now: none times out for that."""
        elapsed_ms = self._elapsed_ms()
        for clock in self._clocks.values():
            clock.note_break(elapsed_ms)

    def screen(self, messages: list[Message], now_ms: int) -> ScreenedRecords:  # noqa: ARG002
        """Lines of partitions that are not ready were on their way when these were paused: they are too early."""
        if not self._restore:
            return ScreenedRecords(messages, ())
        early = [m for m in messages if self._owns(m.topic()) and m.partition() not in self._buffers]
        if not early:
            return ScreenedRecords(messages, ())
        kept = [m for m in messages if not self._owns(m.topic()) or m.partition() in self._buffers]
        return ScreenedRecords(kept, early)

    def process(self, messages: Sequence[Message], output: BatchOutput, now_ms: int) -> bool:
        """Put into *output* what becomes of lines that wait no longer because of *messages* and time, and positions.

        True if there are such lines. The partitions of the messages are ready.

        Raises:
            ClientError: a newer version has written a line.
        """
        finisher = self._finisher
        if finisher is None:
            return False
        elapsed_ms = self._elapsed_ms()
        if elapsed_ms > self._turn_ms + BREAK_MS:
            self.note_outage(now_ms)
        self._turn_ms = elapsed_ms
        left, malformed = self._take_lines(messages, output, elapsed_ms)
        for partition, buffer in self._buffers.items():
            if not buffer:
                continue
            clock = self._clocks[partition]
            left += ((partition, each) for each in buffer.unpark(finisher.known_routes))
            expired = buffer.expire(clock.now_ms(elapsed_ms), clock.rested_ms(elapsed_ms))
            left += ((partition, each) for each in expired)
        resolved = self._of_known_routes(left, finisher.known_routes, elapsed_ms)
        if resolved or malformed:
            finisher.add(resolved, output, malformed)
        return bool(resolved)

    def _take_lines(
        self, messages: Sequence[Message], output: BatchOutput, elapsed_ms: int
    ) -> tuple[list[tuple[int, Resolved]], list[RawRecord]]:
        """What waits no longer because of more lines, with its partition; and the records that are no lines."""
        left: list[tuple[int, Resolved]] = []
        malformed: list[RawRecord] = []
        own = self._settings.topic if self._settings is not None else None
        for message in messages:
            topic = message.topic()
            if topic != own:
                continue
            partition, value = message.partition(), message.value() or b""
            at = topic, partition
            output.first.setdefault(at, message.offset())
            output.positions[at] = message.offset() + 1
            output.state_read[0] += 1
            output.state_read[1] += len(value)
            buffer, at_ms = self._buffers[partition], message.timestamp()[1]
            self._clocks[partition].note_record(max(buffer.at_ms, at_ms), elapsed_ms)
            key, line = message.key(), _decode_line(message, value)
            if key is None or line is None:
                malformed.append(RawRecord(topic, partition, message.offset(), at_ms, value))
                continue
            left += ((partition, each) for each in buffer.take(key, line, value, at_ms))
        return left, malformed

    def _of_known_routes(
        self, left: Iterable[tuple[int, Resolved]], known: frozenset[str], elapsed_ms: int
    ) -> list[Resolved]:
        """Those that can be finished here; the others wait until their route is known or surely gone."""
        found: list[Resolved] = []
        for partition, each in left:
            line = held_lines.decode(each.closing or each.opening or b"")
            if each.how is PairResult.NO_ROUTE or line is None or line.route in known:
                found.append(each)
            else:
                found += self._buffers[partition].park(each, self._clocks[partition].now_ms(elapsed_ms))
        return found

    def publish(self, output: BatchOutput, produce: Produce, headers: Headers) -> AbstractSet[Partition]:
        """Produce held lines, and the changes of states; the partitions whose state changes."""
        changed: set[Partition] = set()
        if self._settings is None:
            return changed
        topic, state_topic = self._settings.topic, self._settings.state_topic
        for partition, key, value in output.held_lines:
            produce(topic, value, key, headers, partition)
        for partition, key, entry in self.take_changes():
            produce(state_topic, entry, key, headers, partition)
            changed.add((topic, partition))
        return changed

    def take_changes(self) -> list[tuple[int, bytes, bytes | None]]:
        """(partition, key, value) for the changelog: what the transaction that is published now changes."""
        return [
            (partition, key, pairs.encode(entry) if entry is not None else None)
            for partition, buffer in self._buffers.items()
            for key, entry in buffer.take_changes()
        ]

    def committed(self, output: BatchOutput) -> None:  # noqa: ARG002 - `publish` has taken what counts
        """The changes that were published last are what the next owner begins with."""
        for partition, buffer in self._buffers.items():
            buffer.committed()
            metrics.PAIRING_PENDING.labels(partition).set(len(buffer))

    def aborted(self) -> None:
        """Every state goes back to what is committed."""
        for buffer in self._buffers.values():
            buffer.rollback()

    def close(self) -> None:
        """Forget all partitions, and close the clients that restore."""
        for partition in list(self._buffers):
            del self._buffers[partition]
            metrics.drop_pairing_pending(partition)
        if self._restore is not None:
            self._restore.close()

    def _owns(self, topic: str) -> bool:
        return self._settings is not None and topic == self._settings.topic


def _decode_line(message: Message, value: bytes) -> HeldLine | None:
    try:
        return held_lines.decode(value)
    except NewerStateError as error:
        check_newer(message, error)
        return None
