"""RocksDB behind Faust's table: one database per partition, recovery by whole batches, rows with the higher watermark.

Beside rows a database holds keys of its own, all behind the rows and, but for one of `copies`, not in the changelog:

high     the highest watermark of any row, written together with the rows
rank     what `boards` keeps, and "whole"
mark     the key of a row of which the last changelog record is not what this database holds, because an older writer's
         record came after it, or because the row has expired: whoever owns the partition next sends it again
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import rocksdict
from faust.stores import rocksdb

from logrouter.core.rollup.cells import MAX_MINUTE
from logrouter.query.tiers import Tier
from logrouter.tables import replicas, rows
from logrouter.tables.rankings import Boards
from logrouter.tables.replicas import COPY, DONE, GAP
from logrouter.tables.rows import META, NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from logrouter.tables.replicas import Mark
    from logrouter.tables.retention import Cutoffs

HIGH: Final = META + b"high"
MARK: Final = META + b"mark"

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
    """Opens or creates a database.

    The options go to the column family by name: given only as *options*, rocksdict reopens a database with RocksDB's
    defaults, without bloom filters and with a cache of its own.
    """
    options = database_options()
    return rocksdict.Rdict(str(path), options=options, column_families={"default": options})


def batch() -> rocksdict.WriteBatch:
    """An empty atomic write."""
    return rocksdict.WriteBatch(raw_mode=True)


class Store(rocksdb.Store):
    """Faust's RocksDB store, opened with our options and recovered by watermark.

    *cutoffs* says what is kept now; *failed* is told of an error that Faust would only log; *changelog_end* tells the
    last offset in the changelog of a partition, as far as it is known.
    """

    cutoffs: Callable[[], Cutoffs]
    failed: Callable[[BaseException], None]
    changelog_end: Callable[[int], int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._boards: dict[int, Boards] = {}

    def boards(self, partition: int) -> Boards:
        """The tops of a partition whose database is open."""
        boards = self._boards.get(partition)
        if boards is None:
            # Not by a method of the database: as long as anything refers to that, it stays open and locked.
            read = partial(self.read, partition)
            boards = self._boards[partition] = Boards(read, empty=self._dbs[partition].get(HIGH) is None)
        return boards

    def opened(self) -> Mapping[int, rocksdict.Rdict]:
        """The databases by partition; one that is closed and opened again is another one."""
        opened: Mapping[int, rocksdict.Rdict] = self._dbs
        return opened

    def iterator(self, partition: int) -> rocksdict.RdictIter:
        """A raw iterator, which sees the database as it is now."""
        iterator: rocksdict.RdictIter = self._dbs[partition].iter()
        return iterator

    def read(self, partition: int, keys: list[bytes]) -> list[bytes | None]:
        """Many rows at a time."""
        found: list[bytes | None] = self._dbs[partition].get(keys)
        return found

    def write(self, partition: int, written: dict[bytes, bytes], high: int, mark: Mark | None = None) -> None:
        """Rows, the highest watermark, and the *mark* that is reached with them, atomically."""
        changes, database, boards = batch(), self._dbs[partition], self.boards(partition)
        for key, value in written.items():
            changes.put(key, value)
        changes.put(HIGH, high.to_bytes(8, "big", signed=True))
        boards.begin(changes)
        if mark is not None:
            boards.save(changes)
            new = replicas.encode(mark)
            # After a restart the first flushes repeat what a former one had in the rows already.
            for key, old in zip((DONE, COPY), database.get([DONE, COPY]), strict=True):
                changes.put(key, replicas.later(old, new))
        database.write(changes)
        if mark is not None:
            boards.saved()

    def settle(self, partition: int) -> Mark | None:
        """Everything in the changelog has been applied: its last mark holds. That mark."""
        changes, database = batch(), self._dbs[partition]
        done = database.get(DONE)
        if done is not None:
            changes.put(COPY, replicas.later(database.get(COPY), done))
        changes.delete(GAP)
        database.write(changes)
        return replicas.decode(done)

    def copied(self, partition: int) -> Mark | None:
        """Up to where the rows of a partition are complete; None if that is not known, or not opened."""
        database = self._dbs.get(partition)
        return None if database is None else replicas.decode(database.get(COPY))

    def delete(self, partition: int, keys: Iterable[bytes], *, marks: bool = False) -> None:
        """Remove rows, or the marks of rows."""
        changes = batch()
        for key in keys:
            changes.delete(MARK + key if marks else key)
        self._dbs[partition].write(changes)

    def forget_tops(self, partition: int, tier: Tier, oldest: int) -> None:
        """Remove the tops of buckets before *oldest*."""
        saved = self.boards(partition).forget(tier, oldest)
        if keys := [key for start, stop in saved for key in self.between(partition, start, stop, _TOPS_AT_ONCE)]:
            self.delete(partition, keys)

    def high(self, partition: int) -> int:
        """The highest watermark of any row, -1 when there is none."""
        value = self._dbs[partition].get(HIGH)
        return NOTHING if value is None else int.from_bytes(value, "big", signed=True)

    def newest_ms(self, partition: int) -> int | None:
        """An event time that is in the rows, hardly older than the newest one; None when there are no rows.

        It is that of one row of the last bucket; whoever folds on learns of newer ones.
        """
        iterator = self.iterator(partition)
        for tier in (Tier.MINUTE, Tier.HOUR, Tier.DAY):
            iterator.seek_for_prev(rows.prefix(tier, MAX_MINUTE) + META)
            if iterator.valid() and iterator.key().startswith(rows.prefix(tier, 0)[:1]):
                return rows.cell_of(iterator.value()).last_ms
        return None

    def marked(self, partition: int, limit: int) -> dict[bytes, bytes | None]:
        """Rows whose last changelog record is not what is here: what is here, None for no row."""
        database = self._dbs[partition]
        keys = [key[len(MARK) :] for key in _keys(database, MARK, MARK + META, limit)]
        return dict(zip(keys, database.get(keys), strict=True)) if keys else {}

    def between(self, partition: int, start: bytes, stop: bytes, limit: int) -> list[bytes]:
        """At most *limit* keys, from *start* on, that lie before *stop*."""
        return _keys(self._dbs[partition], start, stop, limit)

    def estimated_rows(self, partition: int) -> int:
        """How many rows there are, roughly."""
        database = self._dbs.get(partition)
        return 0 if database is None else int(database.property_int_value("rocksdb.estimate-num-keys") or 0)

    def apply_changelog_batch(self, events: Iterable[Any], to_key: object, to_value: object) -> None:
        """Write changelog records, during recovery and on standbys; any error ends the process.

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
        boards = self.boards(partition)
        plan = Recovered(database.get, self.cutoffs(), boards)
        for record in records:
            if record.key != DONE:
                plan.add(record.key, record.value)
        changes = plan.changes(self.high(partition))
        # In the same write, so that a kill leaves neither rows without their offset nor the reverse.
        followed = replicas.follow(database.get, self.offset_key, records, lambda: self.changelog_end(partition))
        for key, value in followed.items():
            if value is None:
                changes.delete(key)
            else:
                changes.put(key, value)
        boards.save(changes)
        database.write(changes)
        boards.saved()

    async def stop(self) -> None:
        """Leave the databases open: the view answers from them until its port is closed. See `close`."""

    def close(self) -> None:
        """Close the databases: the last thing that a process does."""
        self._boards.clear()
        self._dbs.clear()

    def _open_for_partition(self, partition: int) -> rocksdict.Rdict:
        self._boards.pop(partition, None)  # of the database that was open before, with what it did not save
        return open_database(self.partition_path(partition))


