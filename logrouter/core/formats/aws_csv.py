r"""Access logs of Amazon API Gateway as values between commas, in quotes or not.

    192.0.2.7,-,-,04/May/2026:10:00:00 +0000,GET,/orders/{id},HTTP/1.1,200,512,<request id>,<extended request id>

    line = value *("," value);  value = DQUOTE *char DQUOTE / *char-without-comma

Without `columns` a line of eleven values is that of a REST API, one of ten the same without its last, and one of eight
that of an HTTP API. The gateway doubles no quotes: a value in quotes ends where quote and comma, or quote and line end.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from logrouter.core.formats.families.aws import (
    TAKES,
    compile_reader,
    is_execution_log,
    is_status,
    unreadable,
)
from logrouter.core.formats.format import Format, FormatSettingsError
from logrouter.core.text.json_objects import REPAIRED
from logrouter.core.text.timestamps import epoch_ms
from logrouter.model import NO_REQUEST, Reason

if TYPE_CHECKING:
    from logrouter.core.formats.format import FormatSettings
    from logrouter.model import Envelope, Ignored, Parsed, Parser, Rejected

_REQUEST: Final = ("requestTime", "httpMethod")
_ANSWER: Final = ("protocol", "status", "responseLength", "requestId")
REST: Final = ("sourceIp", "caller", "user", *_REQUEST, "resourcePath", *_ANSWER, "extendedRequestId")
HTTP: Final = ("sourceIp", *_REQUEST, "routeKey", *_ANSWER)
_LAYOUTS: Final = {len(names): names for names in (REST, REST[:-1], HTTP)}
_MOST: Final = 200
_ADDRESS = re.compile(r"[0-9A-Fa-f:]{1,40}[.:][0-9A-Fa-f.:]{1,40}")


def _compile(settings: FormatSettings) -> Parser:
    read = compile_reader(settings)
    if len(set(settings.columns)) != len(settings.columns):
        raise FormatSettingsError("columns", "a name is there twice")
    layouts = {len(settings.columns): settings.columns} if settings.columns else _LAYOUTS

    def parse(envelope: Envelope) -> Parsed | Ignored | Rejected:
        text = envelope.text.strip()
        if is_execution_log(envelope) or not _separated(envelope):
            return NO_REQUEST
        values, repaired = split(text)
        names = layouts.get(len(values))
        if names is None:
            if not settings.columns and _ADDRESS.fullmatch(values[0].lstrip('"')) is None:
                return NO_REQUEST
            if not settings.columns and len(values) < len(HTTP):
                return unreadable("the end of the line is missing", Reason.TRUNCATED)
            return unreadable(f"{len(values)} values, expected {' or '.join(map(str, sorted(layouts)))}")
        line = dict(zip(names, values, strict=True))
        if not settings.columns:
            if not _is_time(line["requestTime"].strip()):
                return NO_REQUEST
            if not is_status(line["status"].strip()):
                timed = line["requestTime"].strip() != "-" and _ADDRESS.fullmatch(values[0]) is not None
                return unreadable("no status in its place") if timed else NO_REQUEST
        return read(line, envelope, (REPAIRED,) if repaired else ())

    return parse


def _is_time(text: str) -> bool:
    """Whether a value stands where the time is: what has none is any text with as many commas."""
    return text == "-" or epoch_ms(text) is not None


def split(text: str) -> tuple[list[str], bool]:
    """The values of a line, at most as many as can be read, and whether a quote in one was not doubled."""
    values: list[str] = []
    repaired = False
    start = 0
    while len(values) <= _MOST:
        if text[start : start + 1] == '"':
            value, start, odd = _quoted(text, start + 1)
            repaired = repaired or odd
        else:
            end = text.find(",", start)
            end = len(text) if end < 0 else end
            value, start = text[start:end], end
        values.append(value)
        if start >= len(text):
            break
        start += 1
    return values, repaired


def _quoted(text: str, start: int) -> tuple[str, int, bool]:
    """The value that begins at *start*, where it ends, and whether it holds a quote of its own."""
    end = text.find('",', start)
    if end < 0:
        end = len(text) - 1 if text[-1] == '"' and len(text) > start else len(text)
    value = text[start:end]
    return value, end + 1, '"' in value or end == len(text)


def _separated(envelope: Envelope) -> bool:
    """Whether there is a comma, and the line opens no other notation."""
    text = envelope.text
    return "," in text and text.lstrip()[:1] not in ("{", "<", "[")


def _signature(envelope: Envelope) -> bool:
    """Whether there are the commas of the shortest line that says by itself what its columns are."""
    return envelope.text.count(",") >= len(HTTP) - 1 and _separated(envelope)


FORMAT: Final = Format(_compile, TAKES | {"columns"}, _signature, users=("user", "caller"))
