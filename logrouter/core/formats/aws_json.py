r"""Access logs of Amazon API Gateway in JSON, under keys that the operator chose; REST, HTTP and WebSocket APIs.

    {"requestId":"…","ip":"192.0.2.7","requestTime":"04/May/2026:10:00:00 +0000","httpMethod":"GET",
     "resourcePath":"/orders/{id}","status":"200","protocol":"HTTP/1.1","responseLength":"512"}

The gateway puts values into a template and escapes nothing, so a quote in a user agent breaks the line. It is mended by
the keys: a value ends where a quote, a comma and the next key follow. A key that occurs twice has been put there by a
client, and a line that holds one is rejected, whether it is JSON or not. Where `columns` gives the keys of the format,
no client can add any: what looks like another key is part of a value.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import orjson

from logrouter.core.formats.families.aws import TAKES, compile_reader, is_execution_log, unreadable
from logrouter.core.formats.families.aws_names import known_names, plain
from logrouter.core.formats.families.beside import read_beside
from logrouter.core.formats.format import Format, FormatSettingsError
from logrouter.core.text.json_keys import count_keys
from logrouter.core.text.json_objects import REPAIRED, repair_flags
from logrouter.model import NO_REQUEST, Envelope, Parsed, Reason, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.core.formats.format import FormatSettings
    from logrouter.model import Ignored, Parser

# Where a value may end and a key begin; `{` opens the line.
_KEY = re.compile(r'[{,]\s*+"([A-Za-z_$][\w.$-]{0,99}+)"\s*+:\s*+', re.ASCII)
_FIRST = re.compile(r'\{\s*+"')
_MANY: Final = 1000
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"(\s*+:)?', re.DOTALL)
_BARE = re.compile(r"[\w.+-]{0,100}", re.ASCII)
_NOWHERE: Final = Envelope("plain", "")
_UNREADABLE: Final = unreadable("no JSON, and not to be mended by its keys")
_MISSING: Final = unreadable("not all keys of the format", Reason.FIELD_CONFLICT)
_TWICE: Final = unreadable("a key occurs twice", Reason.FIELD_CONFLICT)


def _compile(settings: FormatSettings) -> Parser:
    read = compile_reader(settings)
    if len(set(settings.columns)) != len(settings.columns):
        raise FormatSettingsError("columns", "a name is there twice")
    columns = settings.columns
    known = known_names(settings)
    # Which keys may end a value: those of the format, if they are given. Else any, or if that gives none, known ones.
    ways = [columns.__contains__] if columns else [_any, lambda name: plain(name) in known]

    def parse(envelope: Envelope) -> Parsed | Ignored | Rejected:
        text = envelope.text.strip()
        if text[:1] != "{":
            return NO_REQUEST if envelope.document is None else of_object(envelope.document, envelope)
        found = of_text(text, envelope)
        if envelope.document is not None and not isinstance(found, Parsed):
            return read_beside(parse, envelope, found)
        return found

    def of_text(text: str, envelope: Envelope) -> Parsed | Ignored | Rejected:
        if is_execution_log(envelope):
            return NO_REQUEST
        try:
            line = orjson.loads(text)
        except ValueError as error:
            if "ecursion" in str(error):
                return unreadable("nested too deeply", Reason.TOO_DEEP)
            return mended(text, envelope)
        if columns and tuple(line) != columns:
            return mended(text, envelope) if is_request(line) else NO_REQUEST
        found = read(line, envelope, ())
        if found is not NO_REQUEST and _repeats_key(text, line):
            return _TWICE
        return found

    def of_object(line: dict[str, Any], envelope: Envelope) -> Parsed | Ignored | Rejected:
        """The request in an object that the transport has read. What it was written like can't be told any more."""
        if is_execution_log(envelope):
            return NO_REQUEST
        if columns:
            line = {name: line[name] for name in columns if name in line}
            if len(line) != len(columns):
                return _MISSING if line and is_request(line) else NO_REQUEST
        return read(line, envelope, repair_flags(line))

    def mended(text: str, envelope: Envelope) -> Parsed | Ignored | Rejected:
        keys = {plain(key[1]) for key in islice(_KEY.finditer(text), _MANY)}
        if keys.isdisjoint(known) and (keys or _FIRST.match(text) is None):
            return NO_REQUEST  # an object of another program, perhaps as its language prints it
        if text[-1:] != "}":
            return unreadable("the end of the line is missing", Reason.TRUNCATED)
        line: dict[str, Any] | Rejected = _UNREADABLE
        for is_key in ways:
            line = _mend(text, is_key)
            if line is not _UNREADABLE:
                break
        if isinstance(line, Rejected):
            return line
        if columns and tuple(line) != columns:
            return unreadable("not the keys of the format", Reason.FIELD_CONFLICT)
        return read(line, envelope, (REPAIRED,))

    def is_request(line: dict[str, Any]) -> bool:
        return read(line, _NOWHERE, ()) is not NO_REQUEST

    return parse


def _any(_name: str) -> bool:
    return True


def _repeats_key(text: str, line: dict[str, Any]) -> bool:
    """Whether the text writes more keys than its object has."""
    count = count_keys(line)
    return text.count('":') != count and sum(match[1] is not None for match in _STRING.finditer(text)) != count


def _mend(text: str, is_key: Callable[[str], bool]) -> dict[str, Any] | Rejected:
    """The values of a flat object whose values are not escaped, by its keys."""
    line: dict[str, Any] = {}
    name, start = "", 0
    for key in _KEY.finditer(text):
        if not name:
            if key.start():
                break
        elif text[key.start()] != "," or not is_key(key[1]) or not _ends(text, start, key.start()):
            continue
        elif key[1] == name or key[1] in line:
            return _TWICE
        else:
            line[name] = _value(text[start : key.start()])
        name, start = key[1], key.end()
    if not name or not _ends(text, start, len(text) - 1):
        return _UNREADABLE
    line[name] = _value(text[start:-1])
    return line


def _ends(text: str, start: int, end: int) -> bool:
    """Whether what is between is a value: something in quotes, or a bare word or number."""
    if text[start] == '"':
        while end > start and text[end - 1].isspace():
            end -= 1
        return end - start >= 2 and text[end - 1] == '"'
    return end - start <= 200 and _BARE.fullmatch(text[start:end].strip()) is not None


def _value(written: str) -> Any:
    """A value that may be properly escaped, although the line is not."""
    written = written.strip()
    try:
        return orjson.loads(written)
    except ValueError:
        return written[1:-1] if written[:1] == '"' else written


def _signature(envelope: Envelope) -> bool:
    """Whether the line is an object, or the transport has taken one in."""
    return envelope.document is not None or envelope.text.lstrip()[:1] == "{"


FORMAT: Final = Format(_compile, TAKES | {"columns"}, _signature, users=("user", "caller"))
