"""The route lane's loop: consume a batch, process it, publish it and its offsets in one Kafka transaction.

While a transaction commits, the next batch is read and processed; it is published only after that commit is known to
have happened.  Rebalances are seen inside `consume()` alone, and the revoke callback waits for the running commit, so a
partition never leaves with offsets of ours still on their way.
"""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Final, cast

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from logrouter.kafka.assignment import Assignment
from logrouter.kafka.client import consumer_settings, make, producer_settings
from logrouter.kafka.connection import BrokerState, partitions_of, sleep, wait_for_topics
from logrouter.kafka.errors import ClientError, StoppedError, TransactionAbortedError, fatal_error
from logrouter.kafka.transaction import TransactionalProducer
from logrouter.reload.versions import ConfigVersions, Version
from logrouter.route.batch import BatchProcessor
from logrouter.route.in_flight import InFlightBatch
from logrouter.route.membership import Membership
from logrouter.route.observer import Observer
from logrouter.route.paired import PairFinisher
from logrouter.route.pairing import PairingStates
from logrouter.route.unsubscribed import UnsubscribedRecords
from logrouter.telemetry import metrics
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.core.routing import RouteTable
    from logrouter.kafka.records import Message
    from logrouter.route.output import BatchOutput
    from logrouter.route.pairing import PairingSettings
    from logrouter.route.settings import LaneSettings

_MANY_ABORTS: Final = 5
_MAX_BATCH_BYTES: Final = 64 << 20
"""What a batch of records as large as the last ones may come to: bounds memory whatever is in the topic."""


def _clock_ms() -> int:
    return time.time_ns() // 1_000_000


def _fixed(pairing: PairingSettings) -> dict[str, tuple[int, str]]:
    """The topics whose number of partitions is part of what they mean."""
    return dict.fromkeys((pairing.topic, pairing.state_topic), (pairing.partitions, "lines of a request are"))


