"""Which targets may be connected to, where others than the operator decide what a URL or a name leads to.

Three places, one after the other: the URL (scheme, port, how its host is written), the addresses that its name resolves
to, and the socket that is about to be made. The last one alone decides; the others say why in better words and keep
a name with thousands of addresses from being tried one by one. A name is resolved once per connection, and what was
vetted is what is connected to; the TLS handshake and the Host header keep the name.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final

from aiohttp.abc import AbstractResolver
from yarl import URL

from logrouter.core.text.host_names import is_host_name, is_numeric
from logrouter.sinks.address_ranges import refuse_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp.abc import ResolveResult

    from logrouter.sinks.address_ranges import Network

MAX_ADDRESSES: Final = 16
"""Of one name: more say nothing more, and each is tried for as long as a connection may take."""


class GuardedAddressError(OSError):
    """A target that may not be connected to; the text says which, and why."""


@dataclass(frozen=True, slots=True)
class TargetGuard:
    """*networks* are allowed whatever they are; *schemes* and *ports* are all that may be used.

    A range of ports ends before its last number, as in Python: `range(1, 65536)` are all.
    """

    networks: Sequence[Network] = ()
    schemes: frozenset[str] = frozenset({"https"})
    ports: frozenset[int] | range = frozenset({443})

    def vet_url(self, url: str | URL) -> URL:
        """What is to be connected to, read as the client reads it, so that nobody takes it for another host later.

        An address in the URL is vetted here as well, that of a name by `GuardedResolver`.

        Raises:
            GuardedAddressError: it may not be used; the text says why in one line.
        """
        try:
            url = URL(url)
        except ValueError:
            raise GuardedAddressError("the URL can't be read") from None
        why = self._refuse_way(url.scheme, url.port)
        if not why and (url.user is not None or url.password is not None):
            why = "a URL must not hold a user or a password"
        if why := why or self._refuse_host(url.raw_host or ""):
            raise GuardedAddressError(why)
        return url

    def vet_target(self, scheme: str, host: str, port: int) -> None:
        """The same for a target of another kind than HTTP, whose URL is taken apart already; *host* in small letters.

        Raises:
            GuardedAddressError: it may not be used; the text says why in one line.
        """
        if why := self._refuse_way(scheme, port) or self._refuse_host(host):
            raise GuardedAddressError(why)

    def _refuse_way(self, scheme: str, port: int | None) -> str:
        if scheme not in self.schemes:
            return f"scheme {scheme[:20]!r} is not among {', '.join(sorted(self.schemes))}"
        if port not in self.ports:
            return f"port {port} is not among {_say_ports(self.ports)}"
        return ""

    def _refuse_host(self, host: str) -> str:
        if _is_address(host):
            why = self.refuse_address(host)
            return f"{host} may not be connected to: {why}" if why else ""
        if ":" in host or is_numeric(host):
            return f"{host[:50]!r} is an address in an unusual notation: write 192.0.2.1, or a name"
        if not is_host_name(host):
            return "the URL names no host"
        return ""

    def refuse_address(self, text: str) -> str:
        """Why an address may not be connected to, in one line; "" if it may."""
        return refuse_address(text, self.networks)

    def open_socket(self, addr_info: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
        """A socket that connects to the address of *addr_info*, as `getaddrinfo` gives it.

        Raises:
            GuardedAddressError: it may not be connected to.
        """
        family, kind, protocol, _name, address = addr_info
        text = str(address[0])
        if why := self.refuse_address(text):
            raise GuardedAddressError(f"{text} may not be connected to: {why}")
        if address[1] not in self.ports:
            raise GuardedAddressError(f"port {address[1]} of {text} may not be connected to")
        return socket.socket(family, kind, protocol)


class GuardedResolver(AbstractResolver):
    """Resolves names by another resolver, without the addresses that may not be connected to."""

    def __init__(self, guard: TargetGuard, resolver: AbstractResolver) -> None:
        self._guard = guard
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of *host* that may be connected to.

        Raises:
            GuardedAddressError: it has addresses, and none of them may.
            OSError: it has none.
        """
        found = await self._resolver.resolve(host, port, family)
        allowed = [each for each in found if not self._guard.refuse_address(each["host"])]
        if found and not allowed:
            first = found[0]["host"]
            why = self._guard.refuse_address(first)
            raise GuardedAddressError(f"{host} is {first}, which may not be connected to: {why}")
        return allowed[:MAX_ADDRESSES]

    async def close(self) -> None:
        """Close the other resolver."""
        await self._resolver.close()


def _say_ports(ports: frozenset[int] | range) -> str:
    return f"{ports[0]} to {ports[-1]}" if isinstance(ports, range) and ports else ", ".join(map(str, sorted(ports)))


def _is_address(host: str) -> bool:
    """Whether a URL's host is an address in the one notation that everybody reads alike, and of no zone."""
    try:
        return str(ip_address(host)) == host or ":" in host
    except ValueError:
        return False


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks from their notations; ValueError for what is none."""
    return tuple(ip_network(text) for text in texts)
