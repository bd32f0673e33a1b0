"""SIGHUP as a wish to read topics.yaml again, from the first moment of a process on."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class ReloadSignal:
    """SIGHUP, which would end a process that has no handler yet. One per process, made in the main thread.

    What arrives before there is somebody to reload is kept for `serve_with`.
    """

    def __init__(self) -> None:
        self._arrived = False
        self._reload: Callable[[], None] | None = None
        signal.signal(signal.SIGHUP, self._note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # `process.supervisor` starts us without it

    def serve_with(self, reload: Callable[[], None]) -> None:
        """Call *reload*, which is fit for signal handlers, at each SIGHUP from now on, and at once if there was one."""
        self._reload = reload
        if self._arrived:
            reload()

    def _note(self, _number: int, _frame: object) -> None:
        self._arrived = True
        if self._reload is not None:
            self._reload()
