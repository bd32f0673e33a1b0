"""Which names may belong to a top list, found without reading every row.

A *top* holds the largest values of one bucket and a *floor* that no value outside it exceeds. Values of rows only grow,
so a top stays right if it is offered every row that is written. Over several buckets the value of a name is at
most the sum of its values, with the floor in place of those that are not known (Fagin's threshold algorithm). The rows
of names are read in the order of that bound, until no name that is left can belong to the list.

Minutes have no tops: what a client did in some minutes of an hour is at most what it did in that hour.
"""

from __future__ import annotations

import heapq
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from logrouter.query.answers import count_errors
from logrouter.query.parameters import Sort
from logrouter.query.tiers import Tier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from logrouter.core.rollup.cells import Cell, CellTotals
    from logrouter.query.steps import Steps
    from logrouter.query.tiers import Segment

RANKED: Final = (Sort.COUNT, Sort.ERRORS, Sort.BYTES)
"""The orders that tops are kept for: sums, which only grow. A mean does not."""

NAMES_KEPT: Final = MappingProxyType({Tier.HOUR: 250, Tier.DAY: 500, Tier.LIFE: 1000})
"""How many names a top keeps at least, by tier and partition; it may hold twice as many."""


ROW_VALUE: Final[Mapping[Sort, Callable[[Cell | CellTotals], int]]] = MappingProxyType(
    {Sort.COUNT: lambda row: row.count, Sort.ERRORS: count_errors, Sort.BYTES: lambda row: row.bytes_in + row.bytes_out}
)
"""The value of a row in each order."""


_SORTED_AT_ONCE: Final = 4_000
"""Names that are sorted in a step: about two milliseconds."""


class Top(msgspec.Struct, array_like=True):
    """The largest values of one bucket by name; no other name has a value above *floor*."""

    values: dict[str, int] = {}
    floor: int = 0

    def offer(self, name: str, value: int, room: int) -> None:
        """Keep *value*, to which the row of *name* has grown, if it is large enough; about *room* names are kept."""
        values = self.values
        if value > self.floor:
            values[name] = value
            if len(values) > 2 * room:
                ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))
                self.floor = max(self.floor, ordered[room][1])
                self.values = dict(ordered[:room])


class RankCandidate(NamedTuple):
    """A name, and the largest value (*most*) that it can have over some buckets."""

    most: int
    name: str


class Order(NamedTuple):
    """The names that may be largest in one partition, largest first; no other name has a value above *bound*."""

    candidates: list[RankCandidate]
    bound: int


def top_buckets(segments: Iterable[Segment]) -> Iterator[tuple[Tier, int]]:
    """The buckets whose tops cover some segments; minutes are covered by the hours that they lie in."""
    for tier, start, stop in segments:
        if tier is Tier.MINUTE:
            width: int = Tier.HOUR.value
            yield from ((Tier.HOUR, bucket) for bucket in range(start // width, -(-stop // width)))
        else:
            yield from ((tier, bucket) for bucket in range(start, stop))


def rank_candidates(
    tops: Sequence[Top],
    more: Mapping[str, int],
    limit: int,
    wanted: Callable[[str], bool] | None = None,
) -> Steps[Order]:
    """The *limit* names that can have the largest values by some tops, one per bucket.

    *more* holds values by name that are not in the tops yet; *wanted* filters names.
    """
    floors = sum(top.floor for top in tops)
    most: dict[str, int] = {}
    get = most.get
    for top in tops:
        floor = top.floor
        for name, value in top.values.items():
            most[name] = get(name, floors) + value - floor
        yield
    for name, value in more.items():
        most[name] = get(name, floors) + value
    yield
    ordered: list[tuple[int, str]] = []
    found: list[tuple[int, str]] = []
    for number, (name, n) in enumerate(most.items(), 1):
        if wanted is None:
            found.append((-n, name))
        else:
            if wanted(name):
                found.append((-n, name))
            yield
        if number % _SORTED_AT_ONCE == 0:
            ordered, found = heapq.nsmallest(limit + 1, ordered + found), []
            yield
    ordered = heapq.nsmallest(limit + 1, ordered + found)
    bound = -ordered[limit][0] if len(ordered) > limit else floors
    return Order([RankCandidate(-n, name) for n, name in ordered[:limit]], max(bound, floors))


def merge_orders(orders: Iterable[Order]) -> Order:
    """The order over several partitions; no name is in two of them."""
    orders = list(orders)
    merged = list(heapq.merge(*(found.candidates for found in orders), key=lambda entry: (-entry.most, entry.name)))
    return Order(merged, max((found.bound for found in orders), default=0))
