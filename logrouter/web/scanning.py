"""Does the reads that reports ask for, in turns: other requests, and the fold, get the event loop in between."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from logrouter.core.rollup.subjects import SubjectKind
from logrouter.query.reports.work import Beginning, Lookup, Ranking, Scan
from logrouter.query.tiers import count_buckets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from logrouter.access.names import NameSet
    from logrouter.http_server.meter import RowCount
    from logrouter.http_server.work_queue import Job
    from logrouter.query.reader import TableReader
    from logrouter.query.reports.work import Work

_CLIENT: Final = SubjectKind.CLIENT.value
_KEYS_AT_ONCE: Final = 500
"""Rows that are looked up by one read of the store: about a millisecond."""


class Scanner(NamedTuple):
    """Does work on the rows of some *partitions* that this worker holds, as one *job*, and counts the rows it reads.

    Its methods raise `LookupError` if a partition moves away meanwhile.
    """

    reader: TableReader
    job: Job
    read: RowCount
    partitions: Sequence[int]

    async def run_work(self, work: Work) -> None:
        """Do *work* for a caller who may read all clients."""
        if isinstance(work, Scan):
            await self._scan(work)
        elif isinstance(work, Lookup):
            await self._look_up(work)
        elif isinstance(work, Beginning):
            work.take(self.reader.counted_since())
        else:
            await self._rank(work)

    async def run_work_for(self, work: Work, kind: SubjectKind | None, only: NameSet) -> None:
        """Do *work* for a caller who may read those clients or APIs (*kind*) that are in *only*, and no others.

        A `Ranking` is skipped, as an order would say something about others. `ValueError` for reads that are about
        anything else.
        """
        if isinstance(work, Scan) and work.kind == kind:
            names = [name for name in sorted(only.names) if name.startswith(work.prefix)]
            if not await self._scan_names(work, names):
                await self._scan_fitting(work, only)
        elif not isinstance(work, Ranking):
            raise ValueError("a report about anything else cannot be confined to some clients or APIs")

    async def _scan(self, scan: Scan) -> None:
        kind, segment, add, whole, prefix, search = scan
        job, read = self.job, self.read
        for row in self.reader.scan(self.partitions, kind, segment, prefix, whole=whole, search=search):
            if row is not None:
                read.here += 1
                if add(*row):
                    return
            # After every row, as the patterns that a name is tested by may take a while.
            if job.over():
                await job.pause()

    async def _rank(self, ranking: Ranking) -> None:
        sort, segments, limit, wanted, take = ranking
        for partition in self.partitions:
            take(await self.job.run(self.reader.order(partition, sort, segments, limit, wanted)))

    async def _look_up(self, lookup: Lookup) -> None:
        names, segment, add = lookup
        by_partition = defaultdict[int, list[str]](list)
        for name in names:
            subject = _CLIENT + name
            by_partition[self.reader.partition_of(subject)].append(subject)
        some = max(_KEYS_AT_ONCE // (segment.stop - segment.start), 1)
        for partition in by_partition.keys() & set(self.partitions):
            for subjects in _chunks(by_partition[partition], some):
                self.read.here += len(subjects) * count_buckets([segment])
                for subject, row in self.reader.numbers(partition, subjects, segment):
                    add(subject[1:], row)
                if self.job.over():
                    await self.job.pause()

    async def _scan_names(self, scan: Scan, names: Sequence[str]) -> bool:
        """Read the rows of *names*, and no others; whether the scan has ended early."""
        tier, start, stop = scan.segment
        for name in names:
            subject = scan.kind + name
            if self.reader.partition_of(subject) not in self.partitions:
                continue
            moment = self.reader.moment(subject, [scan.segment])
            self.read.here += count_buckets([scan.segment])
            for _ in moment.fetch():
                if self.job.over():
                    await self.job.pause()
            for bucket in range(start, stop):
                cell = moment.cell(tier, bucket)
                if cell is not None and scan.add(name, bucket, cell):
                    return True
                if self.job.over():
                    await self.job.pause()
        return False

    async def _scan_fitting(self, scan: Scan, only: NameSet) -> None:
        """Read the rows whose names fit a pattern; that there are others is not to be seen by what the caller pays."""
        kind, segment, add, whole, within, search = scan
        for prefix in only.prefixes(within):
            for row in self.reader.scan(self.partitions, kind, segment, prefix, whole=whole, search=search):
                if row is not None and only.fits(row[0]):
                    self.read.here += 1
                    if add(*row):
                        return
                elif row is not None:
                    self.read.unpaid += 1
                if self.job.over():
                    await self.job.pause()


def _chunks(names: list[str], size: int) -> Iterator[list[str]]:
    return (names[start : start + size] for start in range(0, len(names), size))
