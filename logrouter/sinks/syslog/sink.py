"""A sink that speaks syslog: what events become, and a client for the transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logrouter.sinks.contract import NoAnswer
    from logrouter.sinks.syslog.protocol import AllTaken, SyslogProtocol


class SyslogClient(Protocol):
    """What takes frames or datagrams to a target."""

    async def send(self, frames: Sequence[bytes]) -> AllTaken | NoAnswer:
        """All of them, in order."""
        ...

    async def close(self) -> None:
        """Close what is open; there will be nothing else."""
        ...


class SyslogSink:
    """Any receiver of syslog. Whoever makes it closes it."""

    def __init__(self, protocol: SyslogProtocol, client: SyslogClient) -> None:
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
