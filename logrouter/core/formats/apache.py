r"""Access logs of Apache: the common or combined format, or any `LogFormat` that topics.yaml gives as *pattern*.

    192.0.2.7 - ann [01/May/2026:10:00:00 +0000] "GET /core?x=1 HTTP/1.1" 200 512 "-" "curl/8"

    pattern: '%a %l %u %t "%r" %>s %O "%{User-Agent}i" %D'
    pattern: LogFormat "%{%Y-%m-%dT%H:%M:%S}t.%{msec_frac}t%{%z}t \"%r\" %>s %{ms}T" timed

The pattern is Apache's own text: the format alone, or the whole directive. docs/formats/apache.md says what each
directive of a format becomes.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from logrouter.core.formats.families import combined
from logrouter.core.formats.families.backends import BackendNames
from logrouter.core.formats.families.secret_values import compile_pattern_user_mask, compile_secret_mask
from logrouter.core.formats.families.weblog import compose_clocks, field_meaning, header_meaning, parser_of, reader_of
from logrouter.core.formats.format import Format, FormatSettingsError
from logrouter.core.text.escapes import decode_bytes
from logrouter.core.text.line_patterns import (
    ADDRESSES,
    ANY,
    CLF_TIME,
    HOST,
    NUMBER,
    TOKEN,
    PatternError,
    Variable,
    VariableKind,
)
from logrouter.core.text.strftime import compile_clock, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.core.formats.format import FormatSettings
    from logrouter.core.text.line_patterns import Piece
    from logrouter.model import Parser

DIRECTIVES: Final[dict[str, tuple[str, VariableKind]]] = {
    "a": ("address", HOST),
    "h": ("address", HOST),
    "l": ("field:ident", TOKEN),
    "u": ("field:remote_user", VariableKind("", empty='""')),
    "r": ("request", ANY),
    "m": ("method", TOKEN),
    "U": ("path", ANY),
    "q": ("dropped", ANY),
    "H": ("protocol", TOKEN),
    "s": ("status", NUMBER),
    "b": ("body_bytes_sent", NUMBER),
    "B": ("body_bytes_sent", NUMBER),
    "O": ("bytes_sent", NUMBER),
    "I": ("bytes_received", NUMBER),
    "S": ("field:bytes_transferred", NUMBER),
    "D": ("micros", NUMBER),
    "T": ("seconds", NUMBER),
    "v": ("server_name", TOKEN),
    "V": ("domain", TOKEN),
    "p": ("field:server_port", NUMBER),
    "P": ("field:pid", NUMBER),
    "A": ("field:server_addr", HOST),
    "X": ("connection", VariableKind("[X+-]")),
    "k": ("field:keepalive_requests", NUMBER),
    "L": ("field:log_id", TOKEN),
    "R": ("field:handler", TOKEN),
    "f": ("dropped", ANY),
}
"""What each directive means, and what it can hold; those with an argument are told by it (`_with_argument`)."""

_LABEL: Final = VariableKind(r"[\w.:-]")
_TLS: Final = frozenset(
    {"https", "ssl_protocol", "ssl_cipher", "ssl_cipher_algkeysize", "ssl_cipher_usekeysize", "ssl_session_resumed"}
    | {"ssl_secure_reneg", "ssl_compress_method", "ssl_tls_sni", "version", "cipher"}
)
"""What mod_ssl knows about a connection and writes without a space."""

UNITS: Final = {"ms": "millis", "us": "micros", "s": "seconds"}
"""Of `%{…}T`."""

# Variables that mod_proxy_balancer sets.
_BACKEND: Final = BackendNames(("balancer_worker_name", "balancer_worker_route"), ("balancer_name",))
_DIRECTIVE = re.compile(r"%([!<>0-9,]*)(?:\{([^}]*)\})?([!<>0-9,]*)(\^t[io]|.?)", re.DOTALL)
_LOG_FORMAT = re.compile(
    r"""\s*(?:LogFormat|CustomLog\s+\S+)\s+(?:"((?:[^"\\]|\\.)*+)"|'((?:[^'\\]|\\.)*+)')""", re.IGNORECASE | re.DOTALL
)
_CONFIG_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_CONFIG_CHARS: Final = {'"': '"', "\\": "\\", "t": "\t", "n": "\n", "r": "\r"}
_ESCAPE = re.compile(r"(?:\\x[0-9A-Fa-f]{2})++|\\(.)", re.ASCII | re.DOTALL)
_CHARS: Final = {"b": "\b", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "a": "\a", "f": "\f", '"': '"', "\\": "\\"}


class _Format(NamedTuple):
    """A format taken to pieces: *clocks* are the expressions of its times in pieces, *at_end* that those are ends."""

    pieces: list[Piece]
    clocks: list[re.Pattern[str]]
    at_end: bool


def compile_apache(settings: FormatSettings) -> Parser:
    """The parser of the pattern, or of the common and combined format."""
    if not settings.pattern:
        return combined.compile_combined(unescape, at_end=False, whole="micros")
    try:
        made = _format_of(settings.pattern)
        prepare = partial(compose_clocks, made.clocks) if made.clocks else None
        reader = reader_of(made.pieces, undo=unescape, at_end=made.at_end, prepare=prepare, backend=_BACKEND)
    except PatternError as error:
        raise FormatSettingsError("pattern", str(error)) from None
    return parser_of(reader, made.pieces)


