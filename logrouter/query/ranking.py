"""Who may belong to a top list, without reading every row.

A *top* holds the largest values of one bucket and a *floor* that no value outside it exceeds. Values of rows only grow,
so a top stays right if it is offered every row that is written. Over a window of several buckets a name is worth at
most the sum of its values, with the floor in place of those that are not known (Fagin's threshold algorithm). Names are
looked up exactly in the order of what they may be worth at most, until nobody who is left can belong to the list.

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

    from logrouter.core.rollup.cells import Cell, Numbers
    from logrouter.query.tiers import Segment

RANKED: Final = (Sort.COUNT, Sort.ERRORS, Sort.BYTES)
"""What tops are kept of: sums, which only grow. A mean does not."""

NAMES_KEPT: Final = MappingProxyType({Tier.HOUR: 250, Tier.DAY: 500, Tier.LIFE: 1000})
"""How many names a top keeps at least, by tier and partition; it may hold twice as many."""


ROW_VALUE: Final[Mapping[Sort, Callable[[Cell | Numbers], int]]] = MappingProxyType(
    {Sort.COUNT: lambda row: row.count, Sort.ERRORS: count_errors, Sort.BYTES: lambda row: row.bytes_in + row.bytes_out}
)
"""What a row is worth in each order."""


class Top(msgspec.Struct, array_like=True):
    """The largest values of one bucket by name; every name that is not in it is worth *floor* at most."""

    values: dict[str, int] = {}
    floor: int = 0

    def offer(self, name: str, value: int, room: int) -> None:
        """Take note of a value that has grown to this, or is new."""
        values = self.values
        if value > self.floor:
            values[name] = value
            if len(values) > 2 * room:
                ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))
                self.floor = max(self.floor, ordered[room][1])
                self.values = dict(ordered[:room])


class RankCandidate(NamedTuple):
    """A name, and what it can be worth at most."""

    most: int
    name: str


class Order(NamedTuple):
    """Who may be largest in one partition, largest first; whoever is not in it is worth *bound* at most."""

    candidates: list[RankCandidate]
    bound: int


def top_buckets(segments: Iterable[Segment]) -> Iterator[tuple[Tier, int]]:
    """The buckets whose tops cover some segments: of minutes, the hours that they lie in."""
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
) -> Order:
    """The *limit* names that can be worth most by some tops and by what is not in them yet (*more*)."""
    floors = sum(top.floor for top in tops)
    most: dict[str, int] = {}
    get = most.get
    for top in tops:
        floor = top.floor
        for name, value in top.values.items():
            most[name] = get(name, floors) + value - floor
    for name, value in more.items():
        most[name] = get(name, floors) + value
    found = ((-n, name) for name, n in most.items() if wanted is None or wanted(name))
    ordered = heapq.nsmallest(limit + 1, found)
    bound = -ordered[limit][0] if len(ordered) > limit else floors
    return Order([RankCandidate(-n, name) for n, name in ordered[:limit]], max(bound, floors))


def merge_orders(orders: Iterable[Order]) -> Order:
    """The order of several partitions, which share no name."""
    orders = list(orders)
    merged = list(heapq.merge(*(found.candidates for found in orders), key=lambda entry: (-entry.most, entry.name)))
    return Order(merged, max((found.bound for found in orders), default=0))
