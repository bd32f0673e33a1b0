"""What may be published of client addresses, and the addresses in any text."""

from __future__ import annotations

import re
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DOT: Final = rb"(?:\.|%(?:25){0,3}2[eE])"
_COLON: Final = rb"%(?:25){0,3}3[aA]"
# A fifth number is a port, as tcpdump writes it; more numbers are no address. Names of hosts have dashes for dots.
_V4: Final = re.compile(
    rb"(?:(?<![0-9.])|(?<=%[0-9a-fA-F]{2}))([0-9]{1,3}(?:" + _DOT + rb"[0-9]{1,3}){3})(?![0-9])(?!(?:\.[0-9]{1,5}){2})"
    rb"|(?<![0-9])(?<![0-9]-)([0-9]{1,3}(?:-[0-9]{1,3}){3})(?![0-9]|-[0-9])"
)
# All that an address may be part of: a name and a colon may stand before it, a colon and a port behind it.
_V6: Final = re.compile(
    rb"%(?:25){0,3}(?!25|3[aA])[0-9a-fA-F]{2}|((?:[0-9a-fA-F:]|" + _COLON + rb"){2,}+(?:\.[0-9]{1,3}){0,3}+)"
)
_ENCODED_COLON: Final = re.compile(_COLON)
_ENCODED_DOT: Final = re.compile(_DOT)
_PARTS: Final = 8
_MOST_PARTS: Final = 10  # a name before it, and a port
_MAX_OCTET: Final = 255


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
    """The network of an address: /24, or /48 of IPv6, /40 where it holds one of IPv4 (6to4); "" if it is none."""
    try:
        parsed = ip_address(address)
        bits = 24 if not isinstance(parsed, IPv6Address) else 48 if parsed.sixtofour is None else 40
        return str(ip_network(f"{address}/{bits}", strict=False).network_address)
    except ValueError:
        return ""


def mask_addresses(raw: bytes, policy: Callable[[str], str]) -> bytes:
    """Every address in *raw* as *policy* leaves it, `_` if it leaves nothing.

    Whose address it is can't be told, so those of servers are treated alike, and so is a version of four numbers. This
    hides too much rather than too little; `core.text.addresses` is for ids, which have to stay apart.
    """

    def kept_v4(match: re.Match[bytes]) -> bytes:
        dashes = match[1] is None
        numbers = [int(each) for each in (match[2].split(b"-") if dashes else _ENCODED_DOT.split(match[1]))]
        if max(numbers) > _MAX_OCTET:
            return match[0]
        kept = policy(".".join(map(str, numbers))).encode() or b"_"
        return kept.replace(b".", b"-") if dashes else kept

    def kept_v6(match: re.Match[bytes]) -> bytes:
        if match[1] is None:  # an escape like %5B, which would be read as the digits of what follows
            return match[0]
        run = _ENCODED_COLON.sub(b":", match[0]).decode()
        if run.count(":") < 2 or (not any(map(str.isdecimal, run)) and _in_word(match)):
            return match[0]
        for text in _parts_of(run):
            try:
                address = ip_address(text)
            except ValueError:
                continue
            if isinstance(address, IPv6Address):
                kept = policy(str(address.ipv4_mapped or address)) or "_"
                return run.replace(text, kept, 1).encode()
        return b"_" if _may_hold_address(run) else match[0]

    if raw.count(b":") > 1 or b"%" in raw:
        raw = _V6.sub(kept_v6, raw)
    return _V4.sub(kept_v4, raw) if raw.count(b".") + raw.count(b"-") > 2 or b"%" in raw else raw


def _parts_of(run: str) -> Iterator[str]:
    """All of a run of hexadecimal digits and colons, and what it is without its first part, its last, or both."""
    parts = run.split(":")
    if len(parts) > _MOST_PARTS or (len(parts) > _PARTS and max(map(len, parts)) == 2):
        return
    for text in (run, run.partition(".")[0]):
        behind, before = text.partition(":")[2], text.rpartition(":")[0]
        # Nine parts may be read both ways, and a port is likelier than a name of hexadecimal digits.
        yield from (text, before, behind) if text[:1] != ":" else (text, behind, before)
        yield behind.rpartition(":")[0]


def _may_hold_address(run: str) -> bool:
    """Whether a run that is no address is more than a time, a hardware address or a fingerprint."""
    parts = run.split(":")
    longest = max(map(len, parts))
    return 2 < longest <= 5 and ("" in parts[1:-1] or len(parts) >= _PARTS)


def _in_word(match: re.Match[bytes]) -> bool:
    """Whether letters or digits stand right before or behind the match: it is a part of `std::deque`."""
    around = match.string[max(match.start() - 1, 0) : match.start()] + match.string[match.end() : match.end() + 1]
    return re.search(rb"\w", around) is not None
