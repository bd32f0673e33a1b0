"""Durations as logs write them, in whole milliseconds.

12ms  12.34ms  0.012s  750us  1m2.5s        a number and a unit, or several of them as Go prints them
12  12.7                                    no unit: milliseconds
{"seconds": "1", "nanos": 500000000}        a protobuf message that nobody has made a text of
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from logrouter.core.text.json_numbers import MAX_WHOLE, written_whole

UNIT_UNKNOWN: Final = "unit_unknown"
"""The flag of an event whose line says how long something took, but in no unit that can be known."""

_MAX_TEXT: Final = 48
_MAX_DIGITS: Final = 16
_UNITS: Final = {
    "": Decimal(1),
    "h": Decimal(3_600_000),
    "m": Decimal(60_000),
    "s": Decimal(1000),
    "ms": Decimal(1),
    "us": Decimal("0.001"),
    "µs": Decimal("0.001"),
    "μs": Decimal("0.001"),
    "ns": Decimal("0.000001"),
}
_PART = re.compile(r"([0-9]{1,16}(?:\.[0-9]{1,18})?)(h|ms|m|s|us|µs|μs|ns)", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,16}(?:\.[0-9]{1,18})?", re.ASCII)


def parse_duration(text: str) -> int | None:
    """The milliseconds in a duration, rounded; None for any other text. Never raises."""
    if len(text) > _MAX_TEXT:
        return None
    whole = text[:-2]
    if text[-2:] == "ms" and whole.isascii() and whole.isdigit() and len(whole) < _MAX_DIGITS:
        return int(whole)  # what most lines have, without decimals
    if _NUMBER.fullmatch(text) is not None:
        return _rounded(Decimal(text))
    total, end = Decimal(0), 0
    for part in _PART.finditer(text):
        if part.start() != end:
            return None
        end = part.end()
        total += Decimal(part[1]) * _UNITS[part[2]]
    return _rounded(total) if end == len(text) and end else None


def duration_ms(value: object) -> int | None:
    """The milliseconds in a protobuf duration as JSON; None for anything else.

    That is a text with a unit, or an object of seconds and nanos, each a number or a text.
    """
    if isinstance(value, str):
        return parse_duration(value)
    if not isinstance(value, dict):
        return None
    seconds, nanos = _count(value.get("seconds", 0)), _count(value.get("nanos", 0))
    if seconds is None or nanos is None:
        return None
    return _rounded(Decimal(seconds) * 1000 + Decimal(nanos) / 1_000_000)


def is_bare(value: object) -> bool:
    """Whether a duration is a number without unit, so that only who knows its writer can read it."""
    return type(value) in (int, float) or (type(value) is str and _NUMBER.fullmatch(value) is not None)


def _count(value: object) -> int | None:
    number = written_whole(value)
    return number if number is not None and number >= 0 else None


def _rounded(ms: Decimal) -> int | None:
    whole = int(ms + Decimal("0.5"))
    return whole if whole <= MAX_WHOLE else None
