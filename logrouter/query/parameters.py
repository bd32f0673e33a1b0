"""Query parameters, each declared once: name, kind, default and documentation.

The same declarations parse requests, fill the index page and (later) the OpenAPI document.  Parsing finds every
problem of a request at once and echoes no more than a few characters of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from logrouter.core.timestamps import rfc3339_ms
from logrouter.query.reader import Tier
from logrouter.query.spans import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

T_co = TypeVar("T_co", covariant=True)
E = TypeVar("E", bound=StrEnum)

MAX_FAULTS: Final = 20
_MAX_ECHO: Final = 40


class Step(StrEnum):
    """The width of a point in a series."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"

    @property
    def tier(self) -> Tier:
        """The tier whose rows are the points."""
        return Tier[self.name]


class By(StrEnum):
    """What the counts of each point are split by."""

    STATUS = "status"
    OUTCOME = "outcome"
    API = "api"


class Sort(StrEnum):
    """What a top list is ordered by, largest first."""

    COUNT = "count"
    ERRORS = "errors"
    BYTES = "bytes"
    LATENCY = "latency"


class Fault(NamedTuple):
    """What is wrong with one parameter, as a sentence that says what would be right."""

    parameter: str
    detail: str


class Wrong(NamedTuple):
    """A value that is not of its kind."""

    detail: str


@dataclass(frozen=True, slots=True)
class Kind(Generic[T_co]):
    """A kind of value: how to read it, and its JSON Schema."""

    read: Callable[[str], T_co | Wrong]
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter(Generic[T_co]):
    """One query parameter. Without it the answer is made as if *default* (in the same spelling) had been given."""

    name: str
    kind: Kind[T_co]
    doc: str
    default: str | None = None


def quoted(text: str) -> str:
    """Something a caller sent, fit to be shown: cut short, and without control characters."""
    short = text if len(text) <= _MAX_ECHO else text[:_MAX_ECHO] + "…"
    return repr(short)


def choice(members: Iterable[E]) -> Kind[E]:
    """One of a few words."""
    words = {str(member): member for member in members}
    wanted = "must be one of " + ", ".join(words)

    def read(text: str) -> E | Wrong:
        return words.get(text) or Wrong(f"{wanted}, not {quoted(text)}")

    return Kind(read, MappingProxyType({"type": "string", "enum": list(words)}))


def integer(low: int, high: int) -> Kind[int]:
    """A whole number within bounds, in plain digits."""
    digits = re.compile(rf"\d{{1,{len(str(high))}}}", re.ASCII)

    def read(text: str) -> int | Wrong:
        if digits.fullmatch(text) and low <= int(text) <= high:
            return int(text)
        return Wrong(f"must be a whole number from {low} to {high}, not {quoted(text)}")

    return Kind(read, MappingProxyType({"type": "integer", "minimum": low, "maximum": high}))


_UNITS: Final = MappingProxyType({"m": 1, "h": 60, "d": 1440})
MAX_WINDOW_DAYS: Final = 400


def _window(text: str) -> Window | Wrong:
    if text == "life":
        return Window(text, None)
    if re.fullmatch(r"[1-9]\d{0,5}[mhd]", text, re.ASCII):
        minutes = int(text[:-1]) * _UNITS[text[-1]]
        if minutes <= MAX_WINDOW_DAYS * 1440:
            return Window(text, minutes)
    return Wrong(f"must be life or a length such as 15m, 1h, 24h or 7d, up to {MAX_WINDOW_DAYS}d, not {quoted(text)}")


def _instant(text: str) -> int | Wrong:
    ms = rfc3339_ms(text)
    if ms is not None:
        return ms
    hint = " (a + in a query string has to be written %2B)" if re.search(r"\d \d\d:\d\d$", text) else ""
    return Wrong(f"must be an RFC 3339 time with offset, such as 2026-01-31T23:00:00Z, not {quoted(text)}{hint}")


WINDOW_KIND: Final = Kind(_window, MappingProxyType({"type": "string", "pattern": "^(life|[1-9][0-9]{0,5}[mhd])$"}))
INSTANT_KIND: Final = Kind(_instant, MappingProxyType({"type": "string", "format": "date-time"}))

WINDOW: Final = Parameter(
    "window",
    WINDOW_KIND,
    "The stretch of time before now to count: 15m, 1h, 24h, 7d, ... or life. Longer ones begin at a full hour or day.",
    "24h",
)
SORT: Final = Parameter("sort", choice(Sort), "What to order by, largest first; latency is the mean latency.", "count")
LIMIT: Final = Parameter("limit", integer(1, 1000), "How many to list.", "100")
FROM: Final = Parameter(
    "from",
    INSTANT_KIND,
    "Begin of the series, rounded down to the step. Default: 1 hour, 24 hours or 30 days before to.",
)
TO: Final = Parameter("to", INSTANT_KIND, "End of the series, exclusive, rounded up to the step. Default: now.")
STEP: Final = Parameter(
    "step", choice(Step), "Width of a point, in UTC. Minutes are kept for 24 h, hours 35 d.", "hour"
)
BY_ANY: Final = Parameter("by", choice(By), "Also split the counts of each point by this.")
BY_API: Final = Parameter("by", choice((By.STATUS, By.OUTCOME)), "Also split the counts of each point by this.")

TOP: Final = (WINDOW, SORT, LIMIT)
CLIENT_SERIES: Final = (FROM, TO, STEP, BY_ANY)
API_SERIES: Final = (FROM, TO, STEP, BY_API)


def read(
    parameters: Iterable[Parameter[Any]], pairs: Iterable[tuple[str, str]]
) -> tuple[dict[str, Any], tuple[Fault, ...]]:
    """Values by name, defaults filled in (None where there is none), and every fault, up to `MAX_FAULTS`."""
    known = {parameter.name: parameter for parameter in parameters}
    values = {p.name: None if p.default is None else p.kind.read(p.default) for p in known.values()}
    seen: set[str] = set()
    faults: list[Fault] = []
    for name, text in pairs:
        parameter = known.get(name)
        if parameter is None:
            wanted = ", ".join(known) or "none"
            faults.append(Fault(quoted(name), f"unknown parameter; known here: {wanted}"))
        elif name in seen:
            faults.append(Fault(name, "given more than once"))
        else:
            value = values[name] = parameter.kind.read(text)
            if isinstance(value, Wrong):
                faults.append(Fault(name, value.detail))
        seen.add(name)
    return values, tuple(faults[:MAX_FAULTS])
