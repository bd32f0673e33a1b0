r"""The HTTP log of HAProxy: `option httplog` or `httpslog`, or any `log-format` that topics.yaml gives as *pattern*.

    192.0.2.7:5123 [01/May/2026:10:00:00.250] web core/a1 0/0/1/11/12 200 517 - - ---- 1/1/0/0/0 0/0 "GET /a HTTP/1.1"

    pattern: log-format "%ci:%cp [%trg] %ft %b/%s %Ta %ST %B %[capture.req.hdr(0)] %{+Q}r"
    pattern: option httplog clf

Variables that clients fill are encoded by HAProxy, `#22` for a quote, so a quote is always its own; what an expression
in brackets gives is not, unless a converter does it. docs/formats/haproxy.md says what becomes of each variable.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from logrouter.core.formats.families.backends import BackendNames
from logrouter.core.formats.families.haproxy_variables import meaning_of
from logrouter.core.formats.families.secret_values import compile_secret_mask
from logrouter.core.formats.families.weblog import count_of, parser_of, reader_of
from logrouter.core.formats.format import Format, FormatSettingsError
from logrouter.core.text.escapes import unescape, unescape_json
from logrouter.core.text.haproxy_patterns import pieces_of
from logrouter.core.text.json_patterns import compile_members
from logrouter.core.text.line_patterns import PatternError
from logrouter.model import NO_REQUEST, Ignored, Parsed, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.core.formats.format import FormatSettings
    from logrouter.model import Envelope, Parser

HTTPLOG: Final = (
    "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r"
)
HTTPSLOG: Final = (
    f"{HTTPLOG} %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] %[ssl_fc_sni]/%sslv/%sslc"
)
CLF: Final = (
    '%{+Q}o %{-Q}ci - - [%trg] %r %ST %B "" "" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc %ac %fc %bc %sc %rc %sq %bq '
    "%CC %CS %hrl %hsl"
)
OPTIONS: Final = {"httplog": (HTTPLOG,), "httpslog": (HTTPSLOG,), "httplog clf": (CLF,)}
"""What HAProxy's options of these names stand for."""

_BACKEND: Final = BackendNames(("server", "server_addr"), ("backend",))
_OPTION = re.compile(r"\s*(?:option\s+)?(httpslog|httplog\s+clf|httplog)\s*", re.ASCII)
# What is left of a header of syslog where somebody has taken a part of it.
_LEFT_OVER = re.compile(r"(?:<\d{1,3}>)?(?:[A-Za-z][\w.-]{0,31}\[\d{1,7}\]: )?", re.ASCII)
_ENCODED = re.compile(r"#([0-9A-Fa-f]{2})", re.ASCII)
# Brackets and bars within captured headers, until these have been taken apart: HAProxy writes no such characters.
_WITHIN: Final = {"#7B": "\ue000", "#7C": "\ue001", "#7D": "\ue002"}
_AGAIN: Final = str.maketrans({"\ue000": "{", "\ue001": "|", "\ue002": "}"})
_CODES = re.compile(r"(?:#[0-9A-F]{2})++", re.ASCII)
_BACKSLASH = re.compile(r"\\\\|(?:\\x[0-9A-Fa-f]{2})++", re.ASCII)
# Five timers: a TCP log has three, and what goes wrong with a connection before any request has none.
_BEGIN = re.compile(
    r"\S{1,64}:\d{1,5} \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d\.\d{3}\] \S{1,255} \S{1,255}/\S{1,255} "
    r"[+-]?\d{1,10}(?:/[+-]?\d{1,10}){4}(?: |\Z)",
    re.ASCII,
)


def _compile(settings: FormatSettings) -> Parser:
    option = _OPTION.fullmatch(settings.pattern)
    try:
        if option:
            return _parser_of(*OPTIONS[" ".join(option[1].split())])
        if settings.pattern:
            return _parser_of(settings.pattern)
    except PatternError as error:
        raise FormatSettingsError("pattern", str(error)) from None
    plain, tls = _parser_of(HTTPLOG), _parser_of(HTTPSLOG)

    def parse(envelope: Envelope) -> Parsed | Ignored | Rejected:
        found = plain(envelope)
        if isinstance(found, Parsed):
            return found
        if _BEGIN.match(_without_header(envelope.text)) is None:
            return NO_REQUEST
        other = tls(envelope)
        return other if isinstance(other, Parsed) else found

    return parse


