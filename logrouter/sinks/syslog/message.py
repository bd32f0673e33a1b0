"""Messages of RFC 5424: `<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG`."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from logrouter.core.text.timestamps import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

NIL: Final = "-"
MAX_HOST: Final = 255
MAX_APP_NAME: Final = 48
MAX_PROCID: Final = 128
MAX_MSGID: Final = 32
_MAX_SD_NAME: Final = 32

_NOT_PRINTED: Final = re.compile(r"[^\x21-\x7e]")
_NOT_IN_NAMES: Final = re.compile(r'[^\x21-\x7e]|[="\]]')
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ESCAPED: Final = re.compile(r'(["\\\]])')
_BYTE_CONTROLS: Final = bytes.maketrans(bytes([*range(9), *range(10, 32), 127]), b" " * 32)
_LATER_CONTROLS: Final = re.compile(rb"\xc2[\x80-\x9f]")
"""U+0080 to U+009F; in UTF-8 no other character has C2 as a byte."""


class Severity(IntEnum):
    """Numerical codes of RFC 5424, section 6.2.1, as far as they are used."""

    ERROR = 3
    WARNING = 4
    INFO = 6


class Header(NamedTuple):
    """What stands before a message, as texts of any kind: rendering makes of them what each field may hold.

    *facility* is a number from 0 to 23, *time_us* in microseconds since the epoch, None if nobody knows.
    """

    facility: int
    severity: int
    time_us: int | None
    host: str
    app_name: str
    procid: str
    msgid: str


def render_time(time_us: int | None) -> str:
    """RFC 3339 in UTC, with the six digits of a fraction that are allowed at most, or three where these are all."""
    if time_us is None:
        return NIL
    ms, rest = divmod(time_us, 1000)
    text = rfc3339(ms)
    return f"{text[:-1]}{rest:03d}Z" if rest else text


def render_field(text: str, longest: int) -> str:
    """PRINTUSASCII of 1 to *longest* characters: others become `_`, and an empty text is "-"."""
    return _NOT_PRINTED.sub("_", text[:longest]) or NIL


def render_data(sd_id: str, params: Mapping[str, str]) -> str:
    """One element of structured data; what could end a value is escaped, and control characters become spaces."""
    rendered = [sd_id]
    for name, value in params.items():
        escaped = _ESCAPED.sub(r"\\\1", _CONTROLS.sub(" ", value))
        rendered.append(f'{_NOT_IN_NAMES.sub("_", name[:_MAX_SD_NAME])}="{escaped}"')
    return f"[{' '.join(rendered)}]"


def clean_text(text: bytes) -> bytes:
    """UTF-8 without control characters but TAB: each becomes a space."""
    text = text.translate(_BYTE_CONTROLS)
    return _LATER_CONTROLS.sub(b" ", text) if b"\xc2" in text else text


def cut_text(text: bytes, longest: int) -> bytes:
    """The first *longest* bytes of UTF-8, or a few less, so that no character is cut."""
    if len(text) <= longest:
        return text
    end = max(longest, 0)
    while end > 0 and text[end] & 0xC0 == 0x80:
        end -= 1
    return text[:end]


def render(header: Header, data: str, text: bytes, max_bytes: int) -> bytes:
    """A whole message of at most *max_bytes*: what is too long of *text*, which is UTF-8, is cut off.

    No byte order mark precedes the text: few receivers take it off again. *data* are elements of structured data, or
    "". A header with them that is longer than *max_bytes* stays whole.
    """
    fields = (
        f"<{header.facility * 8 + header.severity}>1",
        render_time(header.time_us),
        render_field(header.host, MAX_HOST),
        render_field(header.app_name, MAX_APP_NAME),
        render_field(header.procid, MAX_PROCID),
        render_field(header.msgid, MAX_MSGID),
        data or NIL,
    )
    head = " ".join(fields).encode("utf-8", "replace")
    cut = cut_text(clean_text(text), max_bytes - len(head) - 1)
    return head + b" " + cut if cut else head