class RouteLane:
    """One process of the consumer group. `run` returns when *stopping* turns true, or raises `FatalError`."""

    def __init__(
        self,
        settings: LaneSettings,
        table: RouteTable,
        *,
        stopping: Callable[[], bool],
        live: ConfigVersions | None = None,
    ) -> None:
        self._settings = settings
        self._table = table
        self.live = live or ConfigVersions(Version(settings, table))
        """The version that routes, and where another one may be offered."""
        self._aside = UnsubscribedRecords(table)
        self._cluster = ""
        self._stopping = stopping
        self._stop_by: float | None = None
        self._broker = BrokerState()
        self._max_records = settings.max_records
        self._connected = False

    @property
    def ready(self) -> bool:
        """Whether the process has joined its group, the cluster answers, and transactions come through."""
        return self._connected and self._group.joined and self._broker.is_up and self._flight.aborts < _MANY_ABORTS

    def run(self) -> None:
        """Connect, then route until asked to stop.

        Raises:
            FatalError: fenced, or librdkafka cannot go on.
            ClientError: a setting is wrong.
        """
        s = self._settings
        self._consumer = make(
            Consumer,
            consumer_settings(
                s.kafka,
                group=s.group,
                instance=s.instance if s.static_membership else None,
                session_timeout_ms=s.session_timeout_ms,
            ),
            error_cb=self._broker.on_error,
        )
        self._assignment = Assignment(self._consumer)
        self._observer = Observer(self._consumer, self._assignment, self._broker)
        settings = producer_settings(
            s.kafka, transactional_id=f"{s.group}-{s.instance}", timeout_ms=s.transaction_timeout_ms
        )
        self._producer = TransactionalProducer(
            lambda: make(Producer, settings, error_cb=self._broker.on_error),
            timeout_seconds=s.transaction_timeout_ms / 1000,
            give_up=self._give_up,
            waiting=self._broker.down,
        )
        self._flight = InFlightBatch(self._consumer, self._producer, self._assignment, self._broker, self.live)
        self._group = Membership(self._consumer, self._assignment, self._flight, self._aside, self._broker)
        self._connected = True
        try:
            self._start()
            while not self._stopping():
                self._turn()
            self._flight.settle()
        except (StoppedError, TransactionAbortedError):
            pass  # nothing of the open transaction is visible; whoever goes on reads it again
        finally:
            self._close()

    # --- start and end

    def _start(self) -> None:
        s = self._settings
        fixed = {s.rollup_topic: (s.rollup_partitions, "table rows are")}
        if s.pairing is not None:
            fixed |= _fixed(s.pairing)
        found = wait_for_topics(
            self._consumer,
            {*self._table.event_topics(), s.dead_letters.topic, *fixed},
            self._broker,
            give_up=self._stopping,
        )
        for topic, (partitions, what) in fixed.items():
            if found.partitions[topic] != partitions:
                raise ClientError(
                    f"topic {topic} has {found.partitions[topic]} partitions but topics.yaml says "
                    f"{partitions}: {what} placed by that number, so it must not change"
                )
        self._cluster = s.cluster or found.cluster_id
        self._compile()
        self._producer.initialise()
        # The loop makes no cycles, and everything made so far lives as long as the process.
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)
        self._group.subscribe(self._table)
        log(
            Log.LANE_STARTED,
            lane="route",
            group=s.group,
            instance=s.instance,
            generation=self._table.generation,
            sources=",".join(self._table.subscription()),
        )

    def _compile(self) -> None:
        """What works on batches, with the settings and the table in force."""
        s, emitter = self._settings, f"{self._settings.group}-{self._settings.instance}"
        self._processor = BatchProcessor(
            self._table,
            cluster=self._cluster,
            rollup_partitions=s.rollup_partitions,
            dead_letters=s.dead_letters,
            clock_ms=_clock_ms,
            emitter=emitter,
            pairing_partitions=s.pairing.partitions if s.pairing is not None else 1,
            rejoin=self._flight.rejoin,
        )
        self._joined = PairFinisher(
            self._table,
            rollup_partitions=s.rollup_partitions,
            dead_letters=s.dead_letters,
            clock_ms=_clock_ms,
            emitter=emitter,
        )
        if self._pairing is None and s.pairing is not None:
            self._flight.pairing = PairingStates(s.pairing, s.kafka, self._joined.known)
        if self._pairing is not None:
            self._pairing.know(self._joined.known)
            self._aside.besides = self._pairing.settings.topic
        self._group.source_of = self._processor.source_of

    @property
    def _pairing(self) -> PairingStates | None:
        return self._flight.pairing

    def _give_up(self) -> bool:
        """Whether waiting for the cluster has to end: some time after we were asked to stop, not at once."""
        if not self._stopping():
            return False
        if self._stop_by is None:
            self._stop_by = time.monotonic() + self._settings.stop_timeout_ms / 1000
        return time.monotonic() > self._stop_by

    def _close(self) -> None:
        self._producer.close()
        self._consumer.close()
        if self._pairing is not None:
            self._pairing.close()
        log(Log.LANE_STOPPED, lane="route", instance=self._settings.instance)

    # --- one turn

    def _turn(self) -> None:
        self._producer.poll()
        if self.live.due():
            self._swap()
        messages = self._consume()
        try:
            output = self._process(messages)
            if output is not None:
                self._observe_batch(output)
                try:
                    self._flight.settle()
                    self._flight.publish(output, self._settings, self._table.generation)
                except TransactionAbortedError:
                    self._flight.take_back(output)
                    raise
            else:
                self._flight.settle()
        except TransactionAbortedError as aborted:
            self._flight.rewind(aborted)
            # What made one transaction fail may last: a deleted topic, a lost permission.
            sleep(self._flight.pause(), self._stopping)
        self._observer.cluster(self.live)

    def _process(self, messages: list[Message]) -> BatchOutput | None:
        """What is to be published now, None if nothing is."""
        pairing = self._pairing
        if pairing is None and not messages and not self._flight.rejoin:
            return None
        began = time.perf_counter()
        if pairing is None:
            output = self._processor.process(messages)
            if not messages and not output.pieces:
                return None
        else:
            topic = pairing.settings.topic
            output = self._processor.process([m for m in messages if m.topic() != topic])
            left = pairing.take([m for m in messages if m.topic() == topic], output, _clock_ms())
            if not messages and not left and not output.pieces:
                return None
            self._joined.add(left, output, pairing.malformed)
        metrics.BATCH_SECONDS.observe(time.perf_counter() - began)
        return output

    def _observe_batch(self, output: BatchOutput) -> None:
        """Fit the next batch's number of records to their size, and forget errors of topics that work again."""
        records, size = (sum(column) for column in zip(*output.read.values(), output.halves_read, strict=True))
        if records:
            self._max_records = max(min(self._settings.max_records, _MAX_BATCH_BYTES * records // max(size, 1)), 1)
        self._observer.forget_errors(output)

    def _swap(self) -> None:
        """Go on with another version. What the former one has routed is settled first, under its own name."""
        try:
            self._flight.settle()
        except TransactionAbortedError as aborted:
            self._flight.rewind(aborted)
        former = self.live.version
        version = self.live.take()
        if version is None:
            return
        begins = version.settings.pairing if self._pairing is None else None
        if begins is not None and (reason := self._misplaced(begins)):
            self.live.withdraw(former, reason)
            return
        if begins is not None:
            self._flight.pairing = PairingStates(begins, version.settings.kafka, frozenset())
        try:
            if version.table.subscription() != former.table.subscription() or begins is not None:
                self._group.subscribe(version.table)
        except KafkaException as exc:
            self._flight.pairing = None if begins is not None else self._flight.pairing
            self.live.withdraw(former, f"sources: the client refuses the topics: {exc.args[0].str()}")
            return
        self._settings, self._table = version.settings, version.table
        self._compile()
        back = {(topic, partition): offset for topic, partition, offset in self._aside.released(version.table)}
        self._assignment.seek_back(back)

    def _misplaced(self, pairing: PairingSettings) -> str:
        """Why lines can't be paired from now on; empty if they can."""
        try:
            found = partitions_of(self._consumer, _fixed(pairing).keys())
        except KafkaException as exc:
            return f"outputs.pairing: {exc.args[0].str()}"
        wrong = [topic for topic, number in found.items() if number != pairing.partitions]
        return f"outputs.pairing: {wrong[0]} has {found[wrong[0]]} partitions" if wrong else ""

    def _consume(self) -> list[Message]:
        """The next batch, without errors and without records of partitions that left meanwhile."""
        self._group.begin_call()
        if not self._broker.is_up:
            self._flight.rejoin.resume(_clock_ms())
        if self._pairing is not None:
            self._tend(self._pairing)
        try:
            got = cast("list[Message]", self._consumer.consume(self._max_records, self._settings.max_wait_ms / 1000))
        except KafkaException as exc:
            raise fatal_error(exc.args[0]) from None
        messages = [m for m in got if m.error() is None]
        if len(messages) != len(got):
            for message in got:
                if message.error() is not None:
                    self._observer.on_source_error(message)
        elif messages:
            self._broker.up()
        messages = self._flight.rejoin.without_replayed(self._group.kept(messages), _clock_ms())
        return self._aside.without(messages) if self._aside.active else messages

    def _tend(self, pairing: PairingStates) -> None:
        """Let partitions go on whose state is restored."""
        ready = pairing.restored(_clock_ms())
        if ready:
            self._consumer.resume([TopicPartition(pairing.settings.topic, partition) for partition in ready])
        if not self._broker.is_up:
            pairing.resume(_clock_ms())
