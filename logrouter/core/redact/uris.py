"""URIs of requests, as clients write them: without fragment, user information and secrets, and mostly without query."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from logrouter.core.redact.names import REDACTED, names_secret, percent_decoded
from logrouter.core.redact.segments import STRONG, WEAK, is_credential, is_credential_behind_id
from logrouter.core.redact.text import redact_text
from logrouter.core.redact.tokens import without_tokens

_MAX_PATHS: Final = 8192
_MAX_PATH: Final = 256
_LONG: Final = 20

# An event shows its path twice, and clients ask for the same ones again. Hostile input can only make this start over.
_paths: dict[str, str] = {}

# A path with none of these is the path, and nothing in it can be a secret that we would know. Both begin with what a
# search finds at once: a character of a few, or a slash.
_SUSPECT: Final = re.compile(r"[#=@;%]|//|eyJ")
_SUSPECT_SEGMENT: Final = re.compile(rf"/(?:[^/]{{16}}|(?i:(?:{STRONG}|{WEAK})/|bot\d))")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://[^/?#]*")

_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,240}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
# What ends a host, and an "@" behind it: the password may hold it.
_BROKEN_HOST: Final = re.compile(r"[^/?#\\]*+[?#\\][^@]*+@")
_SLASH: Final = r"(?:/|%(?:25){0,3}2[fF])"
# To the last "@" before the next slash: a password may hold one.
_USERINFO: Final = re.compile(rf"({_SLASH}{{2}})(?:(?!%(?:25){{0,3}}2[fF])[^/?#\s]){{1,2048}}(?:@|%(?:25){{0,3}}40)")
# A password with a slash in it: what would be the port is no number.
_USERINFO_SLASH: Final = re.compile(r"(//)[^/?#\s:@]{1,128}:(?![0-9]{1,5}/)[^/\s@]{0,128}/[^/\s@]{0,128}@")
_AUTHORITY_USER: Final = re.compile(r"[^/?#\s]{1,2048}(?:@|%(?:25){0,3}40)")
_PARAMETER: Final = re.compile(
    r"((?:[?&;/#,]|%(?:25){0,3}(?:3[FfBb]|2[36FfCc])))"
    r"((?:[\w.$\[\]-]|%(?:25){0,3}(?:2[DdEe]|5[BbDdFf]|[46][1-9A-Fa-f]|[57][0-9Aa]|3[0-9])){1,80}+)"
    r"(=|%(?:25){0,3}3[Dd])[^&;#\s]*+",
    re.ASCII,
)
_ESCAPED_ASCII: Final = re.compile(r"%(?:2[1-9A-Fa-f]|[3-7][0-9A-Fa-f])")
_SLASHES: Final = re.compile(rf"({_SLASH})")
_BOT: Final = re.compile(r"bot[0-9]{3,}(?::|%(?:25){0,3}3[Aa]).+", re.IGNORECASE | re.DOTALL)
_UNQUOTED: Final = "/:@;=&?#,+~!*'()[]$-._|"


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


def backend_url(url: str, query: str = "drop") -> tuple[str, str]:
    """The URL of a request to a backend as it may be published, and the host with its port in it.

    It has no user information, no fragment and no secrets; *query* is as in `redact_uri`. Either is "" where there is
    none, and both are where a host can't be told from a password.
    """
    if has_broken_host(url):
        return "", ""
    clean = redact_uri(url, query).replace(f"{REDACTED}@", "")
    if "://" not in url:
        return clean, ""
    found = _SCHEME.match(clean)
    host = found[0].partition("://")[2] if found is not None else ""
    return (clean, host.lower()) if _HOST.fullmatch(host) is not None else ("", "")


def has_broken_host(url: str) -> bool:
    """Whether a password in a URL, or in a host without a scheme, may go on where the host seems to end."""
    before, absolute, behind = url.partition("://")
    return _BROKEN_HOST.match(behind if absolute else before) is not None


def _redact_path(path: str) -> str:
    clean = path
    if _SUSPECT.search(path) or _SUSPECT_SEGMENT.search(path) or path[:1] != "/":
        clean = path.partition("#")[0]
        if clean[:1] != "/" and ("@" in clean or "%" in clean):
            clean = _AUTHORITY_USER.sub(f"{REDACTED}@", clean, count=1) if _AUTHORITY_USER.match(clean) else clean
        clean = _redact_part(clean)
    if len(_paths) >= _MAX_PATHS:
        _paths.clear()
    if len(path) <= _MAX_PATH:
        _paths[path] = clean
    return clean


def _redact_parameter(parameter: str) -> str:
    name, equals, value = parameter.partition("=")
    if not equals and "%" in name:  # what stands for "=" is encoded, too
        name, equals, value = percent_decoded(name).partition("=")
        if not equals or not names_secret(name):
            return _redact_part(parameter)
    if equals and names_secret(name.replace("+", " ")):
        return f"{name}={REDACTED}"
    return _redact_part(name) + equals + _redact_part(value)


def _redact_part(text: str) -> str:
    """A path or a part of a query without secrets, also those that are percent-encoded, however often."""
    if len(text) < 16 and text.isalnum():
        return text
    clean = _without_secrets(text)
    if "%" in clean and _ESCAPED_ASCII.search(clean):
        plain = percent_decoded(clean)
        masked = _without_secrets(plain)
        if masked != plain:
            clean = quote(masked, safe=_UNQUOTED)
    if (
        '"' in clean
        or "'" in clean
        or "%22" in clean
        or "%27" in clean
        or "+" in clean
        or " " in clean
        or "%20" in clean
    ):
        plain = percent_decoded(clean.replace("+", " "))
        masked = redact_text(plain)
        if masked != plain:
            clean = quote(masked, safe=_UNQUOTED)
    return clean


def _without_secrets(text: str) -> str:
    if "@" in text or "%" in text:
        text = _USERINFO.sub(rf"\1{REDACTED}@", text)
        text = _USERINFO_SLASH.sub(rf"\1{REDACTED}@", text)
    if "=" in text or "%" in text:
        text = _PARAMETER.sub(_without_value, text)
    if "/" in text or "%" in text:
        text = _without_segments(text)
    return without_tokens(text)


def _without_value(parameter: re.Match[str]) -> str:
    before, name, equals = parameter.groups()
    return f"{before}{name}{equals}{REDACTED}" if names_secret(name) else parameter[0]


def _without_segments(text: str) -> str:
    """The path without what stands behind a word like `reset-password` and does not look like a word itself."""
    parts = _SLASHES.split(text)
    changed = False
    for index in range(0, len(parts), 2):
        part = parts[index]
        before = parts[index - 2] if index else ""
        if part and (
            is_credential(part, before)
            or _BOT.fullmatch(part)
            or (len(part) >= _LONG and index >= 4 and is_credential_behind_id(part, before, parts[index - 4]))
        ):
            parts[index] = REDACTED
            changed = True
    return "".join(parts) if changed else text
