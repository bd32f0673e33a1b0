"""A topic in which some records are lines and others are lines in rsyslog's JSON.

    {"message": "<line>", "program": …, "host": …}      as the envelope `rsyslog` reads it
    <line>                                              as the envelope `plain` reads it

The first character tells: an object is never taken for a line, so a broken one is rejected. Lines that are objects
themselves are therefore read as what rsyslog makes of them: the application's JSON, merged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.core.envelopes import plain, rsyslog
from logrouter.core.text.json_objects import BEFORE

if TYPE_CHECKING:
    from logrouter.model import Envelope, Rejected

_BEFORE: Final = BEFORE.encode()


def decode(value: bytes) -> Envelope | Rejected:
    """The envelope in one record. Never raises; the caller has already refused what is too large."""
    return rsyslog.decode(value) if value[:64].lstrip(_BEFORE)[:1] == b"{" else plain.decode(value)
