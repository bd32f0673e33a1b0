"""Connections of many drains: never more to one place than there may be, and everybody gets a turn."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from logrouter.core.drains.registration import DrainForm
from logrouter.drains.health import DrainHealth
from logrouter.drains.targets import open_drain
from logrouter.sinks.contract import DELIVERED
from logrouter.sinks.syslog import stream
from logrouter.sinks.syslog.connection import SyslogConnection
from tests.certificates import Authority
from tests.conftest import HANG_SECONDS
from tests.integration.drains.targets import connections_to, line, registration, wait_for
from tests.unit.sinks.loopback import OK, serve


def run(main: Any) -> None:
    """Run a coroutine, with a guard against hangs."""
    asyncio.run(asyncio.wait_for(main, HANG_SECONDS))


@pytest.mark.parametrize("form", [DrainForm.LOGPLEX, DrainForm.NDJSON])
def test_requests_to_one_host_wait_for_one_another(form):
    """Ten drains, of which three may ask at a time: the time that others take is not theirs."""

    async def main() -> None:
        now, most = 0, 0

        async def answer(_head: str, _body: bytes) -> bytes:
            nonlocal now, most
            now += 1
            most = max(most, now)
            for _ in range(20):
                await asyncio.sleep(0)
            now -= 1
            return OK

        async with AsyncExitStack() as stack:
            heard = await stack.enter_async_context(serve(answer))
            connections = connections_to(heard.port, connections=3)
            stack.push_async_callback(connections.close)
            url = f"http://127.0.0.1:{heard.port}/"
            healths = [DrainHealth(str(number)) for number in range(10)]
            drains = [open_drain(registration(url, form=form), connections, health) for health in healths]
            done = await asyncio.gather(*(drain.deliver([line(1, "x")]) for drain in drains))
            assert done == [[DELIVERED]] * 10
            assert most == 3
            assert heard.connections <= 3
            assert [health.last for health in healths] == [None] * 10

    run(main())


class Listener:
    """Takes messages of syslog."""

    def __init__(self) -> None:
        self.now = self.opened = 0
        self.received = b""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.now, self.opened = self.now + 1, self.opened + 1
        while data := await reader.read(65536):
            self.received += data
        self.now -= 1
        writer.close()

    async def listen(self, port: int = 0) -> tuple[asyncio.Server, int]:
        """A server, and its port."""
        server = await asyncio.start_server(self.talk, "127.0.0.1", port)
        return server, server.sockets[0].getsockname()[1]


class CountedConnection(SyslogConnection):
    """Counts those that are open on our side."""

    now = most = 0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        CountedConnection.now += 1
        CountedConnection.most = max(CountedConnection.most, CountedConnection.now)

    def close(self) -> None:
        CountedConnection.now -= self._socket.fileno() >= 0
        super().close()


def test_idle_connections_of_syslog_are_given_up_for_those_who_wait(monkeypatch):
    """Twelve drains to one place that takes two connections, again and again; nobody's lines are lost."""
    monkeypatch.setattr(stream, "SyslogConnection", CountedConnection)

    async def main() -> None:
        listener = Listener()
        server, port = await listener.listen()
        connections = connections_to(port, connections=2)
        url = f"syslog://127.0.0.1:{port}"
        drains = [open_drain(registration(url), connections, DrainHealth(str(number))) for number in range(12)]
        for turn in range(3):
            batches = [[line(turn * 12 + number, "x")] for number in range(12)]
            done = await asyncio.gather(*(drain.deliver(batch) for drain, batch in zip(drains, batches, strict=True)))
            assert done == [[DELIVERED]] * 12
        for drain in drains:
            await drain.close()
        assert (CountedConnection.now, CountedConnection.most) == (0, 2)
        await wait_for(lambda: all(b'id="e-%d\\"' % number in listener.received for number in range(36)))
        server.close()

    run(main())


def test_a_drain_that_is_alone_keeps_its_connection():
    """And gives its slot back when it is closed."""

    async def main() -> None:
        listener = Listener()
        server, port = await listener.listen()
        connections = connections_to(port, connections=1)
        for opened in (1, 2):
            drain = open_drain(registration(f"syslog://127.0.0.1:{port}"), connections, DrainHealth("1"))
            for number in range(3):
                assert await drain.deliver([line(number, "x")]) == [DELIVERED]
            await drain.close()
            await wait_for(lambda opened=opened: listener.opened >= opened and listener.now == 0)
            assert listener.opened == opened
        server.close()

    run(main())


def test_a_drain_whose_target_is_away_gives_its_slot_back():
    """Else the first failures would be the end of all drains to that place."""

    async def main() -> None:
        listener = Listener()
        server, port = await listener.listen()
        server.close()
        await server.wait_closed()
        connections = connections_to(port, connections=1)
        url, healths = f"syslog://127.0.0.1:{port}", [DrainHealth("1"), DrainHealth("2")]
        drains = [open_drain(registration(url), connections, health) for health in healths]
        batches = [asyncio.ensure_future(drain.deliver([line(1, "x")])) for drain in drains]
        await wait_for(lambda: all(health.failures for health in healths))
        server, _ = await listener.listen(port)
        assert await asyncio.gather(*batches) == [[DELIVERED]] * 2
        for drain in drains:
            await drain.close()
        server.close()

    run(main())


def test_drains_with_the_same_ca_share_one_context(tmp_path):
    """A context takes memory, and there may be thousands of drains; those of other CAs trust nobody else's."""
    one, other = (Authority(tmp_path, name).file.read_text() for name in ("one", "other"))
    connections = connections_to(443)
    contexts = [connections.trust(ca) for ca in (one, one, other, "", "")]

    assert contexts[0] is contexts[1]
    assert contexts[3] is contexts[4]
    assert len({*map(id, contexts)}) == 3
    assert [len(context.get_ca_certs()) for context in contexts[:3]] == [1, 1, 1]
    assert all(context.check_hostname for context in contexts)
