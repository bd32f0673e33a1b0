"""Which partitions a route process has, how far each is committed, and going back in them.

Rebalances are seen inside `GroupConsumer.consume` alone: its listener calls `add_partitions` and `remove_partitions`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, KafkaException, TopicPartition

from logrouter.kafka.commit_text import with_topic_id
from logrouter.kafka.errors import AWAY, FatalError, StoppedError, StuckError
from logrouter.telemetry import metrics
from logrouter.telemetry.log import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from logrouter.kafka.consumer import GroupConsumer
    from logrouter.kafka.records import Message, Partition
    from logrouter.telemetry.log import Log

_REWIND_SECONDS: Final = 10.0
_PATIENT_SECONDS: Final = 90.0
"""Offsets that a dead client has left in a transaction are known once that has timed out, after 10 s by default."""
_ASK_SECONDS: Final = 2.0
_AGAIN_SECONDS: Final = 0.05

_LONG_SECONDS: Final = 30.0
"""Longer than it takes to find out where to begin, if nothing is wrong."""

_NO_EPOCH: Final = -1
FROM_THE_BEGINNING: Final = OFFSET_BEGINNING


class Start(NamedTuple):
    """Where to go on in a partition: an offset or `FROM_THE_BEGINNING`.

    *epoch* is the leader's when the record before was read, None if that is unknown: by it librdkafka notices that the
    log was replaced since.
    """

    offset: int
    epoch: int | None = None


class Assignment:
    """The partitions of one consumer."""

    def __init__(
        self, consumer: GroupConsumer, give_up: Callable[[], bool] = lambda: False, *, past_damage: str = ""
    ) -> None:
        """Once *give_up* returns true, waiting for the cluster ends with `StoppedError`.

        *past_damage* says what an operator does, in the imperative, to have a damaged batch passed over.
        """
        self._consumer = consumer
        self._give_up = give_up
        self._past_damage = past_damage
        self.partitions: set[Partition] = set()
        self.revoked: set[Partition] = set()
        """Those that have left during the present call of `consume()`."""
        self.starts: dict[Partition, int] = {}
        """Offsets at which partitions begin that have come during the present call, where not at the committed one."""
        self.positions: dict[Partition, int] = {}
        """The committed offset of each partition of which we have committed or published something."""
        self.starting: dict[Partition, int | None] = {}
        """Partitions that wait for `start`: the offset read to, None if that is what the group has committed."""
        self.topic_ids: dict[Partition, str] = {}
        """The ids of the topics that are read, "" where the cluster gives none."""
        self.read_to: dict[Partition, int] = {}
        """Where each partition goes on: behind what was read, or where it was sent. Unknown before the first record."""
        self._holds: dict[Partition, int] = {}
        self._held_at: dict[Partition, float] = {}
        self._full: set[Partition] = set()
        self._unreadable: dict[Partition, int] = {}

    def begin_call(self) -> None:
        """`consume()` is called next."""
        self.revoked.clear()
        self.starts.clear()

    def add_partitions(self, partitions: Iterable[Partition]) -> None:
        """They are ours now."""
        self.partitions.update(partitions)

    def remove_partitions(self, partitions: Iterable[Partition]) -> None:
        """They are not ours any more."""
        gone = set(partitions)
        self.partitions -= gone
        self.revoked |= gone
        for topic, partition in gone:
            for known in (self.positions, self.read_to, self.starting, self.topic_ids, self._holds, self._held_at):
                known.pop((topic, partition), None)
            self._full.discard((topic, partition))
            self._forget_unreadable((topic, partition))
            metrics.drop_consumer_lag(topic, partition)

    def hold(self, partitions: Iterable[Partition]) -> None:
        """They are paused once more: they deliver again when each hold has been released."""
        for at in partitions:
            self._holds[at] = self._holds.get(at, 0) + 1
            self._held_at.setdefault(at, time.monotonic())

    def pause(self, partitions: Sequence[Partition]) -> None:
        """Hold partitions that are being read."""
        self.hold(partitions)
        self._consumer.pause(partitions)

    def release(self, partitions: Iterable[Partition]) -> None:
        """One reason less to pause them."""
        free = []
        for at in partitions:
            self._holds[at] = self._holds.get(at, 0) - 1
            if self._holds[at] <= 0:
                del self._holds[at]
                self._held_at.pop(at, None)
                if at not in self._full:
                    free.append(at)
        if free:
            self._consumer.resume(free)

    def stop_reading(self, partitions: Sequence[Partition]) -> None:
        """Pause partitions as enough of them is read, for as long as it takes; holds are counted besides."""
        self._full.update(partitions)
        self._consumer.pause(partitions)

    def read_on(self) -> None:
        """There is room again for those of which `stop_reading` was asked."""
        free, self._full = [at for at in self._full if at not in self._holds], set()
        if free:
            self._consumer.resume(free)

    def note_unreadable(self, at: Partition, offset: int) -> None:
        """The partition stands still before a damaged batch, whose first record is that of *offset*."""
        if at in self.partitions:
            self._unreadable[at] = offset
            metrics.PARTITION_UNREADABLE.labels(*at).set(1)

    def note_readable(self, messages: Iterable[Message]) -> None:
        """These have come: no damaged batch is there, or any more, where they are."""
        if self._unreadable:
            # Not by `read_to`: the group may stand in the middle of a batch that was damaged since.
            for m in messages:
                at = m.topic(), m.partition()
                if m.offset() >= self._unreadable.get(at, m.offset() + 1):
                    self._forget_unreadable(at)

    def _forget_unreadable(self, at: Partition) -> None:
        if self._unreadable.pop(at, None) is not None:
            metrics.drop_partition_unreadable(*at)

    @property
    def why_waiting(self) -> str:
        """In one line which partitions stand still before a damaged batch, or have been held for long; empty if none.

        May be asked in any thread.
        """
        if unreadable := sorted(self._unreadable.copy().items()):
            return self._describe_unreadable(unreadable)
        since = time.monotonic() - _LONG_SECONDS
        waiting = sorted(at for at, held_at in list(self._held_at.items()) if held_at < since)
        if not waiting:
            return ""
        topic, partition = waiting[0]
        others = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
        return f"{topic} [{partition}]{others} can't be read yet: see the log, or a transaction may be open"

    def _describe_unreadable(self, unreadable: Sequence[tuple[Partition, int]]) -> str:
        (at, offset), others = unreadable[0], len(unreadable) - 1
        stand = f"and {others} more stand still; the first one" if others else "stands still"
        todo = f"restore the partition from a good replica, or {self._past_damage}"
        if at in self.starting:
            todo = "where to go on is being looked for; if that takes long, see the log"
        return f"{at[0]} [{at[1]}] {stand} before offset {offset}, a batch of records whose bytes are damaged: {todo}"

    def start(self, starts: Mapping[Partition, Start]) -> None:
        """Go on there, in partitions that have waited for it; they stay paused until they are released."""
        for at, start in starts.items():
            for known in (self.starting, self.positions, self.read_to):
                known.pop(at, None)
            self._forget_unreadable(at)
            if start.offset >= 0:
                self.read_to[at] = start.offset
        self._consumer.restart({at: (start.offset, start.epoch) for at, start in starts.items()})

    def log_rebalance(self, event: Log, partitions: Iterable[Partition]) -> None:
        """Count a rebalance, and log *event* with the partitions it is about."""
        metrics.REBALANCES.inc()
        metrics.ASSIGNED_PARTITIONS.set(len(self.partitions))
        names = sorted(f"{topic}:{partition}" for topic, partition in partitions)
        log(event, partitions=",".join(names) or "none", assigned=len(self.partitions))

    def note_read(self, messages: Iterable[Message]) -> None:
        """These have come; partitions that are not ours (any more) don't count."""
        for m in messages:
            if (m.topic(), m.partition()) in self.partitions:
                self.read_to[m.topic(), m.partition()] = m.offset() + 1

    def record_commit(self, positions: Mapping[Partition, int]) -> None:
        """The group has committed these offsets."""
        self.positions |= {at: offset for at, offset in positions.items() if at in self.partitions}

    def without_revoked(self, messages: list[Message]) -> list[Message]:
        """The records of partitions that stayed all the while.

        One that left and came back in the same call may have been read on by another member in between: where it
        goes on is what the group has committed, not what we had read.
        """
        if not self.revoked:
            return messages
        kept = [m for m in messages if (m.topic(), m.partition()) not in self.revoked]
        dropped = first_offsets([m for m in messages if (m.topic(), m.partition()) in self.revoked])
        back = {at: offset for at, offset in dropped.items() if at in self.partitions}
        if back:
            starts = {at: offset for at, offset in self.starts.items() if at in back}
            asked = [at for at in back if at not in self.starting]
            self.seek_back(back | (self.committed_offsets(asked) if asked else {}) | starts)
        return kept

    def committed_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """The group's committed offsets, without the partitions that have none.

        Asks again while the cluster is away, or a transaction with such offsets is open.

        Raises:
            FatalError: the cluster refuses to answer.
            StuckError: no answer for longer than outages and transactions usually last, or others get one.
            StoppedError: asked to stop meanwhile.
        """
        began = time.monotonic()
        compare_after = _REWIND_SECONDS
        while True:
            try:
                return {each.at: each.offset for each in self._consumer.fetch_committed(partitions, _ASK_SECONDS)}
            except KafkaException as exc:
                error, waited = exc.args[0], time.monotonic() - began
                text = f"cannot ask for committed offsets: {error.str()}"
            if self._give_up():
                raise StoppedError
            if waited > _PATIENT_SECONDS:
                raise StuckError(text, fenced=False)
            if waited > _REWIND_SECONDS and error.code() not in AWAY:
                raise FatalError(text, fenced=False)
            if waited > compare_after:
                if self._consumer.is_deaf(partitions, _ASK_SECONDS):
                    raise StuckError(f"{text}; a new client is answered", fenced=False)
                compare_after = time.monotonic() - began + _REWIND_SECONDS
            time.sleep(_AGAIN_SECONDS)

    def offsets_to_commit(
        self, positions: Mapping[Partition, int], metadata: Mapping[Partition, str], epochs: Mapping[Partition, int]
    ) -> list[TopicPartition]:
        """*positions* as librdkafka takes them, each with what is to be kept beside it.

        That is the text of *metadata*, the topic's id, and the leader's epoch when the last record was read.
        """
        return [
            TopicPartition(
                *at,
                offset,
                with_topic_id(metadata.get(at, ""), self.topic_ids.get(at, "")),
                epochs.get(at, _NO_EPOCH),
            )
            for at, offset in positions.items()
        ]

    def seek_back(self, first: Mapping[Partition, int]) -> None:
        """Go on reading from these offsets, in the partitions that are ours.

        Raises:
            FatalError: librdkafka has refused that for too long.
        """
        by = time.monotonic() + _REWIND_SECONDS
        for at, offset in first.items():
            if at in self.starting:
                if self.starting[at] is not None:
                    self.starting[at] = offset
            elif at in self.partitions:
                self.read_to[at] = offset
                self._seek(at, offset, by)

    def _seek(self, at: Partition, offset: int, by: float) -> None:
        while True:
            try:
                self._consumer.seek(at, offset)
            except KafkaException as exc:
                # A partition assigned this moment has no fetcher yet: seek says "erroneous state" until it has.
                if time.monotonic() > by:
                    text = f"cannot go back in {at[0]} [{at[1]}]: {exc.args[0].str()}"
                    raise FatalError(text, fenced=False) from None
                time.sleep(_AGAIN_SECONDS)
            else:
                return


def first_offsets(messages: Iterable[Message]) -> dict[Partition, int]:
    """The lowest offset of each partition in *messages*: where to go back to."""
    first: dict[Partition, int] = {}
    for m in messages:
        at = (m.topic(), m.partition())
        first[at] = min(m.offset(), first.get(at, m.offset()))
    return first
