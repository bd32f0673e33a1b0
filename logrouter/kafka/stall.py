"""Notices that nothing comes although something should: no partitions from the group, or no records that are there.

After an outage librdkafka may wait for an answer that never comes. Only a new client gets on, so the process ends.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from logrouter.kafka.errors import StuckError
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable

_SESSIONS: Final = 5
_LEAST_SECONDS: Final = 90.0
"""Another member of the group may hold up a rebalance for a minute while it waits for offsets of a dead process."""
_QUIET_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 1.0


class StallWatch:
    """What a lane's turns have brought, over time. Time in which the cluster does not answer counts for nothing."""

    def __init__(self, session_timeout_ms: int) -> None:
        self._patience = max(_SESSIONS * session_timeout_ms / 1000, _LEAST_SECONDS)
        self._waits_since: float | None = None
        self._waits_said = False
        self._read_at = self._look_at = time.monotonic()
        self._quiet_said = False

    def check(self, *, is_up: bool, is_waiting: bool, has_read: bool, behind: Callable[[], int]) -> None:
        """For the end of each turn.

        *is_up*: the cluster answers. *is_waiting*: all partitions were lost, and the group has not answered since.
        *behind* gives the number of offsets between what was read and the ends of our partitions.

        Raises:
            StuckError: the group has not answered for several session timeouts.
        """
        now = time.monotonic()
        self._check_group(now, is_waiting=is_waiting and is_up)
        if has_read or not is_up or is_waiting:
            self._read_at, self._quiet_said = now, False
        elif not self._quiet_said and now > self._read_at + _QUIET_SECONDS and now > self._look_at:
            self._look_at = now + _LOOK_SECONDS
            if offsets := behind():
                self._quiet_said = True
                log(Log.READING_STALLED, offsets=offsets, seconds=int(now - self._read_at))

    def _check_group(self, now: float, *, is_waiting: bool) -> None:
        if not is_waiting:
            self._waits_since, self._waits_said = None, False
            return
        if self._waits_since is None:
            self._waits_since = now
        seconds = now - self._waits_since
        if seconds > self._patience:
            raise StuckError(f"all partitions were lost, and the group gives none for {seconds:.0f} s", fenced=False)
        if seconds > self._patience / 2 and not self._waits_said:
            self._waits_said = True
            log(Log.PARTITIONS_AWAITED, seconds=int(seconds), ends_after=int(self._patience))
