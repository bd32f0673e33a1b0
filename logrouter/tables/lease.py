"""The lease: until when no other worker can own the partitions of this one."""

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
"""Part of the session time-out, counted from before the request that the group coordinator answered. The rest is for
clocks that run at different speed and for requests that are on their way already."""


class Lease:
    """Valid for `SAFE_SHARE` of the session time-out after the last heartbeat that the coordinator answered.

    A process that was stopped or cut off for longer finds it expired and must not write: its partitions may have a new
    owner, whose newer rows it would overwrite.
    """

    def __init__(self, session_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = session_seconds * SAFE_SHARE
        self._clock = clock
        self._until = float("-inf")

    def now(self) -> float:
        """The time by this lease's clock, in seconds; take it before sending a request, for `renew`."""
        return self._clock()

    def renew(self, sent_at: float) -> None:
        """Extend the lease: the coordinator has answered a heartbeat or sync request sent at *sent_at*."""
        self._until = max(self._until, sent_at + self._seconds)

    @property
    def ever_renewed(self) -> bool:
        """Whether the lease was ever valid."""
        return self._until > float("-inf")

    def valid(self) -> bool:
        """Whether no other worker can own our partitions yet."""
        return self._clock() < self._until


def exit_fenced(why: str) -> NoReturn:
    """End the process at once with `EXIT_FENCED`; nothing more is written, flushed or committed.

    A supervisor starts it again, and it recovers from the changelog and the records that are not committed.
    """
    log(Log.FENCED, lane="tables", error=why)
    sys.stderr.flush()
    os._exit(EXIT_FENCED)
