"""The URL of a drain's target: scheme, host and port as every client reads them, and what of it may be shown.

User, password, path and query of a URL may be secrets: nothing here repeats them, neither in errors nor when printed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from logrouter.core.text.host_names import is_host_name, is_ipv6, is_numeric, is_plain_ipv4

MAX_URL: Final = 2_000
SYSLOG_TCP: Final = "syslog+tcp"
SYSLOG_TLS: Final = "syslog+tls"
SYSLOG_UDP: Final = "syslog+udp"
DRAIN_PORTS: Final = {SYSLOG_TCP: 514, SYSLOG_TLS: 6514, SYSLOG_UDP: 514, "https": 443, "http": 80}
"""Ports of URLs without one, by scheme; for syslog as in the sinks of that name."""
_SPELLINGS: Final = {**{scheme: scheme for scheme in DRAIN_PORTS}, "syslog": SYSLOG_TCP}
DRAIN_SCHEMES: Final = tuple(_SPELLINGS)
_PRINTED: Final = re.compile(r"[!-~]+")
_UNUSUAL: Final = re.compile(r'["<>\\^`{|}]')
_BRACKET: Final = re.compile(r"[\[\]]")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_CONTROLS: Final = re.compile(rb"[\x00-\x1f\x7f]")


class DrainUrlError(ValueError):
    """A URL that no drain may have; the text says why in one line, without a part that may be a secret."""


@dataclass(frozen=True, slots=True)
class DrainTarget:
    """Where a drain leads. *host* is in small letters, an IPv6 address without brackets.

    *address* is the URL for HTTP without user and password, its path and query as they were written; "" for syslog.
    *credentials* are `user:password`, decoded, None without a user.
    """

    scheme: str
    host: str
    port: int
    address: str = field(default="", repr=False)
    credentials: bytes | None = field(default=None, repr=False)

    @property
    def is_http(self) -> bool:
        """Whether it is spoken with in HTTP."""
        return self.scheme in ("http", "https")


def read_drain_url(text: str) -> DrainTarget:
    """What *text* leads to. `syslog://` is TCP.

    Raises:
        DrainUrlError: it is no such URL, or one that two clients may read differently.
    """
    if len(text) > MAX_URL:
        raise DrainUrlError(f"has {len(text)} characters, at most {MAX_URL} are allowed")
    if not _PRINTED.fullmatch(text) or _UNUSUAL.search(text) or _BAD_ESCAPE.search(text):
        raise DrainUrlError("has a character that a URL must write as %XX, or a % that begins none")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise DrainUrlError("its host can't be read") from None
    scheme = _SPELLINGS.get(parts.scheme)
    if scheme is None or not text[len(parts.scheme) :].startswith("://"):
        raise DrainUrlError(f"must begin with one of {', '.join(f'{each}://' for each in _SPELLINGS)}")
    if "#" in text:
        raise DrainUrlError("must not have a fragment")
    userinfo, at, authority = parts.netloc.rpartition("@")
    if "@" in userinfo:
        raise DrainUrlError("has more than one @ before its path: write it as %40")
    if _BRACKET.search(userinfo):
        raise DrainUrlError("its user or password has a bracket: write it as %5B or %5D")
    host, port = _read_authority(authority, DRAIN_PORTS[scheme])
    if scheme not in ("http", "https"):
        if at or "?" in text or parts.path not in ("", "/"):
            raise DrainUrlError("must not have a user, a path or a query: syslog knows none")
        return DrainTarget(scheme, host, port)
    query = f"?{text.partition('?')[2]}" if "?" in text else ""
    shown_host = f"[{host}]" if ":" in host else host
    shown_port = "" if port == DRAIN_PORTS[scheme] else f":{port}"
    address = f"{scheme}://{shown_host}{shown_port}{parts.path or '/'}{query}"
    return DrainTarget(scheme, host, port, address, _read_credentials(userinfo) if at else None)


def _read_authority(text: str, usual: int) -> tuple[str, int]:
    bracketed, _, _ = text.rpartition("]")
    host, port_text = (bracketed[1:], text[len(bracketed) + 1 :]) if text.startswith("[") else _split_port(text)
    if port_text not in ("", ":") and not (port_text[0] == ":" and _PORT.fullmatch(port_text[1:])):
        raise DrainUrlError("its port can't be read")
    port = int(port_text[1:] or usual) if port_text else usual
    if not 0 < port < 1 << 16:
        raise DrainUrlError("its port must be from 1 to 65535")
    host = host.lower()
    if not (is_ipv6(host) if text.startswith("[") else _is_host(host)):
        raise DrainUrlError("must name its host by a name in ASCII, or by an address like 192.0.2.1 or [2001:db8::1]")
    return host, port


def _split_port(text: str) -> tuple[str, str]:
    host, colon, port = text.partition(":")
    return host, colon + port


def _is_host(text: str) -> bool:
    if is_numeric(text):
        return is_plain_ipv4(text)
    return is_host_name(text) and not text.startswith("_")


def _read_credentials(userinfo: str) -> bytes:
    """User and password of basic authentication (RFC 7617, section 2), which hold no control characters."""
    user, _, password = userinfo.partition(":")
    decoded = unquote_to_bytes(user), unquote_to_bytes(password)
    if any(map(_CONTROLS.search, decoded)) or b":" in decoded[0]:
        raise DrainUrlError("its user or password has a character that basic authentication can't take")
    return b":".join(decoded)


def redact_url(text: str) -> str:
    """*text* as it may be shown to anybody: scheme, host and port. Three dots are all that may be secret, or no URL."""
    try:
        target = read_drain_url(text)
    except DrainUrlError:
        return "…"
    scheme, _, rest = text.partition("://")
    authority = re.split(r"[/?]", rest, maxsplit=1)[0]
    behind = rest[len(authority) :]
    host = f"[{target.host}]" if ":" in target.host else target.host
    port = "" if target.port == DRAIN_PORTS[target.scheme] else f":{target.port}"
    return f"{scheme.lower()}://{host}{port}{'' if behind in ('', '/') else '/…'}"
