"""Being a member of the consumer group: what happens to partitions that come and go, and to records on their way then.

Everything here but `subscribe` is called inside `consume()` and `close()`, by librdkafka, or right before and after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logrouter.kafka.assignment import first_offsets
from logrouter.kafka.consumer import AssignmentStart
from logrouter.kafka.errors import StoppedError, TransactionAbortedError
from logrouter.telemetry.log import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from logrouter.kafka.assignment import Assignment
    from logrouter.kafka.connection import BrokerState
    from logrouter.kafka.consumer import GroupConsumer
    from logrouter.kafka.records import Message, Partition
    from logrouter.route.in_flight import InFlightBatch
    from logrouter.route.transactional_state import TransactionalState
    from logrouter.route.unsubscribed import UnsubscribedRecords


class Membership:
    """Rebalances of one consumer, as its `RebalanceListener`."""

    def __init__(
        self,
        consumer: GroupConsumer,
        assignment: Assignment,
        in_flight: InFlightBatch,
        unsubscribed: UnsubscribedRecords,
        broker: BrokerState,
        states: Sequence[TransactionalState],
    ) -> None:
        self._consumer = consumer
        self._assignment = assignment
        self._in_flight = in_flight
        self._unsubscribed = unsubscribed
        self._broker = broker
        self._states = states
        self.joined = False
        """Whether the group has ever given us partitions, or none."""
        self.is_waiting = False
        """Whether all partitions were lost, and the group has not answered since, not even with none."""
        self._rewound: Mapping[Partition, int] | None = None
        self._stopped = False

    def subscribe(self, topics: Sequence[str]) -> None:
        """Ask the group for partitions of these topics.

        Raises:
            ClientError: an expression among them is refused; the former subscription stays.
        """
        self._consumer.subscribe(topics, self)

    def begin_call(self) -> None:
        """`consume()` is called next."""
        self._assignment.begin_call()
        self._rewound = None

    def screen(self, messages: list[Message], clock_ms: Callable[[], int]) -> list[Message]:
        """What is to be processed of the records that the call has given; the others are read again, if at all.

        Raises:
            StoppedError: asked to stop while waiting for the cluster in a rebalance.
        """
        if self._stopped:
            raise StoppedError
        messages = self._assignment.without_revoked(messages)
        if self._rewound is not None:
            # An abort inside a rebalance has moved positions back: what came before or after is read again. Records
            # of before it are behind those of the aborted batch.
            stayed = {at: offset for at, offset in self._rewound.items() if at not in self._assignment.revoked}
            self._assignment.seek_back(first_offsets(messages) | stayed)
            return []
        for state in self._states:
            # The time after what may have waited for the cluster, so that nobody takes a wait for silence.
            messages, early = state.screen(messages, clock_ms())
            if early:
                self._assignment.seek_back(first_offsets(early))
        return messages

    def on_assigned(self, partitions: Sequence[Partition]) -> AssignmentStart:
        """They are ours: what the states have to say about where to begin, and which to pause."""
        self._assignment.add_partitions(partitions)
        self.joined = True
        self.is_waiting = False
        self._broker.mark_up()
        offsets: dict[Partition, int] = {}
        paused: list[Partition] = []
        for state in self._states:
            start = state.assigned(partitions)
            offsets |= start.offsets
            paused += start.paused
            self._assignment.hold(start.paused)
        self._assignment.starts |= offsets
        self._assignment.log_rebalance(Log.PARTITIONS_ASSIGNED, partitions)
        return AssignmentStart(offsets, list(dict.fromkeys(paused)))

    def on_revoked(self, partitions: Sequence[Partition]) -> None:
        """They leave: first the running commit ends, so that no offset of ours is still on its way."""
        try:
            self._in_flight.await_commit()
        except TransactionAbortedError as aborted:
            self._forget(partitions)  # first, so that nobody seeks in what is leaving
            self._rewound = self._in_flight.rewind(aborted)
        except StoppedError:
            self._stopped = True
        self._forget(partitions)
        self._assignment.log_rebalance(Log.PARTITIONS_REVOKED, partitions)

    def on_lost(self, partitions: Sequence[Partition]) -> None:
        """Another member owns them already; our commit, if one runs, is refused by the group's generation."""
        self._forget(partitions)
        self.is_waiting = not self._assignment.partitions
        self._assignment.log_rebalance(Log.PARTITIONS_LOST, partitions)

    def _forget(self, partitions: Sequence[Partition]) -> None:
        self._assignment.remove_partitions(partitions)
        self._in_flight.forget(partitions)
        for at in partitions:
            self._unsubscribed.forget(at)
