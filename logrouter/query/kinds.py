"""Kinds of query parameters: how a value is read, what is said of a wrong one, and its JSON Schema."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from logrouter.core.text.timestamps import rfc3339_ms
from logrouter.query.patterns import statuses_matching
from logrouter.query.row_ranges import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from enum import StrEnum

    E = TypeVar("E", bound=StrEnum)

T_co = TypeVar("T_co", covariant=True)

_MAX_ECHO: Final = 40
MAX_WINDOW_DAYS: Final = 400
_UNITS: Final = MappingProxyType({"m": 1, "h": 60, "d": 1440})


class Invalid(NamedTuple):
    """A value that is not of its kind, as a sentence that says what would be right."""

    detail: str


@dataclass(frozen=True, slots=True)
class ParameterKind(Generic[T_co]):
    """A kind of value: *read* parses the text of a parameter or says what is wrong; *schema* is its JSON Schema."""

    read: Callable[[str], T_co | Invalid]
    schema: Mapping[str, Any]


def quoted(text: str) -> str:
    """Text that a caller sent, as it may be repeated in an answer: cut short and with control characters escaped."""
    short = text if len(text) <= _MAX_ECHO else text[:_MAX_ECHO] + "…"
    return repr(short)


def choice(members: Iterable[E]) -> ParameterKind[E]:
    """One of the values of an enum."""
    words = {str(member): member for member in members}
    wanted = "must be one of " + ", ".join(words)

    def read(text: str) -> E | Invalid:
        return words.get(text) or Invalid(f"{wanted}, not {quoted(text)}")

    return ParameterKind(read, MappingProxyType({"type": "string", "enum": list(words)}))


def integer(low: int, high: int) -> ParameterKind[int]:
    """A whole number within bounds, in plain digits."""
    digits = re.compile(rf"\d{{1,{len(str(high))}}}", re.ASCII)

    def read(text: str) -> int | Invalid:
        if digits.fullmatch(text) and low <= int(text) <= high:
            return int(text)
        return Invalid(f"must be a whole number from {low} to {high}, not {quoted(text)}")

    return ParameterKind(read, MappingProxyType({"type": "integer", "minimum": low, "maximum": high}))


def text(longest: int) -> ParameterKind[str]:
    """Any text that is not empty and not too long."""

    def read(given: str) -> str | Invalid:
        if 0 < len(given) <= longest and given.isascii():
            return given
        try:
            given.encode()
        except UnicodeEncodeError:
            return Invalid("must be UTF-8, percent-encoded")
        return given if 0 < len(given) <= longest else Invalid(f"must have 1 to {longest} characters")

    return ParameterKind(read, MappingProxyType({"type": "string", "minLength": 1, "maxLength": longest}))


def _window(given: str) -> Window | Invalid:
    if given == "life":
        return Window(given, None)
    if re.fullmatch(r"[1-9]\d{0,5}[mhd]", given, re.ASCII):
        minutes = int(given[:-1]) * _UNITS[given[-1]]
        if minutes <= MAX_WINDOW_DAYS * 1440:
            return Window(given, minutes)
    return Invalid(
        f"must be life or a length such as 15m, 1h, 24h or 7d, up to {MAX_WINDOW_DAYS}d, not {quoted(given)}"
    )


def _instant(given: str) -> int | Invalid:
    ms = rfc3339_ms(given)
    if ms is not None:
        return ms
    hint = " (a + in a query string has to be written %2B)" if re.search(r"\d \d\d:\d\d$", given) else ""
    return Invalid(f"must be an RFC 3339 time with offset, such as 2026-01-31T23:00:00Z, not {quoted(given)}{hint}")


class ComparisonPeriod(NamedTuple):
    """The time range to compare with, in epoch milliseconds; None for the range of equal length just before."""

    start_ms: int | None = None
    stop_ms: int | None = None


PREVIOUS: Final = ComparisonPeriod()


def _comparison(given: str) -> ComparisonPeriod | Invalid:
    if given == "previous":
        return PREVIOUS
    start, slash, stop = given.partition("/")
    if not slash:
        return Invalid(f"must be previous, or two times with / between, not {quoted(given)}")
    start_ms, stop_ms = _instant(start), _instant(stop)
    if isinstance(start_ms, Invalid):
        return start_ms
    return stop_ms if isinstance(stop_ms, Invalid) else ComparisonPeriod(start_ms, stop_ms)


def _duration(given: str) -> int | Invalid:
    if re.fullmatch(r"\d{1,5}[smh]", given, re.ASCII):
        seconds = int(given[:-1]) * {"s": 1, "m": 60, "h": 3600}[given[-1]]
        if seconds <= 86_400:
            return seconds
    return Invalid(f"must be a time such as 30s, 5m or 1h, up to 24h, not {quoted(given)}")


def _status(given: str) -> frozenset[str] | Invalid:
    found = statuses_matching(given)
    return found or Invalid(f"must be a status or a pattern such as 404, 4??, 50* or 5xx, not {quoted(given)}")


def _length(given: str) -> Window | Invalid:
    found = _window(given)
    return Invalid("must be a length here: a series has a beginning") if given == "life" else found


WINDOW: Final = ParameterKind(_window, MappingProxyType({"type": "string", "pattern": "^(life|[1-9][0-9]{0,5}[mhd])$"}))
LENGTH: Final = ParameterKind(_length, MappingProxyType({"type": "string", "pattern": "^[1-9][0-9]{0,5}[mhd]$"}))
INSTANT: Final = ParameterKind(_instant, MappingProxyType({"type": "string", "format": "date-time"}))
_TIME: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"
COMPARISON: Final = ParameterKind(
    _comparison, MappingProxyType({"type": "string", "pattern": f"^(previous|{_TIME}/{_TIME})$"})
)
DURATION: Final = ParameterKind(_duration, MappingProxyType({"type": "string", "pattern": "^[0-9]{1,5}[smh]$"}))
STATUS: Final = ParameterKind(_status, MappingProxyType({"type": "string", "pattern": r"^(---|[0-9xX?*]{1,3})$"}))
