"""Parse the parameters of one request into a `Query`: checked against each other, the clock and the retention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from logrouter.core.text.timestamps import rfc3339
from logrouter.query.cursors import Cursor, decode_cursor, fingerprint
from logrouter.query.parameters import By, ParameterFault, Step, read_parameters
from logrouter.query.patterns import NameFilter, union_of_statuses
from logrouter.query.row_ranges import (
    KEPT,
    MINUTE_MS,
    RowRange,
    oldest_bucket,
    rows_before,
    rows_between,
    rows_of_window,
    segments_by_step,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from logrouter.query.kinds import ComparisonPeriod
    from logrouter.query.parameters import Parameter
    from logrouter.query.row_ranges import Window
    from logrouter.query.tiers import Hole, Segment, Tier

MAX_POINTS: Final = 1500
_DEFAULT_POINTS: Final = {Step.MINUTE: 60, Step.HOUR: 24, Step.DAY: 30}

Faults = tuple[ParameterFault, ...]


class Series(NamedTuple):
    """The buckets start <= bucket < stop of *step*'s tier, of which the first and the last are cut to *rows*.

    *segments* are the rows of *rows*, each in one bucket.
    """

    start: int
    stop: int
    step: Step
    by: By | None
    rows: RowRange
    segments: tuple[Segment, ...]

    def number_of(self, tier: Tier, bucket: int) -> int:
        """The bucket of the series in which one of *tier* lies."""
        width: int = self.step.tier.value
        return bucket if tier is self.step.tier else bucket * tier.value // width

    def time_of(self, number: int) -> str:
        """When a point begins: the first one not before the range does."""
        return rfc3339(max(number * self.step.tier.value * MINUTE_MS, self.rows.start_ms or 0))


class TimeRange(NamedTuple):
    """The time range of a query, and the one that it is compared with, as ranges of table rows.

    *window* is the text of the parameter, such as ``24h``; None for a range that `from` and `to` gave. *previous* is
    None without a comparison.
    """

    window: str | None
    rows: RowRange
    previous: RowRange | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """A valid query: *values* by parameter name, and what several parameters mean together.

    *now_ms* is the time of the request in epoch milliseconds. *identity* is a fingerprint of the query without its
    paging parameters: equal for all pages of one list.
    """

    now_ms: int
    values: Mapping[str, Any]
    time_range_or_none: TimeRange | None = None
    series_or_none: Series | None = None
    identity: str = ""
    cursor: Cursor | None = None

    @property
    def time_range(self) -> TimeRange:
        """The time range of a query that has one; `TypeError` for any other."""
        if self.time_range_or_none is None:
            raise TypeError("this query has no time range")
        return self.time_range_or_none

    @property
    def compares(self) -> bool:
        """Whether the time range is to be compared with another one."""
        return self.time_range_or_none is not None and self.time_range_or_none.previous is not None

    @property
    def series(self) -> Series:
        """The points of a query for a series; `TypeError` for any other."""
        if self.series_or_none is None:
            raise TypeError("this query is not for a series")
        return self.series_or_none

    def touches(self, hole: Hole) -> bool:
        """Whether requests that a hole lacks may be among those that the query is about."""
        ranges = list[tuple[int | None, int]]()
        if self.time_range_or_none is not None:
            _, rows, previous = self.time_range_or_none
            ranges += [(some.start_ms, some.stop_ms) for some in (rows, previous) if some is not None]
        if self.series_or_none is not None:
            rows = self.series_or_none.rows
            ranges.append((rows.start_ms, rows.stop_ms))
        return not ranges or any(
            (hole.from_ms is None or hole.from_ms < stop_ms)
            and (hole.to_ms is None or start_ms is None or hole.to_ms >= start_ms)
            for start_ms, stop_ms in ranges
        )

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Every bucket that the query is about: of its time range, the one that it is compared with, and its series."""
        found: tuple[Segment, ...] = ()
        if self.time_range_or_none is not None:
            _, rows, previous = self.time_range_or_none
            found = rows.segments if previous is None else rows.segments + previous.segments
        if self.series_or_none is not None:
            found += self.series_or_none.segments
        return found

    @property
    def names(self) -> NameFilter:
        """The filter of names: prefix, include and exclude."""
        given = self.values.get
        return NameFilter(given("prefix") or "", given("include", ()), given("exclude", ()))

    @property
    def statuses(self) -> frozenset[str] | None:
        """The statuses to count, as three digits or ``---``; None for all."""
        return union_of_statuses(self.values.get("status", ()))


def reject_parameters(pairs: Iterable[tuple[str, str]]) -> Faults:
    """Faults of a request to an endpoint without parameters: one for each that was sent anyway."""
    return read_parameters((), pairs)[1]


