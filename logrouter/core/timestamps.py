"""RFC 3339 times to epoch milliseconds and back.

    2024-05-01T10:00:00.123456789+02:00        date "T" time [ "." digits ] ( "Z" | offset )

`T` may be `t` or a space, `Z` may be `z`, the fraction may have any length and is cut to milliseconds. The calendar is
strict, an offset is required, and there is no second 60: Unix clocks never show one.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE_MS: Final = 60_000
_FIRST_MS: Final = -62_135_596_800_000  # 0001-01-01T00:00:00.000Z
_LAST_MS: Final = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z
_MAX_TEXT: Final = 128
_MAX_CACHED: Final = 4096

_MINUTE = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ]([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_REST = re.compile(r"(?:\.(\d+))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))", re.ASCII)
_SECONDS: Final = {f"{second:02d}": second * 1000 for second in range(60)}
_SECOND_TEXT: Final = tuple(_SECONDS)
_MILLI_TEXT: Final = tuple(f".{milli:03d}Z" for milli in range(1000))

# Lines of one batch share a few minutes. Hostile input can only make these start over.
_minutes: dict[str, int | None] = {}
_prefixes: dict[int, str] = {}


def epoch_ms(text: str) -> int | None:
    """Epoch milliseconds of an RFC 3339 time, or None if it is none. Never raises on any string."""
    minute = text[:16]
    base = _minutes[minute] if minute in _minutes else _minute_ms(minute)
    if base is None or text[16:17] != ":":
        return None
    second = _SECONDS.get(text[17:19])
    if second is None:
        return None
    if text[19:] == "Z":
        return base + second
    rest = _REST.fullmatch(text[19:_MAX_TEXT]) if len(text) <= _MAX_TEXT else None
    if rest is None:
        return None
    fraction, sign, hours, minutes = rest.groups()
    total = base + second + (int(fraction[:3].ljust(3, "0")) if fraction else 0)
    if sign is None:
        return total
    offset = (int(hours) * 60 + int(minutes)) * _MINUTE_MS
    return total - offset if sign == "+" else total + offset


def rfc3339(ms: int) -> str:
    """*ms* as `2024-05-01T10:00:00.123Z`. Outside the years 1 to 9999 it is the nearest moment inside."""
    if not _FIRST_MS <= ms <= _LAST_MS:
        ms = _FIRST_MS if ms < _FIRST_MS else _LAST_MS
    second = ms // 1000
    minute = second // 60
    prefix = _prefixes.get(minute) or _prefix(minute)
    return prefix + _SECOND_TEXT[second - minute * 60] + _MILLI_TEXT[ms - second * 1000]


def _minute_ms(minute: str) -> int | None:
    match = _MINUTE.fullmatch(minute)
    value = None
    if match is not None:
        try:
            moment = datetime(*map(int, match.groups()), tzinfo=UTC)  # type: ignore[arg-type,misc]  # five ints by the pattern
            value = (moment - _EPOCH) // timedelta(milliseconds=1)
        except ValueError:
            value = None
    if len(_minutes) >= _MAX_CACHED:
        _minutes.clear()
    _minutes[minute] = value
    return value


def _prefix(minute: int) -> str:
    text = (_EPOCH + timedelta(minutes=minute)).strftime("%m-%dT%H:%M:")
    year = (_EPOCH + timedelta(minutes=minute)).year
    if len(_prefixes) >= _MAX_CACHED:
        _prefixes.clear()
    _prefixes[minute] = prefix = f"{year:04d}-{text}"  # strftime pads years on some platforms only
    return prefix
