"""RocksDB behind Faust's table: one database per partition, recovery by whole batches, rows with the higher watermark.

Besides rows a database holds keys of its own. All sort behind the rows; only "done" is in the changelog as well:

topic    the id of the changelog that its rows are in
high     the highest watermark of any row, written together with the rows
rank, whole      see `rankings`
done, copy, gap  see `replicas`
mark     with the key of a row behind it: *resend* that row. Its last changelog record is not what this database holds,
         because an older writer's record came after it, or because the row has expired; the next owner sends it again
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import rocksdict
from faust.stores import rocksdb

from logrouter.core.rollup.cells import MAX_MINUTE
from logrouter.query.tiers import Hole, Tier
from logrouter.tables import notes, replicas, rows
from logrouter.tables.failure import StoreError
from logrouter.tables.rankings import ClientRankings
from logrouter.tables.replicas import COMPLETE_TO, GAP, LAST_CHECKPOINT
from logrouter.tables.rows import META, NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from logrouter.tables.notes import Origin
    from logrouter.tables.replicas import Checkpoint
    from logrouter.tables.retention import Cutoffs

HIGH: Final = META + b"high"
RESEND: Final = META + b"mark"
CHANGELOG_ID: Final = META + b"topic"

_CACHE_BYTES: Final = 64 << 20
_WRITE_BUFFER_BYTES: Final = 16 << 20
_OPEN_FILES: Final = 256
_TOPS_AT_ONCE: Final = 100
_cache = rocksdict.Cache(_CACHE_BYTES)
"""Shared by all partitions of this process."""


def database_options() -> rocksdict.Options:
    """Small buffers, as a worker has many partitions; bloom filters, as most rows of a flush are new."""
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_max_open_files(_OPEN_FILES)
    options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(3)
    blocks = rocksdict.BlockBasedOptions()
    blocks.set_bloom_filter(10, block_based=False)
    blocks.set_block_cache(_cache)
    options.set_block_based_table_factory(blocks)
    return options


def open_database(path: Path) -> rocksdict.Rdict:
    """Opens or creates a database. `StoreError` if it cannot.

    The options go to the column family by name: given only as *options*, rocksdict reopens a database with RocksDB's
    defaults, without bloom filters and with a cache of its own.
    """
    options = database_options()
    try:
        return rocksdict.Rdict(str(path), options=options, column_families={"default": options})
    except Exception as exc:  # noqa: BLE001 - rocksdict has no class of its own
        raise StoreError(f"{path}: {str(exc).partition(': While ')[0]}") from None


def batch() -> rocksdict.WriteBatch:
    """An empty atomic write."""
    return rocksdict.WriteBatch(raw_mode=True)


class Store(rocksdb.Store):
    """Faust's RocksDB store, opened with our options and recovered by watermark.

    `UsageTable` sets three callbacks before the first use: *cutoffs* returns what is kept now; *failed* is called with
    an error that Faust would only log; *changelog_end* returns the last known changelog offset of a partition.
    """

    cutoffs: Callable[[], Cutoffs]
    failed: Callable[[BaseException], None]
    changelog_end: Callable[[int], int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rankings: dict[int, ClientRankings] = {}

    def rankings(self, partition: int) -> ClientRankings:
        """The client rankings of a partition whose database is open."""
        rankings = self._rankings.get(partition)
        if rankings is None:
            # Not by a method of the database: as long as anything refers to that, it stays open and locked.
            read = partial(self.read, partition)
            rankings = self._rankings[partition] = ClientRankings(read, empty=self._dbs[partition].get(HIGH) is None)
        return rankings

    def databases(self) -> Mapping[int, rocksdict.Rdict]:
        """The open databases by partition; reopening a database makes a new object."""
        opened: Mapping[int, rocksdict.Rdict] = self._dbs
        return opened

    def iterator(self, partition: int) -> rocksdict.RdictIter:
        """A raw iterator over a snapshot: it does not see later writes."""
        iterator: rocksdict.RdictIter = self._dbs[partition].iter()
        return iterator

    def read(self, partition: int, keys: list[bytes]) -> list[bytes | None]:
        """The values of *keys*, in their order; None for a key that is not there."""
        found: list[bytes | None] = self._dbs[partition].get(keys)
        return found

    def write(
        self, partition: int, written: Mapping[bytes, bytes], high: int, checkpoint: Checkpoint | None = None
    ) -> None:
        """Write rows, the highest watermark and, with the last rows of a flush, its *checkpoint*, atomically.

        Notes may be among the rows.
        """
        changes, database, rankings = batch(), self._dbs[partition], self.rankings(partition)
        for key, value in written.items():
            changes.put(key, value)
        changes.put(HIGH, high.to_bytes(8, "big", signed=True))
        rankings.add_whole_key(changes)
        if checkpoint is not None:
            rankings.add_changed(changes)
            new = replicas.encode_checkpoint(checkpoint)
            # After a restart the first flushes repeat what a former one had in the rows already.
            for key, old in zip(
                (LAST_CHECKPOINT, COMPLETE_TO), database.get([LAST_CHECKPOINT, COMPLETE_TO]), strict=True
            ):
                changes.put(key, replicas.later_checkpoint(old, new))
        database.write(changes)
        if checkpoint is not None:
            rankings.confirm_saved()

    def finish_recovery(self, partition: int) -> Checkpoint | None:
        """Trust the last checkpoint of the changelog, all of which has been applied, and return it."""
        changes, database = batch(), self._dbs[partition]
        last = database.get(LAST_CHECKPOINT)
        if last is not None:
            changes.put(COMPLETE_TO, replicas.later_checkpoint(database.get(COMPLETE_TO), last))
        changes.delete(GAP)
        database.write(changes)
        return replicas.decode_checkpoint(last)

    def complete_to(self, partition: int) -> Checkpoint | None:
        """Up to where the rows of a partition are complete; None if that is not known or its database is not open."""
        database = self._dbs.get(partition)
        return None if database is None else replicas.decode_checkpoint(database.get(COMPLETE_TO))

    def put(self, partition: int, values: Mapping[bytes, bytes]) -> None:
        """Write keys that are no rows, in one write."""
        changes = batch()
        for key, value in values.items():
            changes.put(key, value)
        self._dbs[partition].write(changes)

    def origin(self, partition: int) -> Origin | None:
        """Where the rows of a partition come from; None if they don't say or its database is not open."""
        database = self._dbs.get(partition)
        return None if database is None else notes.decode_origin(database.get(notes.ORIGIN))

    def holes(self, partition: int) -> list[Hole]:
        """What the rows of a partition whose database is open lack, by offset."""
        keys = self.keys_between(partition, notes.HOLE, notes.HOLES_END, notes.MAX_HOLES + 1)
        return [notes.decode_hole(value) for value in self.read(partition, keys) if value is not None] if keys else []

    def keep_changelog_id(self, partition: int, topic_id: str) -> bool:
        """Remember the id of the changelog if none is known; whether it is the one that is known."""
        database = self._dbs[partition]
        known = database.get(CHANGELOG_ID)
        if known is None:
            database.put(CHANGELOG_ID, topic_id.encode())
        return known is None or known == topic_id.encode()

    def delete(self, partition: int, keys: Iterable[bytes]) -> None:
        """Delete keys, in one write."""
        changes = batch()
        for key in keys:
            changes.delete(key)
        self._dbs[partition].write(changes)

    def delete_rankings(self, partition: int, tier: Tier, oldest: int) -> None:
        """Delete the rankings of buckets before *oldest*."""
        saved = self.rankings(partition).drop_before(tier, oldest)
        if keys := [key for start, stop in saved for key in self.keys_between(partition, start, stop, _TOPS_AT_ONCE)]:
            self.delete(partition, keys)

    def high(self, partition: int) -> int:
        """The highest watermark of any row; -1 if there is no row."""
        value = self._dbs[partition].get(HIGH)
        return NOTHING if value is None else int.from_bytes(value, "big", signed=True)

    def newest_ms(self, partition: int) -> int | None:
        """An event time close to the newest one in the rows, in epoch milliseconds; None if there is no row.

        It is that of one row of the last bucket, at little cost; folding further records raises it.
        """
        iterator = self.iterator(partition)
        for tier in (Tier.MINUTE, Tier.HOUR, Tier.DAY):
            iterator.seek_for_prev(rows.prefix(tier, MAX_MINUTE) + META)
            if iterator.valid() and iterator.key().startswith(rows.prefix(tier, 0)[:1]):
                return rows.decode_cell(iterator.value()).last_ms
        return None

    def counted_since(self, partitions: Iterable[int]) -> int | None:
        """When counting began, as far as the rows of some partitions tell (`first_bucket_ms`)."""
        cutoffs, opened = self.cutoffs(), self._dbs.keys()
        found = [first_bucket_ms(self.iterator(each), cutoffs) for each in partitions if each in opened]
        return min((ms for ms in found if ms is not None), default=None)

    def rows_to_resend(self, partition: int, limit: int) -> dict[bytes, bytes | None]:
        """At most *limit* rows whose last changelog record is not what is stored: the stored value, None for no row."""
        database = self._dbs[partition]
        keys = [key[len(RESEND) :] for key in _keys_between(database, RESEND, RESEND + META, limit)]
        return dict(zip(keys, database.get(keys), strict=True)) if keys else {}

    def mark_resent(self, partition: int, keys: Iterable[bytes]) -> None:
        """Note that the changelog holds what is stored of these rows."""
        self.delete(partition, [RESEND + key for key in keys])

    def keys_between(self, partition: int, start: bytes, stop: bytes, limit: int) -> list[bytes]:
        """At most *limit* keys, from *start* on, that lie before *stop*."""
        return _keys_between(self._dbs[partition], start, stop, limit)

    def estimated_rows(self, partition: int) -> int:
        """RocksDB's estimate of how many rows there are; 0 if the database is not open."""
        database = self._dbs.get(partition)
        return 0 if database is None else int(database.property_int_value("rocksdb.estimate-num-keys") or 0)

    def apply_changelog_batch(self, events: Iterable[Any], to_key: object, to_value: object) -> None:
        """Apply changelog records, during recovery and on standbys; any error ends the process.

        Faust's recovery would log it and go on with a hole in the tables.
        """
        del to_key, to_value  # keys and values are bytes
        try:
            gathered: dict[int, list[Any]] = defaultdict(list)
            for event in events:
                value = event.message.value
                gathered[event.message.partition] += value if isinstance(value, list) else [event.message]
            for partition, records in gathered.items():
                self._apply(partition, records)
        except Exception as exc:
            self.failed(exc)
            raise

    def _apply(self, partition: int, records: list[Any]) -> None:
        database = self._db_for_partition(partition)
        rankings = self.rankings(partition)
        plan = ChangelogBatch(database.get, self.cutoffs(), rankings)
        for record in records:
            if record.key != LAST_CHECKPOINT:
                plan.add(record.key, record.value)
        changes = plan.changes(self.high(partition))
        # In the same write, so that a kill leaves neither rows without their offset nor the reverse.
        followed = replicas.follow_changelog(
            database.get, self.offset_key, records, lambda: self.changelog_end(partition)
        )
        for key, value in followed.items():
            if value is None:
                changes.delete(key)
            else:
                changes.put(key, value)
        rankings.add_changed(changes)
        database.write(changes)
        rankings.confirm_saved()

    async def stop(self) -> None:
        """Keep the databases open: the view answers from them until its port is closed. See `close`."""

    def close(self) -> None:
        """Close the databases; `App.on_shutdown` calls it when everything else has stopped."""
        self._rankings.clear()
        self._dbs.clear()

    def _open_for_partition(self, partition: int) -> rocksdict.Rdict:
        self._rankings.pop(partition, None)  # of the database that was open before, with what it did not save
        return open_database(self.partition_path(partition))


