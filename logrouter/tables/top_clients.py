"""Series of the largest clients for Prometheus: `logrouter_client_requests`, of this worker's partitions."""

from __future__ import annotations

import asyncio
import heapq
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from mode import Service

from logrouter.query.tiers import Segment, Tier
from logrouter.telemetry.metrics import TOP_CLIENTS

if TYPE_CHECKING:
    from logrouter.query.reader import TableReader

OTHER: Final = "other"
SECONDS: Final = 30.0
"""From the end of one reading to the begin of the next; while the tables are not ready, a tenth of it."""
_SLICE: Final = 0.004
_REST: Final = 0.016
"""A reading holds the event loop for 4 ms and then leaves it to others for 16: at most a fifth of a core."""
_CHECK_EVERY: Final = 64

Counts = tuple[tuple[str, int], ...]


class Largest:
    """The largest of many clients, and the sum of the rest, in memory for the largest alone.

    A client that is itself called ``other`` is added to the rest: two series cannot have the same label.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[int, str]] = []
        self._rest = 0

    def add(self, client: str, count: int) -> None:
        """One client, each of which is given once."""
        if client == OTHER:
            self._rest += count
        elif len(self._heap) < self._most:
            heapq.heappush(self._heap, (count, client))
        else:
            self._rest += heapq.heappushpop(self._heap, (count, client))[0]

    def counts(self) -> Counts:
        """Clients with their counts, largest first, then the rest as ``other``."""
        ranked = sorted(self._heap, key=lambda entry: (-entry[0], entry[1]))
        return (*((client, count) for count, client in ranked), (OTHER, self._rest))


class TopClients(Service):
    """Reads all lifetime rows of clients again and again, slowly, and publishes the *most* largest."""

    def __init__(self, reader: TableReader, most: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._reader = reader
        self._most = most

    @Service.task
    async def _publish(self) -> None:
        while self._most and not self.should_stop:
            TOP_CLIENTS.counts = await largest(self._reader, self._most)
            await self.sleep(SECONDS if TOP_CLIENTS.counts else SECONDS / 10)

    async def on_stop(self) -> None:
        """Somebody else will publish these."""
        TOP_CLIENTS.counts = ()


async def largest(reader: TableReader, most: int) -> Counts:
    """The largest clients of the partitions held here; nothing while they move, so that no two workers publish them."""
    if not reader.ready():
        return ()
    found, until = Largest(most), perf_counter() + _SLICE
    held = reader.owned()
    try:
        for number, (client, _, cell) in enumerate(reader.scan(held, "c", Segment(Tier.LIFE, 0, 1), whole=False), 1):
            found.add(client, cell.count)
            if number % _CHECK_EVERY == 0 and perf_counter() > until:
                await asyncio.sleep(_REST)
                until = perf_counter() + _SLICE
    except LookupError:
        return ()
    return found.counts() if reader.ready() and reader.owned() == held else ()
