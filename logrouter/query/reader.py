"""What the table view may ask of the tables: the seam between `web` (asks) and `tables` (answers)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from logrouter.core.rollup.cells import Cell, Numbers
    from logrouter.query.parameters import Sort
    from logrouter.query.ranking import Order
    from logrouter.query.tiers import Position, Segment, Tier


class TableReader(Protocol):
    """Local reads of one tables worker. No method waits for the network or holds the event loop for long."""

    def partitions(self) -> int:
        """How many table partitions there are, over all workers."""

    def partition_of(self, subject: str) -> int:
        """The partition that holds a subject."""

    def ready(self) -> bool:
        """Whether the tables are recovered and not in a rebalance: only then is what is owned surely the newest."""

    def owner_url(self, partition: int) -> str | None:
        """Base URL of the worker that owns a partition, `self_url` when it is this one, None when nobody is known."""

    def other_urls(self, partition: int) -> Sequence[str]:
        """Base URLs of the workers that do not own a partition, those first that are known to have a standby of it."""

    def self_url(self) -> str:
        """Base URL under which the other workers reach this one."""

    def owned(self) -> frozenset[int]:
        """The partitions that this worker folds. Only while it is `ready` does it answer for them as their owner."""

    def replicas(self) -> frozenset[int]:
        """Partitions of which this worker has rows without being their owner now: complete up to their `position`.

        Standbys; all that is owned while the worker is not `ready`; not those that are still being recovered.
        """

    def position(self, partition: int) -> Position:
        """How far a partition is complete, owned or a replica."""

    def rows(self, subject: str, tier: Tier, buckets: Sequence[int]) -> list[Cell | None]:
        """One subject's cells, None for a bucket without a row; the lifetime tier has the one bucket 0.

        `LookupError` unless its partition is owned or a copy.
        """

    def numbers(
        self, partition: int, subjects: Sequence[str], segment: Segment
    ) -> Iterable[tuple[str, Cell | Numbers]]:
        """(subject, numbers) of every row that some subjects of a partition have in a segment, in no order.

        A row may come in pieces that add up to it. They are as of now: to be used at once, and not changed.
        """

    def order(
        self,
        partition: int,
        sort: Sort,
        segments: Sequence[Segment],
        limit: int,
        wanted: Callable[[str], bool] | None = None,
    ) -> Order | None:
        """The *limit* clients of a partition that can be worth most in some segments, as of now.

        *sort* is one of `ranking.RANKED`. None if it is not known: then only a scan can tell.
        """

    def scan(
        self, partitions: Iterable[int], kind: str, segment: Segment, prefix: str = "", *, whole: bool = True
    ) -> Iterator[tuple[str, int, Cell | Numbers]]:
        """(name, bucket, cell) of every row of a subject kind in a segment whose name begins with *prefix*.

        Where *whole* cells are not asked for, their numbers may do.  Lazy: a caller that yields to the event loop
        between items keeps the worker responsive.  Rows written meanwhile may or may not be seen; a partition lost
        meanwhile ends the iteration with `LookupError`.
        """