def _parser_of(pattern: str) -> Parser:
    """The parser of one log-format.

    Raises:
        PatternError: its lines can't be read back.
    """
    pieces = pieces_of(pattern, meaning_of)
    # A backslash is HAProxy's own only where the pattern has it escape something.
    escaping = any("json" in piece.name or "+E" in pattern for piece in pieces if not isinstance(piece, str))
    reader = reader_of(pieces, undo=unescape_json if escaping else _undo, prepare=_settle, backend=_BACKEND)
    writes_object = isinstance(pieces[0], str) and pieces[0].lstrip()[:1] == "{"
    read = parser_of(reader, pieces, compile_members(pieces) if writes_object else None)
    encode: Callable[[str], str] = _without_codes if escaping else _as_escapes

    def parse(envelope: Envelope) -> Parsed | Ignored | Rejected:
        text = envelope.text
        if "#" in text or "\\" in text:
            envelope = replace(envelope, text=encode(text))
        found = read(envelope)
        if not isinstance(found, Parsed) and (line := _without_header(envelope.text)) != envelope.text:
            found = read(replace(envelope, text=line))
        return _completed(found) if isinstance(found, Parsed) else found

    return parse


def _without_header(text: str) -> str:
    """The line without what may be left of a header of syslog before it."""
    return _LEFT_OVER.sub("", text, count=1) if text[:1] == "<" or "]: " in text[:64] else text


def _as_escapes(text: str) -> str:
    r"""A line in which codes are escapes as `core.text.line_patterns` knows them: `#22` is `\x22`, a backslash `\\`."""
    return _ENCODED.sub(lambda match: _WITHIN.get(match[0]) or f"\\x{match[1]}", text.replace("\\", "\\\\"))


def _without_codes(text: str) -> str:
    r"""A line that has JSON's escapes already, with `#22` as one of these."""
    return _CODES.sub(
        lambda match: "".join(map(_escape_char, bytes.fromhex(match[0].replace("#", "")).decode("utf-8", "replace"))),
        text,
    )


def _escape_char(char: str) -> str:
    return f"\\u{ord(char):04x}" if char.isascii() else char


def _undo(text: str) -> str:
    return _BACKSLASH.sub(lambda match: "\\" if match[0] == "\\\\" else unescape(match[0]), text)


def _settle(values: dict[str, str]) -> None:
    """Figures as the event has them. -1 is absent; a plus says that the log did not wait for the end, so neither it."""
    for name in ("status", "bytes_sent", "bytes_received", "millis", "backend_seconds", "whole_millis"):
        if values.get(name, "")[:1] in ("-", "+"):
            values.pop(name, None)
    if "whole_millis" in values:
        values.setdefault("millis", values.pop("whole_millis"))
    if "backend_seconds" in values:
        took = count_of(values.pop("backend_seconds"))
        if took is not None:
            values["backend_seconds"] = f"{took // 1000}.{took % 1000:03d}"
    if count_of(values.get("status", "")) == 0:
        del values["status"]
    if values.pop("ended", "")[:1] == "C":
        values["connection"] = "X"
        values.setdefault("status", "0")  # nobody was there any more to get one


def _completed(found: Parsed) -> Parsed:
    """The request with its captured headers one by one, and the front end by its name alone."""
    fields: dict[str, Any] = found.fields
    if "frontend" in fields:
        fields["frontend"] = fields["frontend"].rstrip("~")
    for which in ("request", "response"):
        texts = fields.pop(f"{which}_captures", "").strip(" {}").split("|")
        fields |= {f"{which}_capture_{number}": text.translate(_AGAIN) for number, text in enumerate(texts) if text}
    if fields.get("server") == "<NOSRV>":
        del fields["server"]
    return found


def _signature(envelope: Envelope) -> bool:
    """Whether an address with port is followed by a time in brackets."""
    text = envelope.text
    start = text.find(" ")
    if text[start - 1 : start] == ":" and text[start + 1 : start + 2] != "[":  # the name of the program comes first
        start = text.find(" ", start + 1)
    return text[start + 1 : start + 2] == "[" and text[start + 4 : start + 5] == "/" and ":" in text[:start]


def _mask(settings: FormatSettings) -> Callable[[str], str] | None:
    # A line of the default pattern that is damaged is looked at for what it says: captures are rare.
    pieces = pieces_of(settings.pattern or HTTPLOG, meaning_of)
    return compile_secret_mask(pieces, only_fitting=not settings.pattern)


FORMAT: Final[Format] = Format(_compile, frozenset({"pattern"}), _signature, mask=_mask)
