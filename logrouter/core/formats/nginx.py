r"""Access logs of nginx: the combined format, or any `log_format` that topics.yaml gives as *pattern*.

    192.0.2.7 - ann [01/May/2026:10:00:00 +0000] "GET /core?x=1 HTTP/1.1" 200 512 "-" "curl/8"

    pattern: 'escape=json {"t":"$time_iso8601","r":"$request","s":$status,"rt":$request_time}'
    pattern: log_format timed '$remote_addr [$time_iso8601] "$request" $status $request_time';

The pattern is nginx's own text: the format alone, with `escape=` before it, or the whole directive. A line in JSON is
read by the pattern, too; where the transport has taken the object apart already, by the names in it.
docs/formats/nginx.md says what each variable becomes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from logrouter.core.formats.families import combined
from logrouter.core.formats.families.backends import BackendNames
from logrouter.core.formats.families.secret_values import compile_pattern_user_mask, compile_secret_mask
from logrouter.core.formats.families.weblog import field_meaning, header_meaning, parser_of, reader_of
from logrouter.core.formats.format import Format, FormatSettingsError
from logrouter.core.text.escapes import unescape, unescape_json
from logrouter.core.text.json_patterns import compile_members
from logrouter.core.text.line_patterns import (
    ADDRESSES,
    ANY,
    CLF_TIME,
    EPOCH_TIME,
    FIGURES,
    HOST,
    ISO_TIME,
    NUMBER,
    TOKEN,
    PatternError,
    Variable,
    VariableKind,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.core.formats.format import FormatSettings
    from logrouter.core.text.line_patterns import Piece
    from logrouter.model import Parser

_SERVER: Final = r'(?:\[[0-9A-Fa-f:.]{2,45}+\](?::\d{1,5}+)?+|[^\s,"]{1,128}+)'
_SERVERS: Final = VariableKind("", rf"{_SERVER}(?:(?:,[ ]| : ){_SERVER}){{0,63}}+", r", | : |[\w.:/@-]")

# What nginx itself lets through: any other method or protocol is a bad request, whose variables are empty.
_METHOD: Final = VariableKind("[A-Z_-]")
_PROTOCOL: Final = VariableKind("[A-Z0-9/.]")
_LABEL: Final = VariableKind(r"[\w.:-]")

VARIABLES: Final[dict[str, tuple[str, VariableKind]]] = {
    "remote_addr": ("address", HOST),
    "the_real_ip": ("address", HOST),
    "proxy_protocol_addr": ("address", HOST),
    "proxy_add_x_forwarded_for": ("chain", ADDRESSES),
    "http_x_forwarded_for": ("forwarded", ADDRESSES),
    "remote_user": ("field:remote_user", ANY),
    "time_local": ("time", CLF_TIME),
    "time_iso8601": ("time", ISO_TIME),
    "msec": ("time", EPOCH_TIME),
    "request": ("request", ANY),
    "request_method": ("method", _METHOD),
    "request_uri": ("uri", ANY),
    "uri": ("path", ANY),
    "document_uri": ("path", ANY),
    "server_protocol": ("protocol", _PROTOCOL),
    "status": ("status", NUMBER),
    "bytes_sent": ("bytes_sent", NUMBER),
    "body_bytes_sent": ("body_bytes_sent", NUMBER),
    "request_length": ("bytes_received", NUMBER),
    "request_time": ("seconds", NUMBER),
    "upstream_response_time": ("backend_seconds", FIGURES),
    "upstream_status": ("backend_status", FIGURES),
    "upstream_addr": ("field:upstream_addr", _SERVERS),
    "upstream_connect_time": ("field:upstream_connect_time", FIGURES),
    "upstream_header_time": ("field:upstream_header_time", FIGURES),
    "upstream_bytes_received": ("field:upstream_bytes_received", FIGURES),
    "upstream_bytes_sent": ("field:upstream_bytes_sent", FIGURES),
    "upstream_response_length": ("field:upstream_response_length", FIGURES),
    "upstream_cache_status": ("field:upstream_cache_status", TOKEN),
    "host": ("domain", TOKEN),
    "http_host": ("domain", ANY),
    "server_name": ("server_name", TOKEN),
    "request_id": ("request_id", _LABEL),
    "filtered_request_uri": ("uri", ANY),  # GitLab's, without secrets
    "filtered_http_referer": ("header:referer", ANY),
    "req_id": ("request_id", ANY),
    "kong_request_id": ("request_id", _LABEL),
    "limit_req_status": ("limited", TOKEN),
    "limit_conn_status": ("limited", TOKEN),
    "args": ("dropped", ANY),
    "query_string": ("dropped", ANY),
    "request_body": ("dropped", ANY),
    "binary_remote_addr": ("dropped", ANY),
}
"""What each variable means, and what it can hold. Those that begin with http_, arg_ or cookie_, and all others that a
configuration may have made, are told by their names (`_meaning`)."""

_NARROW: Final = {
    **dict.fromkeys(
        ("connection", "connection_requests", "connection_time", "pid", "server_port", "remote_port"), NUMBER
    ),
    **dict.fromkeys(("realip_remote_port", "proxy_port", "proxy_protocol_port", "gzip_ratio"), NUMBER),
    **dict.fromkeys(("realip_remote_addr", "server_addr"), HOST),
    # Names that the ingress controller of Kubernetes sets from its own objects.
    **dict.fromkeys(("proxy_upstream_name", "proxy_alternative_upstream_name", "namespace", "ingress_name"), _LABEL),
    **dict.fromkeys(("service_name", "service_port"), _LABEL),
    # Names that Nginx Proxy Manager sets for the server that a host is forwarded to.
    **dict.fromkeys(("forward_scheme", "server"), TOKEN),
    "port": NUMBER,
    "upstream_scheme": VariableKind("[a-z0-9]"),
    **dict.fromkeys(("hostname", "https", "is_args", "nginx_version", "pipe", "request_completion", "scheme"), TOKEN),
    **dict.fromkeys(("ssl_protocol", "ssl_cipher", "ssl_session_reused"), _LABEL),
}
# `server` is that of Nginx Proxy Manager.
_BACKEND: Final = BackendNames(("upstream_addr", "server"), ("proxy_upstream_name", "proxy_host"), "upstream_addr")
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z0-9_]+)\}|([A-Za-z0-9_]+))|\$", re.ASCII)
_PATHS: Final = ("$uri", "$document_uri")
_QUERIES: Final = ("$args", "$query_string")
_DIRECTIVE = re.compile(r"\s*log_format\s+([^\s'\";]+)\s", re.ASCII)
_ESCAPING = re.compile(r"\s*escape=(default|json|none)(?=[\s'\"])\s*", re.ASCII)
_WORD = re.compile(
    r"""\s*(?:'((?:[^'\\]|\\.)*+)'|"((?:[^"\\]|\\.)*+)"|((?:[^\s;'"\\]|\\.)(?:[^\s;\\]|\\.)*+))""", re.DOTALL
)
_CONFIG_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def compile_nginx(settings: FormatSettings) -> Parser:
    """The parser of the pattern, or of the combined format."""
    if not settings.pattern:
        return combined.compile_combined(unescape, at_end=True)
    try:
        return _compile_pattern(settings.pattern)
    except PatternError as error:
        raise FormatSettingsError("pattern", str(error)) from None


