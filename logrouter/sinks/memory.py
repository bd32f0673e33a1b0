"""A sink in memory: what it was given, and answers as told. For tests of all that uses sinks."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from logrouter.sinks.contract import DELIVERED, Encoded, NoAnswer, Skipped, SkipReason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from logrouter.model import RawRecord
    from logrouter.sinks.contract import Result


class MemorySink:
    """Keeps the values of the events that it has taken, in *taken*.

    *answers* are used up one by one: a `NoAnswer`, or results for the events of the request. Without further ones all
    events are taken. With *permits*, each request waits for one of them.
    """

    def __init__(
        self,
        answers: Iterable[NoAnswer | Sequence[Result]] = (),
        *,
        max_request_bytes: int = 1 << 20,
        permits: asyncio.Semaphore | None = None,
    ) -> None:
        self.max_request_bytes = max_request_bytes
        self.answers = deque(answers)
        self.taken: list[bytes] = []
        self.requests: list[list[bytes]] = []
        self._permits = permits
        self._requested = asyncio.Condition()
        self.is_closed = False

    def encode(self, events: Sequence[RawRecord]) -> Encoded:
        """The values, without records that have none."""
        values = [event.value for event in events if event.value is not None]
        settled = [Skipped(SkipReason.TOMBSTONE) if event.value is None else None for event in events]
        return Encoded(values, sum(map(len, values)), settled)

    async def send(self, request: list[bytes]) -> NoAnswer | tuple[list[bytes], Sequence[Result] | None]:
        """Take the values, unless the next answer is another."""
        async with self._requested:
            self.requests.append(request)
            self._requested.notify_all()
        if self._permits is not None:
            await self._permits.acquire()
        answer = self.answers.popleft() if self.answers else None
        return answer if isinstance(answer, NoAnswer) else (request, answer)

    async def wait_for_requests(self, number: int) -> None:
        """Wait until so many requests have been made."""
        async with self._requested:
            await self._requested.wait_for(lambda: len(self.requests) >= number)

    def classify(
        self, answer: tuple[list[bytes], Sequence[Result] | None], events: Sequence[RawRecord]
    ) -> Sequence[Result]:
        """The results that were told, or that all are taken."""
        request, told = answer
        results: Sequence[Result] = [DELIVERED] * len(events) if told is None else told
        self.taken += [value for value, result in zip(request, results, strict=True) if result == DELIVERED]
        return results

    async def close(self) -> None:
        """Nothing is open."""
        self.is_closed = True
