"""Private hooks into Faust's transport and aiokafka; a contract test pins the names used here.

What is corrected, and why (docs/adr/0004):

- offsets are committed in the order of delivery: Faust's own arithmetic is slow at missing offsets or skips records,
  and every transaction leaves a missing offset;
- only committed records are read;
- a flush waits for every message, and a failed send ends the process instead of leaving a gap in the changelog;
- rows are sent to the changelog in batches, each checked for a foreign writer, and only while the lease is valid;
- positions are set while no fetch is running, also those of partitions without a committed offset.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiokafka import errors
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest
from aiokafka.protocol.produce import ProduceRequest
from faust.transport import producer as producers
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver

from logrouter.process.daemon_threads import DaemonThreadLoop
from logrouter.tables.lease import Lease
from logrouter.tables.mismatch import MismatchError, exit_mismatch
from logrouter.telemetry.metrics import CHANGELOG_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping

    from faust.types import TP

SCHEME: Final = "logrouter"
_FETCH_WAIT_MS: Final = 100
_POLL_SECONDS: Final = 0.25
_PARK_SECONDS: Final = 30.0
_NO_MEMBER: Final = (errors.UnknownMemberIdError.errno, errors.IllegalGenerationError.errno)
"""Answers of a coordinator that has removed us: our partitions may have another owner."""


class SendFailedError(Exception):
    """A changelog record was not delivered, now or earlier; nothing more is sent."""


class EmptyFetch(NamedTuple):
    """A fetch that found no records: all below *position* had been delivered, the last one at offset *delivered*."""

    position: int
    delivered: int


def follow_membership(send: Callable[[Any], Awaitable[Any]], lease: Lease) -> Callable[[Any], Awaitable[Any]]:
    """*send*, which sends requests to the group coordinator, with each answer noted in the lease."""

    async def send_and_note(request: Any) -> Any:
        if isinstance(request, (JoinGroupRequest, LeaveGroupRequest)):
            lease.give_up()
        asked = lease.ask()
        response = await send(request)
        if isinstance(request, (HeartbeatRequest, SyncGroupRequest)):
            code = response.error_code
            if code == errors.NoError.errno:
                lease.renew(asked)
            elif code == errors.RebalanceInProgressError.errno and isinstance(request, HeartbeatRequest):
                lease.renew_in_rebalance(asked)
            elif code in _NO_MEMBER:
                lease.give_up()
        return response

    return send_and_note


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's thread around aiokafka's consumer: read_committed, short fetches, heartbeats that renew the lease."""

    consumer: Any

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # noqa: SLF001 - read at start; Faust offers no setting
        # 1.5 s in Faust: an idle partition would hold back the others for that long.
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS  # noqa: SLF001
        return consumer

    async def on_start(self) -> None:
        """Let the lease follow what the coordinator answers. Faust calls it when the thread starts."""
        await super().on_start()
        coordinator = self._ensure_consumer()._coordinator  # noqa: SLF001
        coordinator._send_req = follow_membership(coordinator._send_req, self.consumer.lease)  # noqa: SLF001
        self._watch_resets()

    def _watch_resets(self) -> None:
        """Have the consumer told of partitions whose next offset the topic does not have, before it reads on."""
        fetcher = self._ensure_consumer()._fetcher  # noqa: SLF001
        update = fetcher._update_fetch_positions  # noqa: SLF001

        async def note_and_update(assignment: Any, node_id: int, tps: list[Any]) -> Any:
            lost = [tp for tp in tps if assignment.state_value(tp).awaiting_reset]
            updated = await update(assignment, node_id, tps)
            for tp in lost:
                state = assignment.state_value(tp)
                if assignment.active and state.has_valid_position:
                    note = self.consumer.note_reset
                    self.consumer.loop.call_soon_threadsafe(note, ensure_TP(tp), state.position)
            return updated

        fetcher._update_fetch_positions = note_and_update  # noqa: SLF001

    def fetch_progress(self, tp: TP) -> tuple[int | None, int | None]:
        """The next offset to be delivered, and the end of the partition by the last fetch; None if not known."""
        consumer = self._consumer
        subscription = consumer and consumer._subscription.subscription  # noqa: SLF001
        assignment = subscription and subscription.assignment
        state = assignment and assignment.state_value(driver.ensure_aiokafka_TP(tp))
        if not state:
            return None, None
        return state.position if state.has_valid_position else None, state.highwater