class Recovered:
    """What a run of changelog records does to a database.

    Of two rows the one with the higher watermark stays, wherever it comes from.  A row past its time is not written:
    it is marked, so that the owner removes it from the changelog too.  *boards* are offered the rows that stay.
    """

    def __init__(
        self,
        get: Callable[[list[bytes]], list[bytes | None]],
        cutoffs: Cutoffs,
        boards: Boards,
    ) -> None:
        self._get = get
        self._cutoffs = cutoffs
        self._boards = boards
        self._newest: dict[bytes, bytes | None] = {}
        self._outdated: set[bytes] = set()

    def add(self, key: bytes, value: bytes | None) -> None:
        """Take the next record; None removes the row."""
        known = self._newest.get(key)
        if value is not None and known is not None and value[:8] < known[:8]:
            self._outdated.add(key)
            return
        self._outdated.discard(key)
        self._newest[key] = value

    def changes(self, high: int) -> rocksdict.WriteBatch:
        """The atomic write, the highest watermark included."""
        changes = batch()
        keys = list(self._newest)
        for key, old in zip(keys, self._get(keys), strict=True):
            new = self._newest[key]
            marked = key in self._outdated
            if new is None:
                changes.delete(key)
            elif not self._cutoffs.keeps(*rows.tier_and_bucket(key)):
                changes.delete(key)
                marked = True
            elif old is not None and old[:8] > new[:8]:
                self._offer(key, old)  # the process that wrote it may have been killed before it saved its tops
                marked = True
            else:
                changes.put(key, new)
                self._offer(key, new)
            high = high if new is None else max(high, rows.watermark(new))
            if marked:
                changes.put(MARK + key, b"")
            else:
                changes.delete(MARK + key)
        changes.put(HIGH, high.to_bytes(8, "big", signed=True))
        self._boards.begin(changes)
        return changes

    def _offer(self, key: bytes, value: bytes) -> None:
        if self._boards.takes(key):
            self._boards.offer(key, rows.numbers_of(value))


def _keys(database: rocksdict.Rdict, start: bytes, stop: bytes, limit: int) -> list[bytes]:
    found: list[bytes] = []
    for key in database.keys(from_key=start):
        if not isinstance(key, bytes) or key >= stop or len(found) >= limit:
            break
        found.append(key)
    return found
