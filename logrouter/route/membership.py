"""Being a member of the consumer group: what happens to partitions that come and go, and to records on their way then.

Everything here but `subscribe` is called inside `consume()` and `close()`, by librdkafka, or right before and after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.kafka.assignment import first_offsets
from logrouter.kafka.errors import StoppedError, TransactionAbortedError
from logrouter.telemetry.log import Log

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka import Consumer, TopicPartition

    from logrouter.core.routing import RouteTable, Source
    from logrouter.kafka.assignment import Assignment
    from logrouter.kafka.connection import BrokerState
    from logrouter.kafka.records import Message, Partition
    from logrouter.route.in_flight import InFlightBatch
    from logrouter.route.unsubscribed import UnsubscribedRecords

_PATIENT_SECONDS: Final = 60.0
"""Offsets that a dead process has left in a transaction are known only when that has timed out."""


class Membership:
    """Rebalances of one consumer. *joined* tells whether the group has given it partitions, or none, at all."""

    def __init__(
        self,
        consumer: Consumer,
        assignment: Assignment,
        flight: InFlightBatch,
        aside: UnsubscribedRecords,
        broker: BrokerState,
    ) -> None:
        self._consumer = consumer
        self._assignment = assignment
        self._flight = flight
        self._aside = aside
        self._broker = broker
        self.source_of: Callable[[str], Source | None] = lambda _topic: None
        """The source of a topic, by the route table in force."""
        self.joined = False
        self._rewound = False
        self._stopped = False

    def subscribe(self, table: RouteTable) -> None:
        """Ask the group for partitions of the topics that the table reads, and of the pairing topic."""
        topics = table.subscription()
        if self._flight.pairing is not None:
            topics = [*topics, self._flight.pairing.settings.topic]
        self._consumer.subscribe(topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)

    def begin_call(self) -> None:
        """`consume()` is called next."""
        self._assignment.revoked.clear()
        self._assignment.starts.clear()
        self._rewound = False

    def kept(self, messages: list[Message]) -> list[Message]:
        """What is to be processed of the records that the call has given; the others are read again.

        Raises:
            StoppedError: asked to stop while waiting for the cluster in a rebalance.
        """
        if self._stopped:
            raise StoppedError
        if self._rewound:
            # An abort inside a rebalance has moved positions back: what came before or after is read again.
            self._assignment.seek_back(first_offsets(messages))
            return []
        messages = self._assignment.without_revoked(messages)
        if self._flight.pairing is None:
            return messages
        ready = self._flight.pairing.without_unready(messages)
        if len(ready) < len(messages):  # they were on their way when the partition was paused
            there = set(map(id, ready))
            self._assignment.seek_back(first_offsets(m for m in messages if id(m) not in there))
        return ready

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._assignment.gain(partitions)
        self.joined = True
        self._broker.up()
        pairing = self._flight.pairing
        paired = [p for p in partitions if pairing is not None and p.topic == pairing.settings.topic]
        again = self._start_again(partitions)
        if paired or again:
            consumer.incremental_assign(partitions)
        if pairing is not None and paired:
            # Nothing is read of them before their state is there.
            consumer.pause(paired)
            for each in paired:
                pairing.assigned(each.partition)
        self._assignment.note(Log.PARTITIONS_ASSIGNED, partitions)

    def _start_again(self, partitions: list[TopicPartition]) -> bool:
        """Set the offset of partitions in which pieces of lines wait to the first of them. Whether there are any."""
        found: dict[Partition, TopicPartition] = {(p.topic, p.partition): p for p in partitions}
        joining = [at for at in found if (source := self.source_of(at[0])) is not None and source.joining is not None]
        for committed in self._assignment.ask_all(joining, _PATIENT_SECONDS) if joining else ():
            at = committed.topic, committed.partition
            begin = self._flight.rejoin.replay(at, committed.offset, committed.metadata)
            if begin < committed.offset:
                found[at].offset = self._assignment.starts[at] = begin
        return bool(self._assignment.starts)

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            self._flight.settle()
        except TransactionAbortedError as aborted:
            self._forget(partitions)  # first, so that nobody seeks in what is leaving
            self._flight.rewind(aborted)
            self._rewound = True
        except StoppedError:
            self._stopped = True
        self._forget(partitions)
        self._assignment.note(Log.PARTITIONS_REVOKED, partitions)

    def _on_lost(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # Another member owns them already; our commit, if one runs, is refused by the group's generation.
        self._forget(partitions)
        self._assignment.note(Log.PARTITIONS_LOST, partitions)

    def _forget(self, partitions: list[TopicPartition]) -> None:
        gone = self._assignment.lose(partitions)
        self._flight.forget(gone)
        for topic, partition in gone:
            self._aside.forget(topic, partition)