class Consumer(driver.Consumer):
    """Faust's consumer with commits in delivery order, and seeks only while no fetch is running."""

    app: Any
    _thread: ConsumerThread

    lease: Lease
    on_revoked: Callable[[], Awaitable[None]] | None = None
    find_starts: Callable[[Mapping[TP, int | None], Mapping[TP, int]], Mapping[TP, int]] | None = None
    on_reset: Callable[[TP, int], None] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._delivered: defaultdict[TP, deque[int]] = defaultdict(deque)
        self._last_delivered: dict[TP, int] = {}
        self._empty_fetches: dict[TP, EmptyFetch] = {}
        self._positioned: set[TP] = set()
        self._parked = False
        super().__init__(*args, **kwargs)
        self.lease = Lease(self.app.conf.broker_session_timeout, self.app.conf.broker_rebalance_timeout)

    def _new_consumer_thread(self) -> ConsumerThread:
        thread = ConsumerThread(self, loop=self.loop, thread_loop=DaemonThreadLoop(), beacon=self.beacon)
        thread._close_thread_loop_on_stop = True  # noqa: SLF001 - else only a loop that the library has made
        return thread

    # Commits

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109 - Faust's signature
        """Messages by partition. Notes the order of delivery, in which offsets are committed."""
        acks_enabled = self.app.topics.acks_enabled_for
        async for tp, message in super().getmany(timeout):
            read = self._read_offset[tp]
            if (read is None or message.offset >= read) and acks_enabled(message.topic):
                self._delivered[tp].append(message.offset)
                self._last_delivered[tp] = message.offset
            yield tp, message

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing: missing offsets do not matter to commits in delivery order."""

    def _new_offset(self, tp: TP) -> int | None:
        delivered, acked, last = self._delivered[tp], self._acked_index[tp], None
        self._acked[tp].clear()
        while delivered and delivered[0] in acked:
            last = delivered.popleft()
            acked.discard(last)
        return None if last is None else last + 1

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit before the base class drops its offsets, so that the next owner need not replay them.

        Then calls *on_revoked*. When this returns we ask to join again, and from then on nothing may be written.
        """
        await self.commit()
        await super().on_partitions_revoked(revoked)
        if self.on_revoked is not None:
            await self.on_revoked()
        for tp in revoked:
            self._delivered.pop(tp, None)
            self._last_delivered.pop(tp, None)
            self._empty_fetches.pop(tp, None)

    # Positions

    async def perform_seek(self) -> None:
        """Seek to where *find_starts* says, given the committed offsets and the first offset that each partition has.

        Faust would seek to the committed offsets, and nowhere in partitions without one.
        """
        for forgotten in (self._delivered, self._last_delivered, self._empty_fetches, self._positioned):
            forgotten.clear()
        for acked in self._acked_index.values():
            acked.clear()
        for pending in self._acked.values():
            pending.clear()
        await super().perform_seek()
        sources = [tp for tp in self.assignment() if not self._is_changelog_tp(tp)]
        if not sources:
            return
        earliest = await self.earliest_offsets(*sources)
        committed = {tp: self._committed_offset[tp] for tp in sources}
        begin = earliest if self.find_starts is None else self.find_starts(committed, earliest)
        if moved := {tp: offset for tp, offset in begin.items() if offset == 0 or offset != committed[tp]}:
            await self.seek_wait(moved)
        self._positioned.update(sources)

    def note_reset(self, tp: TP, begin: int) -> None:
        """Call *on_reset* for a source that was being read: the topic lacks its next offset; *begin* is it now."""
        if tp in self._positioned and self.on_reset is not None:
            self.on_reset(tp, begin)

    async def _wait_next_records(self, timeout: float) -> tuple[Any, set[TP] | None]:  # noqa: ASYNC109 - Faust's signature
        if not self.flow_active:
            self._parked = True
            try:
                await self.wait(self.can_resume_flow)  # type: ignore[arg-type]  # as in Faust's own code
            finally:
                self._parked = False
        if not self._get_active_partitions():
            await asyncio.sleep(_POLL_SECONDS / 5)  # the base class sleeps a whole second
            return {}, self._get_active_partitions()
        records, active = await super()._wait_next_records(min(timeout, _POLL_SECONDS))
        for tp in active or ():
            if records is not None and tp not in records:
                position, _ = self._thread.fetch_progress(tp)
                if position is not None:
                    self._empty_fetches[tp] = EmptyFetch(position, self._last_delivered.get(tp, -1))
        return records, active

    async def wait_parked(self) -> None:
        """Return when no fetch is running: records that arrive after positions were set would be lost.

        Raises `TimeoutError` after half a minute.
        """
        fetcher, until = self.app._fetcher, time.monotonic() + _PARK_SECONDS  # noqa: SLF001
        while fetcher.started and not fetcher.should_stop and not self._parked:
            if time.monotonic() > until:
                msg = f"the fetcher has not come to rest within {_PARK_SECONDS:g} s"
                raise TimeoutError(msg)
            await asyncio.sleep(0.01)

    def last_empty_fetch(self, tp: TP) -> EmptyFetch | None:
        """The last fetch of a partition that found no records; None before there was one."""
        return self._empty_fetches.get(tp)

    def end_offset(self, tp: TP) -> int | None:
        """The end of a partition by the last fetch; None if not known."""
        end: int | None = self._thread.fetch_progress(tp)[1]
        return end


