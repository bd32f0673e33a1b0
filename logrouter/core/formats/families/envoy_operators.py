r"""Command operators of Envoy's access log formats: what a text format is made of, and what each operator means.

    [%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE%     a text format
    %START_TIME(%Y-%m-%dT%H:%M:%S.%3f)%  %REQ(X-REQUEST-ID):36%  %%       an argument, a length, a plain per cent sign

Envoy escapes nothing and writes "-" for what is absent. Headers come from clients and may hold blanks and quotes; what
it has found out itself holds neither, but for the reasons of failures.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from logrouter.core.formats.families.weblog import field_meaning, header_meaning
from logrouter.core.redact import names_secret
from logrouter.core.text.line_patterns import NUMBER, TOKEN, PatternError, Variable, VariableKind
from logrouter.core.text.strftime import compile_clock, shape_of

if TYPE_CHECKING:
    from logrouter.core.text.line_patterns import Piece

FREE: Final = VariableKind(r'[^"\x00-\x1f]')
"""What clients and backends write, up to a quote: with one in it, nobody can tell where it ends."""
QUOTED: Final = VariableKind("", r'[^"\x00-\x1f]*+', fixed=True)
"""The same where a quote follows, or nothing."""
TARGET: Final = VariableKind("", r'[^\s"]*+', fixed=True)
"""A path: HTTP/1 parts it from what follows by a blank, and HTTP/2 has rules for it that allow none."""
_STATUS: Final = VariableKind("", r"(?:[1-9]\d\d|0)(?!\d)", fixed=True)
_METHOD: Final = VariableKind("[A-Za-z_-]")
_PROTOCOL: Final = VariableKind("[A-Z0-9/.]")
_FLAGS: Final = VariableKind("[A-Za-z0-9_,-]")
_TIME: Final = VariableKind("", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)", fixed=True)

OPERATORS: Final[dict[str, tuple[str, VariableKind]]] = {
    "BYTES_RECEIVED": ("bytes_received", NUMBER),
    "BYTES_SENT": ("body_bytes_sent", NUMBER),
    "PROTOCOL": ("protocol", _PROTOCOL),
    "RESPONSE_CODE": ("status", _STATUS),
    "RESPONSE_CODE_DETAILS": ("field:response_code_details", FREE),
    "RESPONSE_FLAGS": ("field:response_flags", _FLAGS),
    "RESPONSE_FLAGS_LONG": ("field:response_flags_long", _FLAGS),
    "DURATION": ("millis", NUMBER),
    "UPSTREAM_HOST": ("field:upstream_host", TOKEN),
    "UPSTREAM_CLUSTER": ("field:upstream_cluster", TOKEN),
    "UPSTREAM_CLUSTER_RAW": ("field:upstream_cluster", TOKEN),
    "UPSTREAM_TRANSPORT_FAILURE_REASON": ("dropped", FREE),
    "DOWNSTREAM_TRANSPORT_FAILURE_REASON": ("dropped", FREE),
    "CONNECTION_TERMINATION_DETAILS": ("field:connection_termination_details", TOKEN),
    "DOWNSTREAM_REMOTE_ADDRESS": ("address", TOKEN),
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": ("address", TOKEN),
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS": ("field:peer_addr", TOKEN),
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT": ("field:peer_addr", TOKEN),
    "DOWNSTREAM_PEER_URI_SAN": ("field:source_principal", TOKEN),
    "DOWNSTREAM_PEER_SUBJECT": ("field:peer_subject", FREE),
    "DOWNSTREAM_PEER_ISSUER": ("field:peer_issuer", FREE),
    "DOWNSTREAM_LOCAL_SUBJECT": ("dropped", FREE),
    "DOWNSTREAM_PEER_CERT": ("dropped", FREE),
    "ROUTE_NAME": ("field:route_name", TOKEN),
    "ACCESS_LOG_TYPE": ("field:access_log_type", TOKEN),
    "LOCAL_REPLY_BODY": ("dropped", FREE),
    "QUERY_PARAMS": ("dropped", FREE),
    "GRPC_STATUS": ("field:grpc_status", FREE),
}
"""What operators without an argument mean, and what they can hold; any other is a field with its own name."""

_WORDS = re.compile(
    r"(?:UPSTREAM|DOWNSTREAM)_[A-Z_]*(?:ADDRESS|PORT|TLS_[A-Z]+|SAN|SERIAL|FINGERPRINT_\w+|SESSION_ID|HOST_NAME\w*)"
    r"|[A-Z_]*(?:_ID|_COUNT|_NUMBER|_DURATION|_BYTES_SENT|_BYTES_RECEIVED|_NAME)|HOSTNAME|REQUESTED_SERVER_NAME",
    re.ASCII,
)
"""Operators whose values hold no blank: Envoy makes them itself."""

_OPERATOR = re.compile(r"%(?:%|([A-Z][A-Z0-9_]*)(?:\(((?:[^()%]|%[^()])*+)\))?(?::(\d{1,9}))?%)|%", re.ASCII)
_TIMES: Final = ("START_TIME", "START_TIME_LOCAL")
_PATH: Final = (":path", "x-envoy-original-path")
_HOSTS: Final = (":authority", "host", "x-envoy-original-host", "x-forwarded-host")
_FRACTION = re.compile(r"%([1-9]?)f", re.ASCII)
_NO_NAME = re.compile(r"[^A-Za-z0-9]+")
_ESCAPES: Final = {'\\"': '"', "\\n": "\n", "\\t": "\t", "\\\\": "\\"}
_ESCAPE = re.compile(r'\\["nt\\]')


def pieces_of(text: str, clocks: list[re.Pattern[str]]) -> list[Piece]:
    """The literals and variables of a text format; the expressions of times by strftime are added to *clocks*.

    A format may be given as it stands in YAML or JSON, with quotes and line ends escaped. One line end behind it is not
    part of the line.

    Raises:
        PatternError: there is something that is no operator.
    """
    if '\\"' in text or text.endswith("\\n"):
        text = _ESCAPE.sub(lambda match: _ESCAPES[match[0]], text)
    text = text.rstrip("\n")
    pieces: list[Piece] = []
    literal, end = "", 0
    for match in _OPERATOR.finditer(text):
        literal += text[end : match.start()]
        end = match.end()
        if match[0] == "%%":
            literal += "%"
            continue
        if match[1] is None:
            raise PatternError(f'at character {match.start() + 1}: "%" that begins no operator such as %PROTOCOL%')
        pieces += (literal, _variable(match, clocks))
        literal = ""
    return _quoted([piece for piece in (*pieces, literal + text[end:]) if piece != ""])


def _variable(match: re.Match[str], clocks: list[re.Pattern[str]]) -> Variable:
    name, argument, at = match[1], match[2], match.start() + 1
    if name in _TIMES:
        if not argument:
            return Variable(match[0], at, "time", _TIME)
        clocks.append(_clock(argument, at))
        shape = VariableKind("", shape_of(clocks[-1]), fixed=True)
        return Variable(match[0], at, f"clock:{len(clocks) - 1}", shape)
    return Variable(match[0], at, *_meaning(name, argument or ""))


def _meaning(name: str, argument: str) -> tuple[str, VariableKind]:
    """What an operator means, and what it can hold."""
    words = [word for word in argument.lower().split("?") if word]
    match name:
        case "REQ" | "REQUEST_HEADER":
            return _header(words)
        case "REQ_WITHOUT_QUERY":
            return ("path" if set(words) <= set(_PATH) else "dropped"), TARGET
        case "PATH":
            return ("path" if argument.upper().startswith("NQ") else "uri"), TARGET
        case "RESP" | "RESPONSE_HEADER" if words == ["x-envoy-upstream-service-time"]:
            return "field:upstream_service_time", NUMBER
        case "RESP" | "RESPONSE_HEADER" | "TRAILER" | "RESPONSE_TRAILER":
            secret = any(word in ("location", "set-cookie") or names_secret(word) for word in words)
            return "dropped" if secret else f"field:{_flat('resp', argument)}", FREE
        case "QUERY_PARAM" | "COOKIE" | "ENVIRONMENT":
            return "dropped", FREE
    if name in OPERATORS and (not argument or name == "GRPC_STATUS"):
        return OPERATORS[name]
    kind = TOKEN if not argument and _WORDS.fullmatch(name) else FREE
    # A filter that checks secrets may have a name like one; what it has found out is no secret by that.
    spaces = 2 if name == "METADATA" else 1 if name.endswith("_METADATA") else 0
    key = ":".join(argument.split(":")[spaces:]) or argument
    return field_meaning(_flat(name, key), called=key or name), kind


def _header(words: list[str]) -> tuple[str, VariableKind]:
    """What a request header means, the first of several that is there."""
    if words == [":method"]:
        return "method", _METHOD
    if words and set(words) <= set(_PATH):
        return "uri", TARGET
    if words and set(words) <= set(_HOSTS):
        return "domain", FREE
    if len(words) != 1 or words[0].startswith(":"):
        secret = any(map(names_secret, words))
        return "dropped" if secret else f"field:{_flat('req', '_'.join(words))}", FREE
    meaning = header_meaning(words[0])
    # Envoy has added the address of who sent it.
    return "chain" if meaning == "forwarded" else meaning, FREE


def _flat(name: str, argument: str) -> str:
    """A name for a field: `DYNAMIC_METADATA(a.b:payload:sub)` is `dynamic_metadata_payload_sub`."""
    return _NO_NAME.sub("_", f"{name}_{argument}" if argument else name).strip("_").lower()


def _clock(argument: str, at: int) -> re.Pattern[str]:
    """The expression of a time by strftime, with Envoy's fractions: `%f` has nine digits, `%3f` three."""
    try:
        parts = _FRACTION.split(argument)
        made = [compile_clock(part).pattern for part in parts[::2]]
        made[1:] = [rf"(?P<f>\d{{{digits or 9}}}){part}" for digits, part in zip(parts[1::2], made[1:], strict=True)]
        return re.compile("".join(made), re.ASCII)
    except (ValueError, re.error) as error:
        raise PatternError(f"at character {at}: {error}") from None


def _quoted(pieces: list[Piece]) -> list[Piece]:
    """The pieces, with free text up to a quote, or to the end of the line, as such.

    Raises:
        PatternError: no quote stands between two free texts.
    """
    found: list[Piece] = []
    searched: Variable | None = None
    for piece, follows in zip(pieces, [*pieces[1:], '"'], strict=False):
        if isinstance(piece, str) or piece.kind is not FREE:
            searched = None if isinstance(piece, str) and '"' in piece else searched
            found.append(piece)
            continue
        if searched is not None:
            detail = f"it can't be told where {searched.name} ends and {piece.name} begins"
            raise PatternError(f"at character {piece.at}: {detail}; put one of them in quotes")
        ends = isinstance(follows, str) and follows[0] == '"'
        searched = None if ends else piece
        found.append(piece._replace(kind=QUOTED) if ends else piece)
    return found
