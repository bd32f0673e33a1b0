"""Which rows a time range needs: the coarsest tiers inside, finer ones only at its beginning.

Tables keep minutes, hours and days for different lengths of time, and rows of a coarser tier hold the sums of the
finer ones.  A window of 24 hours is thus not 1,440 minute rows but at most 59 minutes, 23 hours and one day.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from logrouter.query.tiers import Segment, Tier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MINUTE_MS: Final = 60_000
HOUR: Final[int] = Tier.HOUR.value
DAY: Final[int] = Tier.DAY.value

Kept = MappingProxyType[Tier, int]
"""How many buckets before the current one each tier keeps."""

KEPT: Final[Kept] = MappingProxyType({Tier.MINUTE: 24 * 60, Tier.HOUR: 35 * 24, Tier.DAY: 400})


class Window(NamedTuple):
    """A time range that ends now: the text of the parameter, and the length in minutes, None for the whole lifetime."""

    text: str
    minutes: int | None


class RowRange(NamedTuple):
    """The rows that cover [start_ms, stop_ms), in epoch milliseconds; *start_ms* is None for the lifetime."""

    start_ms: int | None
    stop_ms: int
    segments: tuple[Segment, ...]


def rows_of_window(window: Window, now_ms: int, kept: Mapping[Tier, int] = KEPT) -> RowRange:
    """The rows of a window that ends with the current minute.

    Its beginning is exact to the minute where minutes are kept, else rounded down to the hour or the day that is.
    """
    if window.minutes is None:
        return RowRange(None, now_ms, (Segment(Tier.LIFE, 0, 1),))
    now = now_ms // MINUTE_MS
    start = _kept_start(now + 1 - window.minutes, now, kept)
    return RowRange(start * MINUTE_MS, now_ms, tuple(_cover(start, now + 1, now)))


def rows_between(from_ms: int, to_ms: int, now_ms: int, kept: Mapping[Tier, int] = KEPT) -> RowRange:
    """The rows of the time from *from_ms* up to *to_ms*, both rounded outwards to the finest step that is kept there.

    The time up to now is all that is known: a later *to_ms* means now.
    """
    now = now_ms // MINUTE_MS
    start = _kept_start(from_ms // MINUTE_MS, now, kept)
    stop = min(_kept_stop(start, -(-to_ms // MINUTE_MS), now, kept), now + 1)
    return RowRange(start * MINUTE_MS, min(stop * MINUTE_MS, now_ms), tuple(_cover(start, stop, now)))


def rows_before(after: RowRange, now_ms: int, kept: Mapping[Tier, int] = KEPT) -> RowRange | None:
    """The rows of the time of equal length just before *after*; None if it has no beginning, or if rows are not kept.

    It is made of whole steps of the finest tier that keeps all of it, so that both lengths agree to within half such a
    step, and it may end up to one step before *after* begins.
    """
    if after.start_ms is None:
        return None
    now, start = now_ms // MINUTE_MS, after.start_ms // MINUTE_MS
    length = -(-after.stop_ms // MINUTE_MS) - start
    for tier in (Tier.MINUTE, Tier.HOUR, Tier.DAY):
        width: int = tier.value
        stop = start - start % width
        begin = stop - max(round(length / width), 1) * width
        # A minute that is left over at the end of an hour needs that whole hour in minutes.
        if begin // width >= tier.bucket(now) - kept[tier]:
            return RowRange(begin * MINUTE_MS, stop * MINUTE_MS, tuple(_cover(begin, stop, now)))
    return None


def segments_by_step(rows: RowRange, step: Tier, now_ms: int) -> tuple[Segment, ...]:
    """The rows of a range such that each lies in one bucket of *step*: no wider ones, finer ones at both ends alone.

    Their sum is that of the range's own segments, so that a series adds up to the figures beside it.
    """
    if rows.start_ms is None:
        raise ValueError("the lifetime has no steps")
    now, width = now_ms // MINUTE_MS, step.value
    start, stop = rows.start_ms // MINUTE_MS, -(-rows.stop_ms // MINUTE_MS)
    is_open = rows.stop_ms >= now_ms
    if is_open:
        stop = now + 1
    first, last = _up(start, width), stop - stop % width
    if first > last:
        return tuple(_cover(start, stop, now))
    middle = (Segment(step, first // width, _up(stop, width) // width if is_open else last // width),)
    tail = () if is_open else tuple(_cover(last, stop, now))
    return (*_cover(start, first, now), *(middle if middle[0].start < middle[0].stop else ()), *tail)


def oldest_bucket(tier: Tier, now_ms: int, kept: Mapping[Tier, int] = KEPT) -> int:
    """The oldest bucket that a tier still keeps."""
    return tier.bucket(now_ms // MINUTE_MS) - kept[tier]


def _kept_start(start: int, now: int, kept: Mapping[Tier, int]) -> int:
    for tier in (Tier.MINUTE, Tier.HOUR):
        if tier.bucket(start) >= tier.bucket(now) - kept[tier]:
            width: int = tier.value
            return start - start % width
    return max(start - start % DAY, (Tier.DAY.bucket(now) - kept[Tier.DAY]) * DAY)


def _kept_stop(start: int, stop: int, now: int, kept: Mapping[Tier, int]) -> int:
    # The end of an hour in minutes needs the minutes from the beginning of that hour on, and so for hours of a day.
    hours = max(start, stop - stop % DAY) // HOUR >= Tier.HOUR.bucket(now) - kept[Tier.HOUR]
    minutes = max(start, stop - stop % HOUR) >= now - kept[Tier.MINUTE]
    return stop if minutes and hours else _up(stop, HOUR if hours else DAY)


def _cover(start: int, stop: int, now: int) -> Iterator[Segment]:
    if stop > now:
        yield from _cover_to_now(start, stop)
        return
    for width, tier, wider in ((1, Tier.MINUTE, HOUR), (HOUR, Tier.HOUR, DAY)):
        edge = min(_up(start, wider), stop - stop % width)
        if start < edge:
            yield Segment(tier, start // width, edge // width)
            start = edge
    for width, tier in ((DAY, Tier.DAY), (HOUR, Tier.HOUR), (1, Tier.MINUTE)):
        edge = stop - stop % width
        if start < edge:
            yield Segment(tier, start // width, edge // width)
            start = edge


def _cover_to_now(start: int, stop: int) -> Iterator[Segment]:
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