class Buffer(producers.ProducerBuffer):
    """Faust's buffer, whose flush also waits for the message that is being sent."""

    max_messages = 20_000
    _sending = 0

    async def _send_pending(self, fut: Any) -> None:
        self._sending += 1
        try:
            await super()._send_pending(fut)
        finally:
            self._sending -= 1

    async def flush(self) -> None:
        """Wait until every message is sent; `SendFailedError` if the producer stops before."""
        while self.size or self._sending:
            if self.state != "running":
                raise SendFailedError("the producer stopped with messages in its buffer")
            await asyncio.sleep(0.002)


class Producer(driver.Producer):
    """Faust's producer: idempotent, with batch sends; after a failed send it sends nothing more."""

    app: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.buffer = Buffer(loop=self.loop, beacon=self.beacon)
        self.buffer.app = self.app
        self.failed: BaseException | None = None
        self.before_flush: list[Callable[[], Awaitable[None]]] = []
        self._unacked: set[asyncio.Future[Any]] = set()

    def fail(self, exc: BaseException) -> None:
        """Crash the application: from now on every flush fails, so nothing is committed.

        A refusal ends the process at once: no stop in order could add anything, and its one line stays the last.
        """
        if self.failed is None:
            self.failed = exc
            self.app.note_failure(exc)
            if isinstance(exc, MismatchError):
                exit_mismatch()
            self._crash_task = asyncio.ensure_future(self.app.crash(exc))

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}

    def _new_producer(self, transactional_id: str | None = None) -> Any:
        producer = super()._new_producer(transactional_id)
        send, consumer = producer.client.send, self.app.consumer

        async def send_within_lease(node_id: Any, request: Any, **options: Any) -> Any:
            # The last moment before the socket: whatever waited in aiokafka's queues while this process was stopped
            # is caught too.
            if isinstance(request, ProduceRequest) and not consumer.lease.valid():
                self.app.exit_fenced("the group coordinator has not answered for most of the session time-out")
            return await send(node_id, request, **options)

        producer.client.send = send_within_lease
        return producer

    async def flush(self) -> None:
        """Flush the tables, send everything, and wait for the acknowledgements; then Faust commits offsets.

        Raises `SendFailedError` if a send failed, now or earlier.
        """
        if self.failed is None:
            for hook in self.before_flush:
                await hook()
            await super().flush()
            await self.wait_acknowledged()
        if self.failed is not None:
            raise SendFailedError(repr(self.failed))

    async def wait_acknowledged(self) -> None:
        """Wait until every row sent so far is acknowledged, or has failed."""
        if self._unacked:
            await asyncio.wait(set(self._unacked))
            await asyncio.sleep(0)  # their callbacks run first

    async def send_rows(
        self,
        topic: str,
        partition: int,
        changes: Iterable[tuple[bytes, bytes | None]],
        acked: Callable[[int, int], None],
    ) -> list[asyncio.Future[Any]]:
        """Send changelog records in batches; the futures of the batches.

        *changes* are keys and values, None for a tombstone. *acked* is called with each batch's first offset and number
        of records. A row larger than a batch gets one of its own. Raises `SendFailedError` after a failure.
        """
        producer = self._ensure_producer()
        builder = producer.create_batch()
        futures = []
        for key, value in changes:
            if builder.append(timestamp=None, key=key, value=value) is None:
                futures.append(await self._send_batch(builder, topic, partition, acked))
                builder = producer.create_batch()
                if builder.append(timestamp=None, key=key, value=value) is None:  # an empty batch takes any row
                    msg = f"a row of {len(value or b'')} bytes is larger than a batch"
                    raise SendFailedError(msg)
        if builder.record_count():
            futures.append(await self._send_batch(builder, topic, partition, acked))
        return futures

    async def _send_batch(self, builder: Any, topic: str, partition: int, acked: Callable[[int, int], None]) -> Any:
        if self.failed is not None:
            raise SendFailedError(repr(self.failed))
        builder.close()
        count = builder.record_count()
        CHANGELOG_BYTES.inc(builder.size())
        future = await self._ensure_producer().send_batch(builder, topic, partition=partition)
        self._unacked.add(future)

        def done(future: asyncio.Future[Any]) -> None:
            self._unacked.discard(future)
            error = SendFailedError("cancelled") if future.cancelled() else future.exception()
            if error is not None:
                self.fail(error)
            else:
                acked(future.result().offset, count)

        future.add_done_callback(done)
        return future


class Transport(driver.Transport):
    """The transport of broker URLs that begin with ``logrouter://``."""

    Consumer = Consumer
    Producer = Producer

    async def _create_topic(
        self, owner: Any, client: Any, topic: str, partitions: int, replication: int, **options: Any
    ) -> None:
        # Faust's setting cannot say -1, the broker's own default.
        replication = getattr(self.app, "replication_factor", replication)
        await super()._create_topic(owner, client, topic, partitions, replication, **options)


TRANSPORTS.aliases[SCHEME] = f"{__name__}:Transport"
