"""Calls that may block for long, in threads that nobody waits for when the process ends.

Python joins the threads of its own `ThreadPoolExecutor` at exit. With these a process would wait for a name server that
does not answer, or a Kafka client that does not come back, after all of its work is over.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

R = TypeVar("R")

_OF_A_LOOP: Final = 8
"""Threads; further calls wait for one."""


class DaemonThreads(Executor):
    """Runs calls in up to *most* threads, started as they are needed. What they still do is cut off at exit."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._calls: deque[_Call] = deque()
        self._changed = threading.Condition()
        self._waiting = 0
        self._threads: list[threading.Thread] = []
        self._is_shut = False

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Call *fn* as soon as a thread is free.

        Raises:
            RuntimeError: `shutdown` was called, or the system lets no further thread start.
        """
        future: Future[R] = Future()
        with self._changed:
            if self._is_shut:
                raise RuntimeError("shut down")
            if len(self._calls) >= self._waiting and len(self._threads) < self._most:
                thread = threading.Thread(target=self._run, name=f"{self._name}-{len(self._threads)}", daemon=True)
                thread.start()  # before anything is noted of it, or of a call that nobody would make
                self._threads.append(thread)
            self._calls.append(_Call(future, lambda: fn(*args, **kwargs)))
            self._changed.notify()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - the library's
        """Take no further calls. Threads end when none is left; with *wait* this returns after that."""
        with self._changed:
            self._is_shut = True
            if cancel_futures:
                for call in self._calls:
                    call.future.cancel()
            self._changed.notify_all()
        if wait:
            for thread in self._threads:
                thread.join()

    def _run(self) -> None:
        while (call := self._next()) is not None:
            call.run()
            del call  # nor its result: the next one may be long in coming

    def _next(self) -> _Call | None:
        with self._changed:
            while not self._calls and not self._is_shut:
                self._waiting += 1
                self._changed.wait()
                self._waiting -= 1
            return self._calls.popleft() if self._calls else None


class _Call:
    """A function to be called once, and who hears of its result."""

    def __init__(self, future: Future[Any], work: Callable[[], Any]) -> None:
        self.future = future
        self._work = work

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._work()
        except BaseException as error:  # noqa: BLE001 - raised by whoever waits for the result
            self.future.set_exception(error)
            self = None  # type: ignore[assignment]  # noqa: PLW0642 - it holds this frame: a cycle, as in the library's
        else:
            self.future.set_result(result)


class DaemonThreadLoop(asyncio.SelectorEventLoop):
    """An event loop whose calls in threads end with the process: names that are looked up, and `asyncio.to_thread`."""

    def __init__(self) -> None:
        super().__init__()
        self._daemon_threads = DaemonThreads(_OF_A_LOOP, "loop")

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Call *func* in *executor*, by default in the loop's own threads."""
        return super().run_in_executor(executor or self._daemon_threads, func, *args)

    def close(self) -> None:
        """Close the loop, and let threads end that have nothing to do."""
        super().close()
        self._daemon_threads.shutdown(wait=False, cancel_futures=True)


def run_to_result(work: Coroutine[Any, Any, R]) -> R:
    """`asyncio.run` in a loop that does not wait for calls in threads when *work* is done."""
    with asyncio.Runner(loop_factory=DaemonThreadLoop) as runner:
        return runner.run(work)
