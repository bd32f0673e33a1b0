"""Times as logs spell them to epoch milliseconds, and back to RFC 3339.

    2024-05-01T10:00:00.123456789+02:00        RFC 3339: date "T" time [ "." digits ] ( "Z" | offset )
    2024-05-01 10:00:00,123 +0200              its relatives: a comma, an offset without colon, or none at all: UTC
    01/May/2024:10:00:00 +0000                 common log format, with English months whatever the locale
    1714557600 1714557600.123 1714557600123    epoch seconds; and milli-, micro- and nanoseconds, by their length

`T` may be `t` or a space, `Z` may be `z`, the fraction may have any length and is cut to milliseconds. The calendar is
strict, and there is no second 60: Unix clocks never show one.
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
_LOOSE = re.compile(r"(?:[.,](\d+))?(?:[Zz]| ?([+-])([01]\d|2[0-3]):?([0-5]\d))?", re.ASCII)
_OFFSET = re.compile(r"[Zz]$|[+-]\d\d:?\d\d$", re.ASCII)
# Seconds have nine or ten digits from 1973 to 2286, and the finer units three more each.
_EPOCH_DIGITS = re.compile(r"(\d{9,10}|\d{13}|\d{16}|\d{19})(?:\.(\d{1,9}))?", re.ASCII)
_FINER = re.compile(r"[.,]\d{3}(\d+)", re.ASCII)
_MONTH_NAMES: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS: Final = {name: f"{number:02d}" for number, name in enumerate(_MONTH_NAMES, 1)}
_SECONDS: Final = {f"{second:02d}": second * 1000 for second in range(60)}
_SECOND_TEXT: Final = tuple(_SECONDS)
_MILLI_TEXT: Final = tuple(f".{milli:03d}Z" for milli in range(1000))

# Lines of one batch share a few minutes. Hostile input can only make these start over.
_minutes: dict[str, int | None] = {}
_prefixes: dict[int, str] = {}


def epoch_ms(text: str) -> int | None:
    """Epoch milliseconds of a time in any of these spellings, None for any other text. Never raises."""
    ms = rfc3339_ms(text) if text[4:5] == "-" else None
    return ms if ms is not None else _other_ms(text)


def epoch_us(text: str) -> int | None:
    """`epoch_ms` in microseconds, with as many digits as the time has; what is finer is cut off."""
    ms = epoch_ms(text)
    if ms is None:
        return None
    digits = _EPOCH_DIGITS.fullmatch(text)
    if digits is not None and len(digits[1]) > 10:
        return ms * 1000 + int(digits[1][13:16] or 0)
    fraction = _FINER.search(text)
    return ms * 1000 + (int(fraction[1][:3].ljust(3, "0")) if fraction is not None else 0)


def lacks_zone(text: str) -> bool:
    """Whether a time names no zone, so that `epoch_ms` takes it for UTC."""
    return _OFFSET.search(text, max(len(text) - 6, 0)) is None and not text.replace(".", "", 1).isdecimal()


def rfc3339_ms(text: str) -> int | None:
    """Epoch milliseconds of an RFC 3339 time, None for any other text.

    Such a time has an offset: this is for what people write, where a guess would mislead.
    """
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
    return base + second + _millis(fraction) - _offset_ms(sign, hours, minutes)


def rfc3339(ms: int) -> str:
    """*ms*, epoch milliseconds, as `2024-05-01T10:00:00.123Z`. Years end at 1 and 9999."""
    if not _FIRST_MS <= ms <= _LAST_MS:
        ms = _FIRST_MS if ms < _FIRST_MS else _LAST_MS
    second = ms // 1000
    minute = second // 60
    prefix = _prefixes.get(minute) or _prefix(minute)
    return prefix + _SECOND_TEXT[second - minute * 60] + _MILLI_TEXT[ms - second * 1000]


def _other_ms(text: str) -> int | None:
    """The time in one of the spellings that are not RFC 3339."""
    if len(text) > _MAX_TEXT:
        return None
    if text[2:3] == "/":
        month = _MONTHS.get(text[3:6])
        if month is None or text[6:7] != "/" or text[11:12] != ":":
            return None
        text = f"{text[7:11]}-{month}-{text[:2]} {text[12:]}"
    elif text[4:5] != "-":
        return _digits_ms(text)
    minute = text[:16]
    base = _minutes[minute] if minute in _minutes else _minute_ms(minute)
    second = _SECONDS.get(text[17:19])
    rest = _LOOSE.fullmatch(text, 19)
    if base is None or second is None or rest is None or text[16:17] != ":":
        return None
    fraction, sign, hours, minutes = rest.groups()
    return base + second + _millis(fraction) - _offset_ms(sign, hours, minutes)


def _digits_ms(text: str) -> int | None:
    match = _EPOCH_DIGITS.fullmatch(text)
    if match is None:
        return None
    whole, fraction = match.groups()
    if len(whole) <= 10:
        return int(whole) * 1000 + _millis(fraction)
    return int(whole[:13])


def _millis(fraction: str | None) -> int:
    return int(fraction[:3].ljust(3, "0")) if fraction else 0


def _offset_ms(sign: str | None, hours: str, minutes: str) -> int:
    """How far ahead of UTC a zone is."""
    if sign is None:
        return 0
    offset = (int(hours) * 60 + int(minutes)) * _MINUTE_MS
    return offset if sign == "+" else -offset


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
