"""Which targets may be connected to, where others than the operator name them.

A URL is vetted by its scheme and port; an address when the socket is made that connects to it, so that what was vetted
is what is connected to, whatever a name resolves to the next time. Names are resolved once per connection; the TLS
handshake and the Host header keep the name.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

Network = IPv4Network | IPv6Network

_PORTS: Final = {"https": 443, "http": 80}

_REFUSED: Final[tuple[tuple[str, str], ...]] = (
    ("0.0.0.0/8", "this host"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "carrier-grade NAT"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local, which holds metadata services"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "documentation"),
    ("192.31.196.0/24", "reserved"),
    ("192.52.193.0/24", "reserved"),
    ("192.88.99.0/24", "reserved"),
    ("192.168.0.0/16", "private"),
    ("192.175.48.0/24", "reserved"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
)
_REFUSED_NETWORKS: Final = tuple((IPv4Network(text), why) for text, why in _REFUSED)
_GLOBAL_V6: Final = IPv6Network("2000::/3")
_REFUSED_V6: Final[tuple[tuple[IPv6Network, str], ...]] = (
    (IPv6Network("2001::/23"), "reserved, which holds tunnels"),
    (IPv6Network("2001:db8::/32"), "documentation"),
    (IPv6Network("2002::/16"), "a tunnel to an IPv4 address"),
    (IPv6Network("3fff::/20"), "documentation"),
)
_MAX_HOST: Final = 253


class GuardedAddressError(OSError):
    """An address that may not be connected to; the text says which, and why."""


@dataclass(frozen=True, slots=True)
class TargetGuard:
    """*networks* are allowed whatever they are; *schemes* and *ports* are all that may be used."""

    networks: Sequence[Network] = ()
    schemes: frozenset[str] = frozenset({"https"})
    ports: frozenset[int] = frozenset({443})

    def refuse_url(self, url: str) -> str:
        """Why a URL may not be used, in one line; "" if only its host's address is left to vet."""
        try:
            parts = urlsplit(url)
            port = parts.port if parts.port is not None else _PORTS.get(parts.scheme, 0)
        except ValueError:
            return "the URL can't be read"
        if parts.scheme not in self.schemes:
            return f"scheme {parts.scheme[:20]!r} is not among {', '.join(sorted(self.schemes))}"
        if port not in self.ports:
            return f"port {port} is not among {', '.join(map(str, sorted(self.ports)))}"
        if parts.username is not None or parts.password is not None:
            return "a URL must not hold a user or a password"
        if not parts.hostname or len(parts.hostname) > _MAX_HOST:
            return "the URL names no host"
        return ""

    def refuse_address(self, text: str) -> str:
        """Why an address may not be connected to, in one line; "" if it may."""
        try:
            address = ip_address(text.partition("%")[0])
        except ValueError:
            return "no address"
        if any(address in network for network in self.networks):
            return ""
        if isinstance(address, IPv4Address):
            return _refuse_v4(address)
        return self._refuse_v6(address)

    def _refuse_v6(self, address: IPv6Address) -> str:
        inner = address.ipv4_mapped
        if inner is not None:  # the kernel connects to the IPv4 address
            return self.refuse_address(str(inner))
        if address not in _GLOBAL_V6:
            # Everything else: loopback, unique local, link-local, multicast, NAT64 (64:ff9b::/96, 64:ff9b:1::/48).
            return "not a global unicast address"
        return next((why for network, why in _REFUSED_V6 if address in network), "")

    def open_socket(self, addr_info: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
        """A socket that connects to the address of *addr_info*, as `getaddrinfo` gives it.

        Raises:
            GuardedAddressError: it may not be connected to.
        """
        family, kind, protocol, _name, address = addr_info
        text = str(address[0])
        if why := self.refuse_address(text):
            raise GuardedAddressError(f"{text} may not be connected to: {why}")
        return socket.socket(family, kind, protocol)


def _refuse_v4(address: IPv4Address) -> str:
    return next((why for network, why in _REFUSED_NETWORKS if address in network), "")


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks from their notations; ValueError for what is none."""
    return tuple(ip_network(text) for text in texts)
