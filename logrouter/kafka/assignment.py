"""Which partitions a route process has, how far each is committed, and going back in them.

Rebalances are seen inside `consume()` alone, which calls `gain` and `lose` by the lane's callbacks.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from logrouter.kafka.errors import FatalError
from logrouter.telemetry import metrics
from logrouter.telemetry.log import log

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from logrouter.kafka.records import Message, Partition
    from logrouter.telemetry.log import Log

_REWIND_SECONDS: Final = 10.0
_ASK_SECONDS: Final = 2.0
_AGAIN_SECONDS: Final = 0.05


class Assignment:
    """The partitions of one consumer."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self.partitions: set[Partition] = set()
        self.revoked: set[Partition] = set()
        """Those that have left during the present call of `consume()`."""
        self.starts: dict[Partition, int] = {}
        """Where those begin that have come during the present call and don't begin at what is committed."""
        self.positions: dict[Partition, int] = {}
        """How far those are committed of which something was."""

    def gain(self, partitions: Iterable[TopicPartition]) -> None:
        """They are ours now."""
        self.partitions |= {(p.topic, p.partition) for p in partitions}

    def lose(self, partitions: Iterable[TopicPartition]) -> set[Partition]:
        """They are not ours any more."""
        gone = {(p.topic, p.partition) for p in partitions}
        self.partitions -= gone
        self.revoked |= gone
        for topic, partition in gone:
            self.positions.pop((topic, partition), None)
            metrics.drop_consumer_lag(topic, partition)
        return gone

    def note(self, event: Log, partitions: Iterable[TopicPartition]) -> None:
        """Tell of a rebalance."""
        metrics.REBALANCES.inc()
        metrics.ASSIGNED_PARTITIONS.set(len(self.partitions))
        names = sorted(f"{p.topic}:{p.partition}" for p in partitions)
        log(event, partitions=",".join(names) or "none", assigned=len(self.partitions))

    def committed(self, positions: Mapping[Partition, int]) -> None:
        """The group has committed these."""
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
            self.seek_back(back | self.ask(list(back)) | starts)
        return kept

    def ask(self, partitions: list[Partition]) -> dict[Partition, int]:
        """The group's committed offsets, without the partitions that have none."""
        return {(p.topic, p.partition): p.offset for p in self.ask_all(partitions)}

    def ask_all(self, partitions: list[Partition], seconds: float = _REWIND_SECONDS) -> list[TopicPartition]:
        """The same with what is kept beside the offsets."""
        by = time.monotonic() + seconds
        while True:
            try:
                asked = [TopicPartition(*at) for at in partitions]
                found = self._consumer.committed(asked, timeout=_ASK_SECONDS)
                error = next((p.error for p in found if p.error is not None), None)
            except KafkaException as exc:
                error = exc.args[0]
            if error is None:
                return [p for p in found if p.offset >= 0]
            if time.monotonic() > by:
                raise FatalError(f"cannot ask for committed offsets: {error.str()}", fenced=False)
            time.sleep(_AGAIN_SECONDS)

    def seek_back(self, first: Mapping[Partition, int]) -> None:
        """Go on reading from these offsets, in the partitions that are ours."""
        by = time.monotonic() + _REWIND_SECONDS
        for (topic, partition), offset in first.items():
            if (topic, partition) in self.partitions:
                self._seek(TopicPartition(topic, partition, offset), by)

    def _seek(self, to: TopicPartition, by: float) -> None:
        while True:
            try:
                self._consumer.seek(to)
            except KafkaException as exc:
                # A partition assigned this moment has no fetcher yet: seek says "erroneous state" until it has.
                if time.monotonic() > by:
                    raise FatalError(
                        f"cannot go back in {to.topic} [{to.partition}]: {exc.args[0].str()}", fenced=False
                    ) from None
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
