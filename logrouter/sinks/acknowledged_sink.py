"""A sink whose target first takes a request and later says that its events are stored: each is asked for until then."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Protocol

from logrouter.model import RawRecord
from logrouter.sinks.contract import NoAnswer, Retry, Trouble
from logrouter.sinks.http_sink import HttpProtocol, HttpSink

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from logrouter.sinks.http_client import HttpClient
    from logrouter.sinks.http_messages import HttpAnswer, HttpRequest

_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 4.0


class AcknowledgingProtocol(HttpProtocol[RawRecord], Protocol):
    """An `HttpProtocol` with receipts."""

    def read_receipt(self, answer: HttpAnswer) -> int | None:
        """The receipt in an answer that has taken a request; None if it has none, which `classify` judges."""
        ...

    def ask(self, receipt: int) -> HttpRequest:
        """A request that asks whether the events behind a receipt are stored."""
        ...

    def is_acknowledged(self, answer: HttpAnswer, receipt: int) -> bool:
        """Whether an answer to `ask` says that they are."""
        ...

    def refuse_acknowledgement(self, answer: HttpAnswer) -> Retry | None:
        """What an answer to `ask` says against asking at all; None if nothing."""
        ...


class AcknowledgementOffer:
    """Asks a target whether it acknowledges at all, as an `HttpPreparation`.

    One that takes requests and never acknowledges would get all of them again and again.
    """

    def __init__(self, protocol: AcknowledgingProtocol) -> None:
        self._protocol = protocol

    def begin(self) -> HttpRequest:
        """A question about some receipt."""
        return self._protocol.ask(0)

    def go_on(self, request: HttpRequest, answer: HttpAnswer) -> Retry | None:  # noqa: ARG002 - of the protocol
        """What the answer says against it."""
        return self._protocol.refuse_acknowledgement(answer)


class AcknowledgedSink(HttpSink[RawRecord]):
    """As `HttpSink`, but a request ends only when its events are acknowledged."""

    def __init__(
        self,
        protocol: AcknowledgingProtocol,
        client: HttpClient,
        *,
        patience_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Events that are not acknowledged for *patience_seconds* count as not delivered. *clock* never goes back."""
        super().__init__(protocol, client, preparation=AcknowledgementOffer(protocol))
        self._receipts = protocol
        self._patience = patience_seconds
        self._monotonic = clock
        self._sleep = sleep

    async def send(self, request: HttpRequest) -> HttpAnswer | NoAnswer:
        """The answer to a request whose events are stored, or to one that was not taken."""
        answer = await super().send(request)
        if isinstance(answer, NoAnswer) or not 200 <= answer.status < 300:
            return answer
        receipt = self._receipts.read_receipt(answer)
        if receipt is None or await self._await_acknowledgement(receipt):
            return answer
        return NoAnswer(Trouble.TIMEOUT, f"taken, but not acknowledged within {self._patience:g} s")

    async def _await_acknowledgement(self, receipt: int) -> bool:
        """Whether it comes in time. Answers that are missing or say something else are asked for again."""
        until = self._monotonic() + self._patience
        pause = _FIRST_PAUSE
        while (left := until - self._monotonic()) > 0:
            await self._sleep(min(pause, left))
            pause = min(pause * 2, _LONGEST_PAUSE)
            found = await self._send_signed(self._receipts.ask(receipt))
            if not isinstance(found, NoAnswer) and self._receipts.is_acknowledged(found, receipt):
                return True
        return False
