r"""The common and the combined log format, which nginx and Apache write by default, and what is often put around it.

    [host:port ][addresses ]host ident user [time] "request" status bytes[ "referer" "agent"[ "addresses"]][ time]

*addresses* is X-Forwarded-For, before or behind the rest; the time at the end is what the request took. This is no
format of its own: nginx and apache read it where topics.yaml names no pattern. Apache writes "" for a user without a
name; otherwise the first quote is that of the request, as servers escape those in values.

Columns that are not of the format look like a user with blanks, and so does a user that a client has made up to look
like columns. A line is only read where nobody but the server can have written its address: one that holds a second
"<address> - " is rejected. What else a line may differ in, `_read_untidy` says.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from logrouter.core.formats.families.weblog import NEWLINE, PatternReader
from logrouter.core.names import SUSPECT
from logrouter.core.text.addresses import holds_address
from logrouter.core.text.durations import UNIT_UNKNOWN
from logrouter.core.text.line_patterns import ADDRESSES, CLF_TIME
from logrouter.model import Parsed, Reason, Rejected, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.model import Envelope, Ignored, Parser

_TEXT: Final = r'((?:[^"\\\x00-\x1f]++|\\.)*+)'
_BEGIN: Final = (
    r"(?>(?=[^\s:]{0,255}[A-Za-z])([\w.-]{1,255}):(\d{1,5})[ ])?+"
    rf"(?>({ADDRESSES.shape})[ ](?=[0-9A-Fa-f:.]{{2,45}}[ ]))?+"
    r'([^\s",]{1,255}+)[ ]([^\s"]{1,255}+)[ ]'
    rf'(?>((?:""|(?:[^"\\\x00-\x1f]|\\.)*?))[ ]\[({CLF_TIME.shape})\][ ]")'
)
_REST: Final = rf'{_TEXT}"[ ](\d{{3}}|-)[ ](\d{{1,19}}|-)(?>[ ]"{_TEXT}"[ ]"{_TEXT}"(?>[ ]"{_TEXT}")?+)?+'
# Three decimals are seconds: nginx writes no others, and Apache none at all. A whole number of Apache is seconds (%T)
# or microseconds (%D): from 1000 on it is taken for the latter, as hardly a request takes a quarter of an hour.
_TOOK: Final = r"(?>[ ](?:(\d{1,9}\.\d{3})|-))?+"
_TOOK_OR_WHOLE: Final = r"(?>[ ](?:(\d{1,9}\.\d{3})|([1-9]\d{3,14})|-))?+"
_CUT: Final = re.compile(
    rf'{_BEGIN}{_TEXT}(?>"[ 0-9-]*+(?>"{_TEXT}(?>"[ ]?+(?>"{_TEXT})?+)?+)?+)?+\\?+', re.ASCII | re.DOTALL
)
_MEANINGS: Final = (
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

_MAX_HEAD: Final = 2048
_TIME: Final = re.compile(rf"\[{CLF_TIME.shape}\]", re.ASCII)
_TIME_LENGTH: Final = 26

# A user with one of these among its words is columns: nothing, a figure, the name of a host, a separator.
_COLUMN: Final = re.compile(r"-|\||\d+(?:\.\d+)?|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::\d+)?", re.ASCII)
_MORE_COLUMNS: Final = Rejected(
    Stage.PARSE, Reason.MALFORMED, "more columns before the time than the format has; a pattern can name them"
)
_SPARE_BLANKS: Final = re.compile(r'("(?:[^"\\]++|\\.)*+"?)|[ \t]{2,}', re.DOTALL)
_FIGURE: Final = re.compile(r" \d{1,15}(?:\.\d{1,9})?\Z", re.ASCII)
_QUOTED_FIRST: Final = re.compile(rf'"{_TEXT}"[ ]', re.DOTALL)
_ADDRESS: Final = r"[0-9A-Fa-f:.]{2,45}"
_LIST_FIRST: Final = re.compile(rf"({_ADDRESS}(?:,[ ]?{_ADDRESS}){{1,31}}+)[ ](?=-[ ])", re.ASCII)
_WHO: Final = re.compile(rf"(?<![^ ])(?=[^ ]*[.:]){_ADDRESS}[ ]-[ ]", re.ASCII)


def compile_combined(undo: Callable[[str], str], *, at_end: bool, whole: str = "") -> Parser:
    """The parser of such lines as one server writes them.

    *undo* and *at_end* are those of `PatternReader`. *whole* is the meaning of a whole number at the end, "" where the
    server writes none: then it has no meaning, and the event the flag `unit_unknown`.
    """
    expression = re.compile(_BEGIN + _REST + (_TOOK_OR_WHOLE if whole else _TOOK), re.ASCII | re.DOTALL)
    meanings = (*_MEANINGS, whole) if whole else _MEANINGS
    reader = PatternReader(expression, _has_time, meanings, undo=undo, is_cut=_is_cut, at_end=at_end)

    def parse(envelope: Envelope) -> Parsed | Ignored | Rejected:
        found = reader.read(envelope.text)
        if isinstance(found, Parsed):
            return found if " " not in found.fields.get("remote_user", "") else _doubt(reader, found, envelope.text)
        return _read_untidy(reader, envelope.text, found) if isinstance(found, Rejected) else found

    return parse


def signature(envelope: Envelope) -> bool:
    """Whether there is a time in brackets, as a rule before the first quote, or behind the one of a nameless user."""
    text = envelope.text
    quote = text.find('"')
    if _timed(text, quote) or (text[quote + 1 : quote + 2] == '"' and _timed(text, text.find('"', quote + 2))):
        return True
    return text[:1] != "{" and _has_time(text)


def _timed(text: str, quote: int) -> bool:
    end = quote - 2
    start = end - _TIME_LENGTH
    return start > 0 and text[end:quote] == "] " and text[start - 1] == "[" and text[start + 2] == "/"


def _has_time(text: str) -> bool:
    """Whether it is a line of an access log, of this format or another: nothing else has such a time in brackets."""
    return "[" in text and _TIME.search(text, 0, _MAX_HEAD) is not None


def _is_cut(text: str) -> bool:
    """Whether a line that is not of the format might be one with its end cut off."""
    return _CUT.fullmatch(text) is not None


def _doubt(reader: PatternReader, found: Parsed, text: str) -> Parsed | Ignored | Rejected:
    """A line in which the user has blanks: the user's own, or columns that the format does not have.

    Columns in front are known by what follows them, if that is there once: then only the server can have written it.
    """
    time = found.time or ""
    head, _, rest = text.rpartition(f" [{time}] ") if text.count(f"[{time}]") == 1 else ("", "", "")
    who = list(_WHO.finditer(f"{head} "))
    if len(who) == 1 and who[0].start() and " " not in head[who[0].end() :]:
        start = who[0].start()
        return _with_client(reader.read(f"{head[start:]} [{time}] {rest}"), head[:start].rstrip(), SUSPECT)
    user = found.fields["remote_user"]
    if "ident" in found.fields or holds_address(user) or any(map(_COLUMN.fullmatch, user.split(" "))):
        return _MORE_COLUMNS
    found.flags += (SUSPECT,)
    return found


def _read_untidy(reader: PatternReader, text: str, refused: Rejected) -> Parsed | Ignored | Rejected:
    """A line that is read without what it has more: addresses in front, blanks, a figure at the end."""
    text = text.replace("\n", NEWLINE)
    forwarded = ""
    tidy = _SPARE_BLANKS.sub(lambda match: match[1] or " ", text).strip(" \t")
    if first := _QUOTED_FIRST.match(tidy):
        forwarded, tidy = first[1], tidy[first.end() :]
    elif first := _LIST_FIRST.match(tidy):
        forwarded, tidy = first[1], f"- {tidy[first.end() :]}"
    found: Parsed | Ignored | Rejected = reader.read(tidy) if tidy != text else refused
    if isinstance(found, Rejected):
        found = _without_figures(reader, tidy, found)
    if isinstance(found, Rejected) and refused.reason is Reason.TRUNCATED:
        return refused  # without its blanks a nameless user's cut line looks like another one
    if isinstance(found, Parsed) and " " in found.fields.get("remote_user", ""):
        found = _doubt(reader, found, tidy) if not tidy.startswith("- ") else _MORE_COLUMNS
    elif isinstance(found, Parsed) and "ident" in found.fields:
        return _MORE_COLUMNS  # with blanks taken out, nothing else says which column is the address
    return _with_client(found, forwarded) if forwarded else found


def _without_figures(reader: PatternReader, text: str, refused: Rejected) -> Parsed | Ignored | Rejected:
    """A line without the figures at its end. Of two nobody can tell which is what the request took: none is read."""
    found: Parsed | Ignored | Rejected = refused
    for _ in range(2):
        figure = _FIGURE.search(text)
        if figure is None:
            break
        text = text[: figure.start()]
        found = reader.read(text)
        if isinstance(found, Parsed) and "total_time_ms" not in found.event:
            found.flags += (UNIT_UNKNOWN,)
            return found
    return refused


def _with_client(found: Parsed | Ignored | Rejected, before: str, *flags: str) -> Parsed | Ignored | Rejected:
    """A request with what stood *before* its columns as the beginning of its chain of addresses."""
    if isinstance(found, Parsed):
        found.flags += flags
        chain = [each for each in (before, found.event["http"].get("client_ip")) if each not in ("", "-", None)]
        if chain:
            found.event["http"]["client_ip"] = ", ".join(chain)
    return found