def _compile_pattern(pattern: str) -> Parser:
    text, escaping = _format_of(pattern)
    pieces = _pieces(text)
    reader = reader_of(pieces, undo=_UNDO[escaping], escaped=escaping != "none", at_end=True, backend=_BACKEND)
    return parser_of(reader, pieces, compile_members(pieces) if escaping == "json" else None)


def _format_of(pattern: str) -> tuple[str, str]:
    """The format itself and its kind of escaping, from a whole directive or a part of it."""
    directive = _DIRECTIVE.match(pattern)
    rest = pattern[directive.end() :] if directive else pattern
    escape = _ESCAPING.match(rest)
    if escape:
        rest = rest[escape.end() :]
    start = rest.lstrip()[:1]
    if directive or start == "'" or (escape and start == '"'):
        rest = _words(rest)
    return rest, escape[1] if escape else "default"


def _words(text: str) -> str:
    """The arguments of a directive, joined as nginx joins them: without anything between."""
    parts, at = [], 0
    while word := _WORD.match(text, at):
        parts.append(_CONFIG_ESCAPE.sub(_config_char, word[1] or word[2] or word[3] or ""))
        at = word.end()
    if text[at:].strip() not in ("", ";"):
        raise PatternError(f"this is no argument of log_format: {text[at:].strip()[:40]!r}")
    return "".join(parts)


