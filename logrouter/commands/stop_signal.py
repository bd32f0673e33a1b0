"""SIGTERM and SIGINT as something that a loop can ask about; SIGHUP, which asks for a reload, as nothing."""

from __future__ import annotations

import signal


class StopSignal:
    """Whether SIGTERM or SIGINT has arrived since this was made. One per process, made in the main thread.

    It takes over the handlers of both signals, and the process ends only if its loop asks.
    """

    def __init__(self) -> None:
        self._arrived = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, _number: int, _frame: object) -> None:
        self._arrived = True

    def __call__(self) -> bool:
        """True once one of the signals has arrived."""
        return self._arrived


def ignore_reload() -> None:
    """Let SIGHUP do nothing, which would end the process. For commands that have nothing to reload, or not yet."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
