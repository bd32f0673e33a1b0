"""The transactional producer: one transaction per batch, its commit running beside the next batch's work.

Errors end in one of three ways, by librdkafka's own flags: *retriable* calls are repeated, *abortable* transactions are
aborted and the caller rewinds, and *fatal* ones (fenced by another process, mostly) end the lane. After an abort a new
client goes on.
"""

from __future__ import annotations

import math
import time
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from logrouter.kafka.client import keep_client, make_client, producer_settings
from logrouter.kafka.errors import (
    _ENDED_BY_CLUSTER,
    FatalError,
    RecordTooLargeError,
    StoppedError,
    StuckError,
    TransactionAbortedError,
    UnknownOutcomeError,
    fatal_error,
)
from logrouter.process.daemon_threads import DaemonThreads
from logrouter.telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from confluent_kafka import TopicPartition

    from logrouter.kafka.connection import BrokerState

_CALL_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.5
_STUCK_SECONDS: Final = 4 * _CALL_SECONDS
"""Every call has its own, shorter limit: one that has not come back by then never will.

A transaction that is older than its timeout by as much has been ended by the cluster, unless that is away."""
_MOST_HUNG: Final = 16
"""Clients that hang are left where they are, with their threads and connections: so many, and no more."""

Headers = list[tuple[str, str | bytes | None]]
"""Names and values of a record's headers."""


def max_record_bytes(kafka: Mapping[str, Any]) -> int:
    """The largest record that a producer with this `kafka:` block sends; without a word of it, librdkafka's default."""
    return int(kafka.get("message.max.bytes", 1_000_000))


