"""The batch that is on its way: published, being committed, and either counted or taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from confluent_kafka import Consumer, TopicPartition

from logrouter.kafka.errors import TransactionAbortedError
from logrouter.kafka.records import LOOP_HEADER
from logrouter.route.observer import count
from logrouter.route.output import BatchOutput
from logrouter.route.partial_lines import PartialLines
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from logrouter.kafka.assignment import Assignment
    from logrouter.kafka.connection import BrokerState
    from logrouter.kafka.records import Partition
    from logrouter.kafka.transaction import Headers, TransactionalProducer
    from logrouter.reload.versions import ConfigVersions
    from logrouter.route.pairing import PairingStates
    from logrouter.route.settings import LaneSettings

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0


class InFlightBatch:
    """At most one batch is on its way. *pairing* is there if lines are paired."""

    def __init__(
        self,
        consumer: Consumer,
        producer: TransactionalProducer,
        assignment: Assignment,
        broker: BrokerState,
        live: ConfigVersions,
    ) -> None:
        self._consumer = consumer
        self._producer = producer
        self._assignment = assignment
        self._broker = broker
        self._live = live
        self.pairing: PairingStates | None = None
        self.rejoin = PartialLines()
        self.aborts = 0
        """How many transactions in a row were aborted."""
        self._abort_causes: set[str] = set()
        self._first: dict[Partition, int] = {}
        self._output = BatchOutput()

    def publish(self, output: BatchOutput, settings: LaneSettings, generation: str) -> None:
        """Publish a batch, and begin to commit it; the one before must be settled.

        Raises:
            TransactionAbortedError: nothing of it is visible; `rewind`.
        """
        produce, headers = self._producer.produce, [(LOOP_HEADER, generation.encode())]
        own: Headers = [*headers]
        self._first, self._output = output.first, output
        self._assignment.positions = self._first | self._assignment.positions
        self._producer.begin()
        for topic, value, key in output.events:
            produce(topic, value, key, own)
        for key, value, letter_headers in output.dead_letters:
            produce(settings.dead_letters.topic, value, key, letter_headers + own)
        for partition, value in output.rollup:
            produce(settings.rollup_topic, value, None, own, partition)
        if self.pairing is not None:
            self._publish_pairing(self.pairing, output, own)
        self.rejoin.published(output)
        self._complete_positions(output, output.metadata.keys())
        offsets = [TopicPartition(*at, offset, output.metadata.get(at, "")) for at, offset in output.positions.items()]
        metadata = self._consumer.consumer_group_metadata()
        if not self._consumer.memberid():
            # Out of the group since the batch was read. The group would refuse offsets of a former member, but not
            # those of nobody in particular.
            self._producer.abort()
            raise TransactionAbortedError("not a member of the group any more")
        self._producer.commit_later(offsets, metadata)

    def _publish_pairing(self, pairing: PairingStates, output: BatchOutput, headers: Headers) -> None:
        """Held lines, and changes of states. Each of these partitions has an offset in the transaction.

        By that the group refuses the whole if another member owns the partition.
        """
        produce, settings = self._producer.produce, pairing.settings
        for partition, key, value in output.halves:
            produce(settings.topic, value, key, headers, partition)
        changed = set()
        for partition, key, entry in pairing.changes():
            produce(settings.state_topic, entry, key, headers, partition)
            changed.add((settings.topic, partition))
        self._complete_positions(output, changed)

    def _complete_positions(self, output: BatchOutput, partitions: AbstractSet[Partition]) -> None:
        """An offset for each of the partitions, where nothing was read the one that is committed already."""
        without = partitions - output.positions.keys()
        if without:
            known = {at: offset for at, offset in self._assignment.positions.items() if at in without}
            asked = self._assignment.ask([*(without - known.keys())]) if without - known.keys() else {}
            output.positions |= dict.fromkeys(without, 0) | asked | known

    def settle(self) -> None:
        """Wait for the running commit, if any, and count what it made visible.

        Raises:
            TransactionAbortedError: it did not happen; `rewind`.
            StoppedError: asked to stop while the cluster was away.
        """
        if not self._producer.committing:
            return
        self._producer.settle()
        if self.aborts > 1:
            log(Log.TRANSACTIONS_RESUMED, aborted=self.aborts)
        self.aborts = 0
        self._abort_causes.clear()
        self._broker.up()
        self._assignment.committed(self._output.positions)
        if self.pairing is not None:
            self.pairing.settled()
        self.rejoin.settled()
        count(self._output)
        self._live.committed(self._output.read, self._output.counts)
        self._first, self._output = {}, BatchOutput()

    def take_back(self, output: BatchOutput) -> None:
        """*output* can't be published after all, as what came before it was aborted: `rewind` is about both."""
        for at, offset in output.first.items():
            self._first[at] = min(offset, self._first.get(at, offset))

    def rewind(self, aborted: TransactionAbortedError) -> None:
        """Go back to what is committed."""
        self.aborts += 1
        cause = str(aborted)
        if cause not in self._abort_causes:  # said once per cause; the metric counts the rest
            self._abort_causes.add(cause)
            log(Log.TRANSACTION_ABORTED, error=cause, partitions=len(self._first))
        if self.pairing is not None:
            self.pairing.rollback()
        self.rejoin.rollback()
        self._assignment.seek_back(self._first)
        self._first, self._output = {}, BatchOutput()

    def pause(self) -> float:
        """Seconds to wait: none after one abort, as a rebalance causes them; then longer and longer."""
        return min(_FIRST_PAUSE * 2**self.aborts, _LONGEST_PAUSE) if self.aborts > 1 else 0.0

    def forget(self, gone: AbstractSet[Partition]) -> None:
        """Whoever owns them now goes on from the committed offset: an abort must not take us back there."""
        for topic, partition in gone:
            self.rejoin.forget((topic, partition))
            if self.pairing is not None and topic == self.pairing.settings.topic:
                self.pairing.forget(partition)
        self._first = {at: offset for at, offset in self._first.items() if at not in gone}
