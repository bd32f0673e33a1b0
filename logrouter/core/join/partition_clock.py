"""The time of a partition, by which what waits in it is overdue. No clock on the wall has a say in it.

    clock = PartitionClock(at_ms, elapsed_ms)
    clock.note_record(at_ms, elapsed_ms)    # a record of this time was read
    clock.now_ms(elapsed_ms)                # the last record's time; where none come, what has passed since, as well

*elapsed_ms* are milliseconds of a clock that only goes forward, from any beginning. So a process whose clock is wrong
or is set gives up nothing too early: times are those of records, distances are those of one process.
"""

from __future__ import annotations

from typing import Final

QUIET_MS: Final = 2_000
"""A partition in which nothing has come for so long is read to its end: then time goes on without records."""

BREAK_MS: Final = 5_000
"""A gap this long between two turns means an outage or a stopped process: the other part may still be on its way."""


class PartitionClock:
    """Begins at *at_ms*, after a break that has just ended."""

    __slots__ = ("_read_ms", "_resumed_ms", "at_ms")

    def __init__(self, at_ms: int, elapsed_ms: int) -> None:
        self.at_ms = at_ms
        """The time of the last record."""
        self._read_ms = elapsed_ms
        self._resumed_ms = elapsed_ms

    def note_record(self, at_ms: int, elapsed_ms: int) -> None:
        """A record of the time *at_ms* was read."""
        self.at_ms = at_ms
        self._read_ms = elapsed_ms

    def note_break(self, elapsed_ms: int) -> None:
        """No record could come until now."""
        self._resumed_ms = elapsed_ms

    def is_quiet(self, elapsed_ms: int) -> bool:
        """Whether the partition is read to its end, as far as one can tell."""
        return elapsed_ms >= max(self._read_ms, self._resumed_ms) + QUIET_MS

    def now_ms(self, elapsed_ms: int) -> int:
        """What time it is: that of the last record, as long as more may be there to be read."""
        return self.at_ms + (elapsed_ms - self._read_ms if self.is_quiet(elapsed_ms) else 0)

    def rested_ms(self, elapsed_ms: int) -> int:
        """How long ago the last break ended."""
        return elapsed_ms - self._resumed_ms
