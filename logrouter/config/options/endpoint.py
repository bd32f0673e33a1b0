"""Options of where the table view is served, and of its encryption."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from logrouter.config.yaml.kinds import Integer, Section, Text, options, usable
from logrouter.config.yaml.kinds import option as opt

if TYPE_CHECKING:
    from logrouter.config.yaml.problems import Problems

HOST = Text(r"[A-Za-z0-9._:\[\]-]+", "a host name or address", 255)
PORT = Integer(0, 65_535)


@options
class TlsOptions:
    """PEM files with which the table view is served by https. Read again when they change."""

    cert: str = opt(Text(called="a file", max_length=500), "The certificate and its chain, relative to this file.")
    key: str = opt(Text(called="a file", max_length=500), "Its private key, without a pass phrase.")
    ca: str = opt(
        Text(called="a file", max_length=500, may_be_empty=True),
        "Who must have signed the certificates of the other workers; empty means whoever this machine trusts.",
        default="",
    )


@options
class HttpOptions:
    """Where a tables worker serves the table view."""

    host: str = opt(HOST, "Address to listen on.", default="127.0.0.1")
    port: int = opt(PORT, "Port to listen on; 0 picks a free one.", default=6066)
    advertise: str = opt(
        Text(r"https?://[A-Za-z0-9._:\[\]-]+", "a base URL like http://host:8080", 255, may_be_empty=True),
        "Base URL by which the other workers reach this one; empty means `http://host:port` of the above, or https.",
        default="",
    )
    tls: TlsOptions | None = opt(Section(TlsOptions), "Serve by https.", default=None)


def check_http(http: HttpOptions, problems: Problems) -> None:
    """Note combinations of options that are wrong."""
    if http.tls is not None and usable(http.tls) and http.advertise.startswith("http:"):
        problems.add("tables_lane.http.advertise", "must be https, as tables_lane.http.tls serves nothing else")


def is_loopback(host: str) -> bool:
    """Whether a listener at *host* is reached from this machine alone."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def authority(host: str, port: int) -> str:
    """Host and port as they stand in a URL: an address of IPv6, which *host* may have in brackets, gets them."""
    bare = host.strip("[]")
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"
