r"""Access logs of Amazon API Gateway as names and values, which is how the Serverless Framework sets up a REST API.

    requestId: 6f1c9a70, ip: 192.0.2.7, caller: -, user: -, requestTime: 04/May/2026:10:00:00 +0000, httpMethod: GET,
        resourcePath: /orders/{id}, status: 200, protocol: HTTP/1.1, responseLength: 512

    line = name ": " value *( ", " name ": " value );  name = ALPHA *( ALPHA / DIGIT / "_" / "." / "-" )

Nothing is escaped, so a value ends where the next name begins, and whoever writes a user agent can write names. Behind
such a value (`_FREE`) nothing is believed. A path holds no blank, and so no name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from logrouter.core.formats.families.aws import TAKES, compile_reader, is_execution_log, unreadable
from logrouter.core.formats.families.aws_names import TIMES, known_names, plain, targets_of
from logrouter.core.formats.format import Format
from logrouter.core.names import SUSPECT
from logrouter.model import NO_REQUEST, Parsed, Reason

if TYPE_CHECKING:
    from logrouter.core.formats.format import FormatSettings
    from logrouter.model import Envelope, Ignored, Parser, Rejected

_NAME: Final = r"[A-Za-z][A-Za-z0-9_.-]{0,63}"
_BEGIN = re.compile(rf"\s{{0,64}}{_NAME}: ", re.ASCII)
_PAIR = re.compile(rf"(?:\A|, )({_NAME}): ", re.ASCII)
_CUT = re.compile(r", ?[A-Za-z0-9_.-]{0,64}:?\Z", re.ASCII)
# What clients write with blanks in it: headers, names of people, and messages that quote what was sent.
_FREE = re.compile(
    r"(?:agent|referr?er|forwardedfor|header|origin|cookie|body|payload|message|string|claims\w{0,64}name)s?\Z",
    re.ASCII,
)
_MAX_PAIRS: Final = 200
_LEAST: Final = 3
"""Names of the gateway that a line has at least: any program may print one or two of them."""


def _compile(settings: FormatSettings) -> Parser:
    read = compile_reader(settings)
    known = known_names(settings)
    statuses = frozenset(targets_of(settings).numbers["http.status_code"][1])
    times = frozenset(filter(None, map(plain, TIMES)))

    def parse(envelope: Envelope) -> Parsed | Ignored | Rejected:
        """The request in a line. Never raises."""
        text = envelope.text.strip()
        if is_execution_log(envelope) or not _signature(envelope):
            return NO_REQUEST
        line, free, cut = _pairs(text)
        names = {plain(name) for name in line}
        if len(names & known) < _LEAST or names.isdisjoint(times):
            return NO_REQUEST
        if statuses.isdisjoint(names):
            if not free:
                return unreadable("the end of the line is missing", Reason.TRUNCATED)
            return unreadable("no status stands before the headers, and behind them a client may have written it")
        if cut:
            return unreadable("the end of the line is missing", Reason.TRUNCATED)
        found = read(line, envelope, ())
        return replace(found, flags=(*found.flags, SUSPECT)) if free and isinstance(found, Parsed) else found

    return parse


def _pairs(text: str) -> tuple[dict[str, str], bool, bool]:
    """The values by their names that can be believed, whether others follow, and whether the line lacks its end.

    Of a name that is there twice the first counts.
    """
    line: dict[str, str] = {}
    name, start = "", 0
    for pair in _PAIR.finditer(text):
        if name:
            line.setdefault(name, text[start : pair.start()])
            if _FREE.search(plain(name) or name.lower()) or len(line) >= _MAX_PAIRS:
                return line, True, False
        name, start = pair[1], pair.end()
    line.setdefault(name, text[start:])
    return line, False, _FREE.search(plain(name) or name.lower()) is None and _CUT.search(text, start) is not None


def _signature(envelope: Envelope) -> bool:
    """Whether a name stands first, and commas enough for the fewest names."""
    return envelope.text.count(", ") >= _LEAST - 1 and _BEGIN.match(envelope.text) is not None


FORMAT: Final = Format(_compile, TAKES, _signature, users=("user", "caller"))
