"""Drains whose targets fail on purpose: what is sent again, what is known of it, and what nobody is told."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from logrouter.core.drains.registration import DrainForm
from logrouter.core.framing.newline import frame_line
from logrouter.core.framing.octet_counting import frame_counted
from logrouter.drains.health import DrainHealth, LastFailure
from logrouter.drains.targets import open_drain
from logrouter.sinks.contract import DELIVERED, Refused, Trouble
from logrouter.sinks.lines.messages import render_line
from logrouter.sinks.pacing import PaceLimits
from tests.certificates import Authority
from tests.conftest import HANG_SECONDS
from tests.integration.drains.targets import connections_to, line, registration, wait_for
from tests.unit.sinks.loopback import OK, Names, serve, watched_connects

if TYPE_CHECKING:
    from logrouter.core.drains.line import Line
    from logrouter.drains.connections import DrainConnections
    from logrouter.sinks.delivery import Delivery

connects = pytest.fixture(watched_connects)
QUICK = PaceLimits(max_requests=1, first_pause=0.01, longest_pause=0.01)
FORMS = pytest.mark.parametrize("form", [DrainForm.LOGPLEX, DrainForm.NDJSON])
LINES = [line(number, "x") for number in range(3)]


def status(code: int) -> bytes:
    """An answer that repeats what it was sent."""
    return b"HTTP/1.1 %d Some words\r\nContent-Length: 15\r\n\r\nsecret: a line!" % code


def run(main: Any) -> None:
    """Run a coroutine, with a guard against hangs."""
    asyncio.run(asyncio.wait_for(main, HANG_SECONDS))


async def opened_drain(
    stack: AsyncExitStack, url: str, connections: DrainConnections, **options: Any
) -> tuple[Delivery[Line], DrainHealth]:
    """A delivery and what is known of its drain; both end with *stack*."""
    health = DrainHealth("1")
    stack.push_async_callback(connections.close)
    delivery = open_drain(registration(url, **options), connections, health, pace=QUICK)
    stack.push_async_callback(delivery.close)
    return delivery, health


@FORMS
def test_the_same_request_goes_again_until_it_is_taken(form):
    """After a server error, no answer in time, the end of the connection, and an answer that is too long to be read."""

    async def main() -> None:
        long = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
        answers = iter([status(500), None, b"", long, status(429)])
        async with AsyncExitStack() as stack:
            heard = await stack.enter_async_context(serve(lambda _head, _body: next(answers, OK)))
            url = f"http://127.0.0.1:{heard.port}/"
            delivery, health = await opened_drain(
                stack, url, connections_to(heard.port, timeout_seconds=0.3), form=form
            )
            assert await delivery.deliver(LINES) == [DELIVERED] * 3
            assert len(heard.bodies) == 6
            assert len(set(heard.bodies)) == 1
            ids = {text for head in heard.heads for text in head.split("\r\n") if text.startswith("Logplex-Frame-Id")}
            assert len(ids) == (form is DrainForm.LOGPLEX)
            assert (health.failures, health.retried) == (0, 15)
            assert health.last == LastFailure(Trouble.OVERLOADED, 429)

    run(main())


@pytest.mark.parametrize("framing", ["octet-counting", "newline"])
def test_a_batch_goes_again_on_a_new_connection_of_syslog(framing):
    """With the same ids: the target ends the first connection amid a batch that no kernel has room for."""
    lines = [line(number, "x" * 90_000) for number in range(100)]

    async def main() -> None:
        opened, received = 0, b""

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal opened, received
            opened += 1
            if opened == 1:
                await reader.readexactly(1)
                writer.transport.abort()
                return
            while data := await reader.read(65536):
                received += data
            writer.close()

        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(await asyncio.start_server(talk, "127.0.0.1", 0))
            port = server.sockets[0].getsockname()[1]
            delivery, _ = await opened_drain(stack, f"syslog://127.0.0.1:{port}", connections_to(port), framing=framing)
            assert await delivery.deliver(lines) == [DELIVERED] * 100
            await delivery.close()
            frame = {"newline": frame_line, "octet-counting": frame_counted}[framing]
            expected = b"".join(frame(render_line(each, 99_990)) for each in lines)
            await wait_for(lambda: len(received) >= len(expected))
            assert received == expected

    run(main())


@FORMS
def test_a_line_that_the_target_refuses_is_settled_alone(form):
    """Those before and behind it are delivered, in order; the target's words are not kept."""

    async def main() -> None:
        async with AsyncExitStack() as stack:
            refuse = lambda _head, body: status(422) if b"e-1" in body else OK  # noqa: E731
            heard = await stack.enter_async_context(serve(refuse))
            url = f"http://127.0.0.1:{heard.port}/"
            delivery, health = await opened_drain(stack, url, connections_to(heard.port), form=form)
            assert await delivery.deliver(LINES) == [DELIVERED, Refused(422), DELIVERED]
            assert health.failures == 0

    run(main())


