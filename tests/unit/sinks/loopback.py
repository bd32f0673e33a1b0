"""Servers on loopback that answer as told, names that lead where a test says, and what is connected to."""

from __future__ import annotations

import asyncio
import inspect
import socket
import ssl
import sys
import threading
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

from aiohttp.abc import AbstractResolver, ResolveResult

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
OK_AND_CLOSE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

_watching: list[list[tuple[object, ...]]] = []
_hooked: list[bool] = []


def _watch_connects(event: str, args: tuple[object, ...]) -> None:
    if event == "socket.connect" and _watching:
        address = args[1]
        _watching[-1].append(address)
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1"):
            raise AssertionError(f"a test connects to {address}")


def watched_connects() -> Iterator[list[tuple[object, ...]]]:
    """For a fixture: all addresses that this process connects to. None but loopback is let through."""
    if not _hooked:
        sys.addaudithook(_watch_connects)  # hooks stay for as long as the process lives
        _hooked.append(True)
    _watching.append([])
    yield _watching[-1]
    _watching.pop()


class Names(AbstractResolver):
    """Answers each question about a name with the next of its answers, and the last one again and again."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        """*answers* by name, with `_` for its dots: lists of addresses."""
        self._answers = {name.replace("_", "."): [*lists] for name, lists in answers.items()}
        self.asked: list[str] = []
        self._changed = asyncio.Condition()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The next answer."""
        async with self._changed:
            self.asked.append(host)
            self._changed.notify_all()
        lists = self._answers[host]
        addresses = lists.pop(0) if len(lists) > 1 else lists[0]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in addresses
        ]

    async def wait_for_questions(self, number: int) -> None:
        """Wait until so many questions were asked."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.asked) >= number)

    async def close(self) -> None:
        """Nothing is open."""


class Heard:
    """What a server was told: heads of requests, their bodies, names of TLS handshakes; and how many *connections*."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.names: list[str | None] = []


@asynccontextmanager
async def serve(
    answer: bytes | Callable[[str, bytes], bytes | Awaitable[bytes] | None] = OK, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Heard]:
    """A server on 127.0.0.1 that answers with these bytes, or with what a function of head and body gives.

    None means no answer at all: the connection stays open. No bytes end it.
    """
    heard = Heard()
    if tls is not None:
        tls.sni_callback = lambda _object, name, _context: heard.names.append(name)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = [
                    line.split(":")[1] for line in head.lower().split("\r\n") if line.startswith("content-length:")
                ]
                body = await reader.readexactly(int(length[0]) if length else 0)
                heard.heads.append(head)
                heard.bodies.append(body)
                reply = answer if isinstance(answer, bytes) else answer(head, body)
                reply = await reply if inspect.isawaitable(reply) else reply
                if reply is not None:
                    writer.write(reply)
                    await writer.drain()
                if reply is not None and (not reply or b"connection: close" in reply.lower()):
                    break
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls)
    heard.port = server.sockets[0].getsockname()[1]
    try:
        yield heard
    finally:
        server.close()


@contextmanager
def refusing(tls: ssl.SSLContext) -> Iterator[int]:
    """The port of a server on 127.0.0.1 that only shakes hands, and says by an alert why it won't.

    In a thread, since asyncio's servers end a connection without the alert.
    """
    listening = socket.create_server(("127.0.0.1", 0))

    def shake() -> None:
        with suppress(OSError):
            while True:
                accepted, _ = listening.accept()
                with (
                    accepted,
                    suppress(OSError),
                    tls.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) as it,
                ):
                    try:
                        it.do_handshake()
                    except ssl.SSLError:
                        while socket.socket.recv(it, 4096):  # whoever closes first loses what is on its way
                            pass

    thread = threading.Thread(target=shake)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
