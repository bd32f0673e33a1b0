"""Publishes the metric `logrouter_client_requests`: the largest clients in the partitions of this worker."""

from __future__ import annotations

import asyncio
import heapq
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from mode import Service

from logrouter.core.rollup.subjects import SubjectKind
from logrouter.query.tiers import Segment, Tier
from logrouter.telemetry.metrics import TOP_CLIENTS

if TYPE_CHECKING:
    from logrouter.query.reader import TableReader

OTHER: Final = "other"
SECONDS: Final = 30.0
"""Pause between two passes over the rows; a tenth of it while the tables are not ready."""
_SLICE: Final = 0.004
_REST: Final = 0.016
"""A pass holds the event loop for 4 ms and then leaves it to others for 16: at most a fifth of a core."""
_CHECK_EVERY: Final = 64

Counts = tuple[tuple[str, int], ...]


class LargestClients:
    """Collects the *limit* largest clients and the sum of the rest; memory is for the largest alone.

    A client that is itself called ``other`` is added to the rest: two series cannot have the same label.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._heap: list[tuple[int, str]] = []
        self._rest = 0

    def add(self, client: str, count: int) -> None:
        """Add a client with its requests; each client once."""
        if client == OTHER:
            self._rest += count
        elif len(self._heap) < self._limit:
            heapq.heappush(self._heap, (count, client))
        else:
            self._rest += heapq.heappushpop(self._heap, (count, client))[0]

    def counts(self) -> Counts:
        """Client and count, largest first, then the rest as ``other``."""
        ranked = sorted(self._heap, key=lambda entry: (-entry[0], entry[1]))
        return (*((client, count) for count, client in ranked), (OTHER, self._rest))


class TopClients(Service):
    """A service that reads all lifetime rows of clients again and again, slowly, and publishes the *limit* largest."""

    def __init__(self, reader: TableReader, limit: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._reader = reader
        self._limit = limit

    @Service.task
    async def _publish(self) -> None:
        while self._limit and not self.should_stop:
            TOP_CLIENTS.counts = await read_largest(self._reader, self._limit)
            await self.sleep(SECONDS if TOP_CLIENTS.counts else SECONDS / 10)

    async def on_stop(self) -> None:
        """Remove the series: another worker will publish these clients."""
        TOP_CLIENTS.counts = ()


async def read_largest(reader: TableReader, limit: int) -> Counts:
    """The *limit* largest clients of the partitions of this worker.

    Empty if the partitions are not ready or moved meanwhile, so that no two workers publish the same client.
    """
    if not reader.ready():
        return ()
    found, until = LargestClients(limit), perf_counter() + _SLICE
    held = reader.owned()
    try:
        lifetime = reader.scan(held, SubjectKind.CLIENT, Segment(Tier.LIFE, 0, 1), whole=False)
        for number, row in enumerate(lifetime, 1):
            if row is not None:
                found.add(row[0], row[2].count)
            if number % _CHECK_EVERY == 0 and perf_counter() > until:
                await asyncio.sleep(_REST)
                until = perf_counter() + _SLICE
    except LookupError:
        return ()
    return found.counts() if reader.ready() and reader.owned() == held else ()
