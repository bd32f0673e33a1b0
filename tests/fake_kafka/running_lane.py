"""A lane on a fake cluster that a test moves on, one turn at a time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tests.conftest import HANG_SECONDS
from tests.fake_kafka.clients import FakeConsumer, FakeProducer

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    import pytest

    from tests.fake_kafka.cluster import FakeCluster
    from tests.fake_kafka.messages import Message


class Killed(BaseException):
    """The process is killed."""


class RunningLane:
    """A lane's `run` in a thread of its own, which waits in each call of `consume` for what that is to do.

    A lane's tests derive from it, to make the lane; who has made it calls `start`.
    """

    def __init__(self, cluster: FakeCluster, patch: pytest.MonkeyPatch, module: ModuleType) -> None:
        """*module* is that of the lane: it gets its clients from there."""
        self.consumer, self.producer = FakeConsumer(cluster), FakeProducer(cluster, "g-i")
        self.stopping = False
        self.error: BaseException | None = None
        self._call: Callable[[int], list[Message]] | None = None
        self._go, self._parked = threading.Semaphore(0), threading.Semaphore(0)
        self.consumer.on_consume = self._wait_for_call
        patch.setattr(module, "GroupConsumer", lambda *_args, **_options: self.consumer)
        patch.setattr(module, "open_producer", lambda *_args, **_options: self.producer)

        self._thread = threading.Thread(target=self._run, daemon=True)

    def run(self) -> None:
        """The lane's `run`."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin, and wait until the lane consumes for the first time."""
        self._thread.start()
        self._wait()

    def _run(self) -> None:
        try:
            self.run()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the thread of the test
            self.error = error
        self._parked.release()

    def _wait_for_call(self, most: int) -> list[Message]:
        self._parked.release()
        assert self._go.acquire(timeout=HANG_SECONDS)
        return self._call(most)

    def _wait(self) -> None:
        assert self._parked.acquire(timeout=HANG_SECONDS), "the lane hangs"
        if isinstance(self.error, AssertionError):
            raise self.error

    @property
    def is_parked(self) -> bool:
        """Whether it still runs: it waits for the next call."""
        return self._thread.is_alive() and self.error is None and not self.consumer.closed

    def turn(self, call: Callable[[int], list[Message]]) -> None:
        """Let `consume` do that, and the lane what comes then, until it consumes again or has ended."""
        assert self.is_parked, self.error
        self._call = call
        self._go.release()
        self._wait()

    def kill(self) -> None:
        """End it without a word to the cluster."""

        def die(_most: int) -> list[Message]:
            self.consumer.close = self.producer.close = lambda: None
            raise Killed

        if self.is_parked:
            self.turn(die)
        self._thread.join(HANG_SECONDS)
        self.consumer.closed = True
