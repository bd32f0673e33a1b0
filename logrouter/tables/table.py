"""The table: the folds of the partitions that this worker owns, and their flushes to store and changelog."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from functools import partial
from itertools import chain
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, cast

import faust
from faust.types import TP

from logrouter.core.rollup.records import NewerRecordError, RecordError, decode_record
from logrouter.query.row_ranges import MINUTE_MS
from logrouter.query.tiers import Tier
from logrouter.tables import rows
from logrouter.tables.fold import FoldError, PartitionFold
from logrouter.tables.mismatch import MismatchError, made_anew
from logrouter.tables.origins import find_start
from logrouter.tables.replicas import LAST_CHECKPOINT, encode_checkpoint
from logrouter.telemetry.log import Log, log
from logrouter.telemetry.metrics import (
    FLUSH_SECONDS,
    FOLD_SECONDS,
    LATE_EVENTS,
    PARTIAL_SUMS_FOLDED,
    PARTIAL_SUMS_REPLAYED,
    ROLLUP_RECORDS_FOLDED,
    ROLLUP_RECORDS_INVALID,
    ROWS_EXPIRED,
    ROWS_WRITTEN,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from logrouter.tables.fold import FlushChunk
    from logrouter.tables.origins import Origins
    from logrouter.tables.replicas import Checkpoint
    from logrouter.tables.retention import BucketsKept, Cutoffs
    from logrouter.tables.store import Store
    from logrouter.tables.topic_check import TopicCheck

MAX_CHUNK: Final = 100
"""Subjects in a write at most; the first write has as many."""
SLICE_SECONDS: Final = 0.004
"""Target for the seconds that reading and writing a chunk takes, as others wait meanwhile; it sets the next size."""
MAX_UNFLUSHED: Final = 40_000
"""Subjects in memory over all partitions, some 2 KB each; with more, a flush does not wait for its interval."""
SWEEP_LIMIT: Final = 1_000
"""Rows deleted or sent again per partition and sweep."""
_LOGGED: Final = 20
"""Invalid records that are logged one by one; all are counted."""


class UsageTable(faust.Table):  # type: ignore[type-arg]  # not subscriptable when it runs
    """A Faust table for its changelog, standbys and place in rebalances; its rows are written by `PartitionFold`.

    `configure` sets where partial sums come from, how long rows are kept and the clock, *minute*, which returns the
    epoch minute.
    """

    app: Any
    retention: BucketsKept
    minute: Callable[[], int]
    source: str
    origins: Origins
    check: TopicCheck

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.folds: dict[int, PartitionFold] = {}
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._next_changelog: dict[int, int | None] = {}
        self._swept: dict[tuple[int, Tier], bytes] = {}
        self._checkpoints: dict[int, Checkpoint | None] = {}
        self._invalid = 0
        self._sweep_more = False
        self._given_up = False

    def configure(self, check: TopicCheck, retention: BucketsKept, minute: Callable[[], int]) -> None:
        """Set the rollup topic, how long rows are kept, and the clock. Called once, before anything runs."""
        self.check, self.origins, self.source = check, check.origins, check.origins.topic
        self.retention, self.minute = retention, minute

    @property
    def store(self) -> Store:
        """The RocksDB store."""
        return cast("Store", self.data)

    def cutoffs(self) -> Cutoffs:
        """What is kept now."""
        return self.retention.cutoffs(self._kept_minute())

    def _kept_minute(self) -> int:
        """The epoch minute by which rows expire: by our clock, but never after the newest rollup record.

        So a clock that is ahead deletes nothing. One that is behind deletes later.
        """
        return min(self.minute(), max(self.origins.newest_ms, 0) // MINUTE_MS)

    # Folding

    def fold(self, partition: int, records: Sequence[Any]) -> None:
        """Fold rollup records in memory, without awaiting. One that cannot be decoded is counted and skipped.

        Raises `FoldError` for a partition that is not recovered here, and `MismatchError` for a record of a later
        version and for records of another topic.
        """
        fold = self.folds.get(partition)
        if fold is None:
            msg = f"records of partition {partition}, which is not recovered here"
            raise FoldError(msg)
        self.origins.read(partition, records, fold.last)
        start, cutoffs, folded, replayed = perf_counter(), self.cutoffs(), 0, 0
        now_ms = (self.minute() + 1) * MINUTE_MS
        for record in records:
            try:
                subjects = decode_record(record.value or b"")
            except RecordError as exc:
                self._note_invalid(record, exc)
                subjects = []
            except NewerRecordError as exc:
                msg = f"{self.source}, partition {partition}, offset {record.offset}: {exc}; upgrade the tables first"
                raise MismatchError(msg) from None
            done = fold.add(record.offset, subjects, cutoffs, now_ms)
            folded += done.sums
            replayed += done.replayed
        ROLLUP_RECORDS_FOLDED.inc(len(records))
        PARTIAL_SUMS_FOLDED.inc(folded)
        PARTIAL_SUMS_REPLAYED.inc(replayed)
        FOLD_SECONDS.observe(perf_counter() - start)

    def _note_invalid(self, record: Any, exc: RecordError) -> None:
        ROLLUP_RECORDS_INVALID.inc()
        self._invalid += 1
        if self._invalid <= _LOGGED:
            log(Log.ROLLUP_INVALID, partition=record.partition, offset=record.offset, error=str(exc))

    @property
    def unflushed(self) -> int:
        """How many subjects and replayed rows wait for a flush, over all partitions."""
        return sum(fold.size for fold in self.folds.values())

    def find_starts(self, committed: Mapping[TP, int | None], earliest: Mapping[TP, int]) -> Mapping[TP, int]:
        """The offsets at which the agent begins: everything before them is in the rows, or lost and noted as a hole.

        A fold that is further already stays there; it skips the records that come again.
        """
        begin = {}
        for tp, offset in committed.items():
            partition, fold = tp.partition, self.folds.get(tp.partition)
            if tp.topic != self.source or fold is None:
                begin[tp] = max(offset or 0, earliest[tp])
                continue
            origin = self.origins.origin(partition)
            start = find_start(offset, self._checkpoints.get(partition), origin, earliest[tp])
            if start.first < start.stop:
                self.origins.add_hole(partition, start.first, start.stop, fold.newest_ms)
            fold.last = max(fold.last, start.begin - 1)
            begin[tp] = start.begin
        return begin

    def note_reset(self, tp: TP, begin: int) -> None:
        """Note that the rollup topic does not have the next record of a partition, which is read from *begin* on."""
        fold = self.folds.get(tp.partition)
        if tp.topic == self.source and fold is not None:
            self.origins.note_reset(tp.partition, begin, fold.last)

    # Flushing

    async def flush(self) -> None:
        """Write the rows of everything folded so far to the store and give them to the producer."""
        for partition in list(self.folds):
            await self._run_alone(partition, self._flush)

    async def _run_alone(self, partition: int, work: Callable[[int, PartitionFold], Any]) -> None:
        """Run *work* on a partition with no other writer, to its end even if the caller is cancelled.

        Two senders at a time could put an older value behind a newer one; half a flush could leave rows unsent.
        """

        async def locked() -> None:
            async with self._locks[partition]:
                fold = self.folds.get(partition)
                if fold is not None and not self._given_up:
                    await work(partition, fold)

        task = asyncio.ensure_future(locked())
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            raise
        except BaseException as exc:
            self.app.producer.fail(exc)
            raise

    async def _flush(self, partition: int, fold: PartitionFold) -> None:
        if not fold.size:
            await self._send_notes(partition, fold)
            return
        start = perf_counter()
        fold.begin_flush()
        notes = self.origins.take_notes(partition)
        # The rows of a chunk reach the store before anything else runs: see `PartitionFold.take`.
        began, limit = start, MAX_CHUNK
        while (written := fold.take(limit, self.cutoffs())) is not None:
            checkpoint = None if fold.flushing else fold.checkpoint
            _count_rows(written)
            end: tuple[tuple[bytes, bytes], ...] = ()
            if checkpoint is not None:
                written.rows.update(notes)
                end = ((LAST_CHECKPOINT, encode_checkpoint(checkpoint)),)
            self.store.write(partition, written.rows, written.high, checkpoint)
            took = perf_counter() - began
            await self._send(partition, fold, chain(written.rows.items(), end))
            limit = max(min(int(limit * SLICE_SECONDS / took), MAX_CHUNK), 1)
            await asyncio.sleep(0)
            began = perf_counter()
            if self.folds.get(partition) is not fold:
                return  # moved away meanwhile; its next owner folds the rest again
        FLUSH_SECONDS.observe(perf_counter() - start)

    async def write_notes(self) -> None:
        """Write what is to be said of partitions that nothing is folded into at the moment."""
        for partition, fold in list(self.folds.items()):
            idle = self.app.consumer.last_empty_fetch(TP(self.source, partition))
            if not fold.size and idle is not None and fold.last >= idle.delivered:
                self.origins.note_reached(partition, max(fold.last + 1, idle.position))
            if self.origins.has_unsaved(partition):
                await self._run_alone(partition, self._send_notes)

    async def _send_notes(self, partition: int, fold: PartitionFold) -> None:
        # Before there is a row, notes would be taken for one by versions that don't know them.
        if self.origins.has_unsaved(partition) and not fold.size and self.store.high(partition) != rows.NOTHING:
            notes = self.origins.take_notes(partition)
            self.store.put(partition, notes)
            await self._send(partition, fold, notes.items())

    async def _send(
        self, partition: int, fold: PartitionFold, changes: Iterable[tuple[bytes, bytes | None]]
    ) -> list[asyncio.Future[Any]]:
        def acked(base: int, count: int) -> None:
            if self.folds.get(partition) is fold:
                self._note_acked(partition, base, count)

        futures: list[asyncio.Future[Any]] = await self.app.producer.send_rows(
            self.changelog_topic_name, partition, changes, acked
        )
        return futures

    def _note_acked(self, partition: int, base: int, count: int) -> None:
        """Our records begin at *base* of the changelog. Foreign ones before them end the process: a second writer."""
        expected = self._next_changelog.get(partition)
        if base < 0:  # a repeated send that the broker had already and no longer has the offset of
            self._next_changelog[partition] = None
            return
        if expected is not None and base != expected:
            self.app.exit_fenced(
                f"foreign records in the changelog of partition {partition}: at {base}, not {expected}"
            )
        self._next_changelog[partition] = base + count
        self.store.set_persisted_offset(TP(self.changelog_topic_name, partition), base + count - 1)

    # Retention and repair

    async def sweep(self) -> bool:
        """Delete some expired rows and send some rows again that the changelog lacks; whether there is more to do."""
        self._sweep_more = False
        for partition in self.store.databases():
            self.origins.note_newest(self.store.origin(partition))
        self.origins.end_holes((self.minute() + 1) * MINUTE_MS)
        for partition in list(self.folds):
            await self._run_alone(partition, self._repair)
            for tier in (Tier.MINUTE, Tier.HOUR, Tier.DAY):
                await self._run_alone(partition, partial(self._expire, tier))
        return self._sweep_more

    async def _repair(self, partition: int, fold: PartitionFold) -> None:
        resend = self.store.rows_to_resend(partition, SWEEP_LIMIT)
        if resend and await self._send_and_wait(partition, fold, resend.items()):
            self.store.mark_resent(partition, resend)
            self._sweep_more |= len(resend) == SWEEP_LIMIT
            if repaired := sum(value is not None for value in resend.values()):
                log(Log.CHANGELOG_REPAIRED, partition=partition, rows=repaired)

    async def _expire(self, tier: Tier, partition: int, fold: PartitionFold) -> None:
        oldest = self.retention.deletion_cutoffs(self._kept_minute()).oldest(tier)
        self.store.delete_rankings(partition, tier, oldest)
        start, stop = self._swept.get((partition, tier), rows.prefix(tier, 0)), rows.prefix(tier, oldest)
        keys = self.store.keys_between(partition, start, stop, SWEEP_LIMIT)
        # Tombstones first: a row that is gone here but not there would come back on the next recovery.
        if keys and await self._send_and_wait(partition, fold, ((key, None) for key in keys)):
            self.store.delete(partition, keys)
            self._swept[partition, tier] = keys[-1]
            self._sweep_more |= len(keys) == SWEEP_LIMIT
            ROWS_EXPIRED.labels(tier.name.lower()).inc(len(keys))

    async def _send_and_wait(
        self, partition: int, fold: PartitionFold, changes: Iterable[tuple[bytes, bytes | None]]
    ) -> bool:
        futures = await self._send(partition, fold, changes)
        await asyncio.gather(*futures)
        return self.folds.get(partition) is fold

    async def on_start(self) -> None:
        """Set the callbacks of the store, before it is given changelog records. Faust calls it at the start.

        Returns when every broker knows the changelog: what the one that Faust asks does not know is not recovered.
        """
        self.store.cutoffs, self.store.failed = self.cutoffs, self.app.producer.fail
        self.store.changelog_end = self._changelog_end
        await super().on_start()
        await self.check.wait_for_changelog(self.changelog_topic_name, self.partitions or 1)

    def _changelog_end(self, partition: int) -> int:
        tp, recovery = TP(self.changelog_topic_name, partition), self.app.tables.recovery
        ends = (recovery.active_highwaters.get(tp), recovery.standby_highwaters.get(tp))
        return max(*(-1 if end is None else end for end in ends), (self.app.consumer.end_offset(tp) or 0) - 1)

    async def on_stop(self) -> None:
        """Drop what is not flushed: the next start folds it again. Faust calls it before the store stops."""
        self.folds.clear()
        await super().on_stop()

    # Rebalances

    async def give_up(self) -> None:
        """Write nothing more until partitions are assigned again. Returns when all that was begun is acknowledged."""
        self._given_up = True
        for lock in list(self._locks.values()):
            async with lock:
                pass
        await self.app.producer.wait_acknowledged()

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Drop what is not flushed: it is not committed either, and its next owner folds it again."""
        self.folds.clear()
        self._given_up = False
        self.origins.clear()
        self._checkpoints.clear()
        self._swept.clear()
        self._next_changelog.clear()
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)
        try:
            await self.check.verify_changelog(self.store, self.changelog_topic_name)
        except MismatchError as exc:
            self.app.producer.fail(exc)
            raise

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Begin to fold the partitions that are recovered."""
        try:
            await self.check.verify_rollup({tp.partition: self.store.origin(tp.partition) for tp in active_tps})
            await self._take_over(active_tps)
            await super().on_recovery_completed(active_tps, standby_tps)
        except Exception as exc:
            self.app.producer.fail(exc)  # Faust drops what is raised here
            raise

    async def _take_over(self, active_tps: set[TP]) -> None:
        recovery = self.app.tables.recovery
        generation = recovery.completing
        ends = await self.app.consumer.highwaters(*(TP(self.source, tp.partition) for tp in active_tps))
        if generation != self.app.consumer_generation_id:
            return  # moved again meanwhile: these are not ours any more
        offsets = recovery.active_offsets
        for tp in sorted(active_tps):
            store, high = self.store, self.store.high(tp.partition)
            if high >= ends.get(TP(self.source, tp.partition), high + 1):
                what = f"does not have rollup offset {high}, which is in the rows of partition {tp.partition}"
                raise MismatchError(made_anew(self.source, what))
            self._next_changelog[tp.partition] = offsets[tp] + 1
            self.origins.take_over(tp.partition, store.origin(tp.partition), store.holes(tp.partition))
            checkpoint = self._checkpoints[tp.partition] = store.finish_recovery(tp.partition)
            newest = store.newest_ms(tp.partition) if checkpoint is None else checkpoint.newest_ms
            self.folds[tp.partition] = PartitionFold(
                partial(store.read, tp.partition), high, newest_ms=newest, rankings=store.rankings(tp.partition)
            )
        log(Log.TABLES_RECOVERED, partitions=sorted(self.folds))


def _count_rows(written: FlushChunk) -> None:
    tiers = [0] * len(rows.TIERS)
    for key in written.rows:
        tiers[key[0]] += 1
    for tier, number in zip(rows.TIERS, tiers, strict=True):
        if number:
            ROWS_WRITTEN.labels(tier.name.lower()).inc(number)
    for tier, events in written.late.items():
        LATE_EVENTS.labels(tier.name.lower()).inc(events)
