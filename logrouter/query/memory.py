"""Tables in memory behind the same protocol: for tests and examples of the table view."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from logrouter.core.rollup.cells import Cell, copy_cell, merge_cells
from logrouter.core.rollup.records import Subjects, partition_of
from logrouter.core.rollup.subjects import SubjectKind
from logrouter.query.ranking import ROW_VALUE, Order, Top, rank_candidates, top_buckets
from logrouter.query.reader import SubjectMoment, TableReader
from logrouter.query.row_ranges import MINUTE_MS
from logrouter.query.tiers import Hole, Position, Segment, Tier, buckets_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from logrouter.core.rollup.cells import CellTotals
    from logrouter.query.parameters import Sort
    from logrouter.query.steps import Steps
    from logrouter.query.url_filter import ByteSearch


class MemoryTables:
    """Every row of every partition. All readers of one group share it, each seeing the partitions it owns."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.rows: dict[Tier, dict[tuple[int, str], Cell]] = {tier: {} for tier in Tier}
        self.offsets = dict.fromkeys(range(partitions), -1)
        self.watermarks: dict[int, int] = {}

    def fold(self, subjects: Subjects) -> None:
        """Adds partial sums to all tiers, as one rollup record of each partition they belong to."""
        for subject, cells in subjects:
            for cell in cells:
                for tier in Tier:
                    self._add(tier, subject, cell)
        for partition in {partition_of(subject, self.partitions) for subject, _ in subjects}:
            self.offsets[partition] += 1
        for subject, cells in subjects:
            partition = partition_of(subject, self.partitions)
            newest = max(cell.last_ms for cell in cells)
            self.watermarks[partition] = max(self.watermarks.get(partition, newest), newest)

    def _add(self, tier: Tier, subject: str, cell: Cell) -> None:
        bucket = tier.bucket(cell.minute)
        row = self.rows[tier].get((bucket, subject))
        if row is None:
            row = self.rows[tier][bucket, subject] = copy_cell(cell, bucket)
        else:
            merge_cells(row, cell)
        if tier is not Tier.LIFE:
            row.recent = []


@dataclass(frozen=True, slots=True)
class MemoryMoment(SubjectMoment):
    """Rows of one subject, by tier and bucket; asking for others is a `KeyError`."""

    found: Mapping[tuple[Tier, int], Cell | None]
    position: Position

    def fetch(self) -> Iterator[None]:  # noqa: D102
        yield

    def cell(self, tier: Tier, bucket: int) -> Cell | None:  # noqa: D102
        return self.found[tier, bucket]


