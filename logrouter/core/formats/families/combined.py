r"""The common and the combined log format, which nginx and Apache write by default, and what is often put around it.

    [host:port ][addresses ]host ident user [time] "request" status bytes[ "referer" "agent"[ "addresses"]][ time]

*addresses* is X-Forwarded-For, before or behind the rest; the time at the end is what the request took. This is no
format of its own: nginx and apache read it where topics.yaml names no pattern. Apache writes "" for a user without a
name; otherwise the first quote is that of the request, as servers escape those in values.

A client can make up addresses that are none. Where they come first and nothing tells where they end, they look like the
rest of the beginning, and the event is flagged: what is left of it stands in the user's place.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from logrouter.core.names import SUSPECT
from logrouter.core.text.line_patterns import ADDRESSES, CLF_TIME
from logrouter.model import Parsed

if TYPE_CHECKING:
    from logrouter.core.formats.families.weblog import PatternReader
    from logrouter.model import Envelope, Ignored, Rejected

_TEXT: Final = r'((?:[^"\\\x00-\x1f]++|\\.)*+)'
_BEGIN: Final = (
    r"(?>(?=[^\s:]{0,255}[A-Za-z])([\w.-]{1,255}):(\d{1,5})[ ])?+"
    rf"(?>({ADDRESSES.shape})[ ](?=[0-9A-Fa-f:.]{{2,45}}[ ]))?+"
    r'([^\s"]{1,255}+)[ ]([^\s"]{1,255}+)[ ]'
    rf'(?>((?:""|(?:[^"\\\x00-\x1f]|\\.)*?))[ ]\[({CLF_TIME.shape})\][ ]")'
)
EXPRESSION: Final = re.compile(
    _BEGIN + rf'{_TEXT}"[ ](\d{{3}}|-)[ ](\d{{1,19}}|-)(?>[ ]"{_TEXT}"[ ]"{_TEXT}"(?>[ ]"{_TEXT}")?+)?+'
    r"(?>[ ](?:(\d{1,9}\.\d{1,6})|(\d{1,15})|-))?+",
    re.ASCII | re.DOTALL,
)
_CUT: Final = re.compile(
    rf'{_BEGIN}{_TEXT}(?>"[ 0-9-]*+(?>"{_TEXT}(?>"[ ]?+(?>"{_TEXT})?+)?+)?+)?+\\?+', re.ASCII | re.DOTALL
)
BEGIN: Final = re.compile(_BEGIN, re.ASCII | re.DOTALL)
MEANINGS: Final = (
    "server_name",
    "field:server_port",
    "forwarded",
    "address",
    "field:ident",
    "field:remote_user",
    "time",
    "request",
    "status",
    "body_bytes_sent",
    "header:referer",
    "header:user-agent",
    "forwarded",
    "seconds",
)
"""Meanings of the groups of `EXPRESSION`, but for the last: whole numbers, of which every server has its own unit."""

_TIME_LENGTH: Final = 26


def is_cut(text: str) -> bool:
    """Whether a line that is not of the format might be one with its end cut off."""
    return _CUT.fullmatch(text) is not None


def signature(envelope: Envelope) -> bool:
    """Whether a time in brackets stands before the request's quote: the first, or the one after a nameless user."""
    text = envelope.text
    quote = text.find('"')
    return _timed(text, quote) or (text[quote + 1 : quote + 2] == '"' and _timed(text, text.find('"', quote + 2)))


def _timed(text: str, quote: int) -> bool:
    end = quote - 2
    start = end - _TIME_LENGTH
    return start > 0 and text[end:quote] == "] " and text[start - 1] == "[" and text[start + 2] == "/"


def read(reader: PatternReader, envelope: Envelope) -> Parsed | Ignored | Rejected:
    """The request in a line, by the reader of `EXPRESSION`."""
    found = reader.read(envelope.text)
    if isinstance(found, Parsed) and " " in found.fields.get("remote_user", ""):
        found.flags += (SUSPECT,)
    return found
