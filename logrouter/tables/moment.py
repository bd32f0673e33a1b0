"""The rows of one subject at one moment, read in steps while the fold goes on.

The sums of the subject that are not flushed yet are copied first. Then its stored rows are read, some at a time. If a
flush writes the subject meanwhile, what was read does not fit together: everything is read again, in one step.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from logrouter.core.rollup.cells import copy_cell, merge_cells
from logrouter.tables import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from logrouter.core.rollup.cells import Cell
    from logrouter.query.tiers import Position, Tier
    from logrouter.tables.fold import PartitionFold

    Buckets = Iterable[tuple[Tier, int]]

ROWS_AT_ONCE: Final = 150
"""Rows that are read in a step: about a millisecond, or several where each holds many names."""


class StoredMoment:
    """Rows of *subject* in the store, and what the *fold* of its partition adds to them.

    *buckets* are those that are kept. *position* tells how far the partition is folded now; the rows of a *replica* may
    be newer at any time. *held* says whether the partition is still here.
    """

    def __init__(
        self,
        fold: PartitionFold,
        subject: str,
        buckets: Buckets,
        position: Callable[[], Position],
        *,
        replica: bool = False,
        held: Callable[[], bool] = lambda: True,
    ) -> None:
        self._fold = fold
        self._subject = subject
        self._keys = {rows.key_of(tier, bucket, subject): (tier, bucket) for tier, bucket in buckets}
        self._position_now = position
        self._replica = replica
        self._held = held
        self._values: dict[tuple[Tier, int], bytes | None] = {}
        self._unflushed: dict[Tier, dict[int, list[Cell]]] = {}
        self._begin()

    def _begin(self) -> None:
        fold = self._fold
        self.position = self._position_now()
        self._last = fold.last
        self._layers = fold.layers_of(self._subject)
        self._cells = [copy_cell(cell, cell.minute) for layer in self._layers if layer for cell in layer.values()]
        self._replayed = {
            place: copy_cell(cell, place[1])
            for key, place in self._keys.items()
            if (cell := fold.replayed_cell(key)) is not None
        }

    def fetch(self, at_once: int = ROWS_AT_ONCE) -> Iterator[None]:
        """Read the rows, *at_once* in a step; `LookupError` if the partition moves away meanwhile."""
        keys = iter(self._keys)
        # What is replayed is rewritten with watermarks that tell nothing: such rows are read in one step.
        whole = self._fold.replays()
        while not whole and (some := list(islice(keys, at_once))):
            values = self._fold.read(some)
            whole = not self._fits(values)
            self._values.update(zip(map(self._keys.__getitem__, some), values, strict=True))
            yield
            if not self._held():
                raise LookupError("the partition moved away")
        if whole:
            self._begin()
            self._values = dict(zip(self._keys.values(), self._fold.read(list(self._keys)), strict=True))
            yield

    def _fits(self, values: Iterable[bytes | None]) -> bool:
        """Whether these rows are as they were when the moment began."""
        if self._replica:
            return True
        now = self._fold.layers_of(self._subject)
        same = all(old is new for old, new in zip(self._layers, now, strict=True))
        return same and all(value is None or rows.watermark(value) <= self._last for value in values)

    def cell(self, tier: Tier, bucket: int) -> Cell | None:
        """The cell of a bucket; None where there is no row, or it has expired."""
        place = tier, bucket
        value, cell = self._values.get(place), self._replayed.get(place)
        if cell is not None:
            cell = copy_cell(cell, bucket)
        elif value is not None:
            cell = rows.decode_cell(value)
        for more in self._more(tier).get(bucket, ()) if place in self._values else ():
            if cell is None:
                cell = copy_cell(more, bucket)
            else:
                merge_cells(cell, more)
        if cell is not None:
            rows.trim_to_tier(tier, cell)
        return cell

    def _more(self, tier: Tier) -> dict[int, list[Cell]]:
        """The copied sums by bucket of a tier."""
        known = self._unflushed.get(tier)
        if known is None:
            known = self._unflushed[tier] = {}
            for cell in self._cells:
                known.setdefault(tier.bucket(cell.minute), []).append(cell)
        return known
