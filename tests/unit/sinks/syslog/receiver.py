"""Receivers of syslog on loopback, and a parser of RFC 5424 that shares nothing with what renders it."""

from __future__ import annotations

import asyncio
import re
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable

_VALUE = r'"(?:[^"\\\]]|\\.)*"'
_MESSAGE = re.compile(
    r"<(\d{1,3})>1 (\S+) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) "
    rf"(-|(?:\[[^ =\]\"]+(?: [^ =\]\"]+={_VALUE})*\])+)(?: (.*))?",
    re.DOTALL,
)
_PARAM = re.compile(rf" ([^ =\]\"]+)=({_VALUE})", re.DOTALL)


class Parsed(NamedTuple):
    """A message; *data* are the parameters of its structured data."""

    facility: int
    severity: int
    timestamp: str
    host: str
    app_name: str
    procid: str
    msgid: str
    sd_id: str
    data: dict[str, str]
    text: str


def parse(message: bytes) -> Parsed:
    """A message of RFC 5424 with at most one element of structured data."""
    found = _MESSAGE.fullmatch(message.decode())
    assert found, message
    pri, timestamp, host, app_name, procid, msgid, data, text = found.groups()
    values = {name: re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.DOTALL) for name, value in _PARAM.findall(data)}
    sd_id = "" if data == "-" else data[1:].split(" ")[0].rstrip("]")
    facility, severity = divmod(int(pri), 8)
    return Parsed(facility, severity, timestamp, host, app_name, procid, msgid, sd_id, values, text or "")


def split_counted(stream: bytes) -> list[bytes]:
    """The messages of a stream with octet counting; a frame that is cut at the end is left out."""
    found = []
    while stream:
        head, space, rest = stream.partition(b" ")
        if not space or len(rest) < int(head):
            break
        found.append(rest[: int(head)])
        stream = rest[int(head) :]
    return found


class Received:
    """What a receiver has read: the bytes of each connection, or datagrams."""

    def __init__(self, split: Callable[[bytes], list[bytes]] = split_counted) -> None:
        self._split = split
        self.port = 0
        self.streams: list[bytearray] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.is_reading = asyncio.Event()
        self.is_reading.set()
        self.datagrams: list[bytes] = []
        self._changed = asyncio.Condition()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        stream = bytearray()
        self.streams.append(stream)
        self.writers.append(writer)
        await self._tell()
        try:
            while data := await reader.read(65536):
                stream += data
                await self._tell()
                await self.is_reading.wait()
        except OSError:
            pass
        finally:
            writer.close()
            await self._tell()

    async def take_datagrams(self, bound: socket.socket) -> None:
        """All that come, one by one."""
        while True:
            self.datagrams.append(await asyncio.get_running_loop().sock_recv(bound, 65536))
            await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    @property
    def messages(self) -> list[bytes]:
        """All whole frames, connection by connection."""
        return self.datagrams or [
            message for stream in self.streams if stream for message in self._split(bytes(stream))
        ]

    async def wait_for(self, number: int) -> list[bytes]:
        """All messages, as soon as there are so many."""
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: len(self.messages) >= number)
            return self.messages


@asynccontextmanager
async def receive(
    tls: ssl.SSLContext | None = None, port: int = 0, split: Callable[[bytes], list[bytes]] = split_counted
) -> AsyncIterator[Received]:
    """A receiver on 127.0.0.1, which is gone after the block; *split* gives the messages of a stream."""
    received = Received(split)
    server = await asyncio.start_server(received.take, "127.0.0.1", port, ssl=tls)
    received.port = server.sockets[0].getsockname()[1]
    try:
        yield received
    finally:
        server.close()
        for writer in received.writers:
            writer.close()


@asynccontextmanager
async def receive_datagrams() -> AsyncIterator[Received]:
    """A receiver of datagrams on 127.0.0.1, which is gone after the block."""
    received = Received()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        bound.bind(("127.0.0.1", 0))
        received.port = bound.getsockname()[1]
        taking = asyncio.create_task(received.take_datagrams(bound))
        try:
            yield received
        finally:
            taking.cancel()
            await asyncio.wait([taking])
