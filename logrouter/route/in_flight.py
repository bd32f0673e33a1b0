"""The batch that is in flight: published, being committed, and then either counted or abandoned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.kafka.errors import (
    AFTER_ANOTHER_ERROR,
    RecordTooLargeError,
    StuckError,
    TransactionAbortedError,
    UnknownOutcomeError,
)
from logrouter.kafka.records import LOOP_HEADER
from logrouter.route.counts import count_batch
from logrouter.route.output import BatchOutput
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from logrouter.kafka.assignment import Assignment
    from logrouter.kafka.connection import BrokerState
    from logrouter.kafka.consumer import GroupConsumer
    from logrouter.kafka.records import Partition
    from logrouter.kafka.transaction import Headers, TransactionalProducer
    from logrouter.reload.versions import ConfigVersions
    from logrouter.route.settings import LaneSettings
    from logrouter.route.transactional_state import TransactionalState

_FIRST_BACKOFF: Final = 0.1
_LONGEST_BACKOFF: Final = 5.0


class InFlightBatch:
    """The transaction of a lane: at most one batch is in flight, and *states* change with it."""

    def __init__(
        self,
        consumer: GroupConsumer,
        producer: TransactionalProducer,
        assignment: Assignment,
        broker: BrokerState,
        versions: ConfigVersions[LaneSettings],
        states: Sequence[TransactionalState],
    ) -> None:
        self._consumer = consumer
        self._producer = producer
        self._assignment = assignment
        self._broker = broker
        self._versions = versions
        self._states = states
        self.aborts = 0
        """How many transactions in a row were aborted."""
        self._abort_causes: set[str] = set()
        self.abort_cause = ""
        """Why the last of them was."""
        self.refused: str | None = None
        """The topic of which a broker has refused a batch as too large, "" if not known; the lane sets it back."""
        self._first: dict[Partition, int] = {}
        self._output = BatchOutput()
        self._positions: dict[Partition, int] = {}

    def publish(self, output: BatchOutput, settings: LaneSettings, generation: str) -> None:
        """Publish a batch and begin to commit it; `await_commit` has returned for the one before.

        *generation* names the version of topics.yaml that has routed it: each record carries it.

        Raises:
            TransactionAbortedError: nothing of it is visible; call `abandon` and `rewind`.
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
        for state in self._states:
            self._complete_positions(output, state.publish(output, produce, own))
        self._positions = dict(output.positions)
        self._assignment.read_to |= {at: output.positions[at] for at in output.first}
        offsets = self._assignment.offsets_to_commit(output.positions, output.metadata, output.epochs)
        group = self._consumer.group_metadata()
        if group is None:
            # Out of the group since the batch was read. The group would refuse offsets of a former member, but not
            # those of nobody in particular.
            self._producer.abort()
            raise TransactionAbortedError("not a member of the group any more")
        self._producer.commit_later(offsets, group)

    def _complete_positions(self, output: BatchOutput, partitions: AbstractSet[Partition]) -> None:
        """An offset for each of the partitions, where nothing was read the one that is committed already."""
        without = partitions - output.positions.keys()
        if without:
            known = {at: offset for at, offset in self._assignment.positions.items() if at in without}
            missing = [*(without - known.keys())]
            asked = self._assignment.committed_offsets(missing) if missing else {}
            output.positions |= dict.fromkeys(without, 0) | asked | known

    def await_commit(self) -> None:
        """Wait for the running commit, if any, and count what it made visible.

        Raises:
            TransactionAbortedError: it did not happen; call `rewind`.
            StoppedError: asked to stop while the cluster was away.
            FatalError: the client cannot go on.
            StuckError: nobody can say whether it happened.
        """
        if not self._producer.is_committing:
            return
        try:
            self._producer.await_commit()
        except TransactionAbortedError as aborted:
            if not self._has_landed():
                self._check_outcome(aborted)
                raise
        if self.aborts > 1:
            log(Log.TRANSACTIONS_RESUMED, aborted=self.aborts)
        self.aborts = 0
        self._abort_causes.clear()
        self._broker.mark_up()
        self._assignment.record_commit(self._positions)
        for state in self._states:
            state.committed(self._output)
        count_batch(self._output)
        self._versions.record_commit(self._output.read, self._output.counts)
        self._first, self._output = {}, BatchOutput()

    def _has_landed(self) -> bool:
        """Whether the group stands where the batch has brought it, although the client says that it was aborted.

        The answer to the end of a transaction may be lost, and a new client is told nothing of the former one's. What
        is visible must not be read again, nor undone in the states.
        """
        read = {at: offset for at, offset in self._output.positions.items() if at in self._first}
        return bool(read) and self._assignment.committed_offsets([*read]) == read

    def _check_outcome(self, aborted: TransactionAbortedError) -> None:
        """Raise `StuckError` where the group's offsets can't say whether the batch has landed: nothing was read for it.

        Such are the time-outs of states. What came of them may be visible, and would be published again; a new process
        begins with the states as they are committed.
        """
        if isinstance(aborted, UnknownOutcomeError) and self._positions and not self._output.first:
            text = f"a commit has ended, and its answer was lost ({aborted}): start the process anew"
            raise StuckError(text, fenced=False)

    def abandon(self, output: BatchOutput) -> None:
        """*output* can't be published, as what came before it was aborted: `rewind` goes back to before both."""
        for at, offset in output.first.items():
            self._first[at] = min(offset, self._first.get(at, offset))

    def rewind(self, aborted: TransactionAbortedError) -> Mapping[Partition, int]:
        """Go back to what is committed: the states, and the consumer's positions. Returns the latter."""
        self.aborts += 1
        cause = str(aborted)
        if self.aborts == 1 or cause != AFTER_ANOTHER_ERROR:
            self.abort_cause = cause
        if isinstance(aborted, RecordTooLargeError):
            self.refused = aborted.topic
        if cause not in self._abort_causes:  # said once per cause; the metric counts the rest
            self._abort_causes.add(cause)
            log(Log.TRANSACTION_ABORTED, error=cause, partitions=len(self._first))
        for state in self._states:
            state.aborted()
        back, self._first, self._output = self._first, {}, BatchOutput()
        self._assignment.seek_back(back)
        return back

    def backoff_seconds(self) -> float:
        """How long to wait after a `rewind`: not at all after one abort, as a rebalance causes them; then longer."""
        return min(_FIRST_BACKOFF * 2**self.aborts, _LONGEST_BACKOFF) if self.aborts > 1 else 0.0

    def forget(self, gone: Collection[Partition]) -> None:
        """Whoever owns them now goes on from the committed offset: an abort must not take us back there.

        Nor is what a running commit brings where they stand, even if they are ours again: others may have gone on.
        """
        for at in gone:
            for state in self._states:
                state.forget(at)
        lost = set(gone)
        self._first = {at: offset for at, offset in self._first.items() if at not in lost}
        self._positions = {at: offset for at, offset in self._positions.items() if at not in lost}
