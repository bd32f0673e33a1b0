"""Whole questions: the parameters of one request, checked together against each other, the time and what is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logrouter.core.timestamps import rfc3339
from logrouter.query.parameters import API_SERIES, CLIENT_SERIES, TOP, By, Fault, Sort, Step, read
from logrouter.query.spans import KEPT, MINUTE_MS, oldest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from logrouter.query.reader import Tier
    from logrouter.query.spans import Window

MAX_POINTS: Final = 1500
_DEFAULT_POINTS: Final = {Step.MINUTE: 60, Step.HOUR: 24, Step.DAY: 30}

Faults = tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """A series over the buckets start <= bucket < stop of *step*'s tier."""

    start: int
    stop: int
    step: Step
    by: By | None


@dataclass(frozen=True, slots=True)
class Top:
    """A top list over the window that ends now."""

    window: Window
    sort: Sort
    limit: int


def top(pairs: Iterable[tuple[str, str]]) -> Top | Faults:
    """The question after a top list."""
    values, faults = read(TOP, pairs)
    return faults or Top(values["window"], values["sort"], values["limit"])


def nothing(pairs: Iterable[tuple[str, str]]) -> Faults:
    """The faults of a request that takes no parameters."""
    return read((), pairs)[1]


def series(
    kind: str, pairs: Iterable[tuple[str, str]], now_ms: int, kept: Mapping[Tier, int] = KEPT
) -> Series | Faults:
    """The question after a series of a client (*kind* "c") or an API ("a")."""
    values, faults = read(API_SERIES if kind == "a" else CLIENT_SERIES, pairs)
    if faults:
        return faults
    step: Step = values["step"]
    width_ms = step.tier.value * MINUTE_MS
    now = now_ms // width_ms
    # Nothing is known about the future: points beyond the current one would look like silence.
    stop = now + 1 if values["to"] is None else min(-(-values["to"] // width_ms), now + 1)
    start = stop - _DEFAULT_POINTS[step] if values["from"] is None else values["from"] // width_ms
    asked = Series(start, stop, step, values["by"])
    return tuple(_faults(asked, now_ms, kept)) or asked


def _faults(asked: Series, now_ms: int, kept: Mapping[Tier, int]) -> Iterable[Fault]:
    tier, points = asked.step.tier, asked.stop - asked.start
    first = oldest(tier, now_ms, kept)
    if asked.start > tier.bucket(now_ms // MINUTE_MS):
        yield Fault("from", "lies in the future")
    elif points <= 0:
        yield Fault("from", "must be before to")
    if asked.start < first:
        coarser = "" if asked.step is Step.DAY else ", or use a longer step"
        yield Fault(
            "from",
            f"reaches back before {rfc3339(first * tier.value * MINUTE_MS)}, the oldest {asked.step} that is kept"
            f" now; begin there{coarser}",
        )
    if points > MAX_POINTS:
        yield Fault(
            "step",
            f"gives {points} points of one {asked.step} each and at most {MAX_POINTS} are answered;"
            " use a longer step or a shorter time between from and to",
        )
