"""Commits of a delivery process: offsets behind what is done, with its dead letters, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.kafka.errors import AFTER_ANOTHER_ERROR, FatalError, RecordTooLargeError, TransactionAbortedError
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logrouter.deliver.progress import Due, Progress
    from logrouter.kafka.assignment import Assignment
    from logrouter.kafka.connection import BrokerState
    from logrouter.kafka.consumer import GroupConsumer
    from logrouter.kafka.records import Partition
    from logrouter.kafka.transaction import TransactionalProducer

_TOO_LARGE: Final = 3
"""So many refusals in a row of a letter as too large are no accident."""


class Commits:
    """At most one commit is on its way. One that is aborted costs nothing: what is due stays due."""

    def __init__(
        self,
        consumer: GroupConsumer,
        producer: TransactionalProducer,
        assignment: Assignment,
        progress: Progress,
        broker: BrokerState,
        letter_topic: str,
    ) -> None:
        """*letter_topic* is the topic of dead letters."""
        self._consumer = consumer
        self._producer = producer
        self._assignment = assignment
        self._progress = progress
        self._broker = broker
        self._letter_topic = letter_topic
        self._running: Due | None = None
        self.aborts = 0
        """How many transactions in a row were aborted."""
        self.abort_cause = ""

    def begin(self) -> None:
        """Begin to commit what is due, if anything is. `finish` has returned for the one before.

        Raises:
            FatalError: the client cannot go on.
            StoppedError: asked to stop while the cluster was away.
        """
        due = self._progress.due()
        if not due:
            return
        try:
            self._producer.begin()
            for letters in due.letters.values():
                for key, value, headers in letters:
                    self._producer.produce(self._letter_topic, value, key, headers)
        except TransactionAbortedError as aborted:
            self._note_abort(aborted)
            return
        group = self._consumer.group_metadata()
        if group is None:
            self._producer.abort()
            self._note_abort(TransactionAbortedError("not a member of the group any more"))
            return
        self._running = due
        self._producer.commit_later(self._assignment.offsets_to_commit(due.positions, {}, due.epochs), group)

    def finish(self) -> None:
        """Wait for the commit that is on its way, if any. Raises as `begin`."""
        if self._running is None:
            return
        try:
            self._producer.await_commit()
        except TransactionAbortedError as aborted:
            # Offsets alone may be committed twice; letters that are visible already must not be written again.
            if not self._running.letters or not self._has_landed(self._running):
                self._running = None
                self._note_abort(aborted)
                return
        except BaseException:
            self._running = None  # nobody knows; the process ends
            raise
        due, self._running = self._running, None
        if self.aborts > 1:
            log(Log.TRANSACTIONS_RESUMED, aborted=self.aborts)
        self.aborts = 0
        self._broker.mark_up()
        self._assignment.record_commit(due.positions)
        self._progress.committed(due.positions)

    def forget(self, gone: Sequence[Partition]) -> None:
        """These have left: where they stand is for whoever has them now to say, even if they are ours again."""
        if self._running is not None:
            self._running = self._running.without(gone)

    def _has_landed(self, due: Due) -> bool:
        """Whether the group stands where the commit has brought it, although nobody has said so."""
        return self._assignment.committed_offsets([*due.positions]) == due.positions

    def _note_abort(self, aborted: TransactionAbortedError) -> None:
        self.aborts += 1
        cause = str(aborted)
        if isinstance(aborted, RecordTooLargeError) and self.aborts >= _TOO_LARGE:
            text = f"{cause}: a dead letter is refused as too large; a new process asks how much its topic takes"
            raise FatalError(text, fenced=False)
        if self.aborts == 1 or cause not in (self.abort_cause, AFTER_ANOTHER_ERROR):
            log(Log.TRANSACTION_ABORTED, error=cause)
            self.abort_cause = cause
