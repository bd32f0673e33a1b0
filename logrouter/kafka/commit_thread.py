"""The thread that commits transactions, beside the one that works on what comes next."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class CommitThread:
    """Does what it is given, one after the other. It may hang for ever, and does not hold up the end of the process."""

    def __init__(self) -> None:
        self._work: SimpleQueue[tuple[Callable[[], None], Future[None]] | None] = SimpleQueue()
        threading.Thread(target=self._run, name="commit", daemon=True).start()

    def submit(self, work: Callable[[], None]) -> Future[None]:
        """Do *work* after what was given before; the future tells how it ended."""
        future: Future[None] = Future()
        self._work.put((work, future))
        return future

    def close(self) -> None:
        """Let the thread end once it has done what it was given."""
        self._work.put(None)

    def _run(self) -> None:
        while (given := self._work.get()) is not None:
            work, future = given
            try:
                work()
            except BaseException as exc:  # noqa: BLE001 - raised by whoever waits for the future
                future.set_exception(exc)
            else:
                future.set_result(None)
            del given, work, future  # what was committed is not kept until the next commit
