"""What may be published of client addresses, and the addresses in any text."""

from __future__ import annotations

import re
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_V4: Final = re.compile(rb"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9]|\.[0-9])")
_V6: Final = re.compile(
    rb"(?<![0-9a-fA-F:.])(?:[0-9a-fA-F]{0,4}:){2,8}[0-9a-fA-F]{0,4}(?:[0-9.]{6,14})?(?![0-9a-fA-F:])"
)


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
            return truncate
        case "hash" if key:
            mixed = blake2b(key).digest()
            return lambda address: blake2b(address.encode("utf-8", "replace"), digest_size=8, key=mixed).hexdigest()
        case "hash":
            raise ValueError("the IP policy hash needs a key")
    raise ValueError(f"no IP policy {policy!r}; there are keep, truncate and hash")


def truncate(address: str) -> str:
    """The network of an address: /24, or /48 of IPv6; "" if it is none."""
    try:
        bits = 48 if isinstance(ip_address(address), IPv6Address) else 24
        return str(ip_network(f"{address}/{bits}", strict=False).network_address)
    except ValueError:
        return ""


def mask_addresses(raw: bytes, policy: Callable[[str], str]) -> bytes:
    """Every address in *raw* as *policy* leaves it, `_` if it leaves nothing.

    Whose address it is can't be told, so those of servers are treated alike, and so is a version of four numbers. This
    hides too much rather than too little; `core.text.addresses` is for ids, which have to stay apart.
    """

    def kept(match: re.Match[bytes]) -> bytes:
        text = match[0].decode()
        try:
            address = ip_address(text)
        except ValueError:
            return match[0]
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return policy(str(mapped or address)).encode() or b"_"

    if raw.count(b":") > 1:
        raw = _V6.sub(kept, raw)
    return _V4.sub(kept, raw) if raw.count(b".") > 2 else raw
