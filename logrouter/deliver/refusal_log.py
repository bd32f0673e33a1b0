"""Keeps a target that refuses everything from filling the log: a few lines a minute, then how many more there were."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.model import RawRecord
    from logrouter.sinks.contract import Refused

_SHOWN: Final = 5
_MINUTE: Final = 60.0


class RefusalLog:
    """Logs refused events of one sink, `_SHOWN` a minute."""

    def __init__(self, sink: str, clock: Callable[[], float] = time.monotonic) -> None:
        """*clock* gives seconds that never go back."""
        self._sink = sink
        self._clock = clock
        self._ends_at = clock()
        self._shown = self._more = 0

    def note(self, event: RawRecord, refused: Refused) -> None:
        """An event was refused: log where it is and what the target said, if not too many were before."""
        self.look()
        if self._shown == _SHOWN:
            self._more += 1
            return
        if not self._shown:
            self._ends_at = self._clock() + _MINUTE
        self._shown += 1
        log(
            Log.SINK_REFUSES,
            sink=self._sink,
            topic=event.topic,
            partition=event.partition,
            offset=event.offset,
            status=refused.status,
        )

    def look(self) -> None:
        """For each turn: a minute may be over, and then the rest of it is told."""
        if self._shown and self._clock() >= self._ends_at:
            self.close()

    def close(self) -> None:
        """Tell of what was not logged."""
        if self._more:
            log(Log.SINK_REFUSES, sink=self._sink, more=self._more)
        self._shown = self._more = 0
