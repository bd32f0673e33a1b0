"""The route lane's loop: consume a batch, process it, publish it and its offsets in one Kafka transaction.

While a transaction commits, the next batch is read and processed; it is published only after that commit is known to
have happened.  Rebalances are seen inside `consume()` alone, and the revoke callback waits for the running commit, so a
partition never leaves with offsets of ours still on their way.
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from logrouter import telemetry
from logrouter.route.batch import LOOP_HEADER, BatchProcessor, DeadLetterSettings, Output
from logrouter.route.client import consumer_settings, make, producer_settings
from logrouter.route.connection import BrokerState, wait_for_topics
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
        self._in_flight: list[Message] = []
        self._in_flight_output = Output()
        self._rewound = False
        self._source_errors: set[tuple[str, int]] = set()
        self._lag_at = 0.0
        self._positions: dict[Partition, int] = {}
        self.ready = False

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
        self._producer = TransactionalProducer(
            make(
                Producer,
                producer_settings(
                    s.kafka, transactional_id=f"{s.group}-{s.instance}", timeout_ms=s.transaction_timeout_ms
                ),
                error_cb=self._broker.on_error,
            ),
            give_up=self._give_up,
        )
        try:
            self._start()
            while not self._stopping():
                self._turn()
            self._settle()
        except StoppedError:
            pass
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
            raise FatalError(
                f"topic {s.rollup_topic} has {found.partitions[s.rollup_topic]} partitions but topics.yaml says "
                f"{s.rollup_partitions}: table rows are placed by that number, so it must not change",
                fenced=False,
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
        if self.live.due():
            self._swap()
        messages = self._consume()
        if messages:
            began = time.perf_counter()
            output = self._processor.process(messages)
            telemetry.BATCH_SECONDS.observe(time.perf_counter() - began)
            try:
                self._settle()
                self._publish(messages, output)
            except TransactionAbortedError as aborted:
                self._rewind(self._in_flight + messages, aborted)
        elif self._producer.committing:
            try:
                self._settle()
            except TransactionAbortedError as aborted:
                self._rewind(self._in_flight, aborted)
        self._observe_lag()

    def _swap(self) -> None:
        """Go on with another version. What the former one has routed is settled first, under its own name."""
        try:
            self._settle()
        except TransactionAbortedError as aborted:
            self._rewind(self._in_flight, aborted)
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
            got = cast("list[Message]", self._consumer.consume(s.max_records, s.max_wait_ms / 1000))
        except KafkaException as exc:
            raise fatal_error(exc.args[0]) from None
        messages = [m for m in got if m.error() is None]
        if len(messages) != len(got):
            for message in got:
                if message.error() is not None:
                    self._on_source_error(message)
        elif messages:
            self._broker.up()
            self._source_errors.clear()
        if self._rewound:
            # An abort inside a rebalance has moved positions back: what came before or after is read again.
            self._seek_back(messages)
            return []
        if self._revoked:
            messages = self._without_revoked(messages)
        return self._held.without(messages) if self._held.active else messages

    def _without_revoked(self, messages: list[Message]) -> list[Message]:
        """The records of partitions that stayed all the while.

        One that left and came back in the same call may have been read on by another member in between: where it
        goes on is what the group has committed, not what we had read.
        """
        kept, dropped = [], dict[Partition, int]()
        for m in messages:
            at = (m.topic(), m.partition())
            if at not in self._revoked:
                kept.append(m)
            elif at in self._assigned:
                dropped[at] = min(m.offset(), dropped.get(at, m.offset()))
        by = time.monotonic() + _REWIND_SECONDS
        if dropped:
            committed = self._consumer.committed([TopicPartition(*at) for at in dropped], timeout=_REWIND_SECONDS)
            for to in committed:
                to.offset = to.offset if to.offset >= 0 else dropped[to.topic, to.partition]
                self._seek(to, by)
        return kept

    def _publish(self, messages: list[Message], output: Output) -> None:
        s, produce, headers = self._settings, self._producer.produce, self._headers
        self._in_flight, self._in_flight_output = messages, output
        self._producer.begin()
        for event in output.events:
            produce(event.topic, event.value, event.key, headers)
        for key, value, letter_headers in output.dead_letters:
            produce(s.dead_letters.topic, value, key, letter_headers + headers)
        for partition, value in output.rollup:
            produce(s.rollup_topic, value, None, headers, partition)
        offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in output.positions.items()]
        self._producer.commit_later(offsets, self._consumer.consumer_group_metadata())

    def _settle(self) -> None:
        """Wait for the running commit, if any, and count what it made visible."""
        if not self._producer.committing:
            return
        self._producer.settle()
        self._positions |= {at: n for at, n in self._in_flight_output.positions.items() if at in self._assigned}
        _count(self._in_flight_output)
        self.live.committed(self._in_flight_output.read, self._in_flight_output.counts)
        self._in_flight, self._in_flight_output = [], Output()

    # --- going back

    def _rewind(self, messages: list[Message], aborted: TransactionAbortedError) -> None:
        telemetry.log(Log.TRANSACTION_ABORTED, error=str(aborted), records=len(messages))
        self._seek_back(messages)
        self._in_flight, self._in_flight_output = [], Output()

    def _seek_back(self, messages: list[Message]) -> None:
        first: dict[Partition, int] = {}
        for m in messages:
            at = (m.topic(), m.partition())
            first[at] = min(m.offset(), first.get(at, m.offset()))
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
        self.ready = True
        self._broker.up()
        self._note(Log.PARTITIONS_ASSIGNED, partitions)

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            self._settle()
        except TransactionAbortedError as aborted:
            self._rewind(self._in_flight, aborted)
            self._rewound = True
        except StoppedError:
            pass
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
        self._in_flight = [m for m in self._in_flight if (m.topic(), m.partition()) not in gone]
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
        if what not in self._source_errors:
            self._source_errors.add(what)
            telemetry.log(Log.SOURCE_ERROR, topic=message.topic(), error=error.name(), detail=error.str())

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
        ("events", [e.value for e in output.events]),
        ("dead_letter", [value for _, value, _ in output.dead_letters]),
        ("rollup", [value for _, value in output.rollup]),
    ):
        telemetry.RECORDS_PRODUCED.labels(name).inc(len(values))
        telemetry.BYTES_PRODUCED.labels(name).inc(sum(map(len, values)))
