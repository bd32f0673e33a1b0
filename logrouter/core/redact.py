"""What must not be published: tokens, passwords, query strings, and client addresses as far as the operator says.

`redact_uri` is for the two URI fields of an event and knows the syntax of URIs. `redact_raw` is for the raw bytes of
dead letters, whose format is not known, and hides too much rather than too little. Both run in linear time: repeats are
possessive, or bounded, or start only where the previous match ended.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from collections.abc import Callable

REDACTED: Final = "REDACTED"

_WORDS: Final = (
    "token|secret|passw|passphrase|pwd|api[-_.]?key|signature|credential|authori[sz]ation|session|jwt|assertion|cookie"
)
_MAX_PATHS: Final = 8192
_MAX_PATH: Final = 256

_MAX_NAMES: Final = 4096
_MAX_NAME: Final = 64

# Lines of one source have the same keys.
_secret_names: dict[str, bool] = {}

# An event shows its path twice, and clients ask for the same ones again. Hostile input can only make this start over.
_paths: dict[str, str] = {}

_SECRET_WORD = re.compile(_WORDS, re.IGNORECASE)
_SECRET_NAMES: Final = frozenset({"code", "sig", "key", "auth", "sid", "pass", "ticket", "otp"})

# A path with none of these is the path, and nothing in it can be a secret that we would know.
_SUSPECT = re.compile(r"[#=@;%]|//|eyJ")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://[^/?#]*")
_USERINFO = re.compile(r"(//)[^/?#\s@]{1,512}@")
_TOKEN_RUN = re.compile(r"(?:[\w.-]|%2[eE]){20,}+", re.ASCII)
_PARAMETER = re.compile(
    rf"((?:[?&;/]|%3F|%26)(?:[\w.-]{{0,40}}?(?:{_WORDS})[\w.-]{{0,40}}+|{'|'.join(sorted(_SECRET_NAMES))})(?:=|%3D))"
    r"[^&;#\s]*+",
    re.IGNORECASE | re.ASCII,
)


def redact_uri(uri: str, query: str = "drop") -> str:
    """The URI without fragment, user info and secrets.

    *query* "drop" removes the query, "keep" only its secret parameters.
    """
    path, mark, parameters = uri.partition("?")
    clean = _paths.get(path) or _redact_path(path)
    if not mark or query != "keep" or "#" in path:
        return clean
    kept = "".join(map(_redact_parameter, re.split("([&;])", parameters.partition("#")[0])))
    return f"{clean}?{kept}"


def path_of(uri: str) -> str:
    """The path of a URI, redacted, without query, fragment, scheme and host; "/" if nothing else is left."""
    path = redact_uri(uri)
    if "://" in path and (start := _SCHEME.match(path)):
        path = path[start.end() :]
    return path if path and path != "-" else "/"


def _redact_path(path: str) -> str:
    clean = path
    if _SUSPECT.search(path):
        clean = _redact_text(_USERINFO.sub(rf"\1{REDACTED}@", path.partition("#")[0]))
    if len(_paths) >= _MAX_PATHS:
        _paths.clear()
    if len(path) <= _MAX_PATH:
        _paths[path] = clean
    return clean


def _redact_parameter(parameter: str) -> str:
    name, equals, value = parameter.partition("=")
    plain = unquote_plus(name).lower()
    if equals and (plain in _SECRET_NAMES or _SECRET_WORD.search(plain)):
        return f"{name}={REDACTED}"
    return _redact_text(name) + equals + _redact_text(value)


def _redact_text(text: str) -> str:
    if "=" in text or "%3" in text:
        text = _PARAMETER.sub(rf"\1{REDACTED}", text)
    return _TOKEN_RUN.sub(_without_jwt, text) if "eyJ" in text else text


def _without_jwt(run: re.Match[str]) -> str:
    text = run[0]
    start = text.find("eyJ")
    return text[:start] + REDACTED if start >= 0 and _dotted(text[start:]) else text


def _dotted(text: str) -> bool:
    return "." in text or "%2e" in text.lower()


# All of these are matched against a lower-case copy, which is five times as fast as ignoring case.
#
# Raw bytes hold JSON in JSON, so a quote may come with backslashes before it, or as \u0022.
_QUOTE: Final = rb"""\\{0,7}+(?:["']|u002[27])"""
_BETWEEN: Final = rb"(?:" + _QUOTE + rb")?+\s{0,4}+(?:[=:]|%3d)\s{0,4}+"
# A body is nobody's business either; names of fields with these words in them are no secrets.
_RAW_WORDS: Final = f"{_WORDS}|payload|re(?:quest|sponse)[-_]?body".encode()
_RAW_NAMES: Final = b"|".join(name.encode() for name in sorted(_SECRET_NAMES))

# "…" with as many backslashes before the closing quote as before the opening one; more of them belong to the value.
_RAW_QUOTED = re.compile(
    rb"((?:" + _RAW_WORDS + rb")[\w.-]{0,40}+" + _BETWEEN + rb")"
    rb"""(?P<level>\\{0,7}+)"(?:[^"\\]++|\\++(?!")|(?P=level)\\++")*+""",
)
_RAW_HEADER = re.compile(
    rb"((?:cookie2?|authori[sz]ation)" + _BETWEEN + rb"""(?:\\{0,7}+')?)(?!\\{0,7}")[^\r\n"\\]++"""
)
_VALUE: Final = rb"(?:(?!\\{0,7}\")" + _QUOTE + rb""")?+)(?:[^\s"'&;,}\\]|\\{1,7}/)++"""
# Two expressions: the second begins with a sign, which is found at once, and is needed far more often.
_RAW_ASSIGNED = re.compile(rb"((?:" + _RAW_WORDS + rb")[\w.-]{0,40}+" + _BETWEEN + _VALUE)
_RAW_PARAMETER = re.compile(rb"((?:[?&;]|%3f|%26|u0026)(?:" + _RAW_NAMES + rb")" + _BETWEEN + _VALUE)
_RAW_SCHEME = re.compile(rb"(\b(?:bearer|basic)(?:\s{1,8}+|%20|\+))(?:[\w.~+=%-]|\\{0,7}/){6,}+")
_RAW_USERINFO = re.compile(rb"""(:\\{0,7}/\\{0,7}/)[^/\s"'@\\]{1,256}@""")
_RAW_TOKEN_RUN = re.compile(rb"(?:[\w.-]|%2[eE]){20,}+")
_RAW_REDACTED: Final = REDACTED.encode()


# Every match of `_RAW_WORDS` holds one of these, in lower case.
_RAW_HINTS: Final = (
    *b"token secret passw passphrase pwd key signature credential authori session jwt assertion cookie".split(),
    *(b"payload", b"body"),
)
_RAW_PARAMETER_SIGNS: Final = (b"?", b"&", b";", b"%3f", b"%26", b"u0026")


def redact_raw(raw: bytes) -> bytes:
    """The bytes without anything that looks like a secret. Never raises. The result is for people, not for parsers."""
    if b"eyJ" in raw:
        raw = _RAW_TOKEN_RUN.sub(_without_raw_jwt, raw)
    # A search for one word is a hundred times cheaper than a pass of one expression, and most lines hold none of them.
    lower = raw.lower()
    worded = any(word in lower for word in _RAW_HINTS)
    if worded:
        raw = _hide(_RAW_QUOTED, raw, "level", b'"' + _RAW_REDACTED)
        raw = _hide(_RAW_HEADER, raw, 1, _RAW_REDACTED)
        raw = _hide(_RAW_ASSIGNED, raw, 1, _RAW_REDACTED)
    if any(sign in lower for sign in _RAW_PARAMETER_SIGNS):
        raw = _hide(_RAW_PARAMETER, raw, 1, _RAW_REDACTED)
    if b"bearer" in lower or b"basic" in lower:
        raw = _hide(_RAW_SCHEME, raw, 1, _RAW_REDACTED)
    return _RAW_USERINFO.sub(rb"\1" + _RAW_REDACTED + b"@", raw) if b"@" in raw else raw


def _hide(pattern: re.Pattern[bytes], raw: bytes, kept: str | int, instead: bytes) -> bytes:
    """*raw* with everything of each match behind the group *kept* replaced."""
    parts: list[bytes] = []
    end = 0
    for match in pattern.finditer(raw.lower()):
        parts += (raw[end : match.end(kept)], instead)
        end = match.end()
    return b"".join((*parts, raw[end:])) if parts else raw


def names_secret(name: str) -> bool:
    """Whether a field of this name holds a secret: `authorization`, `http.x-api-key`, `code`."""
    known = _secret_names.get(name)
    if known is None:
        known = name.rpartition(".")[2].lower() in _SECRET_NAMES or _SECRET_WORD.search(name) is not None
        if len(_secret_names) >= _MAX_NAMES:
            _secret_names.clear()
        if len(name) <= _MAX_NAME:
            _secret_names[name] = known
    return known


def redact_shown(name: str, text: str, most: int = 200) -> str:
    """The text of the field *name* as it may be shown: secrets replaced, at most *most* characters."""
    if names_secret(name):
        return REDACTED
    # Redacted before it is cut, as in dead letters: half a token is still a secret.
    kept = redact_raw(text[: 4 * most].encode("utf-8", "replace")).decode("utf-8", "replace")
    return kept if len(kept) <= most and len(text) <= 4 * most else kept[:most] + "…"


def _without_raw_jwt(run: re.Match[bytes]) -> bytes:
    text = run[0]
    start = text.find(b"eyJ")
    rest = text[start:]
    return text[:start] + _RAW_REDACTED if start >= 0 and (b"." in rest or b"%2e" in rest.lower()) else text


def ip_policy(policy: str, key: bytes | None = None) -> Callable[[str], str]:
    """A function that makes of a valid client address what may be published of it.

    *policy* is "keep", "truncate" (to /24 and /48) or "hash" (BLAKE2b keyed by *key*, 16 hexadecimal digits).

    Raises:
        ValueError: the policy is unknown, or is "hash" without a key.
    """
    match policy:
        case "keep":
            return str
        case "truncate":
            return _truncate
        case "hash" if key:
            mixed = blake2b(key).digest()
            return lambda address: blake2b(address.encode("utf-8", "replace"), digest_size=8, key=mixed).hexdigest()
        case "hash":
            raise ValueError("the IP policy hash needs a key")
    raise ValueError(f"no IP policy {policy!r}; there are keep, truncate and hash")


def _truncate(address: str) -> str:
    try:
        bits = 48 if isinstance(ip_address(address), IPv6Address) else 24
        return str(ip_network(f"{address}/{bits}", strict=False).network_address)
    except ValueError:
        return ""
