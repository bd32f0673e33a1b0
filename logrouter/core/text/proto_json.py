"""Protobuf messages as JSON, in every way that programs write them.

A field is called `response_code` or `responseCode`. A 64-bit number is a text or a number, a wrapper `{"value": 5}` or
the value itself. A time is RFC 3339 or `{"seconds": …, "nanos": …}`. What has the default value is mostly left out.
"""

from __future__ import annotations

from typing import Any, Final

from logrouter.core.text.json_numbers import MAX_WHOLE, written_whole

ABSENT: Final = (None, "", "-")

# Names are written in this package, never read from input, so there are few.
_camels: dict[str, str] = {}


def get_field(message: object, name: str) -> Any:
    """The value of the field *name* (in snake case) of a message; None if it is missing, or *message* no object."""
    if type(message) is not dict:
        return None
    value = message.get(name)
    if value is None and "_" in name:
        value = message.get(_camels.get(name) or _camels.setdefault(name, camel_case(name)))
    return None if value in ABSENT else value


def get_message(message: object, name: str) -> dict[str, Any]:
    """The message in the field *name*, empty if it is missing."""
    value = get_field(message, name)
    return value if type(value) is dict else {}


def get_text(message: object, name: str) -> str | None:
    """The text in the field *name*, bare or in a wrapper; else None."""
    value = unwrapped(get_field(message, name))
    return value if type(value) is str and value not in ABSENT else None


def get_number(message: object, name: str) -> int | None:
    """The whole number in the field *name*, not negative and no larger than JSON can hold exactly; else None."""
    return count_of(get_field(message, name))


def count_of(value: object) -> int | None:
    """A whole number that is written as a number, a text or a wrapper; else None."""
    if type(value) is int and 0 <= value <= MAX_WHOLE:  # what most are
        return value
    number = written_whole(unwrapped(value))
    return number if number is not None and number >= 0 else None


def unwrapped(value: object) -> Any:
    """The value in a wrapper, or the value itself."""
    return value.get("value") if type(value) is dict and value.keys() == {"value"} else value


def time_text(value: object) -> str | None:
    """A time as text that `epoch_ms` reads."""
    if type(value) is str:
        return value
    if type(value) is dict:
        seconds, nanos = count_of(value.get("seconds", 0)), count_of(value.get("nanos", 0))
        if seconds is not None and nanos is not None and nanos < 1_000_000_000:
            return f"{seconds}.{nanos:09d}"
        return None
    if type(value) is float and value.is_integer():
        value = int(value)  # digits, and no exponent
    return str(value) if type(value) in (int, float) else None


def camel_case(name: str) -> str:
    """The name that protobuf's own JSON has for a field."""
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))
