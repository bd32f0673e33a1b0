"""A sink that is one HTTP request per batch: a pure protocol and a client."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Generic, Protocol

from logrouter.sinks.contract import Event_contra, NoAnswer, Retry, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logrouter.sinks.contract import Encoded, Result
    from logrouter.sinks.http_messages import HttpAnswer, HttpRequest

_MAX_STEPS: Final = 10


class HttpProtocol(Protocol[Event_contra]):
    """What a target's documentation says, as pure functions."""

    @property
    def max_request_bytes(self) -> int:
        """The largest body that the target takes."""
        ...

    def encode(self, events: Sequence[Event_contra]) -> Encoded:
        """As `Sink.encode`; the request is an `HttpRequest`."""
        ...

    def authorise(self, request: HttpRequest, now: float) -> HttpRequest:
        """The request with whatever says that it is ours; *now* in epoch seconds, right before it is sent."""
        ...

    def classify(self, answer: HttpAnswer, events: Sequence[Event_contra]) -> Sequence[Result]:
        """As `Sink.classify`."""
        ...


class HttpPreparation(Protocol):
    """Requests that a target gets before its first batch, each by the answer to the one before. Pure."""

    def begin(self) -> HttpRequest:
        """The first one."""
        ...

    def go_on(self, request: HttpRequest, answer: HttpAnswer) -> HttpRequest | Retry | None:
        """What follows on an answer: another request, trouble that ends this try, or None if all is prepared."""
        ...


class HttpCarrier(Protocol):
    """What takes requests to a target: a client of its own, or one that others use as well."""

    async def send(self, request: HttpRequest) -> HttpAnswer | NoAnswer:
        """The answer, or why there is none, in bounded time and memory."""
        ...

    async def close(self) -> None:
        """Close what is open for this target alone; there will be no other request."""
        ...


class HttpSink(Generic[Event_contra]):
    """Any target that speaks HTTP. Whoever makes it closes it."""

    def __init__(
        self,
        protocol: HttpProtocol[Event_contra],
        client: HttpCarrier,
        *,
        preparation: HttpPreparation | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """No batch is sent before *preparation* has ended well, once for this sink; *clock* gives epoch seconds."""
        self._protocol = protocol
        self._client = client
        self._preparation = preparation
        self._preparing = asyncio.Lock()
        self._clock = clock
        self.encode = protocol.encode
        self.classify = protocol.classify

    @property
    def max_request_bytes(self) -> int:
        """The largest body that the target takes."""
        return self._protocol.max_request_bytes

    async def send(self, request: HttpRequest) -> HttpAnswer | NoAnswer:
        """Send the request, signed just now; what the target needs before it goes first."""
        if self._preparation is not None and (trouble := await self._prepare()) is not None:
            return trouble
        return await self._send_signed(request)

    async def _send_signed(self, request: HttpRequest) -> HttpAnswer | NoAnswer:
        return await self._client.send(self._protocol.authorise(request, self._clock()))

    async def _prepare(self) -> NoAnswer | None:
        """Prepare the target unless another request has just done it; why that was not possible."""
        async with self._preparing:
            preparation = self._preparation
            if preparation is None:
                return None
            request = preparation.begin()
            for _ in range(_MAX_STEPS):
                answer = await self._send_signed(request)
                if isinstance(answer, NoAnswer):
                    return answer
                step = preparation.go_on(request, answer)
                if step is None:
                    self._preparation = None
                    return None
                if isinstance(step, Retry):
                    return NoAnswer(step.trouble, f"{step.status} {step.detail}")
                request = step
        return NoAnswer(Trouble.NONSENSE, "its preparation does not end")

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()
