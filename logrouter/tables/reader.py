"""The tables as the view sees them: `query.reader.TableReader` over the store and what is not flushed yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faust.types import TP

from logrouter.core.rollup import partition_of
from logrouter.query.reader import Position, Tier
from logrouter.tables import rows
from logrouter.tables.unflushed import Range

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from logrouter.core.cells import Cell
    from logrouter.tables.table import UsageTable


class Reader:
    """Reads of one worker. *app* is the Faust application, *url* this worker's own base URL."""

    def __init__(self, app: Any, table: UsageTable, partitions: int, url: str) -> None:
        self._app = app
        self._table = table
        self._partitions = partitions
        self._url = url

    def partitions(self) -> int:
        """How many table partitions there are."""
        return self._partitions

    def partition_of(self, subject: str) -> int:
        """The partition that holds a subject."""
        return partition_of(subject, self._partitions)

    def ready(self) -> bool:
        """Whether the tables are recovered, not in a rebalance, and certainly still ours."""
        app = self._app
        lease = app.consumer.lease if app.tables.actives_ready else None
        # Out of touch for longer than the lease, another worker may have counted on: an answer would be a guess.
        mine = lease is None or not lease.held or lease.valid()
        return bool(mine and app.tables.actives_ready and not app.rebalancing and not app.should_stop)

    def owner_url(self, partition: int) -> str | None:
        """Base URL of the worker that owns a partition, as of the last rebalance."""
        url = self._app.assignor._tps_url.get(TP(self._table.changelog_topic_name, partition))  # noqa: SLF001
        return None if url is None else url.rstrip("/")

    def self_url(self) -> str:
        """This worker's base URL."""
        return self._url

    def owned(self) -> frozenset[int]:
        """The partitions that this worker answers for."""
        return frozenset(self._table.folds)

    def position(self, partition: int) -> Position:
        """How far a partition is folded; transaction markers at the end of the log count as folded."""
        fold = self._table.folds.get(partition)
        if fold is None:
            return Position(-1, -1)
        consumer, tp = self._app.consumer, TP(self._table.source, partition)
        idle, end = consumer.idle(tp), consumer.end(tp)
        last = fold.last
        if idle is not None and last >= idle.delivered:
            last = max(last, idle.position - 1)
        return Position(last, max(last + 1, -1 if end is None else end), fold.newest_ms)

    def rows(self, subject: str, tier: Tier, buckets: Sequence[int]) -> list[Cell | None]:
        """One subject's cells; None where there is no row, or none that is kept."""
        fold = self._table.folds.get(self.partition_of(subject))
        if fold is None:
            msg = f"the partition of this subject is not on {self._url}"
            raise LookupError(msg)
        cutoffs = self._table.cutoffs()
        kept = [bucket for bucket in buckets if cutoffs.keeps(tier, bucket)]
        cells = dict(zip(kept, fold.cells([rows.key_of(tier, bucket, subject) for bucket in kept]), strict=True))
        return [cells.get(bucket) for bucket in buckets]

    def scan(self, kind: str, tier: Tier, start: int, stop: int) -> Iterator[tuple[str, int, Cell]]:
        """Every row of a kind and a range of buckets, as of the moment of the first item."""
        start = max(start, self._table.cutoffs().oldest(tier))
        wanted = Range(kind, tier, start, stop)
        # At once: a RocksDB iterator sees the database as of its making, so rows and unflushed sums fit together.
        parts = [
            (partition, fold, self._table.store.iterator(partition), fold.unflushed())
            for partition, fold in self._table.folds.items()
        ]
        for partition, fold, iterator, unflushed in parts:
            for subject, bucket, cell in unflushed.merged(stored(iterator, wanted), wanted):
                if self._table.folds.get(partition) is not fold:
                    msg = f"partition {partition} moved away"
                    raise LookupError(msg)
                yield subject[1:], bucket, cell


def stored(iterator: Any, wanted: Range) -> Iterator[tuple[bytes, bytes]]:
    """Stored rows of a range in key order; in every bucket the other kinds of subject are stepped over."""
    kind, tier, start, stop = wanted
    letter = kind.encode()
    if start >= stop:
        return
    end = rows.prefix(tier, stop)
    iterator.seek(rows.prefix(tier, start) + letter)
    while iterator.valid():
        key = iterator.key()
        if key >= end:
            return
        if key[5:6] == letter:
            yield key, iterator.value()
            iterator.next()
        elif key[5:6] < letter:
            iterator.seek(key[:5] + letter)
        else:
            iterator.seek(rows.prefix(tier, rows.tier_and_bucket(key)[1] + 1) + letter)
