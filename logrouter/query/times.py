"""Times in queries and answers: strict RFC 3339 in, RFC 3339 UTC out, epoch milliseconds inside."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

MINUTE_MS: Final = 60_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS: Final = 253_402_300_799_999
"""The end of the year 9999, beyond which RFC 3339 has no words."""
_RFC3339: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)


def parse(text: str) -> int | None:
    """Epoch milliseconds of an RFC 3339 time from 1970 on, or None; without an offset it is not one."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = match.groups()
    if sign and (int(hours) > 23 or int(minutes) > 59):
        return None
    try:
        local = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    except ValueError:
        return None
    ahead = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    # Differences of datetimes, as subtracting the offset itself could leave the range of years.
    seconds = (local - _EPOCH) // timedelta(seconds=1) - ahead // timedelta(seconds=1)
    ms = seconds * 1000 + int((fraction or "0").ljust(3, "0")[:3])
    return ms if 0 <= ms <= _LAST_MS else None


def rfc3339(ms: int) -> str:
    """A time as ``2026-01-31T23:59:59Z``, with milliseconds only if there are any; clamped to the years 1970-9999."""
    ms = min(max(ms, 0), _LAST_MS)
    text = (_EPOCH + timedelta(milliseconds=ms)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{ms % 1000:03d}Z" if ms % 1000 else f"{text}Z"
