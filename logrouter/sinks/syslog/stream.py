"""Frames over TCP or TLS, on connections that stay open. Taken is what the kernel of the target has acknowledged."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING

from logrouter.sinks.contract import NoAnswer, Trouble
from logrouter.sinks.error_line import describe_error
from logrouter.sinks.sockets import CONNECT_SECONDS, connect_socket
from logrouter.sinks.syslog.connection import SyslogConnection
from logrouter.sinks.syslog.protocol import ALL_TAKEN
from logrouter.sinks.target_guard import GuardedAddressError
from logrouter.sinks.tls_trouble import describe_tls_trouble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp.abc import AbstractResolver

    from logrouter.sinks.connection_slots import ConnectionSlots
    from logrouter.sinks.sockets import TargetPlace
    from logrouter.sinks.syslog.protocol import AllTaken
    from logrouter.sinks.target_guard import TargetGuard


class StreamClient:
    """Connections to one target. Made outside of an event loop, used in one; whoever makes it closes it."""

    def __init__(
        self,
        place: TargetPlace,
        *,
        tls: ssl.SSLContext | None = None,
        timeout_seconds: float = 30.0,
        connections: int = 1,
        slots: ConnectionSlots[tuple[str, int]] | None = None,
        guard: TargetGuard | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        """With *tls* it is spoken with the target. A request may take *timeout_seconds*.

        There are *connections* at most, each with one request at a time; over several, order is not kept. With *slots*
        each has one of its host and port, and is given up when somebody else waits for that. *guard* and *resolver* are
        as for `sinks.sockets.connect_socket`.
        """
        self._place = place
        self._tls = tls
        self._timeout = timeout_seconds
        self._turns = asyncio.Semaphore(connections)
        self._slots = slots
        self._key = (place.host, place.port)
        self._guard = guard
        self._resolver = resolver
        self._idle: list[SyslogConnection] = []
        self._closed = False

    async def send(self, frames: Sequence[bytes]) -> AllTaken | NoAnswer:
        """Send frames one behind the other; without a `AllTaken` nobody knows which of them the target has."""
        async with self._turns:
            if self._closed:
                return NoAnswer(Trouble.BROKEN, "closed")
            connection = self._take_idle()
            if connection is None:
                opened = await self._open_in_slot()
                if isinstance(opened, NoAnswer):
                    return opened
                connection = opened
            is_taken = False
            try:
                async with asyncio.timeout(self._timeout):
                    await connection.write(b"".join(frames))
                    await connection.settle()
                is_taken = True
            except TimeoutError:
                return NoAnswer(Trouble.TIMEOUT, f"not taken within {self._timeout:g} s")
            except OSError as error:
                return _describe(error, Trouble.BROKEN)
            finally:
                if is_taken and not self._is_wanted() and not self._closed:
                    self._rest(connection)
                else:
                    self._end(connection)  # a frame may be cut: whatever followed would be a part of it
            return ALL_TAKEN

    def _take_idle(self) -> SyslogConnection | None:
        """A connection that the target has not ended."""
        while self._idle:
            connection = self._idle.pop()
            if self._slots is not None:
                self._slots.resume(self._key, connection)
            connection.take_in()
            if connection.end is None:
                return connection
            self._end(connection)
        return None

    def _is_wanted(self) -> bool:
        """Whether somebody waits for a connection to the same place."""
        return self._slots is not None and self._slots.is_wanted(self._key)

    def _rest(self, connection: SyslogConnection) -> None:
        self._idle.append(connection)
        if self._slots is not None:
            self._slots.rest(self._key, connection, lambda: self._give_up(connection))

    def _give_up(self, connection: SyslogConnection) -> None:
        self._idle.remove(connection)
        self._end(connection)

    def _end(self, connection: SyslogConnection) -> None:
        connection.close()
        if self._slots is not None:
            self._slots.free(self._key)

    async def _open_in_slot(self) -> SyslogConnection | NoAnswer:
        if self._slots is None:
            return await self._open()
        await self._slots.take(self._key)
        opened: SyslogConnection | NoAnswer | None = None
        try:
            if self._closed:
                return NoAnswer(Trouble.BROKEN, "closed")
            opened = await self._open()
        finally:
            if not isinstance(opened, SyslogConnection):
                self._slots.free(self._key)
        return opened

    async def _open(self) -> SyslogConnection | NoAnswer:
        seconds = min(CONNECT_SECONDS, self._timeout)
        connected: socket.socket | SyslogConnection | None = None
        is_open = False
        try:
            async with asyncio.timeout(seconds):
                connected = await connect_socket(
                    self._place, socket.SOCK_STREAM, self._guard, self._resolver, seconds=seconds
                )
                connected = connection = SyslogConnection(connected, self._tls, self._place.host.rstrip("."))
                await connection.open()
            await connection.hear_verdict()  # which has a time of its own: silence is no outage
            is_open = True
        except GuardedAddressError as error:
            return NoAnswer(Trouble.GUARDED, str(error))
        except TimeoutError:
            what = "connection" if connected is None else "TLS handshake, which is asked for,"
            return NoAnswer(Trouble.CONNECT, f"no {what} within {seconds:g} s")
        except OSError as error:
            return _describe(error, Trouble.CONNECT)
        finally:
            if connected is not None and not is_open:
                connected.close()
        return connection

    async def close(self) -> None:
        """Close all connections; there will be no others."""
        self._closed = True
        while self._idle:
            connection = self._idle.pop()
            if self._slots is not None:
                self._slots.resume(self._key, connection)
            self._end(connection)


def _describe(error: OSError, trouble: Trouble) -> NoAnswer:
    if isinstance(error, ssl.SSLError):
        return NoAnswer(Trouble.TLS, describe_tls_trouble(error))
    return NoAnswer(trouble, describe_error(error))
