"""The route lane's loop: consume a batch, process it, publish it and its offsets in one Kafka transaction.

While a transaction commits, the next batch is read and processed; it is published only after that commit is known to
have happened.  Rebalances are seen inside `consume()` alone, and the revoke callback waits for the running commit, so a
partition never leaves with offsets of ours still on their way.
"""

from __future__ import annotations

import gc
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from logrouter.kafka.assignment import Assignment
from logrouter.kafka.connection import BrokerState, count_partitions, sleep_unless, wait_for_topics
from logrouter.kafka.consumer import GroupConsumer, member_name
from logrouter.kafka.errors import ClientError, StoppedError, StuckError, TransactionAbortedError, read_error
from logrouter.kafka.observer import Observer
from logrouter.kafka.stall import StallWatch
from logrouter.kafka.topic_facts import fetch_topic_facts
from logrouter.kafka.transaction import BatchSize, max_record_bytes, open_producer
from logrouter.route.in_flight import InFlightBatch
from logrouter.route.membership import Membership
from logrouter.route.output_limits import OutputLimits
from logrouter.route.transactional_state import StateTopic
from logrouter.route.unsubscribed import UnsubscribedRecords
from logrouter.telemetry import metrics
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from logrouter.core.routing import RouteTable
    from logrouter.kafka.records import Message
    from logrouter.reload.versions import ConfigVersions, Version
    from logrouter.route.batch import BatchProcessor
    from logrouter.route.output import BatchOutput
    from logrouter.route.settings import LaneSettings
    from logrouter.route.transactional_state import TransactionalState

    MakeProcessor = Callable[[LaneSettings, RouteTable, str], BatchProcessor]
    """What processes batches with these settings and table; the text is the cluster's name in event ids."""

_MANY_ABORTS: Final = 5
_MAX_BATCH_BYTES: Final = 64 << 20
"""Bound on the next batch, estimated by the mean size of the last batch's records: memory stays bounded."""


def clock_ms() -> int:
    """Epoch milliseconds."""
    return time.time_ns() // 1_000_000


def _topics_read(topics: Mapping[str, StateTopic]) -> list[str]:
    """Those that the group reads for a state.

    Not changelogs: if an expression of a source selects one, its records are the source's to count.
    """
    return [topic for topic, each in topics.items() if each.is_read]


