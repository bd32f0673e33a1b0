"""What a scan adds to stored rows: partial sums that are folded and not flushed yet.

They are taken at the moment in which a scan begins, together with a snapshot of the database, and without copying
cells, as there may be tens of thousands. Cells go on growing during the scan, and flushes write them, but the snapshot
does not see those writes: each row is read with everything that was folded when the scan began, perhaps with some of
what was folded since, and nothing twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from logrouter.core.rollup.cells import copy_cell, merge_cells
from logrouter.tables import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from logrouter.core.rollup.cells import Cell, CellTotals
    from logrouter.query.steps import Steps
    from logrouter.query.tiers import Tier
    from logrouter.query.url_filter import ByteSearch

    Layer = dict[str, dict[int, Cell]]
    """Cells by subject and epoch minute."""


_PASS: Final = 500
"""Subjects that are passed over in a step: some tenths of a millisecond."""


class ScanRange(NamedTuple):
    """Rows with start <= bucket < stop, of subjects that begin with *prefix*: a kind letter and the start of a name."""

    prefix: str
    tier: Tier
    start: int
    stop: int


class UnflushedSums:
    """A partition's unflushed sums as a scan sees them; *replayed* are whole rows that replace stored ones."""

    def __init__(self, replayed: Mapping[bytes, tuple[int, Cell]], layers: Iterable[Layer]) -> None:
        self._replayed = dict(replayed)
        self._layers = [dict(layer) for layer in layers if layer]

    @property
    def replaying(self) -> bool:
        """Whether there are rows that replace stored ones."""
        return bool(self._replayed)

    def values(self, value: Callable[[Cell], int], wanted: range) -> Steps[dict[str, int]]:
        """The sum of *value* over the cells of the epoch minutes in *wanted*, by client; only clients above zero."""
        found: dict[str, int] = {}
        for layer in self._layers:
            for number, (subject, minutes) in enumerate(layer.items()):
                if number % _PASS == 0:
                    yield
                if subject[0] == "c":
                    for minute, cell in minutes.items():
                        if minute in wanted and (more := value(cell)):
                            found[subject[1:]] = found.get(subject[1:], 0) + more
        return found

    def merged(
        self,
        found: Iterable[tuple[bytes, bytes] | None],
        wanted: ScanRange,
        *,
        whole: bool = True,
        search: ByteSearch | None = None,
    ) -> Iterator[tuple[str, int, Cell | CellTotals] | None]:
        """Subject, bucket and cell of every row of a range; *found* are key and value of the stored ones.

        None comes where *found* has it, and now and then where sums of others are passed over. Cells must not be
        changed. Without *whole*, a stored row to which nothing is added may be its numbers alone, and so may, with
        *search*, one that has all its URLs and none with such a text.
        """
        tier, done = wanted.tier, set[tuple[str, int]]()
        for stored in found:
            if stored is None:
                yield None
                continue
            key, value = stored
            _, bucket, subject = rows.parse_key(key)
            known = self._replayed.pop(key, None)
            more_of_it = any(subject in layer for layer in self._layers)
            needed = whole and (search is None or rows.may_have_url(value, search))
            if not (needed or more_of_it or known):
                yield subject, bucket, rows.decode_totals(value)
                continue
            cell = rows.decode_cell(value) if known is None else copy_cell(known[1], bucket)
            if more_of_it:
                # Done even if there is nothing to add yet: a record that comes later may add to the same minutes.
                done.add((subject, bucket))
                for more in self._cells(subject, tier, bucket):
                    merge_cells(cell, more)
            yield subject, bucket, cell
        for number, (key, (_, row)) in enumerate(self._replayed.items()):
            if number % _PASS == 0:
                yield None
            at, bucket, subject = rows.parse_key(key)
            if at is tier and subject.startswith(wanted.prefix) and wanted.start <= bucket < wanted.stop:
                done.add((subject, bucket))
                yield subject, bucket, _sum([row, *self._cells(subject, tier, bucket)], bucket)
        yield from self._new(wanted, done)

    def _new(self, wanted: ScanRange, done: set[tuple[str, int]]) -> Iterator[tuple[str, int, Cell] | None]:
        """The rows that are not stored at all."""
        prefix, tier, start, stop = wanted
        for layer in self._layers:
            for number, (subject, minutes) in enumerate(layer.items()):
                if number % _PASS == 0:
                    yield None
                if not subject.startswith(prefix):
                    continue
                for bucket in {tier.bucket(minute) for minute in minutes}:
                    if start <= bucket < stop and (subject, bucket) not in done:
                        done.add((subject, bucket))
                        yield subject, bucket, _sum(self._cells(subject, tier, bucket), bucket)

    def _cells(self, subject: str, tier: Tier, bucket: int) -> list[Cell]:
        return [
            cell
            for layer in self._layers
            for minute, cell in layer.get(subject, {}).items()
            if tier.bucket(minute) == bucket
        ]


def _sum(cells: list[Cell], bucket: int) -> Cell:
    if len(cells) == 1:
        return cells[0]
    whole = copy_cell(cells[0], bucket)
    for cell in cells[1:]:
        merge_cells(whole, cell)
    return whole
