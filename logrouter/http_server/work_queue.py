"""Who computes when: a bounded number of jobs at a time, callers in turn, and one slice of a job per pass of the loop.

The event loop folds, answers probes and keeps the worker in its group; computing an answer would hold it for as long as
the answer takes. So a job computes for a slice and then waits for its next turn, while other jobs have theirs.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from contextlib import asynccontextmanager
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator

T = TypeVar("T")


class BusyError(Exception):
    """The queue is full, or the caller's part of it."""


class Gate:
    """Lets at most *at_once* pass in each pass of the event loop, first come, first served.

    Requests that arrive together on many connections are all ready in the same pass, and each costs some tenths of a
    millisecond before anything is computed for it, or it is refused.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._passed = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        """Wait for a pass of the loop with room."""
        if self._passed >= self._at_once:
            room = asyncio.get_running_loop().create_future()
            self._waiting.append(room)
            await room
            return
        if not self._passed:
            asyncio.get_running_loop().call_soon(self._next_pass)
        self._passed += 1

    def _next_pass(self) -> None:
        self._passed = 0
        while self._waiting and self._passed < self._at_once:
            room = self._waiting.popleft()
            if not room.done():
                room.set_result(None)
                self._passed += 1
        if self._passed:
            asyncio.get_running_loop().call_soon(self._next_pass)


class Turns:
    """Hands out turns of *seconds* each, first come, first served, and at most one in a pass of the event loop.

    Both kinds of jobs, lists and questions about one client or API, take theirs from the same object.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = perf_counter) -> None:
        self._seconds = seconds
        self._clock = clock
        self._taken = False
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._until = 0.0

    async def take(self) -> None:
        """Wait for a turn. Who has one computes until it is `over` and then gives it back."""
        if self._taken:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.give()  # it had just been handed over
                raise
        self._taken = True
        self._until = self._clock() + self._seconds

    def give(self) -> None:
        """Give the turn back. The next one begins in the next pass of the loop, even if somebody waits for it now."""
        asyncio.get_running_loop().call_soon(self._hand_over)

    def over(self) -> bool:
        """Whether the turn that is taken has lasted long enough."""
        return self._clock() >= self._until

    def _hand_over(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._taken = False


class Job:
    """One job that has a place: it holds a turn whenever it computes. Made by `WorkQueue.acquire`."""

    __slots__ = ("_turns", "computes")

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.computes = True
        """Whether it has a turn now: false only while it waits in `pause`."""

    def over(self) -> bool:
        """Whether it is time to `pause`."""
        return self._turns.over()

    async def pause(self) -> None:
        """Let others go on, and wait for the next turn."""
        self.computes = False
        self._turns.give()
        await self._turns.take()
        self.computes = True

    async def run(self, steps: Generator[None, None, T]) -> T:
        """Do all *steps*, with pauses between them where they are due, and return their result."""
        while True:
            try:
                next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            if self._turns.over():
                await self.pause()


class Places:
    """At most *running* things at the same time, *each* of one caller; *each_waiting* of one wait, *waiting* of all.

    Callers get free places in turn, whoever has how many things waiting.
    """

    def __init__(self, running: int, waiting: int, *, each: int, each_waiting: int) -> None:
        self._free = running
        self._room = waiting
        self._each = each
        self._each_room = each_waiting
        self._running = Counter[str]()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def place(self, caller: str) -> AsyncIterator[None]:
        """Wait for a place and hold it; `BusyError` at once if there is no room to wait."""
        await self._enter(caller)
        try:
            yield
        finally:
            self._leave(caller)

    async def _enter(self, caller: str) -> None:
        if self._free > 0 and self._running[caller] < self._each and caller not in self._waiting:
            self._begin(caller)
            return
        queue = self._waiting.get(caller, ())
        if len(queue) >= self._each_room or sum(map(len, self._waiting.values())) >= self._room:
            raise BusyError
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._leave(caller)
            else:
                self._withdraw(caller, place)
            raise

    def _begin(self, caller: str) -> None:
        self._free -= 1
        self._running[caller] += 1

    def _leave(self, caller: str) -> None:
        self._free += 1
        self._running[caller] -= 1
        if not self._running[caller]:
            del self._running[caller]
        self._fill_places()

    def _withdraw(self, caller: str, place: asyncio.Future[None]) -> None:
        queue = self._waiting.get(caller)
        if queue is not None and place in queue:
            queue.remove(place)
            if not queue:
                del self._waiting[caller]

    def _fill_places(self) -> None:
        """Give free places to the callers that have waited longest for one; who gets one goes to the end."""
        for caller in list(self._waiting):
            if self._free <= 0:
                return
            if self._running[caller] >= self._each:
                continue
            queue = self._waiting[caller]
            place = queue.popleft()
            while place.done() and queue:  # whoever waited for it has gone away
                place = queue.popleft()
            if queue:
                self._waiting.move_to_end(caller)
            else:
                del self._waiting[caller]
            if not place.done():
                self._begin(caller)
                place.set_result(None)


class WorkQueue:
    """Jobs that compute, each in a place of *places* and by the *turns* that it shares with others."""

    def __init__(self, turns: Turns, places: Places) -> None:
        self._turns = turns
        self._places = places

    @asynccontextmanager
    async def acquire(self, caller: str) -> AsyncIterator[Job]:
        """Wait for a place and a first turn, and hold the place; `BusyError` at once if there is no room to wait."""
        async with self._places.place(caller):
            await self._turns.take()
            job = Job(self._turns)
            try:
                yield job
            finally:
                if job.computes:
                    self._turns.give()
