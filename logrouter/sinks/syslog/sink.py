"""A sink that speaks syslog: what events become, and a client for the transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol

from logrouter.sinks.contract import Event_contra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logrouter.sinks.contract import Encoded, NoAnswer, Result
    from logrouter.sinks.syslog.protocol import AllTaken


class SyslogClient(Protocol):
    """What takes frames or datagrams to a target."""

    async def send(self, frames: Sequence[bytes]) -> AllTaken | NoAnswer:
        """All of them, in order."""
        ...

    async def close(self) -> None:
        """Close what is open; there will be nothing else."""
        ...


class SyslogMessages(Protocol[Event_contra]):
    """What events become. Pure."""

    @property
    def max_request_bytes(self) -> int:
        """The largest request that is made."""
        ...

    def encode(self, events: Sequence[Event_contra]) -> Encoded:
        """As `Sink.encode`; the request is a sequence of frames or datagrams."""
        ...

    def classify(self, answer: AllTaken, events: Sequence[Event_contra]) -> Sequence[Result]:
        """As `Sink.classify`."""
        ...


class SyslogSink(Generic[Event_contra]):
    """Any receiver of syslog. Whoever makes it closes it."""

    def __init__(self, protocol: SyslogMessages[Event_contra], client: SyslogClient) -> None:
        """*client* is for streams if *protocol* makes frames, else for datagrams."""
        self._protocol = protocol
        self.encode = protocol.encode
        self.classify = protocol.classify
        self.send = client.send
        self.close = client.close

    @property
    def max_request_bytes(self) -> int:
        """The largest request that is made; a receiver sees no requests."""
        return self._protocol.max_request_bytes
