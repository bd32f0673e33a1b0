"""Clients that drop their connection, at any point and by any means, are no event: no traceback, no line of a log."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager

import pytest

from logrouter.access.policy import OPEN
from logrouter.http_server import server
from logrouter.http_server.credentials import TlsFiles
from logrouter.query.memory import MemoryReader
from logrouter.web import app, large_body
from tests.certificates import certificate
from tests.conftest import HANG_SECONDS

HELLO = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03"
"""The beginning of a handshake."""
LARGE = b"GET /v1/clients/client-1/series?window=24h&step=minute&by=api HTTP/1.1\r\nHost: localhost\r\n\r\n"


def reset(connection):
    """Close a connection so that the worker gets a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def leave(connection):
    """Close a connection as a process that ends does."""
    connection.close()


def half_close(connection):
    """Say that no more comes, and then go."""
    connection.shutdown(socket.SHUT_WR)
    connection.close()


@pytest.fixture
def tls(tmp_path):
    """The TLS of the worker and that of a client which trusts it."""
    certificate(tmp_path, "worker")
    files = TlsFiles(tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "cert.pem")
    return files.server(), files.client()


@asynccontextmanager
async def serving(tables, now, context=None):
    """A worker on a port of its own, and what its event loop complains of."""
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    reader = MemoryReader(tables, mine=frozenset(range(6)))
    runner = await server.start(app.build_app(reader, clock=lambda: now, access=OPEN), "127.0.0.1", 0, tls=context)
    try:
        yield runner.addresses[0], complaints
    finally:
        await runner.cleanup()


def talk(address, sent, end, context=None, read=0):
    """Connect, send, read some, and drop the connection."""
    connection = socket.create_connection(address)
    if context is not None:
        connection = context.wrap_socket(connection, server_hostname="127.0.0.1")
    connection.sendall(sent)
    if read:
        assert connection.recv(read)
    end(connection)


async def still_serves(address, context):
    """A whole request is answered."""
    reader, writer = await asyncio.open_connection(*address, ssl=context)
    writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()


@pytest.mark.parametrize("end", [reset, leave, half_close])
@pytest.mark.parametrize(
    ("sent", "read"),
    [(b"", 0), (b"GET /v1/cl", 0), (LARGE[:-2], 0), (LARGE, 0), (LARGE, 100), (LARGE * 9, 100), (HELLO, 0)],
    ids=["nothing", "line", "headers", "request", "answer", "pipeline", "tls"],
)
def test_over_plain_http(tables, now, caplog, capfd, end, sent, read):
    """Before, within and after a request, and in the middle of an answer."""

    async def main():
        async with serving(tables, now) as (address, complaints):
            for _ in range(3):
                await asyncio.to_thread(talk, address, sent, end, None, read)
            await still_serves(address, None)
        return complaints

    assert asyncio.run(main(), debug=False) == []
    assert (caplog.records, capfd.readouterr()) == ([], ("", ""))


@pytest.mark.parametrize("end", [reset, leave, half_close])
@pytest.mark.parametrize(
    ("sent", "within", "read"),
    [(HELLO, False, 0), (b"", False, 0), (LARGE, False, 0), (b"", True, 0), (LARGE[:-2], True, 0), (LARGE, True, 100)],
    ids=["half a handshake", "no handshake", "plain text", "nothing", "headers", "answer"],
)
def test_over_tls(tables, now, tls, caplog, capfd, end, sent, within, read):
    """A handshake that is never finished, bytes that are none, and an end without a farewell."""
    ours, theirs = tls

    async def main():
        async with serving(tables, now, ours) as (address, complaints):
            for _ in range(3):
                await asyncio.to_thread(talk, address, sent, end, theirs if within else None, read)
            await still_serves(address, theirs)
        return complaints

    assert asyncio.run(main(), debug=False) == []
    assert (caplog.records, capfd.readouterr()) == ([], ("", ""))


def test_an_answer_to_nobody_ends(tables, now, tls, caplog):
    """Twenty clients ask for much and reset while it is written to them."""
    ours, theirs = tls

    async def main():
        async with serving(tables, now, ours) as (address, complaints):
            await asyncio.gather(*(asyncio.to_thread(talk, address, LARGE * 5, reset, theirs, 1) for _ in range(20)))
            await still_serves(address, theirs)
        return complaints

    assert asyncio.run(main()) == []
    assert caplog.records == []


def test_a_large_answer_that_nobody_takes_is_given_up(tables, now, monkeypatch, caplog):
    """A client that asks and does not read is cut off, and what was to be sent to it is dropped; nothing is said."""
    monkeypatch.setattr(large_body, "TAKEN_SECONDS", 0.2)
    monkeypatch.setattr(large_body, "PIECE", 1000)
    cut_off, ended, write = [], asyncio.Event(), large_body.BodyPieces.write_with_length

    async def noted(body, writer, length):
        try:
            await write(body, writer, length)
        except ConnectionResetError:
            cut_off.append(writer.transport.is_closing())
            ended.set()
            raise

    monkeypatch.setattr(large_body.BodyPieces, "write_with_length", noted)

    async def main():
        async with serving(tables, now) as (address, complaints):
            connection = socket.create_connection(address)
            connection.setblocking(False)
            # So many that no socket has room for all the answers.
            await asyncio.get_running_loop().sock_sendall(connection, LARGE * 60)
            async with asyncio.timeout(HANG_SECONDS):
                await ended.wait()
            connection.close()
            await still_serves(address, None)
        return complaints

    assert asyncio.run(main()) == []
    assert (cut_off, caplog.records) == ([True], [])
