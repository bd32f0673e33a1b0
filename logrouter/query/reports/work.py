"""Reports over many subjects: what is scanned for them, and how the shares of several workers become one answer.

All rows of a subject are on one worker.  Whatever is summed per subject is therefore complete in one share, and the
largest of all are among the largest of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from logrouter.core.rollup.cells import Cell, Numbers
    from logrouter.query.parameters import Sort
    from logrouter.query.ranking import Order
    from logrouter.query.tiers import Segment


class Scan(NamedTuple):
    """Rows to be read: those of a kind in a segment. *add* takes name, bucket and cell; True means: no more of them."""

    kind: str
    segment: Segment
    add: Callable[[str, int, Any], bool | None]
    whole: bool = True
    """Whether *add* takes whole cells; else it may get their numbers alone (`core.cells.Numbers`)."""
    prefix: str = ""
    """What names begin with."""


class Ranking(NamedTuple):
    """The *limit* clients of each partition that can be worth most. *take* gets None where that is not known.

    It gets nothing at all if the caller may see some clients only.
    """

    sort: Sort
    segments: Sequence[Segment]
    limit: int
    wanted: Callable[[str], bool] | None
    take: Callable[[Order | None], None]


class Lookup(NamedTuple):
    """The rows of some clients in a segment. *add* takes name and numbers, of one row perhaps in several pieces."""

    names: Sequence[str]
    segment: Segment
    add: Callable[[str, Cell | Numbers], None]


Work = Scan | Ranking | Lookup


class Report(Protocol):
    """One worker's share of a report, being made."""

    def work(self) -> Iterator[Work | None]:
        """What to read, one after the other; None stands for a little work that was done between two turns."""

    def part(self) -> Any:
        """The share, once all work is done: a struct that msgspec encodes."""