class ChangelogBatch:
    """Collects consecutive changelog records and makes one database write of them.

    Of two values of a row the one with the higher watermark stays, wherever it comes from. An expired row is not
    written but noted under `RESEND`, so that the owner deletes it from the changelog too. *rankings* are offered the
    rows that stay.
    """

    def __init__(
        self,
        get: Callable[[list[bytes]], list[bytes | None]],
        cutoffs: Cutoffs,
        rankings: ClientRankings,
    ) -> None:
        self._get = get
        self._cutoffs = cutoffs
        self._rankings = rankings
        self._newest: dict[bytes, bytes | None] = {}
        self._outdated: set[bytes] = set()

    def add(self, key: bytes, value: bytes | None) -> None:
        """Add the next record; the value None deletes the row."""
        rows.refuse_later(key, value)
        known = self._newest.get(key)
        if value is not None and known is not None and value[:8] < known[:8]:
            self._outdated.add(key)
            return
        self._outdated.discard(key)
        self._newest[key] = value

    def changes(self, high: int) -> rocksdict.WriteBatch:
        """The atomic write. *high* is the highest watermark so far; the write holds the new one."""
        changes = batch()
        keys = list(self._newest)
        for key, old in zip(keys, self._get(keys), strict=True):
            new = self._newest[key]
            resend = key in self._outdated
            if new is None:
                changes.delete(key)
            elif not self._cutoffs.keeps(*rows.tier_and_bucket(key)):
                changes.delete(key)
                resend = True
            elif old is not None and old[:8] > new[:8]:
                self._offer(key, old)  # the process that wrote it may have been killed before it saved its rankings
                resend = True
            else:
                changes.put(key, new)
                self._offer(key, new)
            if new is not None and not notes.is_note(key):
                high = max(high, rows.watermark(new))
            if resend:
                changes.put(RESEND + key, b"")
            else:
                changes.delete(RESEND + key)
        changes.put(HIGH, high.to_bytes(8, "big", signed=True))
        self._rankings.add_whole_key(changes)
        return changes

    def _offer(self, key: bytes, value: bytes) -> None:
        if self._rankings.has_ranking(key):
            self._rankings.offer(key, rows.decode_totals(value))