@FORMS
def test_a_target_that_is_gone_is_told_from_one_that_fails(form):
    """By 410; it is not asked again for an hour, so that whoever owns the drain can end it."""

    async def main() -> None:
        async with AsyncExitStack() as stack:
            heard = await stack.enter_async_context(serve(status(410)))
            url = f"http://127.0.0.1:{heard.port}/"
            delivery, health = await opened_drain(stack, url, connections_to(heard.port), form=form)
            batch = asyncio.ensure_future(delivery.deliver(LINES))
            await wait_for(lambda: health.is_gone)
            assert delivery.why_waiting.startswith("drain 1: denied 410, for ")
            batch.cancel()
            await asyncio.wait([batch])
            assert len(heard.bodies) == 1

    run(main())


@FORMS
def test_a_url_goes_out_as_it_is_without_user_and_password(form):
    """These are basic authentication, and nowhere else; the query is not spelled in another way."""

    async def main() -> None:
        async with AsyncExitStack() as stack:
            heard = await stack.enter_async_context(serve())
            url = f"http://me:pa%40ss@127.0.0.1:{heard.port}/a%2fb/%7e?key=%2b+%41&x"
            delivery, _ = await opened_drain(stack, url, connections_to(heard.port), form=form)
            assert await delivery.deliver(LINES[:1]) == [DELIVERED]
            [head] = heard.heads
            assert head.startswith("POST /a%2fb/%7e?key=%2b+%41&x HTTP/1.1\r\n")
            assert "Authorization: Basic bWU6cGFAc3M=\r\n" in head
            assert "pa%40ss" not in head
            assert "pa@ss" not in head

    run(main())


@pytest.mark.parametrize("scheme", ["https", "syslog+tls"])
@pytest.mark.parametrize("wrong", ["another CA", "no CA", "another name"])
def test_nothing_is_sent_to_a_target_with_a_wrong_certificate(scheme, wrong, tmp_path):
    """Also when it is right but for one thing."""
    authority = Authority(tmp_path)
    authority.issue("receiver", ["192.0.2.1" if wrong == "another name" else "127.0.0.1"])
    ca = {"another CA": Authority(tmp_path, "other").file.read_text(), "no CA": ""}.get(wrong)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "receiver.pem", tmp_path / "receiver.key")

    async def main() -> None:
        async with AsyncExitStack() as stack:
            heard = await stack.enter_async_context(serve(tls=tls))
            url = f"{scheme}://127.0.0.1:{heard.port}"
            ca_text = authority.file.read_text() if ca is None else ca
            delivery, health = await opened_drain(stack, url, connections_to(heard.port), ca=ca_text)
            batch = asyncio.ensure_future(delivery.deliver(LINES))
            await wait_for(lambda: health.failures >= 2)
            batch.cancel()
            await asyncio.wait([batch])
            assert health.last == LastFailure(Trouble.TLS, 0)
            assert heard.heads == []

    run(main())


@pytest.mark.parametrize("scheme", ["syslog", "syslog+tls", "syslog+udp", "http", "https"])
def test_a_name_that_turns_to_loopback_is_not_connected_to(scheme, connects):
    """It was public when the drain was registered: the address is vetted at each connection, by the guard."""

    async def main() -> None:
        names = Names(rebind_example=[["8.8.8.8"], ["127.0.0.1"]])
        assert [each["host"] for each in await names.resolve("rebind.example")] == ["8.8.8.8"]
        async with AsyncExitStack() as stack:
            with socket.create_server(("127.0.0.1", 0)) as listening:
                port = listening.getsockname()[1]
                connections = connections_to(port, resolver=names, networks=())
                delivery, health = await opened_drain(stack, f"{scheme}://rebind.example:{port}", connections)
                batch = asyncio.ensure_future(delivery.deliver(LINES))
                await wait_for(lambda: health.failures >= 2)
                batch.cancel()
                await asyncio.wait([batch])
                assert health.last == LastFailure(Trouble.GUARDED, 0)
                assert len(names.asked) >= 3
                assert connects == []

    run(main())


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:{}/", "http://allowed.example:1/", "syslog://127.0.0.1:{}", "syslog+udp://169.254.169.254:{}"],
)
def test_where_no_drain_may_lead_is_not_connected_to(url, connects):
    """Addresses inside, and ports that are not allowed."""

    async def main() -> None:
        async with AsyncExitStack() as stack:
            connections = connections_to(5140, networks=(), resolver=Names(allowed_example=[["8.8.8.8"]]))
            delivery, health = await opened_drain(stack, url.format(5140), connections)
            batch = asyncio.ensure_future(delivery.deliver(LINES))
            await wait_for(lambda: health.failures >= 2)
            batch.cancel()
            await asyncio.wait([batch])
            assert health.last == LastFailure(Trouble.GUARDED, 0)
            assert connects == []

    run(main())
