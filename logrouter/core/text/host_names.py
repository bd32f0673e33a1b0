"""Names of hosts in URLs, and what looks like one and is an address that some client reads in its own way."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final

_MAX_HOST: Final = 253
_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.(?!-)[a-z0-9_-]{1,63})*+\.?", re.ASCII)
_NUMBER: Final = re.compile(r"0x[0-9a-f]*|[0-9]+", re.ASCII)


def is_host_name(text: str) -> bool:
    """Whether *text*, in small letters, may be a name that is looked up; some addresses pass as well."""
    return len(text) <= _MAX_HOST and _NAME.fullmatch(text) is not None


def is_numeric(text: str) -> bool:
    """Whether *text*, in small letters, ends as no name does: it is an IPv4 address, in whatever notation."""
    return _NUMBER.fullmatch(text.removesuffix(".").rpartition(".")[2]) is not None


def is_plain_ipv4(text: str) -> bool:
    """Whether it is an IPv4 address in the one notation that everybody reads alike."""
    try:
        return str(IPv4Address(text)) == text
    except ValueError:
        return False


def is_ipv6(text: str) -> bool:
    """Whether it is an IPv6 address, without brackets and of no zone."""
    try:
        return "%" not in text and IPv6Address(text) is not None
    except ValueError:
        return False
