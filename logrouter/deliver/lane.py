"""The delivery lane's loop: read events, hand batches to the sink, commit behind those that are done.

One thread reads Kafka and commits; another one delivers (`deliver.event_loop`). When as much waits as may, partitions
are paused and nothing is read, while the group is answered as before.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from logrouter.deliver.batching import Batcher
from logrouter.deliver.commits import Commits
from logrouter.deliver.event_loop import Batch, DeliveryThread
from logrouter.deliver.letters import LetterWriter
from logrouter.deliver.membership import DeliveryMembership
from logrouter.deliver.progress import Progress
from logrouter.deliver.starts import Starts
from logrouter.kafka.assignment import Assignment
from logrouter.kafka.connection import BrokerState, wait_for_topics
from logrouter.kafka.consumer import GroupConsumer
from logrouter.kafka.errors import StoppedError, StuckError, read_error
from logrouter.kafka.stall import StallWatch
from logrouter.kafka.transaction import BatchSize, open_producer
from logrouter.model import RawRecord
from logrouter.sinks.contract import Refused
from logrouter.sinks.delivery import count_settled
from logrouter.telemetry import metrics
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logrouter.deliver.event_loop import Finished
    from logrouter.deliver.settings import DeliverySettings
    from logrouter.kafka.records import Message, Partition
    from logrouter.reload.versions import ConfigVersions
    from logrouter.sinks.delivery import Delivery

_CONSUME_SECONDS: Final = 0.1
_BUSY_SECONDS: Final = 0.02
"""How long to wait for a batch to end, where nothing may be read before."""
_MAX_RECORDS: Final = 2_000
_REVOKE_SECONDS: Final = 5.0
"""How long partitions that leave are held for requests that are on their way."""
_LAG_SECONDS: Final = 1.0
_ASK_SECONDS: Final = 2.0
_MANY_ABORTS: Final = 5


def clock_ms() -> int:
    """Epoch milliseconds."""
    return time.time_ns() // 1_000_000


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
        self._batcher: Batcher[tuple[RawRecord, int]] = Batcher(self._settings.batch)
        self._in_flight: dict[int, tuple[Batch, Delivery]] = {}
        self._retired: set[Delivery] = set()
        self._is_paused = False
        self._source_errors: set[tuple[str, int]] = set()
        self._refused = ""
        self._commit_at = self._lag_at = self._asked_at = 0.0
        self._stall = StallWatch(self._settings.session_timeout_ms)
        self._connected = self._is_stuck = False

    @property
    def unready_reason(self) -> str:
        """In one line why no events are delivered now; empty while they are, or there are none."""
        if not self._connected:
            return "starting"
        why = self._broker.why_waiting or self._refused
        if not why and not self._members.joined:
            why = "waiting for the consumer group to hand out partitions"
        if not why and self._commits.aborts >= _MANY_ABORTS:
            why = f"transactions are being aborted: {self._commits.abort_cause}"
        return why or self._delivery.why_waiting or self._assignment.why_waiting

    def run(self) -> None:
        """Connect, then deliver until asked to stop.

        Raises:
            FatalError: fenced, or librdkafka cannot go on.
            ClientError: a setting is wrong.
        """
        s = self._settings
        self._consumer = GroupConsumer(
            # Little is fetched ahead: what waits in the client waits beside what waits for the target.
            {"queued.max.messages.kbytes": 16_384, **s.kafka},
            group=s.group,
            instance=s.instance if s.static_membership else None,
            session_timeout_ms=s.session_timeout_ms,
            on_error=self._broker.on_error,
        )
        self._assignment = Assignment(self._consumer, self._give_up)
        self._starts = Starts(s.kafka, s.group, s.begin, self._assignment)
        self._producer = open_producer(
            s.kafka,
            transactional_id=s.transactional_id,
            timeout_ms=s.transaction_timeout_ms,
            broker=self._broker,
            give_up=self._give_up,
            batches=BatchSize(),
        )
        self._commits = Commits(
            self._consumer, self._producer, self._assignment, self._progress, self._broker, s.dead_letters.topic
        )
        self._members = DeliveryMembership(
            self._consumer, self._assignment, self._starts, self._progress, self._broker, finish=self._finish
        )
        self._thread = DeliveryThread()
        self._delivery = s.open_delivery()
        self._connected = True
        try:
            self._start()
            while not self._stopping():
                self._turn()
            self._finish([*self._assignment.partitions])
        except StoppedError:
            pass  # what is not committed is delivered again
        finally:
            self._close()

    def _start(self) -> None:
        s = self._settings
        found = wait_for_topics(self._consumer, {*s.topics, s.dead_letters.topic}, self._broker, give_up=self._stopping)
        self._letters = LetterWriter(s.name, s.dead_letters, emitter=s.emitter, cluster=found.cluster_id)
        self._producer.initialise()
        self._members.subscribe(s.topics)
        log(Log.LANE_STARTED, lane="sink", sink=s.name, group=s.group, instance=s.instance, sources=",".join(s.topics))

    def _give_up(self) -> bool:
        """Whether waiting for the cluster has to end: some time after we were asked to stop, not at once."""
        if not self._stopping():
            return False
        if self._stop_by is None:
            self._stop_by = time.monotonic() + self._settings.stop_timeout_ms / 1000
        return time.monotonic() > self._stop_by

    def _close(self) -> None:
        if not self._is_stuck:
            self._consumer.close()
        for delivery in (self._delivery, *self._retired):
            self._thread.close_delivery(delivery)
        self._thread.close()
        self._producer.close()
        self._starts.close()
        log(Log.LANE_STOPPED, lane="sink", sink=self._settings.name, instance=self._settings.instance)

    def _turn(self) -> None:
        self._producer.poll()
        if self.versions.is_swap_due():
            self._swap_version()
        self._settle(self._thread.take_finished(_BUSY_SECONDS if self._is_paused else 0.0))
        self._commit_if_due()
        self._begin_partitions()
        messages = self._read()
        self._submit_if_old()
        self._adjust_pause()
        self._look_at_cluster()
        self._check_progress(messages)

    def _read(self) -> list[Message]:
        """Records that were read now; they are in the batch that is being filled, or on their way."""
        seconds = 0.0 if self._is_paused else min(_CONSUME_SECONDS, self._batcher.seconds_left(time.monotonic()))
        self._assignment.begin_call()
        read = self._consumer.consume(_MAX_RECORDS, seconds)
        messages = self._assignment.without_revoked([m for m in read if m.error() is None or not self._take_error(m)])
        waiting = {at for at, position in self._assignment.starting.items() if position is None}
        messages = [m for m in messages if (m.topic(), m.partition()) not in waiting]
        self._assignment.note_read(messages)
        for message in messages:
            self._add(message)
        return messages

    def _take_error(self, message: Message) -> bool:
        """An error came in place of a record; always true."""
        if self._starts.take_error(message):
            return True
        error = read_error(message)
        what = error.topic, error.code
        if what not in self._source_errors:
            self._source_errors.add(what)
            log(Log.SOURCE_ERROR, topic=error.topic or None, error=error.name, detail=error.text)
        if error.is_refused:
            self._refused = f"no right to read topic {error.topic}: {error.name}"
        return True

    def _add(self, message: Message) -> None:
        at = message.topic(), message.partition()
        value, headers = message.value(), message.headers()
        record = RawRecord(*at, message.offset(), message.timestamp()[1], value, tuple(headers or ()))
        size = len(value or b"")
        ticket = self._progress.ticket(at)
        if ticket is None:
            return
        self._progress.read(at, record.offset, size, message.leader_epoch())
        for batch in self._batcher.add((record, ticket), size, time.monotonic()):
            self._submit(batch)

    def _submit_if_old(self) -> None:
        if self._batcher.seconds_left(time.monotonic()) <= 0:
            self._submit(self._batcher.take())

    def _submit(self, items: Sequence[tuple[RawRecord, int]]) -> None:
        current = [(r, t) for r, t in items if self._progress.ticket((r.topic, r.partition)) == t]
        if current:
            batch = Batch(*map(tuple, zip(*current, strict=True)))
            self._in_flight[id(batch)] = batch, self._delivery
            self._thread.submit(self._delivery, batch)

    def _settle(self, finished: Sequence[Finished]) -> None:
        """Note what has become of batches; what a retired delivery has left goes to the present one."""
        for each in finished:
            if each.error is not None:
                raise each.error
            del self._in_flight[id(each.batch)]
            left, done = [], []
            for event, ticket, settled in zip(each.batch.events, each.batch.tickets, each.settled, strict=True):
                if settled is None:
                    left.append((event, ticket))
                    continue
                at = event.topic, event.partition
                if self._progress.ticket(at) != ticket:
                    continue
                done.append(settled)
                letter = self._refuse(event, settled) if isinstance(settled, Refused) else None
                self._progress.settle(at, ticket, event.offset, letter)
            count_settled(self._settings.name, done)
            if left:
                self._submit(left)
        if finished and self._retired:
            self._close_retired()

    def _close_retired(self) -> None:
        """Close former deliveries of which no batch is on its way any more."""
        for idle in self._retired - {delivery for _, delivery in self._in_flight.values()}:
            self._retired.discard(idle)
            self._thread.close_delivery(idle)

    def _refuse(self, event: RawRecord, refused: Refused) -> object:
        log(
            Log.SINK_REFUSES,
            sink=self._settings.name,
            topic=event.topic,
            partition=event.partition,
            offset=event.offset,
            status=refused.status,
        )
        return self._letters.refuse(event, refused, clock_ms())

    def _commit_if_due(self) -> None:
        now = time.monotonic()
        if now >= self._commit_at:
            self._commit_at = now + self._settings.commit_interval_ms / 1000
            self._commits.finish()
            self._commits.begin()

    def _begin_partitions(self) -> None:
        for at, loss in self._starts.take().items():
            if self._progress.ticket(at) is None:
                self._progress.add_partition(at)
            if loss is not None:
                offset = loss.start - 1
                self._progress.read(at, offset, 0)
                self._progress.settle(at, self._progress.ticket(at), offset, self._letters.lose(at, loss, clock_ms()))
            if self._is_paused:
                self._assignment.hold([at])
            self._assignment.release([at])

    def _adjust_pause(self) -> None:
        """Read nothing while as much waits as may; read on when half of it is done."""
        s = self._settings
        fill = max(self._progress.records / s.max_waiting_records, self._progress.bytes / s.max_waiting_bytes)
        begun = [at for at in self._assignment.partitions if self._progress.ticket(at) is not None]
        if not self._is_paused and fill >= 1:
            self._is_paused = True
            self._submit(self._batcher.take())
            self._assignment.pause(begun)
        elif self._is_paused and fill <= 0.5:
            self._is_paused = False
            self._assignment.release(begun)
        metrics.SINK_WAITING_RECORDS.labels(s.name).set(self._progress.records)
        metrics.SINK_WAITING_BYTES.labels(s.name).set(self._progress.bytes)
        metrics.SINK_PAUSED.labels(s.name).set(self._is_paused)

    def _finish(self, leaving: Sequence[Partition]) -> None:
        """Commit what is done of partitions that leave, and of what is on its way if the target answers.

        Raises:
            StoppedError: asked to stop while the cluster was away.
        """
        tickets = {ticket for at in leaving if (ticket := self._progress.ticket(at)) is not None}
        by = time.monotonic() + _REVOKE_SECONDS
        while (
            not self._delivery.why_waiting
            and time.monotonic() < by
            and any(not tickets.isdisjoint(batch.tickets) for batch, _ in self._in_flight.values())
        ):
            self._settle(self._thread.take_finished(_CONSUME_SECONDS))
        self._settle(self._thread.take_finished())
        self._commits.finish()
        self._commits.begin()
        self._commits.finish()

    def _swap_version(self) -> None:
        """Deliver as another version of topics.yaml says: what waits for the target goes to the new delivery."""
        version = self.versions.activate()
        if version is None:
            return
        former, self._settings = self._delivery, version.settings
        self._submit(self._batcher.take())
        self._delivery = self._settings.open_delivery()
        self._batcher = Batcher(self._settings.batch)
        self._thread.retire(former)
        self._retired.add(former)
        self._close_retired()

    def _look_at_cluster(self) -> None:
        """Measure the lag, or ask whether the cluster is back."""
        now = time.monotonic()
        if self._broker.is_up and not self._broker.missing:
            if now > self._lag_at:
                self._lag_at = now + _LAG_SECONDS
                for at in self._assignment.partitions:
                    end, done = self._consumer.known_end(at), self._assignment.positions.get(at)
                    done = self._assignment.read_to.get(at) if done is None else done
                    if end is not None and done is not None:
                        metrics.CONSUMER_LAG.labels(*map(str, at)).set(max(end - done, 0))
        elif now > self._asked_at + _ASK_SECONDS:
            self._asked_at = now
            s = self._settings
            missing = self._consumer.find_missing({*s.topics, s.dead_letters.topic}, _ASK_SECONDS / 2)
            if missing is not None:
                self._broker.note_missing(missing)

    def _check_progress(self, messages: Sequence[Message]) -> None:
        if messages:
            self._source_errors.clear()
            self._refused = ""
        try:
            self._stall.check(
                is_up=self._broker.is_up,
                is_waiting=self._members.is_waiting,
                has_read=bool(messages) or self._is_paused,
                behind=lambda: 0,
            )
        except StuckError:
            self._is_stuck = True
            raise
