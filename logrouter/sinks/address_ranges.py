"""Ranges of addresses that are no public targets, with the documents that say so. Pure.

IANA's registries of special-purpose addresses for IPv4 and IPv6 (RFC 6890), multicast, forms of IPv6 that hold an IPv4
address, and one public address that a cloud answers at itself. The registries call some of these ranges globally
reachable (AS112, AMT, anycast of protocols); none of them holds a service that takes events.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

Network = IPv4Network | IPv6Network

_V4: Final = (
    ("0.0.0.0/8", "this host", "RFC 791, 1122"),
    ("10.0.0.0/8", "private", "RFC 1918"),
    ("100.64.0.0/10", "carrier-grade NAT", "RFC 6598"),
    ("127.0.0.0/8", "loopback", "RFC 1122"),
    ("168.63.129.16/32", "a cloud's own services", "Azure's documentation of its virtual networks"),
    ("169.254.0.0/16", "link-local, which holds metadata services", "RFC 3927"),
    ("172.16.0.0/12", "private", "RFC 1918"),
    ("192.0.0.0/24", "for protocols", "RFC 6890, 7335, 7600, 7723, 8155, 8880"),
    ("192.0.2.0/24", "documentation", "RFC 5737"),
    ("192.31.196.0/24", "AS112", "RFC 7535"),
    ("192.52.193.0/24", "AMT relays", "RFC 7450"),
    ("192.88.99.0/24", "6to4 relays", "RFC 7526, 6751"),
    ("192.168.0.0/16", "private", "RFC 1918"),
    ("192.175.48.0/24", "AS112", "RFC 7534"),
    ("198.18.0.0/15", "benchmarking", "RFC 2544"),
    ("198.51.100.0/24", "documentation", "RFC 5737"),
    ("203.0.113.0/24", "documentation", "RFC 5737"),
    ("224.0.0.0/4", "multicast", "RFC 5771"),
    ("240.0.0.0/4", "reserved or broadcast", "RFC 1112, 919"),
)
_V6: Final = (
    ("::/128", "this host", "RFC 4291"),
    ("::1/128", "loopback", "RFC 4291"),
    ("::/96", "an IPv4 address in IPv6", "RFC 4291, IPv4-compatible"),
    ("::ffff:0:0/96", "an IPv4 address in IPv6", "RFC 4291, IPv4-mapped"),
    ("::ffff:0:0:0/96", "an IPv4 address in IPv6", "RFC 2765, IPv4-translated"),
    ("64:ff9b::/96", "an IPv4 address in IPv6 (NAT64)", "RFC 6052"),
    ("64:ff9b:1::/48", "an IPv4 address in IPv6 (NAT64)", "RFC 8215"),
    ("100::/64", "discarded", "RFC 6666"),
    ("100:0:0:1::/64", "a dummy prefix", "RFC 9780"),
    ("2001::/32", "a tunnel to an IPv4 address (Teredo)", "RFC 4380"),
    ("2001::/23", "for protocols", "RFC 2928, 4843, 5180, 7343, 7450, 7535, 7723, 8155, 9374, 9665"),
    ("2001:db8::/32", "documentation", "RFC 3849"),
    ("2002::/16", "a tunnel to an IPv4 address (6to4)", "RFC 3056"),
    ("2620:4f:8000::/48", "AS112", "RFC 7534"),
    ("3fff::/20", "documentation", "RFC 9637"),
    ("5f00::/16", "segments of routes", "RFC 9602"),
    ("fc00::/7", "private", "RFC 4193"),
    ("fe80::/10", "link-local", "RFC 4291"),
    ("fec0::/10", "site-local", "RFC 3879"),
    ("ff00::/8", "multicast", "RFC 4291"),
)

SPECIAL_V4: Final = tuple((IPv4Network(text), why) for text, why, _source in _V4)
"""Networks that are refused, each with a word that says what it is; the first that holds an address counts."""
SPECIAL_V6: Final = tuple((IPv6Network(text), why) for text, why, _source in _V6)
GLOBAL_V6: Final = IPv6Network("2000::/3")
"""All that IANA has given to anybody to reach others at; the rest of IPv6 is reserved (RFC 4291, section 2.4)."""


def refuse_address(text: str, allowed: Sequence[Network]) -> str:
    """Why an address is no target, in one line; "" if it is one. *text* may name a zone behind `%`.

    All of *allowed* are targets, whatever else they are.
    """
    bare, zone, _ = text.partition("%")
    try:
        address = ip_address(bare)
    except ValueError:
        return "no address"
    if any(address in network for network in allowed):
        return ""
    if isinstance(address, IPv4Address):
        return next((why for network, why in SPECIAL_V4 if address in network), "")
    why = next((why for network, why in SPECIAL_V6 if address in network), "")
    if not why and address not in GLOBAL_V6:
        why = "reserved"
    return why or ("of one link only" if zone else "")