def _config_char(match: re.Match[str]) -> str:
    char = match[1]
    if char in "\"'\\":
        return char
    return {"t": "\t", "r": "\r", "n": "\n"}.get(char, match[0])


def _pieces(text: str) -> list[Piece]:
    """The literals and variables of a format."""
    pieces: list[Piece] = []
    end = 0
    for match in _VARIABLE.finditer(text):
        name = match[1] or match[2]
        if name is None:
            raise PatternError(f'at character {match.start() + 1}: "$" without the name of a variable')
        pieces += (text[end : match.start()], Variable(f"${name}", match.start() + 1, *_meaning(name)))
        end = match.end()
    pieces = [piece for piece in [*pieces, text[end:]] if piece]
    return _joined(pieces)


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Path and query side by side are one: that is how a URI is spelled by its parts.

    So are two that nobody asks for, as in the URL of an upstream: what they are together is dropped. A host that a
    client has sent is a word where it has no quotes: what is none makes its request a bad one.
    """
    joined: list[Piece] = []
    for piece in pieces:
        before = joined[-1] if joined else None
        if isinstance(piece, str) and piece[0] != '"' and isinstance(before, Variable) and before.name == "$http_host":
            joined[-1] = before._replace(kind=TOKEN)
        if isinstance(piece, Variable) and isinstance(before, Variable) and _unasked(before) and _unasked(piece):
            joined[-1] = before._replace(name=before.name + piece.name, meaning="dropped")
            continue
        joined.append(piece)
        names = [each.name if isinstance(each, Variable) else "" for each in joined[-3:]]
        if len(names) == 3 and names[0] in _PATHS and names[1] == "$is_args" and names[2] in _QUERIES:
            path = joined[-3]
            joined[-3:] = [path._replace(name="".join(names), meaning="uri")] if isinstance(path, Variable) else []
    return joined


def _unasked(variable: Variable) -> bool:
    return variable.name.startswith("$upstream_") and variable.kind is ANY


def _meaning(name: str) -> tuple[str, VariableKind]:
    """What a variable means, and what it can hold."""
    if name in VARIABLES:
        return VARIABLES[name]
    prefix, _, rest = name.partition("_")
    if prefix == "http" and rest:
        return header_meaning(rest.replace("_", "-")), ANY
    if prefix == "cookie" or name.endswith(("_location", "_cookie")):
        return "dropped", ANY
    if name.startswith("jwt_claim_"):  # what a token says is not the token
        return field_meaning(name, called=name.removeprefix("jwt_claim_")), ANY
    called = rest if prefix == "arg" else name.replace("_", "-")
    return field_meaning(name, called=called), _NARROW.get(name, ANY)


def _as_it_is(text: str) -> str:
    return text


_UNDO: Final = {"default": unescape, "json": unescape_json, "none": _as_it_is}


def _mask(settings: FormatSettings) -> Callable[[str], str] | None:
    if not settings.pattern:
        return None
    text, escaping = _format_of(settings.pattern)
    return compile_secret_mask(_pieces(text), escaped=escaping != "none")


_USERS: Final = ("remote_user",)


def _mask_users(settings: FormatSettings) -> Callable[[str], str] | None:
    if not settings.pattern:
        return None
    text, escaping = _format_of(settings.pattern)
    return compile_pattern_user_mask(_pieces(text), _USERS, escaped=escaping != "none")


FORMAT: Final[Format] = Format(
    compile_nginx, frozenset({"pattern"}), combined.signature, mask=_mask, users=_USERS, mask_users=_mask_users
)
