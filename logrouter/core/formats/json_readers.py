"""How the format `json` reads a value for each kind of field. A value of another kind is None, and never a guess.

read = duration_reader("s")
read(0.0125)      13
read("fast")      None
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from logrouter.core.formats.families.backends import backend_name
from logrouter.core.formats.families.json_values import join_texts, read_headers
from logrouter.core.names import bounded_name
from logrouter.core.redact import has_broken_host, holds_secret, path_of, redact_shown, redact_uri
from logrouter.core.text.durations import parse_duration
from logrouter.core.text.json_numbers import MAX_WHOLE, whole, written_whole
from logrouter.core.text.unflatten import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    ValueReader = Callable[[Any], Any]

UNITS: Final[Mapping[str, Decimal]] = {
    "s": Decimal(1000),
    "ms": Decimal(1),
    "us": Decimal("0.001"),
    "ns": Decimal("0.000001"),
}
"""Milliseconds in each unit of a duration that is written as a number."""

IN_TEXT: Final = "text"
"""The unit of durations that are written with their unit, such as `12.5ms`."""

_MAX_MESSAGE: Final = 1000
_MAX_DIGITS: Final = 40


def text_of(value: Any) -> str | None:
    """The text that a text or whole number is, or of a list with nothing else in it."""
    if type(value) is list and len(value) == 1:
        value = value[0]
    if type(value) is str:
        return value if value not in ABSENT else None
    number = whole(value)
    return None if number is None else str(number)


def name_of(value: Any) -> str | None:
    """The same, for what names something: a hash where it holds a secret, as any key may be mapped."""
    text = text_of(value)
    return bounded_name(text, len(text), secret=True) if text is not None and holds_secret(text) else text


def backend_in(value: Any) -> str | None:
    """The name of an instance or a group, or its address out of a URL."""
    text = text_of(value)
    return None if text is None else backend_name(text)


def backend_uri_in(value: Any) -> str | None:
    """A URL without its query and secrets; None where its host can't be told from a password."""
    if type(value) is not str or value in ABSENT or has_broken_host(value):
        return None
    return redact_uri(value) or None


def chain_of(value: Any) -> str | None:
    """Addresses with commas between, of a text or a list of texts."""
    text = join_texts(value)
    return text if text not in ABSENT else None


def status_of(value: Any) -> int | None:
    """A status as HTTP has them; 0 and the like say that there was none."""
    number = written_whole(value)
    return number if number is not None and 100 <= number <= 999 else None


def size_of(value: Any) -> int | None:
    """A count of bytes."""
    number = written_whole(value)
    return number if number is not None and number >= 0 else None


def message_of(value: Any) -> str | None:
    """A message for people, without what looks like a secret."""
    text = text_of(value)
    return None if text is None else redact_shown("", text, _MAX_MESSAGE)


def headers_of(value: Any) -> dict[str, str] | None:
    """Request headers out of an object, without those that hold secrets."""
    return read_headers(value) if type(value) is dict else None


def extra_of(value: Any) -> Any:
    """What conditions and sources can read: a text, a number, true and false as texts, a list of texts and numbers."""
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is list:
        return value if value and all(type(each) in (str, int) for each in value) else None
    return value if type(value) in (str, int, float) else None


def path_in(value: Any) -> str | None:
    """The path of a URI."""
    return path_of(value) if type(value) is str and value not in ABSENT else None


def duration_reader(unit: str) -> ValueReader:
    """The reader of a duration in *unit*, one of `UNITS` or `IN_TEXT`, as whole milliseconds."""
    if unit == IN_TEXT:
        return _with_unit
    scale = UNITS[unit]

    def read(value: Any) -> int | None:
        number = decimal_of(value)
        if number is None:
            return None
        ms = int(number * scale + Decimal("0.5"))
        return ms if ms <= MAX_WHOLE else None

    return read


def decimal_of(value: Any) -> Decimal | None:
    """The number, not below 0, that a number or a text of digits is, with or without a fraction; else None."""
    if type(value) is not str:
        return Decimal(str(value)) if type(value) in (int, float) and 0 <= value <= 2**63 else None
    if len(value) > _MAX_DIGITS or not value.isascii() or not value.replace(".", "", 1).isdigit():
        return None
    return Decimal(value)


def _with_unit(value: Any) -> int | None:
    """A duration that says its unit: a bare number would be a guess."""
    if type(value) is not str or value[-1:].isdigit():
        return None
    return parse_duration(value)