class RouteLane:
    """One process of the consumer group. `run` returns when *stopping* turns true, or raises `FatalError`."""

    def __init__(
        self,
        versions: ConfigVersions[LaneSettings],
        *,
        make_processor: MakeProcessor,
        states: Sequence[TransactionalState],
        stopping: Callable[[], bool],
    ) -> None:
        """*versions* holds what routes now, and what is to route next.

        *states* change with the lane's transactions; `run` closes them.
        """
        self.versions = versions
        self._settings = versions.version.settings
        self._table = versions.version.table
        self._make_processor = make_processor
        self._states = states
        self._state_topics: dict[str, StateTopic] = {}
        self._read_by_states: frozenset[str] = frozenset()
        self._subscription: list[str] | None = None
        self._unsubscribed = UnsubscribedRecords(self._table)
        self._cluster = ""
        self._stopping = stopping
        self._stop_by: float | None = None
        self._broker = BrokerState()
        self._batches = BatchSize()
        kafka = self._settings.kafka
        self._limits = OutputLimits(partial(fetch_topic_facts, kafka), client_bytes=max_record_bytes(kafka))
        self._max_records = self._settings.max_records
        self._connected = False
        self._stall = StallWatch(self._settings.session_timeout_ms)
        self._is_stuck = False

    @property
    def unready_reason(self) -> str:
        """In one line why records are not routed now; empty once the group is joined and transactions come through."""
        if not self._connected:
            return "starting"
        why = self._broker.why_waiting or self._observer.refusal
        if not why and not self._group.joined:
            why = self._observer.what_is_awaited
        if not why and self._in_flight.aborts >= _MANY_ABORTS:
            why = f"transactions are being aborted: {self._in_flight.abort_cause}"
        return why or self._assignment.why_waiting

    def run(self) -> None:
        """Connect, then route until asked to stop.

        Raises:
            FatalError: fenced, or librdkafka cannot go on.
            ClientError: a setting is wrong, or a topic has another number of partitions than it must have.
        """
        s = self._settings
        self._consumer = GroupConsumer(
            s.kafka,
            group=s.group,
            instance=member_name(s.instance, self._topics_of(s, self._table)) if s.static_membership else None,
            session_timeout_ms=s.session_timeout_ms,
            on_error=self._broker.on_error,
        )
        skip = "set `route_lane.on_unreadable: skip`"
        self._assignment = Assignment(self._consumer, self._give_up, past_damage=skip)
        for state in self._states:
            state.connect(self._assignment)
        self._observer = Observer(
            self._consumer,
            self._assignment,
            self._broker,
            lambda: self._topics_written(self._settings, self._table),
            self.versions.record_lag,
        )
        self._producer = open_producer(
            s.kafka,
            transactional_id=s.transactional_id,
            timeout_ms=s.transaction_timeout_ms,
            broker=self._broker,
            give_up=self._give_up,
            batches=self._batches,
        )
        self._in_flight = InFlightBatch(
            self._consumer, self._producer, self._assignment, self._broker, self.versions, self._states
        )
        self._group = Membership(
            self._consumer, self._assignment, self._in_flight, self._unsubscribed, self._broker, self._states
        )
        self._connected = True
        try:
            self._start()
            while not self._stopping():
                self._turn()
            self._in_flight.await_commit()
        except (StoppedError, TransactionAbortedError):
            pass  # nothing of the open transaction is visible; whoever goes on reads it again
        finally:
            self._close()

    def _start(self) -> None:
        s = self._settings
        rollup = StateTopic(s.rollup_partitions, "table rows are", "outputs.rollup", is_read=False)
        fixed = {s.rollup_topic: rollup} | self._topics_of_states(s)
        found = wait_for_topics(
            self._consumer,
            {*self._table.event_topics(), s.dead_letters.topic, *fixed},
            self._broker,
            give_up=self._stopping,
        )
        for topic, each in fixed.items():
            if found.partitions[topic] != each.partitions:
                raise ClientError(
                    f"topic {topic} has {found.partitions[topic]} partitions, not {each.partitions} ({each.option} of "
                    f"topics.yaml): {each.placed} placed by that number, so put back whichever was changed"
                )
        self._cluster = s.cluster or found.cluster_id
        self._limits.read(self._topics_written(s, self._table))
        self._take_version(s, self._table)
        self._batches.bytes = self._limits.batch_bytes
        (self._producer.initialise if self._batches.bytes is None else self._producer.renew)()
        # The loop makes no cycles, and everything made so far lives as long as the process.
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)
        self._subscribe(s, self._table)
        log(
            Log.LANE_STARTED,
            lane="route",
            group=s.group,
            instance=s.instance,
            generation=self._table.generation,
            sources=",".join(self._table.subscription()),
        )

    def _topics_written(self, settings: LaneSettings, table: RouteTable) -> set[str]:
        states = self._topics_of_states(settings)
        return {*table.event_topics(), settings.dead_letters.topic, settings.rollup_topic, *states}

    def _take_version(self, settings: LaneSettings, table: RouteTable) -> None:
        """Route by these from now on, within what the output topics take.

        Raises:
            ClientError: an output topic takes less than the lane must be able to write to it.
        """
        self._settings = self._limits.fit(settings, self._topics_of_states(settings))
        self._table = self._limits.fit_table(table)
        self._configure()

    def _review_limits(self) -> None:
        """Ask again what the output topics take, and go on within that. What runs is committed first."""
        self._await_commit()
        refused, self._in_flight.refused = self._in_flight.refused, None
        version = self.versions.version
        if refused is None:
            self._limits.read(self._topics_written(version.settings, version.table))
        else:
            self._limits.read_again(refused)
        self._take_version(version.settings, version.table)
        if self._batches.bytes != self._limits.batch_bytes:
            self._batches.bytes = self._limits.batch_bytes
            self._producer.renew()

    def _await_commit(self) -> None:
        try:
            self._in_flight.await_commit()
        except TransactionAbortedError as aborted:
            self._in_flight.rewind(aborted)

    def _topics_of_states(self, settings: LaneSettings) -> dict[str, StateTopic]:
        return {topic: each for state in self._states for topic, each in state.topics(settings).items()}

    def _topics_of(self, settings: LaneSettings, table: RouteTable) -> list[str]:
        return [*table.subscription(), *_topics_read(self._topics_of_states(settings))]

    def _subscribe(self, settings: LaneSettings, table: RouteTable) -> None:
        """Ask the group for the topics of all sources and states, if these are others than before."""
        topics = self._topics_of(settings, table)
        if topics != self._subscription:
            try:
                self._group.subscribe(topics)
            except ClientError as error:
                raise ClientError(f"sources: the client refuses the topics: {error}") from None
            self._subscription = topics

    def _configure(self) -> None:
        """Make what works on batches, with the settings and the table in force."""
        self._processor = self._make_processor(self._settings, self._table, self._cluster)
        for state in self._states:
            state.configure(self._settings, self._table)
        self._state_topics = self._topics_of_states(self._settings)
        self._read_by_states = frozenset(_topics_read(self._state_topics))

    def _give_up(self) -> bool:
        """Whether waiting for the cluster has to end: some time after we were asked to stop, not at once."""
        if not self._stopping():
            return False
        if self._stop_by is None:
            self._stop_by = time.monotonic() + self._settings.stop_timeout_ms / 1000
        return time.monotonic() > self._stop_by

    def _close(self) -> None:
        self._producer.close()
        if not self._is_stuck:
            self._consumer.close()
        for state in self._states:
            state.close()
        log(Log.LANE_STOPPED, lane="route", instance=self._settings.instance)

    def _turn(self) -> None:
        self._producer.poll()
        if self.versions.is_swap_due():
            self._swap_version()
        if self._in_flight.refused is not None or (self._limits.is_due and self._broker.is_up):
            self._review_limits()
        messages = self._consume()
        try:
            output = self._process(messages)
            if output is not None:
                self._observe_batch(output)
                try:
                    self._in_flight.await_commit()
                    self._in_flight.publish(output, self._settings, self._table.generation)
                except TransactionAbortedError:
                    self._in_flight.abandon(output)
                    raise
            else:
                self._in_flight.await_commit()
        except TransactionAbortedError as aborted:
            self._in_flight.rewind(aborted)
            # What made one transaction fail may last: a deleted topic, a lost permission.
            sleep_unless(self._in_flight.backoff_seconds(), self._stopping)
        self._observer.check_cluster()
        self._check_progress(messages)

    def _check_progress(self, messages: list[Message]) -> None:
        try:
            self._stall.check(
                is_up=self._broker.is_up,
                is_waiting=self._group.is_waiting,
                has_read=bool(messages),
                behind=self._observer.offsets_behind,
            )
        except StuckError:
            self._is_stuck = True  # a client that hears nothing of its group would not hear that it has left it
            raise

    def _process(self, messages: list[Message]) -> BatchOutput | None:
        """What is to be published now, None if nothing is."""
        began = time.perf_counter()
        sources: list[Message] = messages
        own: list[Message] = []
        if self._read_by_states:
            sources = [m for m in messages if m.topic() not in self._read_by_states]
            if len(sources) < len(messages):
                own = [m for m in messages if m.topic() in self._read_by_states]
        output = self._processor.process(sources)
        now_ms = clock_ms()
        changed = [state.process(own, output, now_ms) for state in self._states]
        if not messages and not any(changed):
            return None
        metrics.BATCH_SECONDS.observe(time.perf_counter() - began)
        return output

    def _observe_batch(self, output: BatchOutput) -> None:
        """Fit the next batch's number of records to their size, and forget errors of topics that work again."""
        records, size = (sum(column) for column in zip(*output.read.values(), output.state_read, strict=True))
        if records:
            self._max_records = max(min(self._settings.max_records, _MAX_BATCH_BYTES * records // max(size, 1)), 1)
        self._observer.forget_errors(output.positions.keys())

    def _swap_version(self) -> None:
        """Go on with another version. What the former one has routed is committed first, under its own name."""
        self._await_commit()
        former = self.versions.version
        version = self.versions.activate()
        if version is None:
            return
        if reason := self._take_topics(version):
            self.versions.reject(former, reason)
            return
        self._take_version(version.settings, version.table)
        self._observer.forget_refusals(lambda topic: self._table.source_of(topic) is not None)
        self._assignment.seek_back(self._unsubscribed.change_subscription(self._table, self._read_by_states))

    def _take_topics(self, version: Version[LaneSettings]) -> str:
        """Subscribe to what a version reads. Why it can't be used; empty if it can."""
        for state in self._states:
            if reason := state.refusal(version.settings):
                return reason
        wanted = self._topics_of_states(version.settings)
        new = {topic: each for topic, each in wanted.items() if topic not in self._state_topics}
        try:
            found = count_partitions(self._consumer, new) if new else {}
        except ClientError as error:
            return f"{next(iter(new.values())).option}: {error}"
        for topic, number in found.items():
            if number != new[topic].partitions:
                return f"{new[topic].option}: {topic} has {number} partitions"
        written = self._topics_written(version.settings, version.table)
        if not self._limits.knows(written):
            self._limits.read(written | self._topics_written(self._settings, self._table))
        try:
            self._limits.fit(version.settings, wanted)
            self._subscribe(version.settings, version.table)
        except ClientError as error:
            return str(error)
        return ""

    def _consume(self) -> list[Message]:
        """The next batch, without errors and without records that are not to be processed now."""
        self._group.begin_call()
        for state in self._states:
            self._attend_state(state)
        got = self._consumer.consume(self._max_records, self._settings.max_wait_ms / 1000)
        messages = [m for m in got if m.error() is None]
        if len(messages) != len(got):
            self._assignment.note_read(messages)
            for message in got:
                if message.error() is not None:
                    dealt_with = any(state.take_error(message) for state in self._states)
                    error = read_error(message) if dealt_with else self._observer.on_source_error(message)
                    for state in self._states:
                        state.note_source_error(error)
        elif messages:
            self._broker.mark_up()
        self._assignment.note_readable(messages)
        messages = self._group.screen(messages, clock_ms)
        return self._unsubscribed.set_aside(messages) if self._unsubscribed.active else messages

    def _attend_state(self, state: TransactionalState) -> None:
        """Let partitions go on whose state is restored."""
        ready = state.take_ready(clock_ms())
        if ready:
            self._assignment.release(ready)
        if not self._broker.is_up:
            state.note_outage(clock_ms())
