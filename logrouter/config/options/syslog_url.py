"""URLs of receivers of syslog, and the words for facilities."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from logrouter.config.options.target_url import TargetUrl

TCP: Final = "syslog+tcp"
TLS: Final = "syslog+tls"
UDP: Final = "syslog+udp"
GUARD_SCHEMES: Final = (TLS, TCP, UDP)
"""What a guard knows them by."""
SYSLOG_PORTS: Final = {TCP: 514, TLS: 6514, UDP: 514}
"""Ports of URLs without one: those of RFC 5425 and 5426; for TCP the one that is usual, as none is assigned."""
SYSLOG_URL: Final = TargetUrl(
    "syslog+tls://host:6514", (TLS, TCP, UDP, "syslog"), r"syslog(?:\+(?:tls|tcp|udp))?", has_path=False
)
FACILITIES: Final = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp"),
    *("audit", "alert", "clock", *(f"local{number}" for number in range(8))),
)
"""By their numbers (RFC 5424, section 6.2.1)."""


def scheme_of(url: str) -> str:
    """The scheme of such a URL; `syslog` is TCP."""
    scheme = urlsplit(url).scheme
    return TCP if scheme == "syslog" else scheme
