r"""Access logs of Amazon API Gateway in XML: one element, whose children are values.

    <request id="…"><ip>192.0.2.7</ip><requestTime>04/May/2026:10:00:00 +0000</requestTime><httpMethod>GET</httpMethod>
    <resourcePath>/orders/{id}</resourcePath><status>200</status><responseLength>512</responseLength></request>

    line = "<" name *(SP name "=" DQUOTE text DQUOTE) ">" *(SP / element) "</" name ">"
    element = "<" name ">" (text / 1*element) "</" name ">" / "<" name "/>"

That is all of XML that is read: no declaration, no DTD, no comment, no CDATA, of entities the five that need no
declaration and characters by number. The gateway escapes nothing, so a text ends at its own end tag, whatever stands in
it; a `<` or a stray `&` in it is kept and flagged. An element that occurs twice has been put there by a client.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from logrouter.core.formats.families.aws import TAKES, compile_reader, is_execution_log, unreadable
from logrouter.core.formats.format import Format
from logrouter.core.text.json_objects import REPAIRED
from logrouter.model import NO_REQUEST, Reason, Rejected

if TYPE_CHECKING:
    from logrouter.core.formats.format import FormatSettings
    from logrouter.model import Envelope, Ignored, Parsed, Parser

MAX_DEPTH: Final = 4

_NAME: Final = r"[A-Za-z_][\w.-]{0,63}+"
_ROOT = re.compile(rf'<({_NAME})((?:\s++{_NAME}\s*+=\s*+"[^"]*+")*+)\s*+>', re.ASCII)
_ATTRIBUTE = re.compile(rf'({_NAME})\s*+=\s*+"([^"]*+)"', re.ASCII)
# A tag of a request: what has none and can't be read is somebody else's, like a page of HTML.
_OURS = re.compile(
    r"<(?:request|requestId|extendedRequestId|requestTime|requestTimeEpoch|httpMethod|resourcePath|routeKey|status"
    r"|statusCode|ip|sourceIp)(?=[\s/>]|\Z)"
)
_OPEN = re.compile(rf"\s*+<({_NAME})\s*+(/?)>", re.ASCII)
_AMPERSAND = re.compile(r"&(?:#(\d{1,7})|#x([0-9A-Fa-f]{1,6})|(amp|lt|gt|quot|apos));|&", re.ASCII)
_ENTITIES: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_TWICE: Final = unreadable("an element occurs twice", Reason.FIELD_CONFLICT)


def _compile(settings: FormatSettings) -> Parser:
    read = compile_reader(settings)

    def parse(envelope: Envelope) -> Parsed | Ignored | Rejected:
        text = envelope.text.strip()
        if is_execution_log(envelope) or text[:1] != "<":
            return NO_REQUEST
        flags: list[str] = []
        line = _line(text, flags)
        if isinstance(line, Rejected):
            return line if _OURS.search(text) is not None else NO_REQUEST
        return read(line, envelope, tuple(flags[:1]))

    return parse


def _line(text: str, flags: list[str]) -> dict[str, Any] | Rejected:
    """The values in the only element that *text* is."""
    root = _ROOT.match(text)
    if root is None:
        return unreadable("no element to begin with; declarations are not read")
    tail = f"</{root[1]}>"
    if not text.endswith(tail):
        return unreadable("the end of the line is missing", Reason.TRUNCATED)
    line: dict[str, Any] = {}
    for name, value in _ATTRIBUTE.findall(root[2]):
        # `<request id="…">`: an attribute says something about the request.
        key = "requestId" if name == "id" else name
        if key in line:
            return _TWICE
        line[key] = _text(value, flags)
    children = _elements(text[root.end() : -len(tail)], flags, 1)
    if isinstance(children, Rejected):
        return children
    if children is None:
        return unreadable("text between the elements")
    return line | children if line.keys().isdisjoint(children) else _TWICE


def _elements(text: str, flags: list[str], depth: int) -> dict[str, Any] | Rejected | None:
    """The elements that *text* consists of; None if it holds anything else."""
    found: dict[str, Any] = {}
    start = 0
    while tag := _OPEN.match(text, start):
        name = tag[1]
        start, value = tag.end(), ""
        if not tag[2]:
            end = text.find(f"</{name}>", start)
            if end < 0:
                return None
            value, start = text[start:end], end + len(name) + 3
        if name in found:
            return _TWICE
        found[name] = _content(value, flags, depth)
    return found if not text[start:].strip() else None


def _content(text: str, flags: list[str], depth: int) -> Any:
    """The elements in an element, else its text."""
    if text.lstrip()[:1] == "<" and depth < MAX_DEPTH:
        inner = _elements(text, [], depth + 1)
        if isinstance(inner, dict):
            return inner
    return _text(text, flags)


def _text(text: str, flags: list[str]) -> str:
    """The text with its entities resolved; what is no entity stays, and is flagged."""
    if "<" in text:
        flags.append(REPAIRED)
    if "&" not in text:
        return text

    def resolved(match: re.Match[str]) -> str:
        decimal, hexadecimal, name = match.groups()
        if name:
            return _ENTITIES[name]
        code = int(decimal) if decimal else int(hexadecimal, 16) if hexadecimal else -1
        if 0x20 <= code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF:
            return chr(code)
        flags.append(REPAIRED)
        return match[0]

    return _AMPERSAND.sub(resolved, text)


def _signature(envelope: Envelope) -> bool:
    return envelope.text.lstrip()[:1] == "<"


FORMAT: Final = Format(_compile, TAKES, _signature, users=("user", "caller"))
