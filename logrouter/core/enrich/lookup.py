"""Knowledge from elsewhere, put into the event: rows of a lookup file, the address's country, the user agent's family.

Each function made here changes an event in place and never raises. `compile_lookup` is for finished events;
`compile_geo` and `compile_agent` are for requests as parsed, while address and headers are still whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from logrouter.core.transform import Path, value_at

Enrich = Callable[[dict[str, Any]], None]
Rows = Mapping[str, Mapping[str, str]]

MAX_CACHED: Final = 8192
MAX_AGENT: Final = 512
"""Longer user agents are cut before they are read: what matters stands at their beginning."""
MAX_FAMILY: Final = 128
UNKNOWN_AGENT: Final = "other"
"""The family of a user agent that nobody knows."""


def compile_lookup(rows: Rows, by: Path, into: str) -> Enrich:
    """A function that puts a row of *rows* under *into*: the one whose key is the event's value at *by*.

    An event without the value, or a value without a row, changes nothing.
    """

    def enrich(event: dict[str, Any]) -> None:
        value = value_at(event, by)
        row = rows.get(value) if type(value) is str else None
        if row:
            there = event.get(into)
            event[into] = {**there, **row} if type(there) is dict else dict(row)

    return enrich


def compile_geo(
    address_of: Callable[[str], str | None], find: Callable[[str], tuple[str | None, int | None]]
) -> Enrich:
    """A function that puts country and autonomous system of the client's address under `geo`.

    *address_of* picks the address out of a forwarding chain. *find* returns (country, ASN), None for what is not known,
    and must not raise on a valid address.
    """
    cache: dict[str, dict[str, Any]] = {}

    def enrich(event: dict[str, Any]) -> None:
        http = event.get("http")
        chain = http.get("client_ip") if type(http) is dict else None
        address = address_of(chain) if type(chain) is str else None
        if address is None:
            return
        found = cache.get(address)
        if found is None:
            country, asn = find(address)
            found = ({"country": country} if country else {}) | ({"asn": asn} if asn else {})
            _remember(cache, address, found)
        if found:
            event["geo"] = found.copy()

    return enrich


def compile_agent(family_of: Callable[[str], str | None]) -> Enrich:
    """A function that puts the family of the user agent under `user_agent_family`, if there is that header."""
    cache: dict[str, str] = {}

    def enrich(event: dict[str, Any]) -> None:
        http = event.get("http")
        headers = http.get("request_headers") if type(http) is dict else None
        agent = headers.get("user-agent") if type(headers) is dict else None
        if type(agent) is not str:
            return
        agent = agent[:MAX_AGENT]
        family = cache.get(agent)
        if family is None:
            family = (family_of(agent) or UNKNOWN_AGENT)[:MAX_FAMILY]
            _remember(cache, agent, family)
        event["user_agent_family"] = family

    return enrich


def _remember(cache: dict[str, Any], key: str, found: Any) -> None:
    """Keep an answer. Hostile input can only make the cache start over."""
    if len(cache) >= MAX_CACHED:
        cache.clear()
    cache[key] = found
