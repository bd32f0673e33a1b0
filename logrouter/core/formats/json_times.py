"""How the format `json` reads a time, by the form in which topics.yaml says that it is written.

rfc3339     2026-05-01T10:00:00.25Z, 2026-05-01T12:00:00+02:00
epoch_s     1777629600, 1777629600.25, "1777629600.25"; likewise epoch_ms, epoch_us, epoch_ns
auto        texts as `core.text.timestamps` reads them, and numbers by how many digits they have
%d/%b/%Y    any other form is that of strftime, with %f for a fraction of the second
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from logrouter.core.formats.json_readers import UNITS, decimal_of
from logrouter.core.text.strftime import compile_clock, compose_time
from logrouter.core.text.timestamps import epoch_ms, rfc3339, rfc3339_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    TimeReader = Callable[[Any], str | None]

EPOCHS: Final[Mapping[str, Decimal]] = {f"epoch_{unit}": each for unit, each in UNITS.items()}
"""Milliseconds in a unit of each."""

AUTO: Final = "auto"
RFC3339: Final = "rfc3339"

_MAX_TEXT: Final = 128
_LAST_MS: Final = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z
_FIRST_DIGITS: Final = 10**8
_LAST_SECONDS: Final = 10**10
_FRACTION: Final = "%f"
_SAMPLE: Final = {"Y": "2026", "y": "26", "m": "05", "b": "May", "d": "01", "e": " 1", "H": "10", "M": "00", "S": "00"}


def time_reader(form: str) -> TimeReader:
    """A function from a value to its time as text that `epoch_ms` reads; None for a value of another kind.

    Raises:
        ValueError: there is no such form.
    """
    if form == AUTO:
        return _by_its_looks
    if form == RFC3339:
        return lambda value: value if type(value) is str and rfc3339_ms(value) is not None else None
    if form in EPOCHS:
        return _epoch_reader(EPOCHS[form])
    if "%" not in form:
        known = ", ".join((AUTO, RFC3339, *EPOCHS))
        raise ValueError(f"no form {form!r}; there are {known}, and those of strftime, such as %d/%b/%Y:%H:%M:%S %z")
    return _clock_reader(form)


def _by_its_looks(value: Any) -> str | None:
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is float and _FIRST_DIGITS <= value < _LAST_SECONDS:
        value = str(Decimal(str(value)))
    elif type(value) is float and _LAST_SECONDS < value < 2**63:
        value = str(int(value))
    elif type(value) is int:
        value = str(value) if 0 < value < 2**63 else ""
    return value if type(value) is str and epoch_ms(value) is not None else None


def _epoch_reader(scale: Decimal) -> TimeReader:
    def read(value: Any) -> str | None:
        number = decimal_of(value)
        if number is None:
            return None
        ms = int(number * scale)
        return rfc3339(ms) if ms <= _LAST_MS else None

    return read


def _clock_reader(form: str) -> TimeReader:
    before, fraction, after = form.partition(_FRACTION)
    expression = compile_clock(before).pattern
    if fraction:
        expression += r"(?P<f>\d{1,9})" + compile_clock(after).pattern
    try:
        clock = re.compile(expression, re.ASCII)
    except re.error:
        raise ValueError(f"{form!r} has a directive twice") from None
    if (
        "s" not in clock.groupindex
        and compose_time({k: v for k, v in _SAMPLE.items() if k in clock.groupindex}) is None
    ):
        raise ValueError(f"{form!r} gives no time: it needs year, month, day, hour, minute and second, or %s")

    def read(value: Any) -> str | None:
        text = str(value) if type(value) is int and abs(value) < 2**63 else value
        found = clock.fullmatch(text) if type(text) is str and len(text) <= _MAX_TEXT else None
        if found is None:
            return None
        time = compose_time({name: part for name, part in found.groupdict().items() if part is not None})
        return time if time is not None and epoch_ms(time) is not None else None

    return read
