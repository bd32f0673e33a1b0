"""Building the boards that are wanted and unknown: after a kill, a recovery from the changelog, or a former version.

It reads all rows of a bucket, slowly, beside everything else. Lists are scanned for meanwhile.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Final

from logrouter.query.reader import Tier
from logrouter.tables import rows
from logrouter.tables.reader import stored
from logrouter.tables.rows import BUCKET_BYTES
from logrouter.tables.unflushed import Range

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logrouter.tables.boards import Boards
    from logrouter.tables.store import Store

_SLICE: Final = 0.002
_REST: Final = 0.004
_CHECK_EVERY: Final = 64
RECENT: Final = {Tier.LIFE: 1, Tier.DAY: 2, Tier.HOUR: 25, Tier.MINUTE: 60}
"""How many buckets up to now are built without being asked for, by tier: those of the default window."""


def want_recent(boards: Boards, minute: int) -> None:
    """Have the boards of the usual questions ready. *minute* is the epoch minute."""
    for tier, count in RECENT.items():
        now = tier.bucket(minute)
        for bucket in range(now, max(now - count, -1), -1):
            boards.want(rows.prefix(tier, bucket))


async def build_wanted(store: Store) -> None:
    """Build what is wanted in all databases that are open."""
    for partition in list(store.opened()):
        while (boards := _of(store, partition)) is not None and boards.wanted:
            bucket = next(iter(boards.wanted))
            del boards.wanted[bucket]
            if boards.lacks(bucket):
                await _build(store, partition, boards, bucket)
            await asyncio.sleep(0)


def _of(store: Store, partition: int) -> Boards | None:
    return store.boards(partition) if partition in store.opened() else None


async def _build(store: Store, partition: int, boards: Boards, bucket: bytes) -> None:
    database = store.opened()[partition]
    # Together, so that every row is either in this view of the database or offered when it changes.
    work = offer_rows(store, partition, boards, bucket)
    until = perf_counter() + _SLICE
    for number, _ in enumerate(work, 1):
        if number % _CHECK_EVERY == 0 and perf_counter() > until:
            await asyncio.sleep(_REST)
            if store.opened().get(partition) is not database or not boards.is_building(bucket):
                boards.abandon(bucket)
                return
            until = perf_counter() + _SLICE
    boards.built(bucket)


def offer_rows(store: Store, partition: int, boards: Boards, bucket: bytes) -> Iterator[None]:
    """Begin a board and offer it all rows of its bucket, one at each step."""
    tier, number = rows.tier_and_bucket(bucket)
    board = boards.building(bucket)
    iterator = store.iterator(partition)
    for key, value in stored(iterator, Range("c", tier, number, number + 1)):
        board.names += 1
        board.offer(key[BUCKET_BYTES + 1 :].decode, rows.numbers_of(value))
        yield