def first_bucket_ms(iterator: Any, cutoffs: Cutoffs) -> int | None:
    """When the first bucket begins that has rows, in epoch ms; 0 if earlier ones may have expired, None without rows.

    Days are kept longest. Which hour of the first day was the first, and which minute of it, is told by the finer tiers
    as far as these reach back to it.
    """
    start, stop = (cutoffs.day + 1) * Tier.DAY.value, MAX_MINUTE
    if _first_bucket(iterator, Tier.DAY, cutoffs.day) == cutoffs.day:
        return 0
    for tier in (Tier.DAY, Tier.HOUR, Tier.MINUTE):
        if cutoffs.oldest(tier) * tier.value > start:
            break
        bucket = _first_bucket(iterator, tier, tier.bucket(start))
        if bucket is None or bucket * tier.value >= stop:
            break
        start, stop = bucket * tier.value, (bucket + 1) * tier.value
    return None if stop == MAX_MINUTE else start * 60_000


def _first_bucket(iterator: Any, tier: Tier, start: int) -> int | None:
    key = rows.prefix(tier, start)
    iterator.seek(key)
    found = iterator.valid() and iterator.key().startswith(key[:1])
    return rows.parse_key(iterator.key()).bucket if found else None


def _keys_between(database: rocksdict.Rdict, start: bytes, stop: bytes, limit: int) -> list[bytes]:
    found: list[bytes] = []
    for key in database.keys(from_key=start):
        if not isinstance(key, bytes) or key >= stop or len(found) >= limit:
            break
        found.append(key)
    return found
