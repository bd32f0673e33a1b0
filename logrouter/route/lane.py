"""The route lane's loop: consume a batch, process it, publish it and its offsets in one Kafka transaction.

While a transaction commits, the next batch is read and processed; it is published only after that commit is known to
have happened.  Rebalances are seen inside `consume()` alone, and the revoke callback waits for the running commit, so a
partition never leaves with offsets of ours still on their way.
"""

from __future__ import annotations

import contextlib
import gc
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from logrouter import telemetry
from logrouter.route.batch import LOOP_HEADER, BatchProcessor, DeadLetterSettings, Output
from logrouter.route.client import ClientError, consumer_settings, make, producer_settings
from logrouter.route.connection import BrokerState, sleep, wait_for_topics
from logrouter.route.held import Held
from logrouter.route.live import Live, Version
from logrouter.route.transaction import (
    FatalError,
    StoppedError,
    TransactionAbortedError,
    TransactionalProducer,
    fatal_error,
)
from logrouter.telemetry import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.core.routing import RouteTable
    from logrouter.route.batch import Message
    from logrouter.route.transaction import Headers

_LAG_SECONDS: Final = 1.0
_REWIND_SECONDS: Final = 10.0
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_MANY_ABORTS: Final = 5
_ASK_SECONDS: Final = 2.0
_MAX_BATCH_BYTES: Final = 64 << 20
"""What a batch of records as large as the last ones may come to: bounds memory whatever is in the topic."""

Partition = tuple[str, int]


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """What a route process needs besides the route table; times in milliseconds."""

    kafka: Mapping[str, Any]
    group: str
    instance: str
    dead_letters: DeadLetterSettings
    rollup_topic: str
    rollup_partitions: int
    max_records: int = 20_000
    max_wait_ms: int = 250
    session_timeout_ms: int = 30_000
    transaction_timeout_ms: int = 15_000
    stop_timeout_ms: int = 10_000
    static_membership: bool = False
    cluster: str | None = None
    """Name that event ids are made from; None takes the cluster's own id."""


def _clock_ms() -> int:
    return time.time_ns() // 1_000_000


