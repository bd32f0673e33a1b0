"""Folding partial sums into the rows of one partition: exact under every replay, without Faust, Kafka or a clock.

Two ways lead from a rollup record to rows:

*fast*    The record is new: its offset lies above the watermark of every row in the partition. Its cells are merged
          per subject and minute in memory, and only a flush loads the rows they belong to, adds the sums and sets the
          watermark to the last offset that was folded before the flush began.
*replay*  The record may be in some rows already, because a process died between writing rows and committing offsets.
          Each row that it belongs to is loaded and compared: above the row's watermark it is merged; at or below it is
          not, but the row is written again, so that changelog and standbys get what the dead process may not have sent.

Offsets only rise, so an assignment begins with replay and stays fast once it is.  *high*, which tells them apart, is
the highest watermark of any row; the store keeps it together with the rows.

Between two awaits everything a record did is either in memory here or in the store, never half in both: `cell` is exact
at any time.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Final, NamedTuple

from logrouter.core.rollup.cells import Cell, copy_of, merge
from logrouter.query.tiers import Tier
from logrouter.tables import rows
from logrouter.tables.replicas import Checkpoint
from logrouter.tables.rows import NOTHING, TIERS
from logrouter.tables.unflushed import UnflushedSums

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from logrouter.core.rollup.cells import Numbers
    from logrouter.core.rollup.records import Subjects
    from logrouter.tables.rankings import ClientRankings
    from logrouter.tables.retention import Cutoffs

    MultiGet = Callable[[list[bytes]], list[bytes | None]]

NOTHING_LATE: Final[Mapping[Tier, int]] = {}
NO_TIME: Final = 2**63
"""Later than every time that a cell can hold."""


class FoldError(Exception):
    """A promise of the fold is broken: a programming error or foreign rows. Never caught, always fatal."""


class Folded(NamedTuple):
    """What one record came to, in partial sums: *sums* new ones, *replayed* ones that rows may have had already."""

    sums: int
    replayed: int


class Written(NamedTuple):
    """Rows ready for store and changelog; *late* counts the events whose row is no longer kept, by tier."""

    rows: dict[bytes, bytes]
    high: int
    late: Mapping[Tier, int] = NOTHING_LATE


class PartitionFold:
    """The rows of one partition that are not in the store yet.

    *high* is the highest watermark in the store, *last* the offset up to which every record is folded, *newest_ms* the
    newest event time in any row, as far as it is known. *rankings* are offered every row that is about to be written.
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
        self._first = NOTHING
        self._pending: dict[str, dict[int, Cell]] = {}
        self._draining: dict[str, dict[int, Cell]] = {}
        self._left: Iterator[str] = iter(())
        self._floor = NOTHING
        self._cut = NOTHING
        self._replayed: dict[bytes, tuple[int, Cell]] = {}
        self._tail: tuple[Cell | None, bytes] = None, b""

    @property
    def size(self) -> int:
        """How many subjects or replayed rows wait for a flush."""
        return len(self._pending) + len(self._draining) + len(self._replayed)

    @property
    def replaying(self) -> bool:
        """Whether the next record may be in some rows already."""
        return self.last < self.high

    @property
    def flushing(self) -> bool:
        """Whether the flush that has begun has something left to take."""
        return bool(self._draining or self._replayed)

    @property
    def checkpoint(self) -> Checkpoint:
        """Up to where the rows are complete once the flush that has begun is written."""
        return self._checkpoint

    def add(self, offset: int, subjects: Subjects, cutoffs: Cutoffs, now_ms: int = NO_TIME) -> Folded:
        """Fold one record; its cells become the fold's own. A record that this fold has seen already is left out.

        Event times after *now_ms* are of clocks that are wrong, and no news.
        """
        if offset <= self.last:
            return Folded(0, len(subjects))
        self.last = offset
        self._seen(subjects, now_ms)
        if offset <= self.high:
            return Folded(0, self._replay(offset, subjects, cutoffs))
        if self._first == NOTHING:
            self._first = offset
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
                    merge(known, cell)
        return Folded(len(subjects), 0)

    def begin_flush(self) -> None:
        """Close the interval: what is folded from now on belongs to the next flush."""
        if self._draining:
            raise FoldError("a flush began before the last one ended")
        self._draining, self._pending = self._pending, {}
        # A dict that is emptied from its beginning is searched for it ever longer.
        self._left = iter(list(self._draining))
        self._floor, self._cut, self._first = self._first, self.last, NOTHING
        self._checkpoint = Checkpoint(self._cut, self.newest_ms)

    def take(self, limit: int, cutoffs: Cutoffs) -> Written | None:
        """The next rows of this flush, at most about *limit* subjects; None when it is done.

        The caller puts them into the store before it lets anything else run.
        """
        if self._replayed:
            return self._take_replayed(limit)
        if not self._draining:
            return None
        chunk, kept_by_all = list(islice(self._left, limit)), cutoffs.of_all()
        late: dict[Tier, int] = {}
        keys: list[bytes] = []
        parts: list[list[Cell]] = []
        for subject in chunk:
            # Popped at once, and back in the store before anything else runs: see the docstring.
            cells = list(self._draining.pop(subject).values())
            if len(cells) == 1 and cells[0].minute >= kept_by_all:
                keys += rows.keys(subject, cells[0].minute)
                parts += (cells,) * len(TIERS)
            else:
                plan: dict[bytes, list[Cell]] = {}
                _place(subject, cells, cutoffs, plan, late)
                keys += plan
                parts += plan.values()
        raised = self._raised
        written = {key: raised(key, old, cells) for key, old, cells in zip(keys, self._read(keys), parts, strict=True)}
        return Written(written, self._cut, late)

    def cell(self, key: bytes) -> Cell | None:
        """The row as it would be were everything folded so far flushed; the caller must not change it."""
        return self.cells([key])[0]

    def cells(self, keys: list[bytes]) -> list[Cell | None]:
        """`cell` for many keys, with one read of the store."""
        return [self._overlaid(key, value) for key, value in zip(keys, self._read(keys), strict=True)]

    def numbers(
        self, subjects: Sequence[str], tier: Tier, buckets: Sequence[int]
    ) -> Iterator[tuple[str, Cell | Numbers]]:
        """The numbers of some subjects' rows and of what is not flushed of them, in no order; not to be changed."""
        beginnings = [rows.prefix(tier, bucket) for bucket in buckets]
        keys = [beginning + name for name in map(str.encode, subjects) for beginning in beginnings]
        values = iter(zip(keys, self._read(keys), strict=True))
        replayed = self._replayed
        for subject in subjects:
            for key, value in islice(values, len(beginnings)):
                if replayed and key in replayed:
                    yield subject, replayed[key][1]
                elif value is not None:
                    yield subject, rows.numbers_of(value)
            for cell in self._unflushed(subject):
                if tier.bucket(cell.minute) in buckets:
                    yield subject, cell

    def unflushed(self) -> UnflushedSums:
        """What a scan that begins now adds to the stored rows."""
        return UnflushedSums(self._replayed, (self._draining, self._pending))

    def _overlaid(self, key: bytes, value: bytes | None) -> Cell | None:
        tier, bucket, subject = rows.parse_key(key)
        known = self._replayed.get(key)
        cell = copy_of(known[1], bucket) if known else None
        if cell is None and value is not None:
            cell = rows.cell_of(value)
        for more in self._unflushed(subject):
            if tier.bucket(more.minute) == bucket:
                if cell is None:
                    cell = copy_of(more, bucket)
                else:
                    merge(cell, more)
        if cell is not None:
            rows.fit(tier, cell)
        return cell

    def _seen(self, subjects: Subjects, now_ms: int) -> None:
        newest = max((cell.last_ms for _, cells in subjects for cell in cells if cell.last_ms <= now_ms), default=None)
        if newest is not None and (self.newest_ms is None or newest > self.newest_ms):
            self.newest_ms = newest

    def _unflushed(self, subject: str) -> Iterator[Cell]:
        return chain(self._draining.get(subject, {}).values(), self._pending.get(subject, {}).values())

    def _raised(self, key: bytes, old: bytes | None, cells: list[Cell]) -> bytes:
        """The row after this flush."""
        tier, bucket = rows.tier_and_bucket(key)
        if old is None:
            if len(cells) == 1:
                if self._offer is not None:
                    self._offer(key, cells[0])
                return self._new_row(tier, bucket, cells[0])
            cell = Cell(bucket)
        else:
            if rows.watermark(old) >= self._floor:
                msg = f"a row holds offset {rows.watermark(old)} but the interval began at {self._floor}"
                raise FoldError(msg)
            cell = rows.cell_of(old)
        for delta in cells:
            merge(cell, delta)
        rows.fit(tier, cell)
        if self._offer is not None:
            self._offer(key, cell)
        return rows.encode(self._cut, cell)

    def _new_row(self, tier: Tier, bucket: int, cell: Cell) -> bytes:
        if tier is Tier.LIFE and cell.recent:
            return rows.encode_as(self._cut, cell, tier, bucket)
        # The rows of one cell come one after the other: encoded once, it serves for all of them.
        known, tail = self._tail
        if known is not cell:
            tail = rows.tail_of(cell)
            self._tail = cell, tail
        return rows.with_tail(self._cut, bucket, tail)

    def _replay(self, offset: int, subjects: Subjects, cutoffs: Cutoffs) -> int:
        plan: dict[bytes, list[Cell]] = {}
        for subject, cells in subjects:
            _place(subject, cells, cutoffs, plan)
        missing = [key for key in plan if key not in self._replayed]
        for key, value in zip(missing, self._read(missing), strict=True):
            bucket = rows.tier_and_bucket(key)[1]
            known = (NOTHING, Cell(bucket)) if value is None else (rows.watermark(value), rows.cell_of(value))
            self._replayed[key] = known
        for key, cells in plan.items():
            watermark, cell = self._replayed[key]
            if offset > watermark:
                for delta in cells:
                    merge(cell, delta)
                rows.fit(rows.tier_and_bucket(key)[0], cell)
                self._replayed[key] = (offset, cell)
        return len(subjects)

    def _take_replayed(self, limit: int) -> Written:
        chunk = {key: self._replayed.pop(key) for key in list(islice(self._replayed, limit * len(TIERS)))}
        if self._offer is not None:
            for key, (_, cell) in chunk.items():
                self._offer(key, cell)
        return Written({key: rows.encode(watermark, cell) for key, (watermark, cell) in chunk.items()}, self.high)


def _place(
    subject: str,
    cells: Iterable[Cell],
    cutoffs: Cutoffs,
    plan: dict[bytes, list[Cell]],
    late: dict[Tier, int] | None = None,
) -> None:
    """Add to *plan* which rows the cells of one subject belong to, and to *late* the events too old for a row."""
    for cell in cells:
        for tier, key in zip(TIERS, rows.keys(subject, cell.minute), strict=True):
            if cutoffs.keeps(*rows.tier_and_bucket(key)):
                plan.setdefault(key, []).append(cell)
            elif late is not None and subject[0] == "c":
                late[tier] = late.get(tier, 0) + cell.count
