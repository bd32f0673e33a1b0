"""The port of the table view: who connects at the same time is served, some at a time."""

from __future__ import annotations

import asyncio
import socket
from itertools import pairwise

import pytest
from aiohttp import web

from logrouter.http_server.server import ACCEPTED, app_runner, listen
from tests.conftest import HANG_SECONDS


def test_connections_that_come_together_are_accepted_a_few_in_a_pass():
    """Fifty wait when the port opens; none is turned away, and no pass of the loop has more than its share."""

    async def main():
        bound = socket.create_server(("127.0.0.1", 0), backlog=64)
        bound.setblocking(False)
        clients = [socket.create_connection(bound.getsockname()) for _ in range(50)]
        runner = app_runner(web.Application())
        await runner.setup()
        await listen(runner, bound)
        seen = [0]
        async with asyncio.timeout(HANG_SECONDS):
            while seen[-1] < len(clients):
                await asyncio.sleep(0)
                seen.append(len(runner.server.connections))
        for client in clients:
            client.close()
        await runner.cleanup()
        bound.close()
        return [later - earlier for earlier, later in pairwise(seen)]

    assert max(asyncio.run(main())) <= ACCEPTED + 1  # later versions of asyncio accept one more


@pytest.mark.parametrize("passes", range(8))
def test_a_connection_that_was_accepted_last_is_closed_with_the_others(passes):
    """However far its beginning has come when the server ends: whoever connected sees the end; no socket is left."""

    async def main():
        bound = socket.create_server(("127.0.0.1", 0))
        bound.setblocking(False)
        runner = app_runner(web.Application())
        await runner.setup()
        await listen(runner, bound)
        clients = [socket.create_connection(bound.getsockname()) for _ in range(5)]
        for _ in range(passes):
            await asyncio.sleep(0)
        await runner.cleanup()
        bound.close()
        return clients

    for client in asyncio.run(main()):
        with client:
            client.setblocking(False)
            assert has_ended(client)


def has_ended(client):
    """Whether the other side has closed a connection."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True
    except BlockingIOError:
        return False
