"""Which index an event goes to: a name, and the UTC date of its time.

An event has to go to the same index whenever it is sent, or its id does not keep it from being there twice. So nothing
here depends on a clock: times that are far from others are clamped relative to the time at which Kafka got the event.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from logrouter.sinks.opensearch.source_event import SourceEvent

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SATURDAY: Final = 5


class Rotation(StrEnum):
    """When a new index begins."""

    NONE = "none"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    """Of ISO 8601: from Monday; the first of a year has its first Thursday."""
    WEEK_US = "week_us"
    """From Sunday; the first of a year has its first Saturday."""
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class IndexNames:
    """The names of a sink's indices: *name*, and with a rotation a hyphen and a date.

    *by_arrival* says that the time at which Kafka got the event counts. Else the time of the event does, as far as it
    is at most so long before or after that.
    """

    name: str
    rotation: Rotation = Rotation.NONE
    by_arrival: bool = False
    max_past_ms: int = 30 * _DAY_MS
    max_future_ms: int = _DAY_MS

    def index_of(self, source: SourceEvent) -> str:
        """The index of an event."""
        if self.rotation is Rotation.NONE:
            return self.name
        ms = arrival = source.arrival_ms
        if not self.by_arrival:
            ms = min(max(source.time_ms, arrival - self.max_past_ms, 0), arrival + self.max_future_ms)
        return f"{self.name}-{suffix_of(self.rotation, ms // _HOUR_MS)}"


@lru_cache(maxsize=256)
def suffix_of(rotation: Rotation, hour: int) -> str:
    """The date of an index, for an hour counted from 1970; beyond the year 9999 it is the last one."""
    try:
        time = _EPOCH + timedelta(hours=hour)
    except OverflowError:
        time = datetime(9999, 12, 31, 23, tzinfo=UTC)
    match rotation:
        case Rotation.NONE:
            return ""
        case Rotation.HOUR:
            return f"{time:%Y-%m-%d-%H}"
        case Rotation.DAY:
            return f"{time:%Y-%m-%d}"
        case Rotation.WEEK:
            year, week, _ = time.isocalendar()
            return f"{year:04d}-w{week:02d}"
        case Rotation.WEEK_US:
            year, week = _us_week(time)
            return f"{year:04d}-w{week:02d}"
        case Rotation.MONTH:
            return f"{time:%Y-%m}"


def _us_week(time: datetime) -> tuple[int, int]:
    """Year and number of a week that ends on Saturday: those of its Saturday."""
    day, year = time.timetuple().tm_yday, time.year
    saturday = day + (_SATURDAY - time.weekday()) % 7
    length = 366 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 365
    if saturday > length:
        return year + 1, 1
    return year, (saturday - 1) // 7 + 1
