"""Whether a sink's own `guard` lets it connect to its `url`, as far as that is known without resolving a name."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from logrouter.config.options.syslog_url import SYSLOG_PORTS, scheme_of
from logrouter.config.yaml.kinds import usable
from logrouter.sinks.address_ranges import refuse_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logrouter.config.options.sinks import SinkOptions
    from logrouter.config.yaml.problems import Problems
    from logrouter.sinks.address_ranges import Network

_PORTS: Final = {"https": 443, "http": 80, **SYSLOG_PORTS}
_LOOPBACK: Final = ("127.0.0.1", "::1")


def check_guard(options: SinkOptions, path: str, problems: Problems) -> None:
    """Note what is no network, and each option of the guard by which it would refuse the sink's own URL."""
    guard = options.guard
    if guard is None or not usable(guard):
        return
    networks = read_networks(guard.networks, f"{path}.guard.networks", problems)
    if not usable(options.url):
        return
    url = urlsplit(options.url)
    scheme = scheme_of(options.url)
    host, port = url.hostname or "", url.port or _PORTS[scheme]
    if scheme not in guard.schemes:
        problems.add(f"{path}.guard.schemes", f"does not allow {scheme}, which the url needs")
    # A port that nobody has written changes with the scheme.
    if port not in guard.ports and (url.port or scheme in guard.schemes):
        problems.add(f"{path}.guard.ports", f"does not allow {port}, which the url needs")
    # One that can't be read may be the one that was meant for it.
    why = _refuse_host(host, networks) if len(networks) == len(guard.networks) else ""
    if why:
        problems.add(f"{path}.guard.networks", f"does not allow {host}, which the url needs: {why}")


def read_networks(texts: Sequence[str], path: str, problems: Problems) -> list[Network]:
    """Those that are networks; the others are noted."""
    networks: list[Network] = []
    for index, text in enumerate(texts):
        try:
            networks.append(ip_network(text))
        except ValueError as error:
            problems.add(f"{path}[{index}]", f"is no network: {error}")
    return networks


def _refuse_host(host: str, networks: Sequence[Network]) -> str:
    """Why a host that is an address, or the name of this machine, is no target; "" if it is one, or any other name."""
    # Names below it are loopback as well by RFC 6761, 6.3, but the C library asks for them as for any other: they may
    # be those of containers.
    if host.removesuffix(".") == "localhost":
        return "loopback" if all(refuse_address(each, networks) for each in _LOOPBACK) else ""
    try:
        ip_address(host)
    except ValueError:
        return ""
    return refuse_address(host, networks)
