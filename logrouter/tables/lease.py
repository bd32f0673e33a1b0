"""The lease: until when nobody else can own our partitions."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Final, NoReturn

from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable

EXIT_FENCED: Final = 75
SAFE_SHARE: Final = 0.8
"""Of the session time-out, counted from before the request that the group coordinator answered. The rest is for clocks
that run at different speed and for a request that is on its way already."""


class Lease:
    """Valid for a share of the session time-out after the last moment at which the coordinator knew of us.

    A process that was stopped or cut off for longer wakes up without it, and must not write: its partitions may have
    a new owner whose newer rows it would bury.
    """

    def __init__(self, session_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = session_seconds * SAFE_SHARE
        self._clock = clock
        self._until = float("-inf")

    def now(self) -> float:
        """The time to give to `renew`, taken before the request is sent."""
        return self._clock()

    def renew(self, sent_at: float) -> None:
        """The coordinator has answered a heartbeat or a sync that was sent then."""
        self._until = max(self._until, sent_at + self._seconds)

    @property
    def held(self) -> bool:
        """Whether there ever was one."""
        return self._until > float("-inf")

    def valid(self) -> bool:
        """Whether nobody else can own our partitions yet."""
        return self._clock() < self._until


def exit_fenced(why: str) -> NoReturn:
    """End the process at once, with nothing more written, flushed or committed; whoever supervises it starts it again.

    It recovers what it lost from the changelog and the uncommitted records.
    """
    log(Log.FENCED, lane="tables", error=why)
    sys.stderr.flush()
    os._exit(EXIT_FENCED)
