"""Does the reads that reports ask for, in slices: other requests get the event loop in between."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from time import perf_counter
from typing import TYPE_CHECKING, Final

from logrouter.core.rollup.subjects import SubjectKind
from logrouter.query.reports.work import Lookup, Ranking, Scan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from logrouter.query.reports.work import Work
    from logrouter.web.view import View

_CLIENT: Final = SubjectKind.CLIENT.value
_CHECK_EVERY: Final = 64
"""Rows between two looks at the time."""
_KEYS_AT_ONCE: Final = 500
"""Rows that are looked up by one read of the store: about a millisecond."""


async def run_work(view: View, work: Work, partitions: Sequence[int]) -> None:
    """Do *work* on the rows of some partitions that this worker holds; `LookupError` if one moves away meanwhile."""
    if isinstance(work, Scan):
        await _scan(view, work, partitions)
    elif isinstance(work, Lookup):
        await _look_up(view, work, partitions)
    else:
        await _rank(view, work, partitions)


async def run_work_for(view: View, work: Work, partitions: Sequence[int], only: frozenset[str]) -> None:
    """Do *work* for a caller who may read the clients in *only* and no others: no other rows are read.

    A `Ranking` is skipped, as an order would say something about other clients. `ValueError` for reads that are not
    about clients.
    """
    if isinstance(work, Scan) and work.kind == SubjectKind.CLIENT:
        await _scan_only(view, work, partitions, only)
    elif not isinstance(work, Ranking):
        raise ValueError("a report that is not about clients cannot be confined to some")


async def _scan(view: View, scan: Scan, partitions: Sequence[int]) -> None:
    kind, segment, add, whole, prefix = scan
    until = perf_counter() + view.limits.slice
    for number, row in enumerate(view.reader.scan(partitions, kind, segment, prefix, whole=whole), 1):
        if add(*row):
            return
        if number % _CHECK_EVERY == 0 and perf_counter() > until:
            await asyncio.sleep(0)
            until = perf_counter() + view.limits.slice


async def _rank(view: View, ranking: Ranking, partitions: Sequence[int]) -> None:
    sort, segments, limit, wanted, take = ranking
    for partition in partitions:
        take(view.reader.order(partition, sort, segments, limit, wanted))
        await asyncio.sleep(0)


async def _look_up(view: View, lookup: Lookup, partitions: Sequence[int]) -> None:
    names, segment, add = lookup
    by_partition = defaultdict[int, list[str]](list)
    for name in names:
        subject = _CLIENT + name
        by_partition[view.reader.partition_of(subject)].append(subject)
    some = max(_KEYS_AT_ONCE // (segment.stop - segment.start), 1)
    until = perf_counter() + view.limits.slice
    for partition in by_partition.keys() & set(partitions):
        for subjects in _chunks(by_partition[partition], some):
            for subject, row in view.reader.numbers(partition, subjects, segment):
                add(subject[1:], row)
            if perf_counter() > until:
                await asyncio.sleep(0)
                until = perf_counter() + view.limits.slice


def _chunks(names: list[str], size: int) -> Iterator[list[str]]:
    return (names[start : start + size] for start in range(0, len(names), size))


async def _scan_only(view: View, scan: Scan, partitions: Sequence[int], only: frozenset[str]) -> None:
    tier, start, stop = scan.segment
    for name in sorted(only):
        subject = _CLIENT + name
        if view.reader.partition_of(subject) not in partitions or not name.startswith(scan.prefix):
            continue
        buckets = range(start, stop)
        for bucket, cell in zip(buckets, view.reader.rows(subject, tier, buckets), strict=True):
            if cell is not None:
                scan.add(name, bucket, cell)
        await asyncio.sleep(0)