@dataclass(slots=True)
class MemoryReader(TableReader):
    """One worker's view of the tables; tests change its fields to act a rebalance."""

    tables: MemoryTables
    url: str = "http://localhost"
    is_ready: bool = True
    mine: frozenset[int] = frozenset()
    owners: dict[int, str] = field(default_factory=dict)
    behind: int = 0
    """Records that are said to be in the log and not folded yet."""
    held: frozenset[int] = frozenset()
    """Partitions of which this worker has a replica."""
    others: dict[int, list[str]] = field(default_factory=dict)
    older: MemoryTables | None = None
    """The tables that replicas show; None for `tables` itself."""
    lost: dict[int, list[Hole]] = field(default_factory=dict)
    room: int | None = 1000
    """How many names the top of a bucket has; None: no order is known."""

    def partitions(self) -> int:  # noqa: D102 - as the protocol says, here and below
        return self.tables.partitions

    def partition_of(self, subject: str) -> int:  # noqa: D102
        return partition_of(subject, self.tables.partitions)

    def ready(self) -> bool:  # noqa: D102
        return self.is_ready

    def owner_url(self, partition: int) -> str | None:  # noqa: D102
        return self.owners.get(partition)

    def other_urls(self, partition: int) -> Sequence[str]:  # noqa: D102
        return self.others.get(partition, ())

    def self_url(self) -> str:  # noqa: D102
        return self.url

    def owned(self) -> frozenset[int]:  # noqa: D102
        return self.mine

    def replicas(self) -> frozenset[int]:  # noqa: D102
        return self.held - self.mine if self.is_ready else self.held

    def position(self, partition: int) -> Position:  # noqa: D102
        tables, standby = self._of(partition), not (self.is_ready and partition in self.mine)
        offset = tables.offsets[partition]
        end = -1 if standby else offset + 1 + self.behind
        return Position(offset, end, tables.watermarks.get(partition), standby)

    def token(self, partition: int) -> object:  # noqa: D102
        return self._of(partition)

    def holes(self, partition: int) -> Sequence[Hole]:  # noqa: D102
        return self.lost.get(partition, ())

    def counted_since(self) -> int | None:  # noqa: D102
        held = self.mine | self.held
        minutes = [minute for minute, subject in self.tables.rows[Tier.MINUTE] if self.partition_of(subject) in held]
        return min(minutes) * MINUTE_MS if minutes else None

    def moment(self, subject: str, segments: Sequence[Segment]) -> MemoryMoment:  # noqa: D102
        partition = self.partition_of(subject)
        tables = self._of(partition)
        found = {place: tables.rows[place[0]].get((place[1], subject)) for place in buckets_of(segments)}
        return MemoryMoment(found, self.position(partition))

    def numbers(  # noqa: D102
        self, partition: int, subjects: Sequence[str], segment: Segment
    ) -> Iterable[tuple[str, Cell | CellTotals]]:
        tables, (tier, start, stop) = self._of(partition), segment
        for subject in subjects:
            for bucket in range(start, stop):
                if (cell := tables.rows[tier].get((bucket, subject))) is not None:
                    yield subject, cell

    def order(  # noqa: D102
        self,
        partition: int,
        sort: Sort,
        segments: Sequence[Segment],
        limit: int,
        wanted: Callable[[str], bool] | None = None,
    ) -> Steps[Order | None]:
        yield
        if self.room is None:
            return None
        tops = []
        for tier, bucket in top_buckets(segments):
            top = Top()
            for name, _, row in self._scan([partition], SubjectKind.CLIENT, Segment(tier, bucket, bucket + 1)):
                top.offer(name, ROW_VALUE[sort](row), self.room)
            tops.append(top)
        return (yield from rank_candidates(tops, {}, limit, wanted))

    def scan(  # noqa: D102
        self,
        partitions: Iterable[int],
        kind: SubjectKind,
        segment: Segment,
        prefix: str = "",
        *,
        whole: bool = True,
        search: ByteSearch | None = None,
    ) -> Iterator[tuple[str, int, Cell | CellTotals] | None]:
        del whole, search
        yield None
        yield from self._scan(partitions, kind, segment, prefix)

    def _scan(
        self, partitions: Iterable[int], kind: SubjectKind, segment: Segment, prefix: str = ""
    ) -> Iterator[tuple[str, int, Cell | CellTotals]]:
        tier, start, stop = segment
        begun = {partition: self._of(partition) for partition in partitions}
        for tables in {id(tables): tables for tables in begun.values()}.values():
            wanted = (
                (bucket, subject)
                for bucket, subject in tables.rows[tier]
                if start <= bucket < stop and subject.startswith(kind + prefix)
            )
            for bucket, subject in sorted(wanted):
                partition = self.partition_of(subject)
                if begun.get(partition) is tables:
                    if self._of(partition) is not tables:
                        raise LookupError("a partition was lost")
                    yield subject[1:], bucket, tables.rows[tier][bucket, subject]

    def _of(self, partition: int) -> MemoryTables:
        """The tables that answer for a partition."""
        if self.is_ready and partition in self.mine:
            return self.tables
        if partition in self.held:
            return self.older or self.tables
        raise LookupError(f"partition {partition} is not held here")
