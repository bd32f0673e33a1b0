"""Tiers of table rows and positions in them: minute, hour, day, lifetime."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Tier(Enum):
    """The time resolutions that tables keep; the value is the bucket width in minutes, 0 for the lifetime row."""

    MINUTE = 1
    HOUR = 60
    DAY = 1440
    LIFE = 0

    def bucket(self, minute: int) -> int:
        """The bucket of an epoch minute: epoch minutes, hours or days; 0 in the lifetime tier."""
        return minute // self.value if self.value else 0


class Segment(NamedTuple):
    """The buckets start <= bucket < stop of one tier."""

    tier: Tier
    start: int
    stop: int


def count_buckets(segments: Iterable[Segment]) -> int:
    """How many buckets some segments have, each counted once."""
    return len(buckets_of(segments))


def buckets_of(segments: Iterable[Segment]) -> dict[tuple[Tier, int], None]:
    """The buckets of some segments as tier and number, in order, each once."""
    return dict.fromkeys((tier, bucket) for tier, start, stop in segments for bucket in range(start, stop))


class Hole(NamedTuple):
    """Rollup records of a partition that were deleted before they were folded: first <= offset < stop.

    *from_ms* and *to_ms*, in epoch milliseconds, are when the requests were made that are in no row, as far as is known
    from the records before and behind: None for a *from_ms* that is not known, and for a *to_ms* as long as no later
    record came.
    """

    first: int
    stop: int
    from_ms: int | None
    to_ms: int | None


class Position(NamedTuple):
    """How far a partition is folded.

    *offset* is that of the last rollup record in it, -1 if there is none; *end* that of the end of the log, -1 if it is
    unknown. The lag in records is ``end - offset - 1``, transaction markers included, if *end* is known. *watermark_ms*
    is the newest event time that is folded, in epoch milliseconds, None while none is known. *standby* is true for the
    rows of a replica, false for those of the worker that folds the partition.
    """

    offset: int
    end: int
    watermark_ms: int | None = None
    standby: bool = False
