"""Partitions of a delivery process that come and go. All but `subscribe` is called inside `consume()` and `close()`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logrouter.kafka.consumer import AssignmentStart
from logrouter.kafka.errors import StoppedError
from logrouter.telemetry.log import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logrouter.deliver.progress import Progress
    from logrouter.deliver.starts import Starts
    from logrouter.kafka.assignment import Assignment
    from logrouter.kafka.connection import BrokerState
    from logrouter.kafka.consumer import GroupConsumer
    from logrouter.kafka.records import Partition


class DeliveryMembership:
    """Rebalances of one consumer, as its `RebalanceListener`."""

    def __init__(
        self,
        consumer: GroupConsumer,
        assignment: Assignment,
        starts: Starts,
        progress: Progress,
        broker: BrokerState,
        *,
        finish: Callable[[Sequence[Partition]], None],
        forget: Callable[[Sequence[Partition]], None],
    ) -> None:
        """*finish* commits what is done of partitions that are about to leave.

        *forget* is told of those that have left: no running commit and no request on its way is about them any more.
        """
        self._consumer = consumer
        self._assignment = assignment
        self._starts = starts
        self._progress = progress
        self._broker = broker
        self._finish = finish
        self._forget_left = forget
        self.joined = False
        """Whether the group has ever given us partitions, or none."""
        self.is_waiting = False
        """Whether all partitions were lost, and the group has not answered since, not even with none."""
        self.stopped = False
        """Whether a rebalance had to give up waiting for the cluster, as the process is to stop."""

    def subscribe(self, topics: Sequence[str]) -> None:
        """Ask the group for partitions of these topics."""
        self._consumer.subscribe(topics, self)

    def on_assigned(self, partitions: Sequence[Partition]) -> AssignmentStart:
        """They are ours; they wait until it is known where to begin."""
        self._assignment.add_partitions(partitions)
        self._assignment.hold(partitions)
        self.joined = True
        self.is_waiting = False
        self._broker.mark_up()
        for at in partitions:
            self._progress.forget(at)
            self._starts.forget(at)
        self._starts.ask(partitions)
        self._assignment.log_rebalance(Log.PARTITIONS_ASSIGNED, partitions)
        return AssignmentStart(dict.fromkeys(partitions, 0), partitions)

    def on_revoked(self, partitions: Sequence[Partition]) -> None:
        """They leave: what is done of them is committed first, so that nobody does it again."""
        try:
            if not self.stopped:
                self._finish(partitions)
        except StoppedError:
            self.stopped = True
        self._forget(partitions)
        self._assignment.log_rebalance(Log.PARTITIONS_REVOKED, partitions)

    def on_lost(self, partitions: Sequence[Partition]) -> None:
        """Another member owns them already: what was delivered and not committed will be delivered again."""
        self._forget(partitions)
        self.is_waiting = not self._assignment.partitions
        self._assignment.log_rebalance(Log.PARTITIONS_LOST, partitions)

    def _forget(self, partitions: Sequence[Partition]) -> None:
        self._assignment.remove_partitions(partitions)
        for at in partitions:
            self._progress.forget(at)
            self._starts.forget(at)
        self._forget_left(partitions)
