"""The thread in which batches are delivered: what is given up ends, and holds nothing any more."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

from logrouter.deliver import event_loop
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


def test_a_loop_that_does_not_come_back_holds_up_no_end(monkeypatch):
    """Something blocks it: the thread ends with the process, which a supervisor waits for."""
    monkeypatch.setattr(event_loop, "_CLOSE_SECONDS", 0.05)
    begun, may_go_on, ended = threading.Event(), threading.Event(), threading.Event()

    class BlockingTarget(HangingTarget):
        async def deliver(self, _events):
            begun.set()
            may_go_on.wait(HANG_SECONDS)

    thread = DeliveryThread()
    thread.submit(BlockingTarget(), Batch((RawRecord("s", 0, 0, 0, b"{}"),), (1,)))
    assert begun.wait(HANG_SECONDS)
    closing = threading.Thread(target=lambda: thread.close() or ended.set())
    closing.start()
    try:
        assert ended.wait(5)
    finally:
        may_go_on.set()
        closing.join(HANG_SECONDS)
        thread._thread.join(HANG_SECONDS)
        thread._loop.run_until_complete(asyncio.wait(asyncio.all_tasks(thread._loop)))
        thread._loop.close()


INTERRUPTED = """
import signal
from logrouter.deliver.event_loop import DeliveryThread

signals = 0

def count(*_):
    global signals
    signals += 1

signal.signal(signal.SIGALRM, count)
thread = DeliveryThread()
signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
while signals < 2000:
    assert thread.take_finished(0.001) == []
signal.setitimer(signal.ITIMER_REAL, 0)
thread.close()
print("ended")
"""


def test_a_signal_makes_no_wait_for_a_batch_longer():
    """SIGHUP and SIGTERM come at any moment; a target that is down ends no batch for hours."""
    child = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, timeout=HANG_SECONDS, check=True)

    assert child.stdout == b"ended\n"
