"""Sockets that are connected to targets which do not speak HTTP: names looked up, and addresses vetted, each time."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp

from logrouter.sinks.target_guard import MAX_ADDRESSES, GuardedResolver

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver

    from logrouter.sinks.target_guard import TargetGuard

CONNECT_SECONDS: Final = 10.0
"""How long it may take until a target can be sent something, over all of its addresses."""


class TargetPlace(NamedTuple):
    """Where a target is, and by which *scheme* a guard knows how it is spoken with."""

    scheme: str
    host: str
    port: int


async def connect_socket(
    place: TargetPlace,
    kind: socket.SocketKind,
    guard: TargetGuard | None = None,
    resolver: AbstractResolver | None = None,
    *,
    seconds: float = CONNECT_SECONDS,
    first: int = 0,
) -> socket.socket:
    """A socket that does not block, connected to the first address of *place* that takes the connection.

    *guard* says where we may connect to at all, by default anywhere. *resolver* finds the addresses of names,
    by default as the system does. Of several, the one at *first* is tried first, counted round and round.

    Raises:
        GuardedAddressError: the target may not be connected to.
        TimeoutError: none of its addresses has answered within its share of *seconds*.
        OSError: there is no such name, or nothing that takes the connection.
    """
    if guard is not None:
        guard.vet_target(place.scheme, place.host, place.port)
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    addresses = await _addresses_of(place, guard, resolver)
    begin = first % max(len(addresses), 1)
    failed: OSError | None = None
    for tried, address in enumerate(addresses[begin:] + addresses[:begin]):
        try:
            async with asyncio.timeout((deadline - clock()) / (len(addresses) - tried)):
                return await _connect(address, place.port, kind, guard)
        except OSError as error:  # TimeoutError is one
            failed = failed or error
    raise failed or OSError(f"{place.host} has no address")


async def _addresses_of(place: TargetPlace, guard: TargetGuard | None, resolver: AbstractResolver | None) -> list[str]:
    if _is_literal(place.host):
        return [place.host]
    found = resolver or aiohttp.DefaultResolver()
    try:
        by = found if guard is None else GuardedResolver(guard, found)
        return [each["host"] for each in await by.resolve(place.host, place.port, socket.AF_UNSPEC)][:MAX_ADDRESSES]
    finally:
        if resolver is None:
            await found.close()


def _is_literal(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


async def _connect(address: str, port: int, kind: socket.SocketKind, guard: TargetGuard | None) -> socket.socket:
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV  # so that nothing is asked for
    info = socket.getaddrinfo(address, port, type=kind, flags=flags)[0]
    made = socket.socket(*info[:3]) if guard is None else guard.open_socket(info)
    try:
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, info[4])
    except BaseException:
        made.close()
        raise
    return made
