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
        guard: TargetGuard | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        """With *tls* it is spoken with the target. A request may take *timeout_seconds*.

        There are *connections* at most, each with one request at a time; over several, order is not kept. *guard* and
        *resolver* are as for `sinks.sockets.connect_socket`.
        """
        self._place = place
        self._tls = tls
        self._timeout = timeout_seconds
        self._turns = asyncio.Semaphore(connections)
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
                opened = await self._open()
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
                if is_taken and not self._closed:
                    self._idle.append(connection)
                else:
                    connection.close()  # a frame may be cut: whatever followed would be a part of it
            return ALL_TAKEN

    def _take_idle(self) -> SyslogConnection | None:
        """A connection that the target has not ended."""
        while self._idle:
            connection = self._idle.pop()
            connection.take_in()
            if connection.end is None:
                return connection
            connection.close()
        return None

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
            self._idle.pop().close()


def _describe(error: OSError, trouble: Trouble) -> NoAnswer:
    if isinstance(error, ssl.SSLError):
        return NoAnswer(Trouble.TLS, describe_tls_trouble(error))
    return NoAnswer(trouble, describe_error(error))
