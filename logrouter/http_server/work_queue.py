"""A bounded number of things at a time, and a bounded queue before them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class BusyError(Exception):
    """The queue is full."""


class WorkQueue:
    """Runs at most *running* jobs at the same time and lets at most *waiting* wait; `BusyError` beyond that."""

    def __init__(self, running: int, waiting: int) -> None:
        self._free = asyncio.Semaphore(running)
        self._room = running + waiting
        self._present = 0

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[None]:
        """Wait for a free place and hold it; `BusyError` at once if the queue is full."""
        if self._present >= self._room:
            raise BusyError
        self._present += 1
        try:
            async with self._free:
                yield
        finally:
            self._present -= 1
