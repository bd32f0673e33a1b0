"""Reads of the table view: `query.reader.TableReader` over the store and the sums that are not flushed yet."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from faust.types import TP

from logrouter.core.rollup.cells import MAX_MINUTE
from logrouter.core.rollup.records import partition_of
from logrouter.query.ranking import ROW_VALUE, Order, Top, rank_candidates, top_buckets
from logrouter.query.tiers import Position, buckets_of
from logrouter.tables import rows
from logrouter.tables.fold import PartitionFold
from logrouter.tables.moment import StoredMoment
from logrouter.tables.rows import BUCKET_BYTES
from logrouter.tables.unflushed import ScanRange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from logrouter.core.rollup.cells import Cell, CellTotals
    from logrouter.core.rollup.subjects import SubjectKind
    from logrouter.query.parameters import Sort
    from logrouter.query.steps import Steps
    from logrouter.query.tiers import Hole, Segment
    from logrouter.query.url_filter import ByteSearch
    from logrouter.tables.table import UsageTable


class StoreReader:
    """The tables of one worker. *app* is the Faust application, *url* this worker's own base URL."""

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
        """Whether the tables are recovered, no rebalance is running, and the lease is valid."""
        app = self._app
        if not app.tables.actives_ready or app.rebalancing or app.should_stop:
            return False
        # Without a lease another worker may have gone on counting: an answer could be outdated.
        return bool(app.consumer.lease.valid())

    def waits_for(self) -> str:
        """What is waited for before anything can be recovered, in one line; empty if nothing is."""
        lease = self._app.consumer.lease
        if lease.valid():
            return ""
        if lease.silent():
            return "the group's coordinator in the Kafka cluster is away"
        return "waiting for the consumer group to hand out partitions"

    def owner_url(self, partition: int) -> str | None:
        """Base URL of the worker that owns a partition, as of the last rebalance."""
        url: str | None = self._app.assignor.owner_url(self._table.changelog_topic_name, partition)
        return url

    def other_urls(self, partition: int) -> Sequence[str]:
        """Base URLs of the other members of the group, those first that follow the partition's changelog."""
        urls: list[str] = self._app.assignor.other_urls(self._table.changelog_topic_name, partition)
        return [url for url in urls if url != self._url]

    def knows_group(self) -> bool:
        """Whether it is known who owns what: not before the first rebalance."""
        return bool(self._app.assignor.knows_group())

    def self_url(self) -> str:
        """This worker's base URL."""
        return self._url

    def owned(self) -> frozenset[int]:
        """The partitions that this worker folds."""
        return frozenset(self._table.folds)

    def replicas(self) -> frozenset[int]:
        """Partitions of which the rows here are complete up to a known offset, without being the newest for certain."""
        store, folds = self._table.store, self._table.folds
        whole = {partition for partition in store.databases() if store.complete_to(partition) is not None}
        return frozenset(whole - folds.keys() if self.ready() else whole | folds.keys())

    def position(self, partition: int) -> Position:
        """How far a partition is folded. Transaction markers at the end of the topic count as folded."""
        fold = self._table.folds.get(partition)
        if fold is None:
            checkpoint = self._table.store.complete_to(partition)
            return (
                Position(-1, -1, None, standby=True)
                if checkpoint is None
                else Position(checkpoint.offset, -1, checkpoint.newest_ms, standby=True)
            )
        if not self.ready():
            return Position(fold.last, -1, fold.newest_ms, standby=True)
        consumer, tp = self._app.consumer, TP(self._table.source, partition)
        idle, end = consumer.last_empty_fetch(tp), consumer.end_offset(tp)
        last = fold.last
        if idle is not None and last >= idle.delivered:
            last = max(last, idle.position - 1)
        return Position(last, max(last + 1, -1 if end is None else end), fold.newest_ms)

    def token(self, partition: int) -> object:
        """Stands for the rows of a partition here: its fold, or the database of a standby."""
        return self._table.folds.get(partition) or self._table.store.databases().get(partition)

    def holes(self, partition: int) -> Sequence[Hole]:
        """What the rows of a partition lack for good."""
        known = self._table.origins.holes(partition)
        if known is not None:
            return known
        store = self._table.store
        return store.holes(partition) if partition in store.databases() else ()

    def counted_since(self) -> int | None:
        """When counting began, as far as the stored rows of the partitions tell that are here, in epoch ms."""
        return self._table.store.counted_since(self.owned() | self.replicas())

    def moment(self, subject: str, segments: Sequence[Segment]) -> StoredMoment:
        """The rows of a subject in some segments, to be fetched; what has expired is not there."""
        partition, cutoffs = self.partition_of(subject), self._table.cutoffs()
        held = self._held(partition)
        kept = (place for place in buckets_of(segments) if cutoffs.keeps(*place))
        return StoredMoment(
            *(held.fold, subject, kept, lambda: self.position(partition)),
            replica=held.fold is not held.token,
            held=lambda: self.token(partition) is held.token,
        )

    def numbers(
        self, partition: int, subjects: Sequence[str], segment: Segment
    ) -> Iterable[tuple[str, Cell | CellTotals]]:
        """The numbers of some subjects in every row of a segment. A row may come in several pieces, which add up."""
        tier, start, stop = segment
        kept = range(max(start, self._table.cutoffs().oldest(tier)), stop)
        return self._held(partition).fold.numbers(subjects, tier, kept)

    def order(
        self,
        partition: int,
        sort: Sort,
        segments: Sequence[Segment],
        limit: int,
        wanted: Callable[[str], bool] | None = None,
    ) -> Steps[Order | None]:
        """The clients of a partition in the order of what they can be worth at most; None if rankings can't tell.

        Sort by *sort* over all *segments*; at most *limit* clients, only *wanted* ones.
        """
        held, rankings = self._held(partition), self._table.store.rankings(partition)
        unflushed = held.fold.unflushed()
        if not rankings.whole or unflushed.replaying:
            return None
        spans = [(start * tier.value, stop * tier.value or MAX_MINUTE) for tier, start, stop in segments]
        minutes = range(min(first for first, _ in spans), max(end for _, end in spans))
        more = yield from unflushed.values(ROW_VALUE[sort], minutes)
        tops = []
        for tier, bucket in top_buckets(segments):
            top = rankings.top(sort, tier, bucket)
            tops.append(Top(top.values.copy(), top.floor))
            yield
        return (yield from rank_candidates(tops, more, limit, wanted))

    def scan(
        self,
        partitions: Iterable[int],
        kind: SubjectKind,
        segment: Segment,
        prefix: str = "",
        *,
        whole: bool = True,
        search: ByteSearch | None = None,
    ) -> Iterator[tuple[str, int, Cell | CellTotals] | None]:
        """Subject (without its kind letter), bucket and cell of every row in a range, as of the first `next`.

        None comes where rows of others are passed over. Cells must not be changed. Raises `LookupError` if a partition
        is not held here or moves away meanwhile.
        """
        tier, start, stop = segment
        wanted = ScanRange(kind + prefix, tier, max(start, self._table.cutoffs().oldest(tier)), stop)
        # At once: a RocksDB iterator is a snapshot, so stored rows and unflushed sums are of the same moment.
        parts = []
        for partition in partitions:
            held = self._held(partition)
            parts.append((partition, held.token, self._table.store.iterator(partition), held.fold.unflushed()))
        for partition, token, iterator, unflushed in parts:
            for row in unflushed.merged(scan_stored(iterator, wanted), wanted, whole=whole, search=search):
                if self.token(partition) is not token:
                    raise LookupError(f"partition {partition} moved away")
                yield None if row is None else (row[0][1:], row[1], row[2])

    def _held(self, partition: int) -> HeldPartition:
        """The fold of a partition, for a standby an empty one over its database; `LookupError` if not held here."""
        fold = self._table.folds.get(partition)
        if fold is not None:
            return HeldPartition(fold, fold)
        store = self._table.store
        database = store.databases().get(partition)
        if database is None or store.complete_to(partition) is None:
            raise LookupError(f"partition {partition} is not held here")
        return HeldPartition(PartitionFold(partial(store.read, partition), rows.NOTHING), database)


class HeldPartition(NamedTuple):
    """What answers for a partition. *token* is another object after it moved away, even if it came back."""

    fold: PartitionFold
    token: object


def scan_stored(iterator: Any, wanted: ScanRange) -> Iterator[tuple[bytes, bytes] | None]:
    """Key and value of the stored rows in a range, in key order; None for each seek that skips other subjects."""
    prefix, tier, start, stop = wanted
    if start >= stop:
        return
    letters, size = prefix.encode(), BUCKET_BYTES
    end = rows.prefix(tier, stop)
    iterator.seek(rows.prefix(tier, start) + letters)
    while iterator.valid():
        key = iterator.key()
        if key >= end:
            return
        if key.startswith(letters, size):
            yield key, iterator.value()
            iterator.next()
        elif key[size:] < letters:
            iterator.seek(key[:size] + letters)
            yield None
        else:
            iterator.seek(rows.prefix(tier, rows.tier_and_bucket(key)[1] + 1) + letters)
            yield None