def unescape(text: str) -> str:
    r"""A value as it was before Apache escaped it: `\"`, `\\`, `\n`, … and bytes as `\xhh`."""
    return _ESCAPE.sub(lambda match: decode_bytes(match) if match[1] is None else _CHARS.get(match[1], match[0]), text)


def _format_of(pattern: str) -> _Format:
    directive = _LOG_FORMAT.match(pattern)
    text = (directive[1] or directive[2] or "") if directive else pattern
    text = _CONFIG_ESCAPE.sub(lambda match: _CONFIG_CHARS.get(match[1], match[0]), text)
    made = _Format([], [], at_end=False)
    ends: list[int] = []
    end = 0
    for match in _DIRECTIVE.finditer(text):
        made.pieces.append(text[end : match.start()])
        made.pieces.extend(_pieces(match, made.clocks, ends))
        end = match.end()
    pieces = [piece for piece in [*made.pieces, text[end:]] if piece]
    return _settled(pieces, made.clocks, ends)


def _settled(pieces: list[Piece], clocks: list[re.Pattern[str]], ends: list[int]) -> _Format:
    """What only the whole format tells: the last status is the one that counts, and so is the beginning of a time."""
    meanings = [piece.meaning for piece in pieces if isinstance(piece, Variable)]
    begins = "time" in meanings or len(ends) < len(clocks)
    instead = {f"clock:{number}": "dropped" for number in ends} if begins else {}
    if "final_status" in meanings:
        instead |= {"status": "field:original_status", "final_status": "status"}
    settled: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, Variable):
            before = settled[-1] if settled else ""
            if isinstance(before, Variable) and before.name == "%U" and piece.name == "%q":
                settled[-1] = before._replace(name="%U%q", meaning="uri")
                continue
            settled.append(piece._replace(meaning=instead.get(piece.meaning, piece.meaning)))
        else:
            settled.append(piece)
    return _Format(settled, clocks, at_end=bool(clocks) and not begins)


def _pieces(match: re.Match[str], clocks: list[re.Pattern[str]], ends: list[int]) -> list[Piece]:
    """What one directive writes: a value, with brackets around it for a plain time."""
    modifiers, argument, letter = match[1] + match[3], match[2], match[4]
    name, at = match[0], match.start() + 1
    if letter == "%":
        return ["%"]
    if letter == "t" and argument is None:
        return ["[", Variable(name, at, "time", CLF_TIME), "]"]
    if letter == "t":
        return [_clock(name, at, argument, clocks, ends)]
    if letter == "s" and ">" in modifiers:
        return [Variable(name, at, "final_status", NUMBER)]
    meaning = _with_argument(letter, argument) if argument is not None else DIRECTIVES.get(letter)
    if meaning is None:
        raise PatternError(f"at character {at}: {name!r} is no directive of a LogFormat")
    return [Variable(name, at, *meaning)]


def _clock(name: str, at: int, argument: str, clocks: list[re.Pattern[str]], ends: list[int]) -> Variable:
    which, colon, text = argument.partition(":")
    if not colon or which not in ("begin", "end"):
        which, text = "begin", argument
    try:
        clock = compile_clock(text)
    except ValueError as error:
        raise PatternError(f"at character {at}: {error}") from None
    if which == "end":
        ends.append(len(clocks))
    clocks.append(clock)
    return Variable(name, at, f"clock:{len(clocks) - 1}", VariableKind("", shape_of(clock), fixed=True))


def _with_argument(letter: str, argument: str) -> tuple[str, VariableKind] | None:
    """Directives that read something by name."""
    name = argument.lower().replace("-", "_")
    match letter:
        case "i":
            meaning = header_meaning(argument)
            return meaning, ADDRESSES if meaning == "forwarded" else ANY
        case "o":
            dropped = name in ("location", "set_cookie")
            return "dropped" if dropped else field_meaning(f"sent_http_{name}", called=argument), ANY
        case "x" | "e" | "c" if name in _TLS:
            return f"field:{name}", TOKEN if name == "ssl_tls_sni" else _LABEL
        case "e" | "n" | "x" | "c":
            return ("request_id", TOKEN) if name == "unique_id" else (field_meaning(name, called=argument), ANY)
        case "C" | "^ti" | "^to":
            return "dropped", ANY
        case "T":
            return (UNITS[argument], NUMBER) if argument in UNITS else None
        case "a" | "h":
            return ("field:peer_addr", HOST) if argument == "c" else None
        case "p" | "P":
            return f"field:{name}_{'port' if letter == 'p' else 'id'}", TOKEN
        case _:
            return None


def _mask(settings: FormatSettings) -> Callable[[str], str] | None:
    return compile_secret_mask(_format_of(settings.pattern).pieces) if settings.pattern else None


_USERS: Final = ("remote_user",)


def _mask_users(settings: FormatSettings) -> Callable[[str], str] | None:
    return compile_pattern_user_mask(_format_of(settings.pattern).pieces, _USERS) if settings.pattern else None


FORMAT: Final[Format] = Format(
    compile_apache, frozenset({"pattern"}), combined.signature, mask=_mask, users=_USERS, mask_users=_mask_users
)
