"""A target on loopback that answers each request as the next of its behaviours says, and counts what it has sent."""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager
from socket import SO_LINGER, SOL_SOCKET
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    Behaviour = Callable[["Conversation"], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PIECE = b"x" * 65536


class Conversation:
    """One request of a client that is to be answered. When a behaviour returns, the connection is kept."""

    def __init__(self, target: HostileTarget, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._target = target
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Some bytes; raises `ConnectionError` when nobody reads them any more."""
        self._writer.write(data)
        await self._writer.drain()
        self._target.sent += len(data)

    async def repeat(self, data: bytes, pause: float | None = None) -> None:
        """The same bytes until nobody reads them any more."""
        while True:
            await self.send(data)
            await asyncio.sleep(0 if pause is None else pause)  # as slow targets are

    async def hang(self) -> None:
        """Nothing more, until the client ends the connection."""
        await self._reader.read()
        self.close()

    def close(self) -> None:
        """End the connection in good order."""
        self._writer.close()

    def reset(self) -> None:
        """End the connection without any order."""
        self._writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


class HostileTarget:
    """What a target has seen: `requests` that came whole, `connections`, and how many bytes it has `sent`."""

    def __init__(self, behaviours: Sequence[Behaviour], *, reads_bodies: bool) -> None:
        self.url = ""
        self.requests: list[bytes] = []
        self.connections = 0
        self.sent = 0
        self._behaviours = iter(behaviours)
        self._reads_bodies = reads_bodies
        self._talks: set[asyncio.Task[None] | None] = set()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        self._talks.add(asyncio.current_task())
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                [length] = [
                    int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
                ]
                self.requests.append(await reader.readexactly(length if self._reads_bodies else 0))
                behaviour = next(self._behaviours, answer_well)
                await behaviour(Conversation(self, reader, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort() if writer.transport.is_closing() else writer.close()

    async def close(self) -> None:
        """End all connections."""
        for talk in self._talks:
            if talk is not None:
                talk.cancel()
                await asyncio.wait([talk])
        await asyncio.sleep(0)  # in which transports say that they are closed


async def answer_well(conversation: Conversation) -> None:
    """200."""
    await conversation.send(OK)


@asynccontextmanager
async def hostile_target(*behaviours: Behaviour, reads_bodies: bool = True) -> AsyncIterator[HostileTarget]:
    """A target that behaves like this, request by request, and well after that."""
    target = HostileTarget(behaviours, reads_bodies=reads_bodies)
    server = await asyncio.start_server(target.talk, "127.0.0.1", 0)
    target.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/in"
    try:
        yield target
    finally:
        server.close()
        await target.close()
