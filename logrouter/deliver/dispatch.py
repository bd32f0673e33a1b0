"""Events on their way to the target: gathered into batches, handed to the delivery thread, settled as they return."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from logrouter.deliver.batching import Batcher
from logrouter.deliver.event_loop import Batch, DeliveryThread
from logrouter.deliver.refusal_log import RefusalLog
from logrouter.sinks.contract import Refused
from logrouter.sinks.sink_observer import count_settled

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from logrouter.deliver.event_loop import Finished
    from logrouter.deliver.letters import LetterWriter
    from logrouter.deliver.progress import Progress
    from logrouter.deliver.settings import DeliverySettings
    from logrouter.kafka.records import Partition
    from logrouter.model import RawRecord
    from logrouter.sinks.delivery import Delivery


def clock_ms() -> int:
    """Epoch milliseconds."""
    return time.time_ns() // 1_000_000


class Dispatcher:
    """The batches of one lane. Used in the lane's thread; whoever makes it closes it."""

    def __init__(self, settings: DeliverySettings, progress: Progress, letters: LetterWriter) -> None:
        """What becomes of events is noted in *progress*, with *letters* about those that are refused."""
        self._name = settings.name
        self._target = settings.target
        self._progress = progress
        self._letters = letters
        self._refusals = RefusalLog(settings.name)
        self._batcher: Batcher[tuple[RawRecord, int]] = Batcher(settings.batch)
        self._in_flight: dict[int, tuple[Batch, Delivery[RawRecord]]] = {}
        self._retired: set[Delivery[RawRecord]] = set()
        self._thread = DeliveryThread()
        self._delivery = settings.open_delivery()

    @property
    def why_waiting(self) -> str:
        """In one line why the target takes nothing; empty while it does. May be asked in any thread."""
        return self._delivery.why_waiting

    @property
    def is_idle(self) -> bool:
        """Whether no batch is on its way."""
        return not self._in_flight

    def add(self, record: RawRecord, ticket: int, size: int, now: float) -> None:
        """Send this event when its batch is complete. *ticket* is that of its partition, *now* in seconds."""
        for batch in self._batcher.add((record, ticket), size, now):
            self._submit(batch)

    def seconds_left(self, now: float) -> float:
        """How long the batch that is being filled may wait on; infinite if there is none."""
        return self._batcher.seconds_left(now)

    def submit_if_old(self, now: float) -> None:
        """Send the batch that is being filled if it has waited for long enough."""
        if self._batcher.seconds_left(now) <= 0:
            self.submit_rest()

    def submit_rest(self) -> None:
        """Send the batch that is being filled as it is."""
        self._submit(self._batcher.take())

    def settle(self, seconds: float = 0.0) -> None:
        """Note what has become of batches that have ended; waits up to *seconds* for a first one.

        What a retired delivery has left goes to the present one.
        """
        finished = self._thread.take_finished(seconds)
        for each in finished:
            self._note(each)
        self._refusals.look()
        if finished and self._retired:
            self._close_retired()

    def finish(self, partitions: Collection[Partition], seconds: float) -> None:
        """Wait for what is on its way of *partitions*, up to *seconds*, but not for a target that is down."""
        tickets = {ticket for at in partitions if (ticket := self._progress.ticket(at)) is not None}
        by = time.monotonic() + seconds
        while not self._delivery.why_waiting and self._is_under_way(tickets) and time.monotonic() < by:
            self.settle(min(0.1, seconds))
        self.settle()

    def abandon_left(self) -> None:
        """Give up batches of which all partitions have left: whoever has these now delivers their events again."""
        for batch, _ in [*self._in_flight.values()]:
            if not any(map(self._is_current, batch.events, batch.tickets)):
                del self._in_flight[id(batch)]
                self._thread.abandon(batch)
        self._close_retired()

    def replace(self, settings: DeliverySettings) -> None:
        """Go on as these settings say. For another target, what waits for the former one goes there."""
        self._batcher.bounds = settings.batch
        if settings.target == self._target:
            return
        former, self._delivery, self._target = self._delivery, settings.open_delivery(), settings.target
        self._thread.retire(former)
        self._retired.add(former)
        self._close_retired()

    def close(self) -> None:
        """Give up what is on its way, and close all connections."""
        self._refusals.close()
        self._thread.close([self._delivery, *self._retired])

    def _is_under_way(self, tickets: Collection[int]) -> bool:
        return any(not set(batch.tickets).isdisjoint(tickets) for batch, _ in self._in_flight.values())

    def _is_current(self, event: RawRecord, ticket: int) -> bool:
        return self._progress.ticket((event.topic, event.partition)) == ticket

    def _submit(self, items: Sequence[tuple[RawRecord, int]]) -> None:
        current = [item for item in items if self._is_current(*item)]
        if current:
            batch = Batch(*map(tuple, zip(*current, strict=True)))
            self._in_flight[id(batch)] = batch, self._delivery
            self._thread.submit(self._delivery, batch)

    def _note(self, finished: Finished) -> None:
        if finished.error is not None:
            raise finished.error
        batch = finished.batch
        if self._in_flight.pop(id(batch), None) is None:
            return  # abandoned
        left, done = [], []
        for event, ticket, settled in zip(batch.events, batch.tickets, finished.settled, strict=True):
            if settled is None:
                left.append((event, ticket))
                continue
            at = event.topic, event.partition
            if not self._is_current(event, ticket):
                continue  # the partition has left: whoever has it now delivers the event again
            done.append(settled)
            if isinstance(settled, Refused):
                self._refusals.note(event, settled)
                letter = self._letters.refuse(event, settled, clock_ms())
                self._progress.settle(at, ticket, event.offset, letter, len(letter[1]))
            else:
                self._progress.settle(at, ticket, event.offset)
        count_settled(self._name, done)
        self._submit(left)

    def _close_retired(self) -> None:
        """Close former deliveries of which no batch is on its way any more."""
        for idle in self._retired - {delivery for _, delivery in self._in_flight.values()}:
            self._retired.discard(idle)
            self._thread.close_delivery(idle)
