"""Reports over many subjects: what is scanned for them, and how the shares of several workers become one answer.

All rows of a subject are on one worker.  Whatever is summed per subject is therefore complete in one share, and the
largest of all are among the largest of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from logrouter.core.cells import Cell
    from logrouter.query.reader import Segment


class Scan(NamedTuple):
    """Rows to be read: those of a kind in a segment. *add* takes name, bucket and cell; True means: no more of them."""

    kind: str
    segment: Segment
    add: Callable[[str, int, Cell], bool | None]


class Report(Protocol):
    """One worker's share of a report, being made."""

    def scans(self) -> Iterator[Scan | None]:
        """What to read, one after the other; None stands for a little work that was done between two turns."""

    def part(self) -> Any:
        """The share, once all scans are done: a struct that msgspec encodes."""
