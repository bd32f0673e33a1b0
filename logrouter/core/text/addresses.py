"""IP addresses within ids: found however they are spelled, with brackets, port or prefix around them.

What only looks like an address in part (`note::abc`, `Chrome/120.0.0.0`) is left alone, so that ids stay apart.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_OCTET: Final = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
# A name and a slash before it make it a version: Chrome/120.0.0.0.
_IPV4: Final = rf"(?<!\d)(?<!\d\.)(?<![A-Za-z]/){_OCTET}(?:\.{_OCTET}){{3}}(?!\.?\d)"
# Anything that two colons are in; whether it is an address is found out. The last part may be written as IPv4.
_IPV6: Final = (
    r"(?:(?<!\w)|(?=:[^:]))(?=[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:]{2,64}+(?:\.\d{1,3}){0,3}+(?!\w)"
)
_ADDRESS = re.compile(rf"{_IPV6}|{_IPV4}", re.ASCII)


def replace_addresses(text: str, replace: Callable[[str], str | None]) -> str:
    """*text* with every address in it replaced by what *replace* makes of it; of None nothing is left.

    Takes time in proportion to the text.
    """
    if text.count(".") < 3 and text.count(":") < 2:
        return text

    def put(match: re.Match[str]) -> str:
        found = _within(match[0])
        return match[0].replace(found, replace(found) or "", 1) if found is not None else match[0]

    return _ADDRESS.sub(put, text)


def holds_address(text: str) -> bool:
    """Whether there is an address in *text*."""
    return any(_within(match[0]) is not None for match in _ADDRESS.finditer(text))


def _within(run: str) -> str | None:
    """The address in a run of its characters: all of it, or without what stands before or behind the next colon."""
    if ":" not in run:
        return run
    behind = run.partition(":")[2]
    before = run.rpartition(":")[0]
    # Nine parts may be read both ways, and a port is likelier than a name of hexadecimal digits.
    texts = (run, before, behind) if run[:1] != ":" else (run, behind, before)
    return next((text for text in (*texts, behind.rpartition(":")[0]) if _is_address(text)), None)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
