"""Which rows a stretch of time needs: the coarsest tiers inside, finer ones only at its beginning.

Tables keep minutes, hours and days for different lengths of time, and rows of a coarser tier hold the sums of the
finer ones.  A window of 24 hours is thus not 1,440 minute rows but at most 59 minutes, 23 hours and one day.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from logrouter.query.reader import Tier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MINUTE_MS: Final = 60_000
HOUR: Final[int] = Tier.HOUR.value
DAY: Final[int] = Tier.DAY.value

Kept = MappingProxyType[Tier, int]
"""How many buckets before the current one each tier keeps."""

KEPT: Final[Kept] = MappingProxyType({Tier.MINUTE: 24 * 60, Tier.HOUR: 35 * 24, Tier.DAY: 400})


class Window(NamedTuple):
    """A window that ends now: its text as asked for and its length in minutes, None for the whole lifetime."""

    text: str
    minutes: int | None


class Segment(NamedTuple):
    """The buckets start <= bucket < stop of one tier."""

    tier: Tier
    start: int
    stop: int


class Span(NamedTuple):
    """The rows of a window: [start_ms, stop_ms) is what they cover; start_ms is None for the lifetime."""

    start_ms: int | None
    stop_ms: int
    segments: tuple[Segment, ...]


def span(window: Window, now_ms: int, kept: Mapping[Tier, int] = KEPT) -> Span:
    """The rows of a window that ends with the current minute.

    Its beginning is exact to the minute where minutes are kept, else rounded down to the hour or the day that is.
    """
    if window.minutes is None:
        return Span(None, now_ms, (Segment(Tier.LIFE, 0, 1),))
    now = now_ms // MINUTE_MS
    start = _kept_start(now + 1 - window.minutes, now, kept)
    return Span(start * MINUTE_MS, now_ms, tuple(_cover(start, now + 1)))


def oldest(tier: Tier, now_ms: int, kept: Mapping[Tier, int] = KEPT) -> int:
    """The oldest bucket that a tier still keeps."""
    return tier.bucket(now_ms // MINUTE_MS) - kept[tier]


def _kept_start(start: int, now: int, kept: Mapping[Tier, int]) -> int:
    for tier in (Tier.MINUTE, Tier.HOUR):
        if tier.bucket(start) >= tier.bucket(now) - kept[tier]:
            width: int = tier.value
            return start - start % width
    return max(start - start % DAY, (Tier.DAY.bucket(now) - kept[Tier.DAY]) * DAY)


def _cover(start: int, stop: int) -> Iterator[Segment]:
    # The last bucket may reach beyond *stop*, which is now: nothing has happened there yet.
    if start % HOUR:
        edge = min(_up(start, HOUR), stop)
        yield Segment(Tier.MINUTE, start, edge)
        start = edge
    if start < stop and start % DAY:
        edge = min(_up(start, DAY), _up(stop, HOUR))
        yield Segment(Tier.HOUR, start // HOUR, edge // HOUR)
        start = edge
    if start < stop:
        yield Segment(Tier.DAY, start // DAY, _up(stop, DAY) // DAY)


def _up(minute: int, width: int) -> int:
    return -(-minute // width) * width