class BatchSize:
    """The largest batch of records that a producer may put together: topics refuse a batch, not a record, by its size.

    librdkafka does not take a refused batch apart: it would be sent again as it is, for ever.
    """

    def __init__(self) -> None:
        self.bytes: int | None = None
        """None for what the settings say."""

    def bound(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """*settings* with a `batch.size` within the bound."""
        if self.bytes is None:
            return dict(settings)
        return {**settings, "batch.size": min(int(settings.get("batch.size", self.bytes)), self.bytes)}


def open_producer(
    kafka: Mapping[str, Any],
    *,
    transactional_id: str,
    timeout_ms: int,
    broker: BrokerState,
    give_up: Callable[[], bool],
    batches: BatchSize,
) -> TransactionalProducer:
    """A `TransactionalProducer` for the `kafka:` block of topics.yaml; it connects by itself. Whoever calls closes it.

    *timeout_ms* is after what time the cluster aborts a transaction; *broker* hears of errors; *batches* counts when a
    client is made.

    Raises:
        ClientError: librdkafka refuses a setting.
    """
    settings = producer_settings(kafka, transactional_id=transactional_id, timeout_ms=timeout_ms)
    return TransactionalProducer(
        lambda: make_client(Producer, batches.bound(settings), error_cb=broker.on_error),
        timeout_seconds=timeout_ms / 1000,
        give_up=give_up,
        waiting=broker.mark_down,
    )


@dataclass(slots=True)
class _Transaction:
    """One transaction, and how far the thread that commits it has come."""

    began: float
    called: float = 0.0
    """When the last call into the client began."""
    may_be_committed: bool = False
    is_abandoned: bool = False
    """Whether nobody waits for the thread any more: it must ask for nothing else."""


class TransactionalProducer:
    """A `confluent_kafka.Producer` whose transaction is open, being committed, or neither. Whoever makes it closes it.

    Calls come from one thread; a second one commits.
    """

    def __init__(
        self,
        make_producer: Callable[[], Producer],
        *,
        timeout_seconds: float,
        give_up: Callable[[], bool],
        waiting: Callable[[KafkaError], None],
        retry_seconds: float = 0.2,
    ) -> None:
        """*make_producer* returns a new client; it is called again after each abort, and when an outage has killed one.

        *timeout_seconds* is the client's transaction timeout. *waiting* is called with the error each time before a
        call is repeated, *give_up* before that: once it returns true, waiting ends with `StoppedError`.
        """
        self._make_producer = make_producer
        self._producer = make_producer()
        self._timeout = timeout_seconds
        self._give_up = give_up
        self._waiting = waiting
        self._pause = retry_seconds
        self._committer = DaemonThreads(1, "commit")
        self._commit: Future[None] | None = None
        self._transaction = _Transaction(0.0)
        self._hung = 0

    def initialise(self) -> None:
        """Register the transactional id: aborts what a former process of that name left open, and fences it.

        Raises:
            FatalError: the cluster refuses it.
            StoppedError: asked to stop while the cluster was away.
        """
        self._call(lambda: self._retry(lambda: self._producer.init_transactions(_CALL_SECONDS)))

    def renew(self) -> None:
        """Go on with a new client, as its settings are now; no transaction is open. Raises as `initialise`."""
        self._producer = self._make_producer()
        self.initialise()

    def begin(self) -> None:
        """Open a transaction; `await_commit` has returned for the one before."""
        self._transaction = _Transaction(time.monotonic())
        self._call(self._producer.begin_transaction)

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        headers: Headers,
        partition: int = -1,
    ) -> None:
        """Add one record to the open transaction; *partition* -1 goes by the key. Waits while the local queue is full.

        Raises:
            TransactionAbortedError: the transaction is aborted, with all that was produced in it.
            FatalError: the client cannot go on, or the record is larger than it may send.
            StoppedError: asked to stop while the cluster was away.
        """
        while True:
            try:
                try:
                    self._producer.produce(topic, value, key, partition, headers=headers)
                except BufferError:
                    self._producer.poll(0.05)
                    continue
            except KafkaException as exc:
                error: KafkaError = exc.args[0]
                if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                    # Our own limits are far lower, so the setting is: it would be refused again for ever.
                    raise FatalError(
                        f"a record of {len(value or b'')} bytes for {topic}: {error.str()}", fenced=False
                    ) from None
                raise self._abort_after(error) from None
            else:
                return

    def commit_later(self, offsets: list[TopicPartition] | None = None, group_metadata: object = None) -> None:
        """Start committing the open transaction together with *offsets*; `await_commit` says how that ended.

        *offsets* are those of `kafka.assignment.offsets_to_commit`, *group_metadata* is `GroupConsumer.group_metadata`.
        Without *offsets* the transaction is of no group.
        """
        transaction, client, by = self._transaction, self._producer, self._hopeless_after

        def commit() -> None:
            if offsets is not None:
                send_offsets = partial(client.send_offsets_to_transaction, offsets, group_metadata, _CALL_SECONDS)
                self._retry(send_offsets, by, transaction)
            transaction.may_be_committed = True
            self._retry(partial(client.commit_transaction, _CALL_SECONDS), by, transaction)
            metrics.TRANSACTION_SECONDS.observe(time.monotonic() - transaction.began)

        transaction.called = time.monotonic()
        self._commit = self._committer.submit(commit)

    def poll(self) -> None:
        """Serve librdkafka's callbacks, which would pile up otherwise while there is nothing to publish.

        Raises:
            FatalError: the client cannot go on, and no commit is running that would end with that.
        """
        try:
            self._producer.poll(0)
        except KafkaException as exc:
            if self._commit is None:
                raise fatal_error(exc.args[0]) from None

    @property
    def is_committing(self) -> bool:
        """Whether a commit was started and not waited for."""
        return self._commit is not None

    def await_commit(self) -> None:
        """Wait until the running commit has ended.

        Raises:
            TransactionAbortedError: it did not happen; the transaction is aborted already.
            UnknownOutcomeError: the transaction has ended, and only the group knows how.
            FatalError: the client cannot go on.
            StoppedError: asked to stop while the cluster was away.
        """
        commit, self._commit = self._commit, None
        if commit is None:
            return
        try:
            self._wait_for(commit)
        except KafkaException as exc:
            metrics.TRANSACTIONS.labels("aborted").inc()
            raise self._abort_after(exc.args[0]) from None
        finally:
            del commit  # its error would hold this frame, and with all others the client that was replaced
        metrics.TRANSACTIONS.labels("committed").inc()

    def _wait_for(self, commit: Future[None]) -> None:
        """Wait for the committing thread, unless it hangs inside librdkafka (its issues 5456 and 5511)."""
        try:
            while True:
                try:
                    return commit.result(_POLL_SECONDS)
                except FutureTimeoutError:
                    if time.monotonic() > self._transaction.called + _STUCK_SECONDS:
                        raise self._replace_hung() from None
        finally:
            del commit  # as in `await_commit`

    def _replace_hung(self) -> TransactionAbortedError:
        """Leave the thread that hangs, and its client, and go on with new ones; what to raise then.

        The new client ends the transaction, and what the old one may still send is refused.
        """
        transaction = self._transaction
        transaction.is_abandoned = True
        self._hung += 1
        if self._hung > _MOST_HUNG:
            text = f"the Kafka client does not come back from a commit, for the {self._hung}th time"
            raise StuckError(text, fenced=False)
        keep_client(self._producer)
        self._committer.shutdown(wait=False)
        self._committer = DaemonThreads(1, "commit")
        metrics.TRANSACTIONS.labels("aborted").inc()
        self.renew()
        ended = UnknownOutcomeError if transaction.may_be_committed else TransactionAbortedError
        return ended("the Kafka client did not come back from a commit, so a new one goes on")

    def abort(self) -> None:
        """Abort the open transaction, repeating until the cluster has confirmed it, and go on with a new client.

        The old one is not safe to use again (librdkafka 2.16). It gives the sequence numbers of records that it has
        dropped to those of the next transaction. If a broker has stored the former, and the answer was lost, it takes
        the latter for repetitions: it says that it has them, and drops them. And if the abort was asked for twice, the
        second request may still be on its way, and would end the next transaction. A new client has a new epoch: its
        numbers begin anew, and what the old one has sent is refused.

        Raises:
            FatalError: the client cannot go on.
            StoppedError: asked to stop while the cluster was away.
        """
        self._abort()

    def _abort(self) -> bool:
        """The same; whether the cluster has confirmed that the transaction is aborted, or has never been committed."""
        try:
            self._retry(lambda: self._producer.abort_transaction(_CALL_SECONDS), self._hopeless_after)
        except KafkaException as exc:
            error: KafkaError = exc.args[0]
            if error.code() != KafkaError.INVALID_TXN_STATE or self._transaction.may_be_committed:
                self._renew(error)
                return not self._transaction.may_be_committed
            # The coordinator has no transaction of ours: the one before it died with our first request. librdkafka
            # takes that for fatal (its issue 4849), but it is what we wanted.
        self.renew()
        return True

    def close(self) -> None:
        """Let the committing thread end after what it is doing; what is open then is left to the broker's time-out."""
        self._committer.shutdown(wait=False)

    def _abort_after(self, error: KafkaError) -> TransactionAbortedError:
        """Abort because of *error*; what to raise then. Raises as `abort`."""
        if error.fatal():
            self._renew(error)
            ended = TransactionAbortedError if not self._transaction.may_be_committed else UnknownOutcomeError
            return ended(f"{error.name()}: timed out while the cluster was away")
        if not self._abort():
            return UnknownOutcomeError(error.name())
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            return RecordTooLargeError(error)
        return TransactionAbortedError(error.name())

    def _renew(self, error: KafkaError) -> None:
        """A new client where an outage has fenced the old one or cut it off; any other *error* is raised as fatal.

        The coordinator ends a transaction that is open for too long, and fences its client or calls the state of the
        transaction invalid. Another process of our name fences us as well, but within the short time that our
        transactions take: then, and only then, it is fatal.

        A client may have no connection left and make none, though the cluster is back: it says "no brokers available
        for transactions" to itself for ever, and "timed out" to us. A new one connects.
        """
        now = time.monotonic()
        timed_out = error.code() in _ENDED_BY_CLUSTER and now >= self._transaction.began + self._timeout
        if not timed_out and not (error.retriable() and now > self._hopeless_after):
            raise fatal_error(error)
        self.renew()

    @property
    def _hopeless_after(self) -> float:
        """Until when the calls of a transaction are repeated: its timeout is over by then, whatever happened to it."""
        return self._transaction.began + self._timeout + _STUCK_SECONDS

    def _call(self, call: Callable[[], None]) -> None:
        try:
            call()
        except KafkaException as exc:
            raise fatal_error(exc.args[0]) from None

    def _retry(self, call: Callable[[], None], by: float = math.inf, commit: _Transaction | None = None) -> None:
        """Repeat *call* while librdkafka says that repeating it helps, until *by*; any other error is raised.

        *commit* is the transaction that is being committed, where that is what is done.
        """
        while True:
            if commit is not None:
                if commit.is_abandoned:
                    raise StoppedError
                commit.called = time.monotonic()
            try:
                call()
            except KafkaException as exc:
                error: KafkaError = exc.args[0]
                if error.fatal() or error.txn_requires_abort() or not error.retriable():
                    raise
                if commit is not None and commit.is_abandoned:
                    raise StoppedError from None  # what the former client says of the cluster is old
                if self._give_up():
                    raise StoppedError from None
                if time.monotonic() > by:
                    raise
                self._waiting(error)
                time.sleep(self._pause)
            else:
                return
