"""The client's address: the one entry of a forwarding chain that a client cannot have forged."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CACHED: Final = 8192
_MAX_CHAIN: Final = 256
_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}", re.ASCII)


def compile_client_ip(position: int, policy: Callable[[str], str] = str) -> Callable[[str], str | None]:
    """A function from an X-Forwarded-For chain to the trusted address after *policy*, None if that is invalid.

    *policy* is a function as `core.redact.addresses.ip_policy` returns it. *position* counts from the right, 1 is the
    last: every trusted proxy appends one entry, and whatever is left of those was written by the client. A shorter
    chain was written by trusted proxies alone, and its first entry is taken.
    """
    if position < 1:
        raise ValueError(f"position {position}: the rightmost entry is 1")
    cache: dict[str, str | None] = {}

    def client_ip(chain: str) -> str | None:
        if chain in cache:
            return cache[chain]
        entries = chain.rsplit(",", position)
        address = _address(entries[-position] if len(entries) >= position else entries[0])
        kept = (policy(address) or None) if address is not None else None
        if len(cache) >= MAX_CACHED:
            cache.clear()
        if len(chain) <= _MAX_CHAIN:
            cache[chain] = kept
        return kept

    return client_ip


def _address(entry: str) -> str | None:
    """An address in its one canonical spelling, without port, brackets and zone; None if it is none."""
    text = entry.strip(' \t"')
    if _IPV4.fullmatch(text):
        return text
    if text[:1] == "[":
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    if len(text) > 64 or "%" in text:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
