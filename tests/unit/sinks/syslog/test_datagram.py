"""Messages over UDP: one in each datagram, and what is heard of a receiver that is not there."""

from __future__ import annotations

import asyncio
import socket

import pytest

from logrouter.sinks.contract import NoAnswer, Trouble
from logrouter.sinks.sockets import TargetPlace
from logrouter.sinks.syslog.datagram import DatagramClient
from logrouter.sinks.syslog.protocol import ALL_TAKEN
from logrouter.sinks.target_guard import TargetGuard, parse_networks
from tests.unit.sinks.loopback import Names
from tests.unit.sinks.syslog.receiver import receive_datagrams

UDP = "syslog+udp"


def run(coroutine):
    """Its result, in bounded time."""

    async def bounded():
        async with asyncio.timeout(30):
            return await coroutine

    return asyncio.run(bounded())


@pytest.fixture
def bound():
    """A socket that receives when a test asks it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(20)
        yield made


def test_a_datagram_for_each_message():
    """In one batch after the other."""

    async def go():
        async with receive_datagrams() as received:
            client = DatagramClient(TargetPlace(UDP, "127.0.0.1", received.port))
            assert await client.send([b"one", b"two\n"]) == ALL_TAKEN
            assert await client.send([b"x" * 65_507]) == ALL_TAKEN
            assert await received.wait_for(3) == [b"one", b"two\n", b"x" * 65_507]
            await client.close()

    run(go())


def test_nobody_listens(bound):
    """The host says so; when somebody does, all is well again."""
    port = bound.getsockname()[1]
    bound.close()

    async def go():
        client = DatagramClient(TargetPlace(UDP, "127.0.0.1", port))
        down = [await client.send([b"one"]), await client.send([b"one", b"two"])]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back:
            back.bind(("127.0.0.1", port))
            up = await client.send([b"three"])
            back.settimeout(20)
            got = back.recv(100)
        await client.close()
        return down, up, got

    assert run(go()) == ([NoAnswer(Trouble.CONNECT, "[Errno 111] Connection refused")] * 2, ALL_TAKEN, b"three")


def test_the_next_address_of_a_name_gets_them_if_the_first_refuses(bound):
    """As `localhost`, which may be `::1` first: to connect says nothing of whether somebody listens."""
    port = bound.getsockname()[1]
    names = Names(target_example=[["127.0.0.2", "127.0.0.1"]])

    async def go():
        client = DatagramClient(TargetPlace(UDP, "target.example", port), resolver=names)
        answers = [await client.send([b"one"]), await client.send([b"one"]), await client.send([b"two"])]
        # It listened, so that it is away for a while only, and nobody knows what the others do with what they get.
        client._socket.shutdown(socket.SHUT_WR)
        answers += [await client.send([b"three"]), await client.send([b"three"])]
        await client.close()
        return answers

    answers = run(go())
    assert [getattr(each, "trouble", each) for each in answers] == [
        Trouble.CONNECT, ALL_TAKEN, ALL_TAKEN, Trouble.CONNECT, ALL_TAKEN
    ]  # fmt: skip
    assert [bound.recv(100) for _ in range(3)] == [b"one", b"two", b"three"]


def test_a_refusal_that_comes_late_is_heard_before_the_next_batch(bound):
    """Which is not sent to nobody."""
    port = bound.getsockname()[1]

    async def go():
        client = DatagramClient(TargetPlace(UDP, "127.0.0.1", port))
        assert await client.send([b"one"]) == ALL_TAKEN
        assert bound.recv(100) == b"one"
        bound.close()
        client._socket.send(b"on its way")
        answer = await client.send([b"two"])
        await client.close()
        return answer

    assert run(go()) == NoAnswer(Trouble.CONNECT, "[Errno 111] Connection refused")


def test_a_name_is_looked_up_and_vetted_anew_after_a_while(bound):
    """As there is no connection whose end would show that it leads elsewhere."""
    port = bound.getsockname()[1]
    guard = TargetGuard(parse_networks(["127.0.0.0/8"]), frozenset({UDP}), frozenset({port}))
    names = Names(target_example=[["127.0.0.1"], ["10.0.0.1"]])
    now = [100.0]

    async def go():
        place = TargetPlace(UDP, "target.example", port)
        client = DatagramClient(place, guard=guard, resolver=names, clock=lambda: now[0])
        found = [await client.send([b"one"])]
        now[0] += 59
        found.append(await client.send([b"two"]))
        now[0] += 2
        found.append(await client.send([b"three"]))
        await client.close()
        return found

    refused = NoAnswer(Trouble.GUARDED, "target.example is 10.0.0.1, which may not be connected to: private")
    assert run(go()) == [ALL_TAKEN, ALL_TAKEN, refused]
    assert names.asked == ["target.example"] * 2


def test_what_is_closed_sends_nothing(bound):
    """It opens no socket that nobody would close."""

    async def go():
        client = DatagramClient(TargetPlace(UDP, "127.0.0.1", bound.getsockname()[1]))
        await client.close()
        return await client.send([b"one"])

    assert run(go()) == NoAnswer(Trouble.BROKEN, "closed")
