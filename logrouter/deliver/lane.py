"""The delivery lane's loop: read events, hand batches to the sink, commit behind those that are done.

One thread reads Kafka and commits; another one delivers (`deliver.event_loop`). When as much waits as may, partitions
are paused and nothing is read, while the group is answered as before.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from logrouter.deliver.commits import Commits
from logrouter.deliver.dispatch import Dispatcher, clock_ms
from logrouter.deliver.letter_limits import fit_letters
from logrouter.deliver.letters import LetterWriter
from logrouter.deliver.membership import DeliveryMembership
from logrouter.deliver.progress import Progress
from logrouter.deliver.recreated import RecreatedPartitions
from logrouter.deliver.starts import Starts
from logrouter.kafka.assignment import Assignment
from logrouter.kafka.connection import BrokerState, wait_for_topics
from logrouter.kafka.consumer import GroupConsumer, member_name
from logrouter.kafka.errors import StoppedError, StuckError, read_error
from logrouter.kafka.observer import Observer
from logrouter.kafka.stall import StallWatch
from logrouter.kafka.topic_facts import fetch_topic_facts
from logrouter.kafka.transaction import BatchSize, max_record_bytes, open_producer
from logrouter.model import RawRecord
from logrouter.telemetry import metrics
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logrouter.deliver.settings import DeliverySettings
    from logrouter.kafka.records import Message, Partition
    from logrouter.reload.versions import ConfigVersions

_CONSUME_SECONDS: Final = 0.1
_BUSY_SECONDS: Final = 0.02
"""How long to wait for a batch to end, where nothing may be read before."""
_MAX_RECORDS: Final = 2_000
_FIRST_RECORDS: Final = 100
"""Records of the first read, when nothing is known of their size."""
_REVOKE_SECONDS: Final = 5.0
"""How long partitions that leave are held for requests that are on their way."""
_MANY_ABORTS: Final = 5
_MAX_UNCOMMITTED: Final = 200_000
"""Records that are done and not committed, beyond those that may wait: a commit that fails must not let them grow."""
_MAX_LETTER_BYTES: Final = 32 << 20


class DeliveryLane:
    """One process of a sink's consumer group. `run` returns when *stopping* turns true, or raises `FatalError`."""

    def __init__(self, versions: ConfigVersions[DeliverySettings], *, stopping: Callable[[], bool]) -> None:
        """*versions* holds the settings in force, and those to come."""
        self.versions = versions
        self._settings = versions.version.settings
        self._stopping = stopping
        self._stop_by: float | None = None
        self._broker = BrokerState()
        self._progress = Progress()
        self._dispatcher: Dispatcher | None = None
        self._is_paused = False
        self._record_bytes = 0.0
        self._commit_at = 0.0
        self._stall = StallWatch(self._settings.session_timeout_ms)
        self._connected = self._is_stuck = self._is_closing = False

    @property
    def unready_reason(self) -> str:
        """In one line why no events are delivered now; empty while they are, or there are none."""
        if not self._connected:
            return "starting"
        why = self._broker.why_waiting or self._observer.refusal
        if not why and not self._members.joined:
            why = self._observer.what_is_awaited
        if not why and self._commits.aborts >= _MANY_ABORTS:
            why = f"transactions are being aborted: {self._commits.abort_cause}"
        if not why and self._dispatcher is not None:
            why = self._dispatcher.why_waiting
        return why or self._assignment.why_waiting

    def run(self) -> None:
        """Connect, then deliver until asked to stop.

        Raises:
            FatalError: fenced, or librdkafka cannot go on.
            ClientError: a setting is wrong.
        """
        self._connect()
        try:
            dispatcher = self._start()
            while not self._stopping():
                self._turn(dispatcher)
            self._give_up()  # the time in which the process has to end begins now
            self._finish([*self._assignment.partitions])
        except StoppedError:
            pass  # what is not committed is delivered again
        finally:
            self._close()

    def _connect(self) -> None:
        """Make all clients; they connect by themselves."""
        s = self._settings
        self._consumer = GroupConsumer(
            # Little is fetched ahead: what waits in the client waits beside what waits for the target.
            {"queued.max.messages.kbytes": 16_384, **s.kafka},
            group=s.group,
            instance=member_name(s.instance, s.topics) if s.static_membership else None,
            session_timeout_ms=s.session_timeout_ms,
            on_error=self._broker.on_error,
        )
        move = f"stop all processes of this sink and move the offset of group {s.group} behind the batch"
        self._assignment = Assignment(self._consumer, self._give_up, past_damage=move)
        self._starts = Starts(s.kafka, s.group, s.begin, self._assignment, self._progress.is_committed)
        self._recreated = RecreatedPartitions(s.kafka, self._assignment)
        self._observer = Observer(
            self._consumer, self._assignment, self._broker, lambda: [*s.topics, s.dead_letters.topic]
        )
        self._batches = BatchSize()
        self._producer = open_producer(
            s.kafka,
            transactional_id=s.transactional_id,
            timeout_ms=s.transaction_timeout_ms,
            broker=self._broker,
            give_up=self._give_up,
            batches=self._batches,
        )
        self._commits = Commits(
            self._consumer, self._producer, self._assignment, self._progress, self._broker, s.dead_letters.topic
        )
        self._members = DeliveryMembership(
            self._consumer,
            self._assignment,
            self._starts,
            self._progress,
            self._broker,
            finish=self._finish,
            forget=self._forget,
        )
        self._connected = True

    def _start(self) -> Dispatcher:
        s = self._settings
        found = wait_for_topics(self._consumer, {*s.topics, s.dead_letters.topic}, self._broker, give_up=self._stopping)
        facts = fetch_topic_facts(s.kafka, [s.dead_letters.topic]).get(s.dead_letters.topic)
        limit = None if facts is None else facts.max_bytes
        letters, self._batches.bytes = fit_letters(s.dead_letters, limit, max_record_bytes(s.kafka))
        self._letters = LetterWriter(s.name, letters, emitter=s.emitter, cluster=found.cluster_id)
        self._dispatcher = Dispatcher(s, self._progress, self._letters)
        (self._producer.initialise if self._batches.bytes is None else self._producer.renew)()
        self._members.subscribe(s.topics)
        log(Log.LANE_STARTED, lane="sink", sink=s.name, group=s.group, instance=s.instance, sources=",".join(s.topics))
        return self._dispatcher

    def _give_up(self) -> bool:
        """Whether waiting for the cluster has to end: some time after we were asked to stop, not at once."""
        if not self._stopping():
            return False
        if self._stop_by is None:
            self._stop_by = time.monotonic() + self._settings.stop_timeout_ms / 1000
        return time.monotonic() > self._stop_by

    def _close(self) -> None:
        """Leave the group. What can be committed is: whatever went wrong would only go wrong again."""
        self._is_closing = True
        try:
            if not self._is_stuck:
                self._consumer.close()
        finally:
            if self._dispatcher is not None:
                self._dispatcher.close()
            self._producer.close()
            self._starts.close()
            log(Log.LANE_STOPPED, lane="sink", sink=self._settings.name, instance=self._settings.instance)

    def _turn(self, dispatcher: Dispatcher) -> None:
        self._producer.poll()
        if self.versions.is_swap_due():
            self._swap_version(dispatcher)
        dispatcher.settle(_BUSY_SECONDS if self._is_paused else 0.0)
        self._commit_if_due()
        for at in self._recreated.take():
            self._starts.begin_anew(at)
        self._begin_partitions()
        messages = self._read(dispatcher)
        dispatcher.submit_if_old(time.monotonic())
        self._adjust_pause(dispatcher)
        self._observer.check_cluster()
        self._check_progress(messages, dispatcher)

    def _read(self, dispatcher: Dispatcher) -> list[Message]:
        """Records that were read now; they are in the batch that is being filled, or on their way.

        Raises:
            StoppedError: asked to stop while waiting for the cluster in a rebalance.
        """
        seconds = 0.0 if self._is_paused else min(_CONSUME_SECONDS, dispatcher.seconds_left(time.monotonic()))
        self._assignment.begin_call()
        read = self._consumer.consume(self._room(), seconds)
        if self._members.stopped:
            raise StoppedError
        messages = [m for m in read if m.error() is None]
        if len(messages) != len(read):
            self._assignment.note_read(messages)
            for message in read:
                if message.error() is not None:
                    self._take_error(message)
        messages = self._assignment.without_revoked(messages)
        if closed := self._starts.closed:
            messages = [m for m in messages if (m.topic(), m.partition()) not in closed]
        if messages:
            self._assignment.note_read(messages)
            self._assignment.note_readable(messages)
            self._broker.mark_up()
            self._observer.forget_errors({(m.topic(), m.partition()) for m in messages})
            self._add(messages, dispatcher)
        return messages

    def _room(self) -> int:
        """How many records to read at most: as many as may wait, by the mean size of those that came last."""
        s, p = self._settings, self._progress
        most = _MAX_RECORDS if self._record_bytes else _FIRST_RECORDS
        fitting = int(max(s.max_waiting_bytes - p.bytes, 0) / max(self._record_bytes, 1.0))
        return max(min(most, s.max_waiting_records - p.records, fitting), 1)

    def _take_error(self, message: Message) -> None:
        """An error came in place of a record."""
        if self._starts.take_error(message):
            read_error(message)
        elif self._observer.on_source_error(message).may_be_recreated:
            self._recreated.ask_soon()

    def _add(self, messages: Sequence[Message], dispatcher: Dispatcher) -> None:
        now, before = time.monotonic(), self._progress.bytes
        positions = self._assignment.positions
        for message in messages:
            at = message.topic(), message.partition()
            ticket = self._progress.ticket(at)
            if ticket is None:
                continue
            offset, value, headers = message.offset(), message.value(), message.headers()
            size = len(value or b"")
            held = size + sum(len(name) + len(text or b"") for name, text in headers) if headers else size
            self._progress.read(at, offset, held, message.leader_epoch())
            positions.setdefault(at, offset)  # what was here before is committed: the lag counts from here
            record = RawRecord(*at, offset, message.timestamp()[1], value, tuple(headers or ()))
            dispatcher.add(record, ticket, size, now)
        self._record_bytes = max((self._progress.bytes - before) / len(messages), 1.0)

    def _commit_if_due(self) -> None:
        now = time.monotonic()
        if now >= self._commit_at:
            self._commit_at = now + self._settings.commit_interval_ms / 1000
            self._commits.finish()
            self._commits.begin()

    def _begin_partitions(self) -> None:
        """Let partitions deliver of which it is known now where they begin."""
        for at, begun in self._starts.take().items():
            ticket = self._progress.ticket(at)
            if ticket is None:
                ticket = self._progress.add_partition(at)
            if begun.place is not None:
                letter = None if begun.loss is None else self._letters.lose(at, begun.loss, clock_ms())
                offset = begun.place - 1
                self._progress.read(at, offset, 0)
                self._progress.settle(at, ticket, offset, letter, len(letter[1]) if letter else 0)
            if self._is_paused:
                self._assignment.stop_reading([at])
            self._assignment.release([at])

    def _adjust_pause(self, dispatcher: Dispatcher) -> None:
        """Read nothing while as much waits as may; read on when half of it is done."""
        s, p = self._settings, self._progress
        fill = max(
            p.records / s.max_waiting_records,
            p.bytes / s.max_waiting_bytes,
            p.uncommitted / (s.max_waiting_records + _MAX_UNCOMMITTED),
            p.letter_bytes / _MAX_LETTER_BYTES,
        )
        if not self._is_paused and fill >= 1:
            self._is_paused = True
            dispatcher.submit_rest()
            self._assignment.stop_reading([at for at in self._assignment.partitions if p.ticket(at) is not None])
        elif self._is_paused and fill <= 0.5:
            self._is_paused = False
            self._assignment.read_on()
        metrics.SINK_WAITING_RECORDS.labels(s.name).set(p.records)
        metrics.SINK_WAITING_BYTES.labels(s.name).set(p.bytes)
        metrics.SINK_PAUSED.labels(s.name).set(self._is_paused)

    def _finish(self, leaving: Sequence[Partition]) -> None:
        """Commit what is done of partitions that leave, and of what is on its way if the target answers.

        Raises:
            StoppedError: asked to stop while the cluster was away.
        """
        if self._is_closing or self._dispatcher is None:
            return
        self._dispatcher.finish(leaving, _REVOKE_SECONDS)
        self._commits.finish()
        self._commits.begin()
        self._commits.finish()

    def _forget(self, gone: Sequence[Partition]) -> None:
        """What is on its way of partitions that have left is not ours to wait for."""
        self._commits.forget(gone)
        if self._dispatcher is not None:
            self._dispatcher.abandon_left()

    def _swap_version(self, dispatcher: Dispatcher) -> None:
        """Deliver as another version of topics.yaml says: what waits for another target goes there."""
        version = self.versions.activate()
        if version is not None:
            # How much a letter may hold is fitted to the topic when the process starts.
            self._settings = replace(version.settings, dead_letters=self._settings.dead_letters)
            self._starts.begin = self._settings.begin
            dispatcher.replace(self._settings)

    def _check_progress(self, messages: Sequence[Message], dispatcher: Dispatcher) -> None:
        try:
            self._stall.check(
                is_up=self._broker.is_up,
                is_waiting=self._members.is_waiting,
                has_read=bool(messages) or self._is_paused or not dispatcher.is_idle,
                behind=self._observer.offsets_behind,
            )
        except StuckError:
            self._is_stuck = True  # a client that hears nothing of its group would not hear that it has left it
            raise
