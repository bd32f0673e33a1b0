"""The delivery contract, once for all sinks: batches go out until every event is delivered, refused or skipped.

Only what may be tried again is sent again; a request that is refused as a whole is halved until one event is alone, one
that there is no room for until it is taken; a target that is down is asked by one request at a time, with pauses that
double. Nothing is queued here: whoever calls `deliver` holds the events and waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from logrouter.sinks.contract import (
    DELIVERED,
    IN_OUR_WORDS,
    NoAnswer,
    Refused,
    RefusedBeside,
    RefusedTogether,
    Retry,
    Trouble,
)
from logrouter.sinks.pacing import Pace
from logrouter.sinks.sink_observer import RequestEnd, SinkObserver

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logrouter.sinks.contract import Encoded, Result, Settled, Sink, Skipped
    from logrouter.sinks.pacing import PaceLimits
    from logrouter.sinks.sink_observer import DeliveryObserver

_MAX_DETAIL: Final = 300

Item = TypeVar("Item")
"""What is delivered, an *event* for short: only the sink, and who admits it, know what is in it."""


class Delivery(Generic[Item]):
    """Delivers events to one target. Used in one event loop; several batches may be on their way at a time."""

    def __init__(
        self,
        name: str,
        sink: Sink[Item],
        limits: PaceLimits,
        *,
        give_up_seconds: float = math.inf,
        in_order: bool = False,
        admit: Callable[[Sequence[Item]], Sequence[Skipped | None]] | None = None,
        mask: Callable[[str], str] = str,
        observer: DeliveryObserver | None = None,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """*name* is the sink's in topics.yaml. An event that could not be sent for *give_up_seconds* is refused.

        With *in_order* no batch begins before the one that was handed in before it is over, with all of its attempts,
        and no part of one before the parts before it.
        *admit* says which events are not to be sent; it is asked once for each batch, in the order of the batches.
        *mask* makes of the target's words, which may repeat events, what may be shown. *observer* hears how it goes, by
        default what tells of a sink. *clock* gives seconds that never go back, *draw* numbers from 0 to 1.
        """
        self.name = name
        self._observer = observer or SinkObserver(name)
        self._sink = sink
        self._pace = Pace(limits, draw)
        self._give_up = give_up_seconds
        self._admit = admit
        self._is_ordered = in_order
        self._in_order = asyncio.Lock() if in_order else contextlib.nullcontext()
        self._mask = mask
        self._clock = clock
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._retired = False
        self._batches = 0
        self._failing_since: float | None = None
        self._why = ""

    @property
    def why_waiting(self) -> str:
        """In one line why the target takes nothing; empty while it does. May be asked in any thread."""
        since = self._failing_since
        return "" if since is None else f"{self._observer.subject}: {self._why}, for {self._clock() - since:.0f} s"

    def retire(self) -> None:
        """Begin no further request: batches on their way end after the one that they wait for."""
        self._retired = True
        self._changed.set()

    async def close(self) -> None:
        """Close the sink's connections; no batch is on its way."""
        await self._sink.close()

    async def deliver(self, events: Sequence[Item]) -> list[Settled | None]:
        """What became of each of *events*. None only after `retire`: the target may or may not have that event."""
        self._batches += 1
        try:
            async with self._in_order:
                return await self._deliver(events)
        except asyncio.CancelledError:
            if self._batches == 1 and not self._retired:
                self._forget_state()
            raise
        finally:
            self._batches -= 1

    async def _deliver(self, events: Sequence[Item]) -> list[Settled | None]:
        settled: list[Settled | None] = [None] * len(events)
        if self._admit is not None and not self._retired:
            settled[:] = self._admit(events)
        admitted = [index for index, skipped in enumerate(settled) if skipped is None]
        deadline = self._clock() + self._give_up
        parts: deque[Sequence[int]] = deque([admitted] if admitted else [])
        has_room = True
        while parts and not self._retired:
            part = parts.popleft()
            results = await self._attempt([events[index] for index in part])
            again, smaller, together, beside = [], [], [], []
            several = sum(isinstance(result, Retry) and result.in_halves for result in results) > 1
            for index, result in zip(part, results, strict=True):
                if isinstance(result, Retry):
                    in_time = self._clock() < deadline or self._retired  # another target may take it at once
                    if result.in_halves and several and (in_time or has_room):
                        smaller.append(index)  # else given up before anybody has tried it in a request that fits
                    elif in_time:
                        again.append(index)
                    else:
                        # Each try takes a pause: when the time is over, one alone shows that none gets through.
                        has_room = has_room and not result.in_halves
                        settled[index] = Refused(result.status, f"given up: {result.detail or result.trouble}")
                elif isinstance(result, RefusedTogether):
                    together.append((index, result))
                elif isinstance(result, RefusedBeside):
                    beside.append(index)
                else:
                    settled[index] = result
            has_room = has_room or DELIVERED in results
            if len(beside) == len(part):  # the one that is to blame is not among them: nobody knows, after all
                together = [
                    (index, RefusedTogether(0, "refused for another event, which was not named")) for index in part
                ]
            elif beside:
                parts.appendleft(beside)
            if len(together) == 1:
                [(index, alone)] = together
                settled[index] = Refused(alone.status, alone.detail)
            else:
                parts.extendleft(_halve([index for index, _ in together]))
            parts.extendleft(_halve(smaller))
            if again:
                # Where nobody reads them in order behind the others, which it may have nothing to do with.
                (parts.appendleft if self._is_ordered else parts.append)(again)
        return settled

    async def _attempt(self, events: Sequence[Item]) -> list[Result]:
        """One request with *events*, or none if there is nothing to send; a result for each."""
        encoded = self._encode(events)
        if encoded is None:
            return [RefusedTogether(0, "can't be encoded")] * len(events)
        sent = [event for event, settled in zip(events, encoded.settled, strict=True) if settled is None]
        if not sent:
            return [settled or DELIVERED for settled in encoded.settled]
        if encoded.size > self._sink.max_request_bytes:
            too_large = RefusedTogether(0, f"{encoded.size} bytes, more than the {self._sink.max_request_bytes} taken")
            return [too_large if settled is None else settled for settled in encoded.settled]
        results = iter(await self._request(encoded, sent))
        return [next(results) if settled is None else settled for settled in encoded.settled]

    def _encode(self, events: Sequence[Item]) -> Encoded | None:
        try:
            return self._sink.encode(events)
        except Exception as error:  # noqa: BLE001 - a bug of ours: one event must not hold up all others for ever
            self._observer.note_bug(error)
            return None

    async def _request(self, encoded: Encoded, sent: Sequence[Item]) -> Sequence[Result]:
        if not await self._wait_for_turn(len(sent)):
            return [Retry(Trouble.UNAVAILABLE)] * len(sent)
        started = self._clock()
        try:
            results = await self._exchange(encoded.request, sent)
        except BaseException:
            self._pace.cancel()
            self._changed.set()
            raise
        self._note(results, started)
        return results

    async def _exchange(self, request: Any, sent: Sequence[Item]) -> Sequence[Result]:
        """Send a request; a result for each of the events that are in it.

        A bug of ours in doing so is one more reason why nobody knows what the target has: it is said, and asked again.
        """
        try:
            answer = await self._sink.send(request)
            if isinstance(answer, NoAnswer):
                return [Retry(answer.trouble, detail=answer.detail)] * len(sent)
            results = self._sink.classify(answer, sent)
            if len(results) != len(sent):
                raise AssertionError(f"{len(results)} results for {len(sent)} events")  # noqa: TRY301 - as any other
        except (Exception, asyncio.CancelledError) as error:  # the process would end, and the next one the same way
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise
            self._observer.note_bug(error)
            return [Retry(Trouble.NONSENSE, detail=f"internal error: {type(error).__name__}")] * len(sent)
        return results

    async def _wait_for_turn(self, events: int) -> bool:
        """Wait until a request may go out; whether it may. First come, first served."""
        async with self._turn:
            while not self._retired:
                wait = self._pace.seconds_to_wait(self._clock())
                if wait <= 0:
                    self._pace.start(events, self._clock())
                    return True
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    # Not `wait_for`: Python 3.11's forgets that it was cancelled if what it waits for has just come.
                    async with asyncio.timeout(None if math.isinf(wait) else wait):
                        await self._changed.wait()
        return False

    def _note(self, results: Sequence[Result], started: float) -> None:
        """Take what a request has shown of the target into account, and let others go on."""
        now = self._clock()
        retries = [result for result in results if isinstance(result, Retry)]
        worst = max(retries, key=lambda result: result.after_seconds or 0.0, default=None)
        if worst is None:
            self._pace.succeed()
        else:
            self._pace.fail(worst.trouble, started, now, worst.after_seconds)
        trouble = None if worst is None else worst.trouble
        self._observer.note_request(RequestEnd(trouble, len(retries), now - started, self._pace.limit))
        if worst is not None and len(retries) == len(results):
            self._mark_down(worst, now)
        else:
            self._failing_since = None
            self._observer.note_success(now)
        self._changed.set()

    def _mark_down(self, cause: Retry, now: float) -> None:
        status = f" {cause.status}" if cause.status else ""
        detail = cause.detail if cause.trouble in IN_OUR_WORDS else self._mask(cause.detail)
        self._why = f"{cause.trouble}{status}{': ' if detail else ''}{detail}"[:_MAX_DETAIL]
        if self._failing_since is None:
            self._failing_since = now
        self._observer.note_failure(replace(cause, detail=detail), now)

    def _forget_state(self) -> None:
        """Nobody waits for the target any more, so nobody asks it, and what is known of it grows old."""
        if self._failing_since is not None:
            self._failing_since = None
            self._observer.forget()


def _halve(indexes: Sequence[int]) -> list[Sequence[int]]:
    """Both halves of what is not empty, the second one first."""
    middle = len(indexes) // 2
    return [half for half in (indexes[middle:], indexes[:middle]) if half]


def _is_cancelled() -> bool:
    """Whether somebody has cancelled the present task, and not something that it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
