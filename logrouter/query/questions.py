"""Whole questions: the parameters of one request, checked together against each other, the time and what is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from logrouter.core.text.timestamps import rfc3339
from logrouter.query.cursors import Cursor, decode, fingerprint
from logrouter.query.parameters import By, ParameterFault, Step, read
from logrouter.query.patterns import Names, union
from logrouter.query.time_spans import KEPT, MINUTE_MS, Span, before, between, oldest, span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from logrouter.query.kinds import Former
    from logrouter.query.parameters import Parameter
    from logrouter.query.tiers import Tier
    from logrouter.query.time_spans import Window

MAX_POINTS: Final = 1500
_DEFAULT_POINTS: Final = {Step.MINUTE: 60, Step.HOUR: 24, Step.DAY: 30}

Faults = tuple[ParameterFault, ...]


class Series(NamedTuple):
    """The buckets start <= bucket < stop of *step*'s tier."""

    start: int
    stop: int
    step: Step
    by: By | None


class Stretch(NamedTuple):
    """A stretch of time: *window* as it was asked for, if it was by length, its rows, and those it is compared with."""

    window: str | None
    span: Span
    previous: Span | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that can be answered: *values* by parameter, and what several of them mean together.

    *identity* is the same for questions that differ in nothing but which part of the list they ask for.
    """

    now_ms: int
    values: Mapping[str, Any]
    stretch: Stretch | None = None
    series: Series | None = None
    identity: str = ""
    cursor: Cursor | None = None

    @property
    def time(self) -> Stretch:
        """The stretch of time of a question that has one."""
        if self.stretch is None:
            raise TypeError("this question has no stretch of time")
        return self.stretch

    @property
    def points(self) -> Series:
        """The points of a question that has some."""
        if self.series is None:
            raise TypeError("this question is not after a series")
        return self.series

    @property
    def names(self) -> Names:
        """Which names are asked for."""
        return Names(self.values.get("prefix") or "", self.values.get("include", ()), self.values.get("exclude", ()))

    @property
    def statuses(self) -> frozenset[str] | None:
        """Which statuses are asked for, None for all."""
        return union(self.values.get("status", ()))


def nothing(pairs: Iterable[tuple[str, str]]) -> Faults:
    """The faults of a request that takes no parameters."""
    return read((), pairs)[1]


def ask(
    parameters: Sequence[Parameter[Any]],
    pairs: Iterable[tuple[str, str]],
    now_ms: int,
    kept: Mapping[Tier, int] = KEPT,
    *,
    name: str = "",
) -> Asked | Faults:
    """The question that *pairs* ask of the endpoint called *name*, which takes *parameters*."""
    pairs = list(pairs)
    values, faults = read(parameters, pairs)
    if faults:
        return faults
    given = {key for key, _ in pairs}
    if "window" in given and given & {"from", "to"}:
        return (ParameterFault("window", "must not stand together with from or to"),)
    if "step" in values:
        series = _series(values, now_ms)
        return tuple(_series_faults(series, now_ms, kept)) or Asked(now_ms, values, series=series)
    if "window" in values:
        stretch = _stretch(values, now_ms, kept)
        if stretch is not None and not isinstance(stretch, Stretch):
            return stretch
        identity = fingerprint(name, [pair for pair in pairs if pair[0] not in _PAGING])
        cursor = None
        if values.get("cursor") is not None:
            cursor = decode(values["cursor"], identity)
            if cursor is None:
                return (ParameterFault("cursor", "must be the next of an answer to the same question"),)
        return Asked(now_ms, values, stretch, None, identity, cursor)
    return Asked(now_ms, values)


_PAGING: Final = frozenset({"cursor", "limit", "format", "max_staleness", "partial"})


def _stretch(values: Mapping[str, Any], now_ms: int, kept: Mapping[Tier, int]) -> Stretch | Faults | None:
    start, stop, window = values["from"], values["to"], values["window"]
    if start is None:
        if stop is not None:
            return (ParameterFault("to", "needs from as well"),)
        if window is None:
            return None if values.get("compare") is None else (ParameterFault("compare", "needs window or from"),)
        covered, text = span(window, now_ms, kept), window.text
    else:
        stop = now_ms if stop is None else stop
        if faults := tuple(_stretch_faults(start, stop, now_ms, kept)):
            return faults
        covered, text = between(start, stop, now_ms, kept), None
    former = values.get("compare")
    if former is None:
        return Stretch(text, covered)
    previous = _former(former, covered, now_ms, kept)
    return Stretch(text, covered, previous) if isinstance(previous, Span) else previous


def _former(former: Former, covered: Span, now_ms: int, kept: Mapping[Tier, int]) -> Span | Faults:
    if former.start_ms is not None and former.stop_ms is not None:
        faults = tuple(_stretch_faults(former.start_ms, former.stop_ms, now_ms, kept))
        return tuple(ParameterFault("compare", fault.detail) for fault in faults) or between(
            former.start_ms, former.stop_ms, now_ms, kept
        )
    found = before(covered, now_ms, kept)
    if found is None:
        return (
            ParameterFault("compare", "the stretch of equal length before is not kept any more; ask for a shorter one"),
        )
    return found


def _stretch_faults(start: int, stop: int, now_ms: int, kept: Mapping[Tier, int]) -> Iterable[ParameterFault]:
    if start > now_ms:
        yield ParameterFault("from", "lies in the future")
    elif start >= stop:
        yield ParameterFault("from", "must be before to")
    day = Step.DAY.tier
    first_ms = oldest(day, now_ms, kept) * day.value * MINUTE_MS
    if start < first_ms:
        yield ParameterFault("from", f"reaches back before {rfc3339(first_ms)}, the oldest day that is kept now")


def _series(values: Mapping[str, Any], now_ms: int) -> Series:
    step: Step = values["step"]
    width_ms = step.tier.value * MINUTE_MS
    now = now_ms // width_ms
    window: Window | None = values["window"]
    if window is not None and window.minutes is not None:
        start = (now_ms // MINUTE_MS + 1 - window.minutes) * MINUTE_MS // width_ms
        return Series(start, now + 1, step, values.get("by"))
    # Nothing is known about the future: points beyond the current one would look like silence.
    stop = now + 1 if values["to"] is None else min(-(-values["to"] // width_ms), now + 1)
    start = stop - _DEFAULT_POINTS[step] if values["from"] is None else values["from"] // width_ms
    return Series(start, stop, step, values.get("by"))


def _series_faults(asked: Series, now_ms: int, kept: Mapping[Tier, int]) -> Iterable[ParameterFault]:
    tier, points = asked.step.tier, asked.stop - asked.start
    first = oldest(tier, now_ms, kept)
    if asked.start > tier.bucket(now_ms // MINUTE_MS):
        yield ParameterFault("from", "lies in the future")
    elif points <= 0:
        yield ParameterFault("from", "must be before to")
    if asked.start < first:
        coarser = "" if asked.step is Step.DAY else ", or use a longer step"
        yield ParameterFault(
            "from",
            f"reaches back before {rfc3339(first * tier.value * MINUTE_MS)}, the oldest {asked.step} that is kept"
            f" now; begin there{coarser}",
        )
    if points > MAX_POINTS:
        yield ParameterFault(
            "step",
            f"gives {points} points of one {asked.step} each and at most {MAX_POINTS} are answered;"
            " use a longer step or a shorter time between from and to",
        )
