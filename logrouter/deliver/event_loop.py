"""The thread in which batches are delivered, beside the one that reads Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from logrouter.process.daemon_threads import DaemonThreadLoop

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from logrouter.model import RawRecord
    from logrouter.sinks.contract import Settled
    from logrouter.sinks.delivery import Delivery


_CLOSE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that go out together. *tickets* are those of their partitions' assignments, one for each event."""

    events: Sequence[RawRecord]
    tickets: Sequence[int]


@dataclass(slots=True)
class Finished:
    """What became of a batch: an entry for each event, None for one that the delivery was retired before."""

    batch: Batch
    settled: Sequence[Settled | None] = field(default_factory=list)
    error: BaseException | None = None
    """A programming error: nothing is known of the batch."""


class DeliveryThread:
    """Runs deliveries in one event loop. Its methods are called from the thread that reads Kafka."""

    def __init__(self) -> None:
        self._loop = DaemonThreadLoop()
        # Not `SimpleQueue`: Python 3.11's waits for ever if a signal comes when the time to wait is about to be over.
        self._finished: queue.Queue[Finished] = queue.Queue()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="delivery", daemon=True)
        self._thread.start()

    def submit(self, delivery: Delivery[RawRecord], batch: Batch) -> None:
        """Begin to deliver a batch; `take_finished` tells when that is over."""
        self._loop.call_soon_threadsafe(self._begin, delivery, batch)

    def abandon(self, batch: Batch) -> None:
        """Let nobody wait for a batch any more: the target may or may not have its events, and gets no more of them."""
        self._loop.call_soon_threadsafe(self._cancel_batch, batch)

    def retire(self, delivery: Delivery[RawRecord]) -> None:
        """Let the batches of *delivery* end after the request that they wait for."""
        self._loop.call_soon_threadsafe(delivery.retire)

    def close_delivery(self, delivery: Delivery[RawRecord]) -> None:
        """Close the connections of *delivery*, of which no batch is on its way."""
        self._loop.call_soon_threadsafe(self._begin_closing, delivery)

    def take_finished(self, seconds: float = 0.0) -> list[Finished]:
        """The batches that have ended since the last call; waits up to *seconds* for a first one."""
        found: list[Finished] = []
        if not self._thread.is_alive() and not self._loop.is_closed():
            raise RuntimeError("the thread that delivers has ended")
        try:
            found.append(self._finished.get(block=seconds > 0, timeout=seconds or None))
            while True:
                found.append(self._finished.get_nowait())
        except queue.Empty:
            return found

    def close(self, deliveries: Collection[Delivery[RawRecord]] = ()) -> None:
        """Cancel whatever is on its way, close the connections of *deliveries*, and end the thread."""
        with contextlib.suppress(TimeoutError):  # what can't be closed ends with the process
            asyncio.run_coroutine_threadsafe(self._cancel(deliveries), self._loop).result(_CLOSE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLOSE_SECONDS)
        if not self._thread.is_alive():  # else it ends with the process
            self._loop.close()

    async def _cancel(self, deliveries: Collection[Delivery[RawRecord]]) -> None:
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *self._closing, return_exceptions=True)
        await asyncio.gather(*(each.close() for each in deliveries), return_exceptions=True)

    def _begin_closing(self, delivery: Delivery[RawRecord]) -> None:
        task = self._loop.create_task(delivery.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _begin(self, delivery: Delivery[RawRecord], batch: Batch) -> None:
        task = self._loop.create_task(self._deliver(delivery, batch))
        self._tasks[id(batch)] = task
        task.add_done_callback(lambda _: self._tasks.pop(id(batch), None))

    def _cancel_batch(self, batch: Batch) -> None:
        if (task := self._tasks.get(id(batch))) is not None:
            task.cancel()

    async def _deliver(self, delivery: Delivery[RawRecord], batch: Batch) -> None:
        try:
            self._finished.put(Finished(batch, await delivery.deliver(batch.events)))
        except Exception as error:  # noqa: BLE001 - raised by whoever takes it, in the thread that can end the process
            self._finished.put(Finished(batch, error=error))
