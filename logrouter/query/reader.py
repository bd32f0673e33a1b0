"""How the table view reads the tables: the protocol between `query` and `web`, and `tables`, which has the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from logrouter.core.rollup.cells import Cell, CellTotals
    from logrouter.core.rollup.subjects import SubjectKind
    from logrouter.query.parameters import Sort
    from logrouter.query.ranking import Order
    from logrouter.query.steps import Steps
    from logrouter.query.tiers import Hole, Position, Segment, Tier
    from logrouter.query.url_filter import ByteSearch


class SubjectMoment(Protocol):
    """Some rows of one subject as they were at one moment: with all that was folded by then, and nothing later."""

    @property
    def position(self) -> Position:
        """How far the partition was folded at that moment; not to be asked before `fetch` has ended."""

    def fetch(self) -> Iterator[None]:
        """Read the rows, in steps between which others may be served. The moment may be as late as the last step.

        `LookupError` if the partition moves away meanwhile.
        """

    def cell(self, tier: Tier, bucket: int) -> Cell | None:
        """The cell of one of the buckets that were asked for; None without a row. It must not be changed."""


class TableReader(Protocol):
    """Reads the rows that one tables worker holds: as owner of a partition, or as a replica of it.

    All methods are called in the event loop of the worker; none waits for the network or takes long. A *subject* is the
    letter of its `SubjectKind` followed by its name.
    """

    def partitions(self) -> int:
        """How many table partitions there are, over all workers."""

    def partition_of(self, subject: str) -> int:
        """The partition that holds a subject."""

    def ready(self) -> bool:
        """Whether the tables are recovered and not in a rebalance: only then are owned partitions surely up to date."""

    def owner_url(self, partition: int) -> str | None:
        """Base URL of the worker that owns a partition, `self_url` if it is this one, None if no owner is known."""

    def other_urls(self, partition: int) -> Sequence[str]:
        """Base URLs of the workers that do not own a partition; those that are known to have a replica come first."""

    def self_url(self) -> str:
        """Base URL under which the other workers reach this one."""

    def owned(self) -> frozenset[int]:
        """The partitions that this worker folds. Only while it is `ready` does it answer for them as their owner."""

    def replicas(self) -> frozenset[int]:
        """Partitions of which this worker has rows without being their owner now: complete up to their `position`.

        Standbys; all that is owned while the worker is not `ready`; not those that are still being recovered.
        """

    def position(self, partition: int) -> Position:
        """How far a partition is folded; it must be owned or in `replicas`."""

    def token(self, partition: int) -> object:
        """Stands for the rows of a partition here: another object after it changed hands, even if it came back."""

    def holes(self, partition: int) -> Sequence[Hole]:
        """What the rows of a partition lack for good, by offset; it must be owned or in `replicas`."""

    def counted_since(self) -> int | None:
        """When counting began, as far as the partitions tell that are owned or in `replicas`, in epoch ms.

        To the minute where minutes are still kept, else to the hour or the day. 0 if rows of earlier days may have
        expired, None if there is no row.
        """

    def moment(self, subject: str, segments: Sequence[Segment]) -> SubjectMoment:
        """One subject's rows of some segments, to be fetched. The lifetime tier has one bucket, 0.

        `LookupError` unless its partition is owned or in `replicas`.
        """

    def numbers(
        self, partition: int, subjects: Sequence[str], segment: Segment
    ) -> Iterable[tuple[str, Cell | CellTotals]]:
        """(subject, numbers) of every row that some subjects of a partition have in a segment, in any order.

        A row may come in several pieces that add up to it. The caller uses them at once and does not change them.
        """

    def order(
        self,
        partition: int,
        sort: Sort,
        segments: Sequence[Segment],
        limit: int,
        wanted: Callable[[str], bool] | None = None,
    ) -> Steps[Order | None]:
        """The *limit* clients of a partition that can have the largest values in some segments, as of the first step.

        *sort* is one of `ranking.RANKED`, *wanted* filters names. None if the order is not known: then scan.
        """

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
        """(name, bucket, cell) of every row of a subject kind in a segment whose name begins with *prefix*.

        None comes now and then where rows of others are passed over. The numbers of a cell may stand for it without
        *whole*, and with *search* where it has all its URLs and none with such a text.  Lazy: a caller that yields to
        the event loop between items keeps the worker responsive.  Rows written meanwhile may or may not be seen; a
        partition lost meanwhile ends the iteration with `LookupError`.
        """