def parse_query(
    parameters: Sequence[Parameter[Any]],
    pairs: Iterable[tuple[str, str]],
    now_ms: int,
    kept: Mapping[Tier, int] = KEPT,
    *,
    name: str = "",
) -> Query | Faults:
    """Parse the (name, value) *pairs* sent to the endpoint called *name*, which takes *parameters*.

    *kept* says how many buckets each tier keeps: a time range that begins earlier is a fault. Returns all faults that
    were found instead of a query if there are any.
    """
    pairs = list(pairs)
    values, faults = read_parameters(parameters, pairs)
    if faults:
        return faults
    given = {key for key, _ in pairs}
    if "window" in given and given & {"from", "to"}:
        return (ParameterFault("window", "must not stand together with from or to"),)
    if "step" in values:
        series = _series(values, now_ms, kept)
        if not isinstance(series, Series):
            return series
        return tuple(_series_faults(series, now_ms, kept)) or Query(now_ms, values, series_or_none=series)
    if "window" in values:
        time_range = _time_range(values, now_ms, kept)
        if time_range is not None and not isinstance(time_range, TimeRange):
            return time_range
        identity = fingerprint(name, [pair for pair in pairs if pair[0] not in _PAGING])
        cursor = None
        if values.get("cursor") is not None:
            cursor = decode_cursor(values["cursor"], identity)
            if cursor is None:
                return (ParameterFault("cursor", "must be the next of an answer to the same query"),)
        return Query(now_ms, values, time_range, None, identity, cursor)
    return Query(now_ms, values)


_PAGING: Final = frozenset({"cursor", "limit", "format", "max_staleness", "partial"})


def _time_range(values: Mapping[str, Any], now_ms: int, kept: Mapping[Tier, int]) -> TimeRange | Faults | None:
    start, stop, window = values["from"], values["to"], values["window"]
    if start is None:
        if stop is not None:
            return (ParameterFault("to", "needs from as well"),)
        if window is None:
            return None if values.get("compare") is None else (ParameterFault("compare", "needs window or from"),)
        row_range, text = rows_of_window(window, now_ms, kept), window.text
    else:
        stop = now_ms if stop is None else stop
        if faults := tuple(_time_range_faults(start, stop, now_ms, kept)):
            return faults
        row_range, text = rows_between(start, stop, now_ms, kept), None
    period = values.get("compare")
    if period is None:
        return TimeRange(text, row_range)
    previous = _comparison_rows(period, row_range, now_ms, kept)
    return TimeRange(text, row_range, previous) if isinstance(previous, RowRange) else previous


def _comparison_rows(
    period: ComparisonPeriod, row_range: RowRange, now_ms: int, kept: Mapping[Tier, int]
) -> RowRange | Faults:
    if period.start_ms is not None and period.stop_ms is not None:
        faults = tuple(_time_range_faults(period.start_ms, period.stop_ms, now_ms, kept))
        return tuple(ParameterFault("compare", fault.detail) for fault in faults) or rows_between(
            period.start_ms, period.stop_ms, now_ms, kept
        )
    found = rows_before(row_range, now_ms, kept)
    if found is None:
        return (
            ParameterFault("compare", "the range of equal length before is not kept any more; ask for a shorter one"),
        )
    return found


def _time_range_faults(start: int, stop: int, now_ms: int, kept: Mapping[Tier, int]) -> Iterable[ParameterFault]:
    if start > now_ms:
        yield ParameterFault("from", "lies in the future")
    elif start >= stop:
        yield ParameterFault("from", "must be before to")
    day = Step.DAY.tier
    first_ms = oldest_bucket(day, now_ms, kept) * day.value * MINUTE_MS
    if start < first_ms:
        yield ParameterFault("from", f"reaches back before {rfc3339(first_ms)}, the oldest day that is kept now")


def _series(values: Mapping[str, Any], now_ms: int, kept: Mapping[Tier, int]) -> Series | Faults:
    step: Step = values["step"]
    width_ms = step.tier.value * MINUTE_MS
    window: Window | None = values["window"]
    if window is not None and window.minutes is not None:
        rows = rows_of_window(window, now_ms, kept)
    else:
        # Nothing is known about the future: points beyond the current one would look like silence.
        end_ms = now_ms if values["to"] is None else min(values["to"], now_ms)
        begin_ms = values["from"]
        if begin_ms is None:
            begin_ms = (-(-end_ms // width_ms) - _DEFAULT_POINTS[step]) * width_ms
        elif begin_ms // width_ms > now_ms // width_ms:
            return (ParameterFault("from", "lies in the future"),)
        elif values["to"] is not None and begin_ms >= values["to"]:
            return (ParameterFault("from", "must be before to"),)
        first = oldest_bucket(step.tier, now_ms, kept)
        if begin_ms // width_ms < first:
            return (_reaches_back(first, step),)
        rows = rows_between(begin_ms, max(end_ms, begin_ms + 1), now_ms, kept)
    start_ms = rows.start_ms or 0
    segments = segments_by_step(rows, step.tier, now_ms)
    start = start_ms // width_ms
    last_tier, _, last_stop = segments[-1]
    stop = -(-last_stop * last_tier.value * MINUTE_MS // width_ms)
    return Series(start, stop, step, values.get("by"), rows, segments)


def _reaches_back(first: int, step: Step) -> ParameterFault:
    coarser = "" if step is Step.DAY else ", or use a longer step"
    return ParameterFault(
        "from",
        f"reaches back before {rfc3339(first * step.tier.value * MINUTE_MS)}, the oldest {step} that is kept"
        f" now; begin there{coarser}",
    )


def _series_faults(series: Series, now_ms: int, kept: Mapping[Tier, int]) -> Iterable[ParameterFault]:
    points = series.stop - series.start
    first = oldest_bucket(series.step.tier, now_ms, kept)
    if series.start < first:
        yield _reaches_back(first, series.step)
    if points > MAX_POINTS:
        yield ParameterFault(
            "step",
            f"gives {points} points of one {series.step} each and at most {MAX_POINTS} are answered;"
            " use a longer step or a shorter time between from and to",
        )
