"""Times that are written by a strftime format, possibly in pieces, put together as text that `epoch_ms` reads.

    %{%Y-%m-%dT%H:%M:%S}t.%{msec_frac}t%{%z}t        2026-05-01T10:00:00 . 123 +0000

Month names are English, whatever the locale, as they are in common log format.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# Each directive: what it is composed of, or a group of its own with the digits that it writes.
_COMPOSED: Final = {"T": "%H:%M:%S", "F": "%Y-%m-%d", "D": "%m/%d/%y", "R": "%H:%M", "h": "%b"}
_DIRECTIVES: Final = {
    "Y": r"(?P<Y>\d{4})",
    "y": r"(?P<y>\d\d)",
    "m": r"(?P<m>\d\d)",
    "b": rf"(?P<b>{'|'.join(_MONTHS)})",
    "d": r"(?P<d>\d\d)",
    "e": r"(?P<e>[ \d]\d)",
    "H": r"(?P<H>\d\d)",
    "M": r"(?P<M>\d\d)",
    "S": r"(?P<S>\d\d)",
    "z": r"(?P<z>[+-]\d\d:?\d\d|Z)",
    "s": r"(?P<s>\d{9,10})",
    "a": r"[A-Za-z]{3}",
    "A": r"[A-Za-z]{6,9}",
    "j": r"\d{3}",
    "Z": r"[A-Z]{1,5}",
    "n": "\n",
    "t": "\t",
    "%": "%",
}
_WHOLE: Final = {
    "sec": r"(?P<s>\d{9,10})",
    "msec": r"(?P<ms>\d{13})",
    "usec": r"(?P<us>\d{16})",
    "msec_frac": r"(?P<f>\d{3})",
    "usec_frac": r"(?P<f>\d{6})",
}
_DIRECTIVE = re.compile(r"%(.?)", re.DOTALL)


def compile_clock(text: str) -> re.Pattern[str]:
    """The expression that reads times of a strftime format.

    Raises:
        ValueError: a directive does not help to find the time.
    """
    if text in _WHOLE:
        return re.compile(_WHOLE[text], re.ASCII)
    for short, composed in _COMPOSED.items():
        text = text.replace(f"%{short}", composed)
    parts: list[str] = []
    seen: set[str] = set()
    end = 0
    for match in _DIRECTIVE.finditer(text):
        found = _DIRECTIVES.get(match[1])
        if found is None:
            raise ValueError(f"%{match[1]} in a time is not understood")
        if match[1] in seen:
            raise ValueError(f"%{match[1]} is there twice in a time")
        if found.startswith("(?P"):
            seen.add(match[1])
        parts += (re.escape(text[end : match.start()]), found)
        end = match.end()
    return re.compile("".join([*parts, re.escape(text[end:])]), re.ASCII)


def shape_of(clock: re.Pattern[str]) -> str:
    """The clock's expression without its groups, for a place in a longer one."""
    return re.sub(r"\(\?P<\w+>", "(?:", clock.pattern)


def compose_time(parts: Mapping[str, str]) -> str | None:
    """The time that the pieces make as text, None if some of it is missing."""
    if "ms" in parts or "us" in parts:
        return parts.get("us") or parts["ms"]
    fraction = f".{parts['f']}" if "f" in parts else ""
    if "s" in parts:
        return parts["s"] + fraction
    year = parts.get("Y") or (f"20{parts['y']}" if "y" in parts else None)
    month = parts.get("m") or (f"{_MONTHS.index(parts['b']) + 1:02d}" if "b" in parts else None)
    day = parts.get("d") or (parts["e"].replace(" ", "0") if "e" in parts else None)
    if year is None or month is None or day is None or not parts.keys() >= {"H", "M", "S"}:
        return None
    return f"{year}-{month}-{day}T{parts['H']}:{parts['M']}:{parts['S']}{fraction}{parts.get('z', '')}"
