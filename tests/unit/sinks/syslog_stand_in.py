"""Receivers of syslog for the suite of all sinks. They see no requests: what one was is seen where it is sent."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from logrouter.sinks.delivery import Delivery
from logrouter.sinks.pacing import PaceLimits
from logrouter.sinks.syslog.protocol import ALL_TAKEN
from tests.unit.sinks.syslog.receiver import parse, receive, receive_datagrams, split_counted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from logrouter.model import RawRecord
    from logrouter.sinks.contract import NoAnswer, Sink
    from logrouter.sinks.syslog.protocol import AllTaken
    from tests.unit.sinks.syslog.receiver import Received

SYSLOG = {
    "syslog": "syslog+tcp",
    "syslog newline": "syslog+tcp",
    "syslog udp": "syslog+udp",
}
"""The kinds, each with the scheme of its target."""


def options_of(kind: str, port: int) -> str:
    """What of topics.yaml makes a sink of this kind, whose target is at a port of loopback."""
    framing = ", framing: newline" if kind.endswith("newline") else ""
    return f"url: '{SYSLOG[kind]}://127.0.0.1:{port}'{framing}"


def messages_in(kind: str, stream: bytes) -> list[bytes]:
    """The messages of a stream."""
    return split_counted(stream) if kind == "syslog" else stream.removesuffix(b"\n").split(b"\n")


def marks_in(kind: str, frames: Sequence[bytes]) -> list[str]:
    """`meta.id` of each event in a request, "" for one that has none."""
    messages = frames if kind == "syslog udp" else messages_in(kind, b"".join(frames))
    return [parse(message).data.get("id", "") for message in messages]


class WatchedSink:
    """A sink that tells of its requests; each ends when the receiver has read it."""

    def __init__(self, kind: str, sink: Sink, received: Received) -> None:
        self.requests: list[list[str]] = []
        self._kind, self._sink, self._received = kind, sink, received
        self._sent = 0
        self.encode, self.classify, self.close = sink.encode, sink.classify, sink.close
        self.max_request_bytes = sink.max_request_bytes

    async def send(self, frames: Sequence[bytes]) -> AllTaken | NoAnswer:
        """Send, and wait until it has arrived."""
        answer = await self._sink.send(frames)
        if answer == ALL_TAKEN:
            self.requests.append(marks_in(self._kind, frames))
            self._sent += len(frames)
            await self._received.wait_for(self._sent)
        return answer


class SyslogWorld:
    """As `tests.unit.sinks.worlds.World`, for targets that judge nothing."""

    batches = True

    def __init__(self, kind: str, sink: Sink, received: Received) -> None:
        self._kind, self._received = kind, received
        self._watched = WatchedSink(kind, sink, received)
        self.sink: Any = self._watched
        self._forgotten = 0

    @property
    def requests(self) -> list[list[str]]:
        return self._watched.requests

    @property
    def taken(self) -> list[str]:
        messages = self._received.messages[self._forgotten :]
        return [parse(message).data.get("id", "") for message in messages]

    async def deliver(self, batch: Sequence[RawRecord]) -> list[object]:
        """What becomes of the events of *batch*, without pauses."""
        delivery = Delivery("it", self.sink, PaceLimits(max_requests=1, first_pause=0, longest_pause=0))
        async with asyncio.timeout(20):
            return list(await delivery.deliver(batch))

    def forget(self) -> None:
        """Begin anew, as if nothing had been sent."""
        self._watched.requests.clear()
        self._forgotten = len(self._received.messages)


@asynccontextmanager
async def receiver_of(kind: str) -> AsyncIterator[Received]:
    """A receiver for sinks of this kind."""
    if kind == "syslog udp":
        async with receive_datagrams() as received:
            yield received
    else:
        async with receive(split=lambda stream: messages_in(kind, stream)) as received:
            yield received
