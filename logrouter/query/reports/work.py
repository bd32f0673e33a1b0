"""What reports over many subjects read: the reads that a report asks for, to be done on the rows of one worker.

All rows of a subject are on one worker. A sum per subject is therefore complete in one partial report, and the largest
subjects of all workers are among the largest of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from logrouter.core.rollup.cells import Cell, CellTotals
    from logrouter.core.rollup.subjects import SubjectKind
    from logrouter.query.parameters import Sort
    from logrouter.query.ranking import Order
    from logrouter.query.steps import Steps
    from logrouter.query.tiers import Segment
    from logrouter.query.url_filter import ByteSearch


class Scan(NamedTuple):
    """Read all rows of a subject kind in a segment.

    *add* is called with name, bucket and row for each; the scan ends early if it returns True.
    """

    kind: SubjectKind
    segment: Segment
    add: Callable[[str, int, Any], bool | None]
    whole: bool = True
    """Whether *add* needs whole cells; otherwise it may get their numbers only (`core.rollup.cells.CellTotals`)."""
    prefix: str = ""
    """Only names that begin with this."""
    search: ByteSearch | None = None
    """Whole cells are needed only of rows that may hold this among their URLs, or that lack some; numbers of others."""


class Ranking(NamedTuple):
    """Read the order of the *limit* largest clients of each partition (`query.ranking`).

    *take* is called once per partition, with None where no order is kept. It is not called at all if the caller may
    read some clients only.
    """

    sort: Sort
    segments: Sequence[Segment]
    limit: int
    wanted: Callable[[str], bool] | None
    take: Callable[[Order | None], None]


class Lookup(NamedTuple):
    """Read the rows of some clients in a segment.

    *add* is called with name and numbers; it may get one row in several pieces that add up to it.
    """

    names: Sequence[str]
    segment: Segment
    add: Callable[[str, Cell | CellTotals], None]


class Beginning(NamedTuple):
    """Ask when counting began.

    *take* is called once, with epoch ms, or with None where that is not known.
    """

    take: Callable[[int | None], None]


Work = Scan | Ranking | Lookup | Beginning


class PartialReportBuilder(Protocol):
    """Makes the part of a report that one worker has: from the rows of the partitions that it holds."""

    def work(self) -> Iterator[Work | None]:
        """The reads to be done, each before the next is asked for; None is a pause in which others may be served."""

    def result(self) -> Steps[Any]:
        """The partial report, once all work is done: an instance of the report's `partial_report`."""
