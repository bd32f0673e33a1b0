"""Messages over UDP, one in each datagram. Nobody tells whether they arrive, and they may overtake one another."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from typing import TYPE_CHECKING, Final

from logrouter.sinks.contract import NoAnswer, Trouble
from logrouter.sinks.error_line import describe_error, one_line
from logrouter.sinks.sockets import CONNECT_SECONDS, connect_socket
from logrouter.sinks.syslog.protocol import ALL_TAKEN
from logrouter.sinks.target_guard import GuardedAddressError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiohttp.abc import AbstractResolver

    from logrouter.sinks.sockets import TargetPlace
    from logrouter.sinks.syslog.protocol import AllTaken
    from logrouter.sinks.target_guard import TargetGuard

_FRESH_SECONDS: Final = 60.0
"""A name is looked up anew after this time: without a connection nothing else shows that it leads elsewhere."""


class DatagramClient:
    """A socket for one target. Made outside of an event loop, used in one; whoever makes it closes it."""

    def __init__(
        self,
        place: TargetPlace,
        *,
        timeout_seconds: float = 30.0,
        guard: TargetGuard | None = None,
        resolver: AbstractResolver | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """*guard* and *resolver* are as for `sinks.sockets.connect_socket`; *clock* never goes back."""
        self._place = place
        self._timeout = timeout_seconds
        self._guard = guard
        self._resolver = resolver
        self._clock = clock
        self._turn = asyncio.Lock()
        self._socket: socket.socket | None = None
        self._opened_at = 0.0
        self._first = 0
        """At which of the name's addresses to begin: those before have refused whatever they got."""
        self._has_sent = self._is_heard = False
        self._closed = False

    async def send(self, datagrams: Sequence[bytes]) -> AllTaken | NoAnswer:
        """Send datagrams one after the other. A target's host that says that nobody listens there ends it."""
        async with self._turn:
            if self._closed:
                return NoAnswer(Trouble.BROKEN, "closed")
            seconds = min(CONNECT_SECONDS, self._timeout)
            try:
                async with asyncio.timeout(seconds):
                    connected = await self._open(seconds)
            except GuardedAddressError as error:
                return NoAnswer(Trouble.GUARDED, str(error))
            except OSError as error:
                return NoAnswer(Trouble.CONNECT, one_line(str(error)) or "the name is not found in time")
            try:
                async with asyncio.timeout(self._timeout):
                    _check(connected)  # what the datagrams before have met
                    self._is_heard = self._is_heard or self._has_sent
                    for datagram in datagrams:
                        await asyncio.get_running_loop().sock_sendall(connected, datagram)
                    _check(connected)
            except TimeoutError:
                return NoAnswer(Trouble.TIMEOUT, f"not sent within {self._timeout:g} s")
            except OSError as error:
                self._close_socket()
                # Any address can be connected to: that nobody listens there is only heard of afterwards. One that has
                # not refused a batch is stayed with, as the next one might be silent and lose what it gets.
                self._first += not self._is_heard
                self._has_sent = False
                return NoAnswer(Trouble.CONNECT, describe_error(error))
            self._has_sent = True
            return ALL_TAKEN

    async def _open(self, seconds: float) -> socket.socket:
        if self._socket is not None and self._clock() < self._opened_at + _FRESH_SECONDS:
            return self._socket
        self._close_socket()
        self._socket = await connect_socket(
            self._place, socket.SOCK_DGRAM, self._guard, self._resolver, seconds=seconds, first=self._first
        )
        self._opened_at = self._clock()
        return self._socket

    def _close_socket(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def close(self) -> None:
        """Close the socket; there will be no other."""
        self._closed = True
        self._close_socket()


def _check(connected: socket.socket) -> None:
    """Raise what has come back for earlier datagrams, by ICMP."""
    if number := connected.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(number, os.strerror(number))
