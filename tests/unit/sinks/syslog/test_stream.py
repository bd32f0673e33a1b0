"""Frames over real connections: when they count as taken, and what is noticed of connections that end."""

from __future__ import annotations

import asyncio

from logrouter.core.framing.octet_counting import frame_counted
from logrouter.sinks.sockets import TargetPlace
from logrouter.sinks.syslog.protocol import ALL_TAKEN
from logrouter.sinks.syslog.stream import StreamClient
from tests.unit.sinks.syslog.receiver import receive


def place(port, host="127.0.0.1", scheme="syslog+tcp"):
    """A port of loopback."""
    return TargetPlace(scheme, host, port)


def frames(*texts):
    """Frames with these messages."""
    return [frame_counted(text) for text in texts]


def test_batches_arrive_in_order_on_one_connection():
    """Which stays open."""

    async def run():
        async with receive() as received:
            client = StreamClient(place(received.port))
            assert await client.send(frames(b"one", b"two")) == ALL_TAKEN
            assert await client.send(frames(b"three")) == ALL_TAKEN
            assert await received.wait_for(3) == [b"one", b"two", b"three"]
            assert len(received.streams) == 1
            await client.close()

    asyncio.run(run())
