"""Folds partial sums into the rows of one partition: exact under every replay, without Faust, Kafka or a clock.

A rollup record is folded in one of two ways:

*fast*    The record is new: its offset is above the watermark of every row in the partition. Its cells are merged per
          subject and minute in memory; a flush loads the rows that they belong to, adds the sums and sets the watermark
          to the last offset that was folded before the flush began.
*replay*  The record may be in some rows already, because a process died between writing rows and committing offsets.
          Each row that it belongs to is loaded. If the offset is above the row's watermark the record is merged; if
          not, the row is only written again, so that changelog and standbys get what the dead process may not have
          sent.

Offsets only rise, so after an assignment a fold may begin with replay, and once fast it stays fast. *high*, the highest
watermark of any row, separates the two; the store keeps it together with the rows.

Between two awaits everything that a record changed is either in memory here or in the store, never partly in both: so
what is read at one moment (`moment`) is exact at any time.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Final, NamedTuple

from logrouter.core.rollup.cells import Cell, merge_cells
from logrouter.query.tiers import Tier
from logrouter.tables import rows
from logrouter.tables.replicas import Checkpoint
from logrouter.tables.rows import NOTHING, TIERS
from logrouter.tables.unflushed import UnflushedSums

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from logrouter.core.rollup.cells import CellTotals
    from logrouter.core.rollup.records import Subjects
    from logrouter.tables.rankings import ClientRankings
    from logrouter.tables.retention import Cutoffs

    MultiGet = Callable[[list[bytes]], list[bytes | None]]

NOTHING_LATE: Final[Mapping[Tier, int]] = {}
NO_TIME: Final = 2**63
"""Later than every time that a cell can hold."""


class FoldError(Exception):
    """An invariant of the fold is broken, by a programming error or foreign rows. Never caught: the process ends."""


class FoldResult(NamedTuple):
    """How many partial sums of a record were new (*sums*), and how many may be in rows already (*replayed*)."""

    sums: int
    replayed: int


class FlushChunk(NamedTuple):
    """Rows (key to value) ready for store and changelog, and the highest watermark with them.

    *late* counts, by tier, the events whose row is no longer kept.
    """

    rows: dict[bytes, bytes]
    high: int
    late: Mapping[Tier, int] = NOTHING_LATE


class PartitionFold:
    """The sums of one partition that are not in the store yet.

    `UsageTable` makes one when a partition is recovered and drops it at the next rebalance. *read* gets values by keys
    from the store. *high* is the highest watermark in the store, *last* the offset up to which every record is folded,
    *newest_ms* the newest known event time in any row. *rankings* are offered every row that is about to be written.
    """

    def __init__(
        self,
        read: MultiGet,
        high: int,
        last: int = NOTHING,
        newest_ms: int | None = None,
        rankings: ClientRankings | None = None,
    ) -> None:
        self._read = read
        self._offer = None if rankings is None else rankings.offer
        self.high = high
        self.last = last
        self.newest_ms = newest_ms
        self._checkpoint = Checkpoint(NOTHING, newest_ms)
        self._pending_first = NOTHING
        self._pending: dict[str, dict[int, Cell]] = {}
        self._draining: dict[str, dict[int, Cell]] = {}
        self._subjects_left: Iterator[str] = iter(())
        self._flush_first = NOTHING
        self._flush_last = NOTHING
        self._replayed: dict[bytes, tuple[int, Cell]] = {}
        self._tail: tuple[Cell | None, bytes] = None, b""

    @property
    def size(self) -> int:
        """How many subjects and replayed rows wait for a flush."""
        return len(self._pending) + len(self._draining) + len(self._replayed)

    @property
    def replaying(self) -> bool:
        """Whether the next record may be in some rows already."""
        return self.last < self.high

    @property
    def flushing(self) -> bool:
        """Whether the running flush has more to take."""
        return bool(self._draining or self._replayed)

    @property
    def checkpoint(self) -> Checkpoint:
        """Up to where the rows are complete once the running flush is written."""
        return self._checkpoint

    def add(self, offset: int, subjects: Subjects, cutoffs: Cutoffs, now_ms: int = NO_TIME) -> FoldResult:
        """Fold one record, whose cells the fold takes over and changes. A record at or below *last* is skipped.

        Event times after *now_ms* come from wrong clocks: they do not count for *newest_ms*.
        """
        if offset <= self.last:
            return FoldResult(0, len(subjects))
        self.last = offset
        self._note_newest(subjects, now_ms)
        if offset <= self.high:
            return FoldResult(0, self._replay(offset, subjects, cutoffs))
        if self._pending_first == NOTHING:
            self._pending_first = offset
        pending = self._pending
        for subject, cells in subjects:
            minutes = pending.get(subject)
            if minutes is None:
                minutes = pending[subject] = {}
            for cell in cells:
                known = minutes.get(cell.minute)
                if known is None:
                    minutes[cell.minute] = cell
                else:
                    merge_cells(known, cell)
        return FoldResult(len(subjects), 0)

    def begin_flush(self) -> None:
        """Begin a flush of all that is folded; later records belong to the next. `FoldError` if one is running."""
        if self._draining:
            raise FoldError("a flush began before the last one ended")
        self._draining, self._pending = self._pending, {}
        # Its own iterator: finding the first key of a dict that is emptied from the front takes ever longer.
        self._subjects_left = iter(list(self._draining))
        self._flush_first, self._flush_last, self._pending_first = self._pending_first, self.last, NOTHING
        self._checkpoint = Checkpoint(self._flush_last, self.newest_ms)

    def take(self, limit: int, cutoffs: Cutoffs) -> FlushChunk | None:
        """The next rows of the running flush, of about *limit* subjects at most; None when it is done.

        The caller must put them into the store before it awaits anything. Raises `FoldError` for a row that holds sums
        of this flush already.
        """
        if self._replayed:
            return self._take_replayed(limit)
        if not self._draining:
            return None
        chunk, kept_by_all = list(islice(self._subjects_left, limit)), cutoffs.kept_by_all()
        late: dict[Tier, int] = {}
        keys: list[bytes] = []
        parts: list[list[Cell]] = []
        for subject in chunk:
            # Popped at once, and back in the store before anything else runs: see the docstring of this module.
            cells = list(self._draining.pop(subject).values())
            if len(cells) == 1 and cells[0].minute >= kept_by_all:
                keys += rows.keys(subject, cells[0].minute)
                parts += (cells,) * len(TIERS)
            else:
                plan: dict[bytes, list[Cell]] = {}
                _assign_to_rows(subject, cells, cutoffs, plan, late)
                keys += plan
                parts += plan.values()
        updated_row = self._updated_row
        written = {
            key: updated_row(key, old, cells) for key, old, cells in zip(keys, self._read(keys), parts, strict=True)
        }
        return FlushChunk(written, self._flush_last, late)

    def numbers(
        self, subjects: Sequence[str], tier: Tier, buckets: Sequence[int]
    ) -> Iterator[tuple[str, Cell | CellTotals]]:
        """The numbers of some subjects' rows, and their unflushed cells, in no order. They must not be changed."""
        beginnings = [rows.prefix(tier, bucket) for bucket in buckets]
        keys = [beginning + name for name in map(str.encode, subjects) for beginning in beginnings]
        values = iter(zip(keys, self._read(keys), strict=True))
        replayed = self._replayed
        for subject in subjects:
            for key, value in islice(values, len(beginnings)):
                if replayed and key in replayed:
                    yield subject, replayed[key][1]
                elif value is not None:
                    yield subject, rows.decode_totals(value)
            for cell in self._unflushed(subject):
                if tier.bucket(cell.minute) in buckets:
                    yield subject, cell

    def read(self, keys: list[bytes]) -> list[bytes | None]:
        """What the store has under some keys."""
        return self._read(keys)

    def layers_of(self, subject: str) -> tuple[dict[int, Cell] | None, dict[int, Cell] | None]:
        """The sums of a subject that a running flush has not taken yet, and those for the next, by epoch minute.

        They go on growing, in the same dicts as long as none of them is flushed.
        """
        return self._draining.get(subject), self._pending.get(subject)

    def replays(self) -> bool:
        """Whether there are rows in memory that replace stored ones."""
        return bool(self._replayed)

    def replayed_cell(self, key: bytes) -> Cell | None:
        """The row that replaces a stored one; None if none does."""
        known = self._replayed.get(key)
        return None if known is None else known[1]

    def unflushed(self) -> UnflushedSums:
        """The sums that a scan which begins now adds to the stored rows."""
        return UnflushedSums(self._replayed, (self._draining, self._pending))

    def _note_newest(self, subjects: Subjects, now_ms: int) -> None:
        newest = max((cell.last_ms for _, cells in subjects for cell in cells if cell.last_ms <= now_ms), default=None)
        if newest is not None and (self.newest_ms is None or newest > self.newest_ms):
            self.newest_ms = newest

    def _unflushed(self, subject: str) -> Iterator[Cell]:
        return chain(self._draining.get(subject, {}).values(), self._pending.get(subject, {}).values())

    def _updated_row(self, key: bytes, old: bytes | None, cells: list[Cell]) -> bytes:
        """The value of a row after this flush; *old* is the stored one."""
        tier, bucket = rows.tier_and_bucket(key)
        if old is None:
            if len(cells) == 1:
                if self._offer is not None:
                    self._offer(key, cells[0])
                return self._new_row(tier, bucket, cells[0])
            cell = Cell(bucket)
        else:
            if rows.watermark(old) >= self._flush_first:
                msg = f"a row holds offset {rows.watermark(old)} but the interval began at {self._flush_first}"
                raise FoldError(msg)
            cell = rows.decode_cell(old)
        for delta in cells:
            merge_cells(cell, delta)
        rows.trim_to_tier(tier, cell)
        if self._offer is not None:
            self._offer(key, cell)
        return rows.encode(self._flush_last, cell)

    def _new_row(self, tier: Tier, bucket: int, cell: Cell) -> bytes:
        if tier is Tier.LIFE and cell.recent:
            return rows.encode_as(self._flush_last, cell, tier, bucket)
        # The rows of one cell come one after the other: encoded once, it serves for all of them.
        known, tail = self._tail
        if known is not cell:
            tail = rows.encode_tail(cell)
            self._tail = cell, tail
        return rows.join_tail(self._flush_last, bucket, tail)

    def _replay(self, offset: int, subjects: Subjects, cutoffs: Cutoffs) -> int:
        plan: dict[bytes, list[Cell]] = {}
        for subject, cells in subjects:
            _assign_to_rows(subject, cells, cutoffs, plan)
        missing = [key for key in plan if key not in self._replayed]
        for key, value in zip(missing, self._read(missing), strict=True):
            bucket = rows.tier_and_bucket(key)[1]
            known = (NOTHING, Cell(bucket)) if value is None else (rows.watermark(value), rows.decode_cell(value))
            self._replayed[key] = known
        for key, cells in plan.items():
            watermark, cell = self._replayed[key]
            if offset > watermark:
                for delta in cells:
                    merge_cells(cell, delta)
                rows.trim_to_tier(rows.tier_and_bucket(key)[0], cell)
                self._replayed[key] = (offset, cell)
        return len(subjects)

    def _take_replayed(self, limit: int) -> FlushChunk:
        chunk = {key: self._replayed.pop(key) for key in list(islice(self._replayed, limit * len(TIERS)))}
        if self._offer is not None:
            for key, (_, cell) in chunk.items():
                self._offer(key, cell)
        return FlushChunk({key: rows.encode(watermark, cell) for key, (watermark, cell) in chunk.items()}, self.high)


def _assign_to_rows(
    subject: str,
    cells: Iterable[Cell],
    cutoffs: Cutoffs,
    plan: dict[bytes, list[Cell]],
    late: dict[Tier, int] | None = None,
) -> None:
    """Add the cells of one subject to *plan*, by row key, and to *late* the events that are too old for a row."""
    for cell in cells:
        for tier, key in zip(TIERS, rows.keys(subject, cell.minute), strict=True):
            if cutoffs.keeps(*rows.tier_and_bucket(key)):
                plan.setdefault(key, []).append(cell)
            elif late is not None and subject[0] == "c":
                late[tier] = late.get(tier, 0) + cell.count