class RouteLane:
    """One process of the consumer group. `run` returns when *stopping* turns true, or raises `FatalError`."""

    def __init__(
        self, settings: LaneSettings, table: RouteTable, *, stopping: Callable[[], bool], live: Live | None = None
    ) -> None:
        self._settings = settings
        self._table = table
        self.live = live or Live(Version(settings, table))
        """The version that routes, and where another one may be offered."""
        self._held = Held(table)
        self._cluster = ""
        self._stopping = stopping
        self._stop_by: float | None = None
        self._broker = BrokerState()
        self._headers: Headers = [(LOOP_HEADER, table.generation.encode())]
        self._assigned: set[Partition] = set()
        self._revoked: set[Partition] = set()
        self._in_flight: dict[Partition, int] = {}
        self._in_flight_output = Output()
        self._rewound = False
        self._source_errors: set[tuple[str, int]] = set()
        self._lag_at = 0.0
        self._max_records = settings.max_records
        self._aborts = 0
        self._positions: dict[Partition, int] = {}
        self._joined = False
        self._stopped = False
        self._abort_causes: set[str] = set()
        self._asked_at = 0.0

    @property
    def ready(self) -> bool:
        """Whether the process has joined its group, the cluster answers, and transactions come through."""
        return self._joined and self._broker.is_up and self._aborts < _MANY_ABORTS

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
        settings = producer_settings(
            s.kafka, transactional_id=f"{s.group}-{s.instance}", timeout_ms=s.transaction_timeout_ms
        )
        self._producer = TransactionalProducer(
            lambda: make(Producer, settings, error_cb=self._broker.on_error),
            timeout_seconds=s.transaction_timeout_ms / 1000,
            give_up=self._give_up,
            waiting=self._broker.down,
        )
        try:
            self._start()
            while not self._stopping():
                self._turn()
            self._settle()
        except (StoppedError, TransactionAbortedError):
            pass  # nothing of the open transaction is visible; whoever goes on reads it again
        finally:
            self._close()

    # --- start and end

    def _start(self) -> None:
        s = self._settings
        found = wait_for_topics(
            self._consumer,
            {*self._table.event_topics(), s.dead_letters.topic, s.rollup_topic},
            self._broker,
            give_up=self._stopping,
        )
        if found.partitions[s.rollup_topic] != s.rollup_partitions:
            raise ClientError(
                f"topic {s.rollup_topic} has {found.partitions[s.rollup_topic]} partitions but topics.yaml says "
                f"{s.rollup_partitions}: table rows are placed by that number, so it must not change"
            )
        self._cluster = s.cluster or found.cluster_id
        self._processor = self._new_processor()
        self._producer.initialise()
        # The loop makes no cycles, and everything made so far lives as long as the process.
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)
        self._subscribe(self._table)
        telemetry.log(
            Log.LANE_STARTED,
            lane="route",
            group=s.group,
            instance=s.instance,
            generation=self._table.generation,
            sources=",".join(self._table.subscription()),
        )

    def _new_processor(self) -> BatchProcessor:
        s = self._settings
        return BatchProcessor(
            self._table,
            cluster=self._cluster,
            rollup_partitions=s.rollup_partitions,
            dead_letters=s.dead_letters,
            clock_ms=_clock_ms,
            emitter=f"{s.group}-{s.instance}",
        )

    def _subscribe(self, table: RouteTable) -> None:
        self._consumer.subscribe(
            table.subscription(), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

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
        telemetry.log(Log.LANE_STOPPED, lane="route", instance=self._settings.instance)

    # --- one turn

    def _turn(self) -> None:
        self._producer.poll()
        if self.live.due():
            self._swap()
        messages = self._consume()
        try:
            if messages:
                began = time.perf_counter()
                output = self._processor.process(messages)
                telemetry.BATCH_SECONDS.observe(time.perf_counter() - began)
                self._observe_batch(output)
                try:
                    self._settle()
                    self._publish(output)
                except TransactionAbortedError:
                    _keep_first(self._in_flight, output.first)
                    raise
            else:
                self._settle()
        except TransactionAbortedError as aborted:
            self._rewind(aborted)
            # What made one transaction fail may last: a deleted topic, a lost permission.
            sleep(self._pause(), self._stopping)
        self._observe_cluster()

    def _swap(self) -> None:
        """Go on with another version. What the former one has routed is settled first, under its own name."""
        try:
            self._settle()
        except TransactionAbortedError as aborted:
            self._rewind(aborted)
        former = self.live.version
        version = self.live.take()
        if version is None:
            return
        try:
            if version.table.subscription() != former.table.subscription():
                self._subscribe(version.table)
        except KafkaException as exc:
            self.live.withdraw(former, f"sources: the client refuses the topics: {exc.args[0].str()}")
            return
        self._settings, self._table = version.settings, version.table
        self._headers = [(LOOP_HEADER, version.generation.encode())]
        self._processor = self._new_processor()
        by = time.monotonic() + _REWIND_SECONDS
        for topic, partition, offset in self._held.released(version.table):
            self._seek(TopicPartition(topic, partition, offset), by)

    def _consume(self) -> list[Message]:
        """The next batch, without errors and without records of partitions that left meanwhile."""
        s = self._settings
        self._revoked.clear()
        self._rewound = False
        try:
            got = cast("list[Message]", self._consumer.consume(self._max_records, s.max_wait_ms / 1000))
        except KafkaException as exc:
            raise fatal_error(exc.args[0]) from None
        messages = [m for m in got if m.error() is None]
        if len(messages) != len(got):
            for message in got:
                if message.error() is not None:
                    self._on_source_error(message)
        elif messages:
            self._broker.up()
        if self._stopped:
            raise StoppedError
        if self._rewound:
            # An abort inside a rebalance has moved positions back: what came before or after is read again.
            self._seek_back(first_offsets(messages))
            return []
        if self._revoked:
            messages = self._without_revoked(messages)
        return self._held.without(messages) if self._held.active else messages

    def _without_revoked(self, messages: list[Message]) -> list[Message]:
        """The records of partitions that stayed all the while.

        One that left and came back in the same call may have been read on by another member in between: where it
        goes on is what the group has committed, not what we had read.
        """
        kept = [m for m in messages if (m.topic(), m.partition()) not in self._revoked]
        dropped = first_offsets([m for m in messages if (m.topic(), m.partition()) in self._revoked])
        back = {at: offset for at, offset in dropped.items() if at in self._assigned}
        if back:
            self._seek_back(back | self._committed(list(back)))
        return kept

    def _committed(self, partitions: list[Partition]) -> dict[Partition, int]:
        """The group's committed offsets, without the partitions that have none."""
        by = time.monotonic() + _REWIND_SECONDS
        while True:
            try:
                asked = [TopicPartition(*at) for at in partitions]
                found = self._consumer.committed(asked, timeout=_ASK_SECONDS)
                error = next((p.error for p in found if p.error is not None), None)
            except KafkaException as exc:
                error = exc.args[0]
            if error is None:
                return {(p.topic, p.partition): p.offset for p in found if p.offset >= 0}
            if time.monotonic() > by:
                raise FatalError(f"cannot ask for committed offsets: {error.str()}", fenced=False)
            time.sleep(0.05)

    def _publish(self, output: Output) -> None:
        s, produce, headers = self._settings, self._producer.produce, self._headers
        self._in_flight, self._in_flight_output = output.first, output
        self._positions = self._in_flight | self._positions
        self._producer.begin()
        for topic, value, key in output.events:
            produce(topic, value, key, headers)
        for key, value, letter_headers in output.dead_letters:
            produce(s.dead_letters.topic, value, key, letter_headers + headers)
        for partition, value in output.rollup:
            produce(s.rollup_topic, value, None, headers, partition)
        offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in output.positions.items()]
        metadata = self._consumer.consumer_group_metadata()
        if not self._consumer.memberid():
            # Out of the group since the batch was read. The group would refuse offsets of a former member, but not
            # those of nobody in particular.
            self._producer.abort()
            raise TransactionAbortedError("not a member of the group any more")
        self._producer.commit_later(offsets, metadata)

    def _settle(self) -> None:
        """Wait for the running commit, if any, and count what it made visible."""
        if not self._producer.committing:
            return
        self._producer.settle()
        if self._aborts > 1:
            telemetry.log(Log.TRANSACTIONS_RESUMED, aborted=self._aborts)
        self._aborts = 0
        self._abort_causes.clear()
        self._broker.up()
        self._positions |= {at: n for at, n in self._in_flight_output.positions.items() if at in self._assigned}
        _count(self._in_flight_output)
        self.live.committed(self._in_flight_output.read, self._in_flight_output.counts)
        self._in_flight, self._in_flight_output = {}, Output()

    # --- going back

    def _rewind(self, aborted: TransactionAbortedError) -> None:
        self._aborts += 1
        cause = str(aborted)
        if cause not in self._abort_causes:  # said once per cause; the metric counts the rest
            self._abort_causes.add(cause)
            telemetry.log(Log.TRANSACTION_ABORTED, error=cause, partitions=len(self._in_flight))
        self._seek_back(self._in_flight)
        self._in_flight, self._in_flight_output = {}, Output()

    def _pause(self) -> float:
        """Nothing after one abort, as a rebalance causes them; then longer and longer."""
        return min(_FIRST_PAUSE * 2**self._aborts, _LONGEST_PAUSE) if self._aborts > 1 else 0.0

    def _seek_back(self, first: dict[Partition, int]) -> None:
        by = time.monotonic() + _REWIND_SECONDS
        for (topic, partition), offset in first.items():
            if (topic, partition) in self._assigned:
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
                time.sleep(0.05)
            else:
                return

    # --- rebalances (called inside consume() and close())

    def _on_assign(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._assigned |= {(p.topic, p.partition) for p in partitions}
        self._joined = True
        self._broker.up()
        self._note(Log.PARTITIONS_ASSIGNED, partitions)

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            self._settle()
        except TransactionAbortedError as aborted:
            self._forget(partitions)  # first, so that nobody seeks in what is leaving
            self._rewind(aborted)
            self._rewound = True
        except StoppedError:
            self._stopped = True
        self._forget(partitions)
        self._note(Log.PARTITIONS_REVOKED, partitions)

    def _on_lost(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # Another member owns them already; our commit, if one runs, is refused by the group's generation.
        self._forget(partitions)
        self._note(Log.PARTITIONS_LOST, partitions)

    def _forget(self, partitions: list[TopicPartition]) -> None:
        gone = {(p.topic, p.partition) for p in partitions}
        self._assigned -= gone
        self._revoked |= gone
        # Whoever owns them now goes on from the committed offset: an abort must not take us back there.
        self._in_flight = {at: offset for at, offset in self._in_flight.items() if at not in gone}
        for topic, partition in gone:
            self._positions.pop((topic, partition), None)
            self._held.forget(topic, partition)
            telemetry.forget_lag(topic, partition)

    def _note(self, event: Log, partitions: list[TopicPartition]) -> None:
        telemetry.REBALANCES.inc()
        telemetry.ASSIGNED_PARTITIONS.set(len(self._assigned))
        names = sorted(f"{p.topic}:{p.partition}" for p in partitions)
        telemetry.log(event, partitions=",".join(names) or "none", assigned=len(self._assigned))

    # --- watching

    def _on_source_error(self, message: Message) -> None:
        error: KafkaError = message.error()
        if error.fatal():
            raise fatal_error(error)
        what = (message.topic() or "", error.code())
        if what[0].startswith("^") and error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return  # an expression that matches no topic yet is no trouble
        if what not in self._source_errors:
            self._source_errors.add(what)
            telemetry.log(Log.SOURCE_ERROR, topic=message.topic(), error=error.name(), detail=error.str())

    def _observe_batch(self, output: Output) -> None:
        """Fit the next batch's number of records to their size, and forget errors of topics that work again."""
        records, size = (sum(column) for column in zip(*output.read.values(), strict=True))
        self._max_records = max(min(self._settings.max_records, _MAX_BATCH_BYTES * records // max(size, 1)), 1)
        if self._source_errors:
            working = {topic for topic, _ in output.positions}
            self._source_errors = {error for error in self._source_errors if error[0] not in working}

    def _observe_cluster(self) -> None:
        if self._broker.is_up:
            self._observe_lag()
        elif time.monotonic() > self._asked_at + _ASK_SECONDS:
            # Nothing else would tell that the cluster is back while no record comes.
            self._asked_at = time.monotonic()
            with contextlib.suppress(KafkaException):
                self._consumer.list_topics(timeout=_ASK_SECONDS / 2)
                self._broker.up()

    def _observe_lag(self) -> None:
        now = time.monotonic()
        if now < self._lag_at or not self._assigned:
            return
        self._lag_at = now + _LAG_SECONDS
        lag: dict[Partition, int] = {}
        for (topic, partition), offset in self._positions.items():
            _low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
            if high >= 0:
                lag[topic, partition] = max(high - offset, 0)
                telemetry.CONSUMER_LAG.labels(topic, partition).set(lag[topic, partition])
        self.live.lagging(lag)


def first_offsets(messages: list[Message]) -> dict[Partition, int]:
    """The lowest offset of each partition in *messages*: where to go back to."""
    first: dict[Partition, int] = {}
    for m in messages:
        at = (m.topic(), m.partition())
        first[at] = min(m.offset(), first.get(at, m.offset()))
    return first


def _keep_first(first: dict[Partition, int], other: dict[Partition, int]) -> None:
    for at, offset in other.items():
        first[at] = min(offset, first.get(at, offset))


def _count(output: Output) -> None:
    """Metrics of a committed batch: what was aborted is read again and counted then."""
    for source, (records, size) in output.read.items():
        telemetry.RECORDS_READ.labels(source).inc(records)
        telemetry.BYTES_READ.labels(source).inc(size)
    for labels, n in output.counts.items():
        telemetry.EVENTS.labels(*labels).inc(n)
    for labels, n in output.copies.items():
        telemetry.EVENT_COPIES.labels(*labels).inc(n)
    for name, values in (
        ("events", [value for _, value, _ in output.events]),
        ("dead_letter", [value for _, value, _ in output.dead_letters]),
        ("rollup", [value for _, value in output.rollup]),
    ):
        telemetry.RECORDS_PRODUCED.labels(name).inc(len(values))
        telemetry.BYTES_PRODUCED.labels(name).inc(sum(map(len, values)))
