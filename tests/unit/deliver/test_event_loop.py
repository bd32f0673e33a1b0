"""The thread in which batches are delivered: what is given up ends, and holds nothing any more."""

from __future__ import annotations

import asyncio
import threading

from logrouter.deliver.event_loop import Batch, DeliveryThread
from logrouter.model import RawRecord

HANG_SECONDS = 30


class HangingTarget:
    """A delivery that never comes to its end, as that of a target that is down."""

    def __init__(self) -> None:
        self.begun, self.cancelled = threading.Event(), threading.Event()

    async def deliver(self, _events):
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()

    async def close(self):
        """Nothing is open."""


def test_an_abandoned_batch_ends_and_is_never_heard_of():
    """And abandoning it twice, or when it has ended, is no mistake."""
    thread, target = DeliveryThread(), HangingTarget()
    batch = Batch((RawRecord("s", 0, 0, 0, b"{}"),), (1,))
    try:
        thread.submit(target, batch)
        assert target.begun.wait(HANG_SECONDS)
        thread.abandon(batch)
        assert target.cancelled.wait(HANG_SECONDS)
        thread.abandon(batch)
    finally:
        thread.close([target])

    assert thread.take_finished() == []
