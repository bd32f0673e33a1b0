"""A sink that is one HTTP request per batch: a pure protocol and a client."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logrouter.model import RawRecord
    from logrouter.sinks.contract import Encoded, NoAnswer, Result
    from logrouter.sinks.http_client import HttpClient
    from logrouter.sinks.http_messages import HttpAnswer, HttpRequest


class HttpProtocol(Protocol):
    """What a target's documentation says, as pure functions."""

    @property
    def max_request_bytes(self) -> int:
        """The largest body that the target takes."""
        ...

    def encode(self, events: Sequence[RawRecord]) -> Encoded:
        """As `Sink.encode`; the request is an `HttpRequest`."""
        ...

    def authorise(self, request: HttpRequest, now: float) -> HttpRequest:
        """The request with whatever says that it is ours; *now* in epoch seconds, right before it is sent."""
        ...

    def classify(self, answer: HttpAnswer, events: Sequence[RawRecord]) -> Sequence[Result]:
        """As `Sink.classify`."""
        ...


class HttpSink:
    """Any target that speaks HTTP. Whoever makes it closes it."""

    def __init__(self, protocol: HttpProtocol, client: HttpClient, *, clock: Callable[[], float] = time.time) -> None:
        """*clock* gives epoch seconds."""
        self._protocol = protocol
        self._client = client
        self._clock = clock
        self.encode = protocol.encode
        self.classify = protocol.classify

    @property
    def max_request_bytes(self) -> int:
        """The largest body that the target takes."""
        return self._protocol.max_request_bytes

    async def send(self, request: HttpRequest) -> HttpAnswer | NoAnswer:
        """Send the request, signed just now."""
        return await self._client.send(self._protocol.authorise(request, self._clock()))

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()
