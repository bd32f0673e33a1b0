"""Top lists without reading every row: the largest values of each bucket, and what follows from them for a window.

A *top* holds the largest values of one bucket exactly, and a *floor* that no value outside exceeds. Row values only
grow, so a top stays exact if it is offered every row that changes. Over a window of several buckets a name is worth at
least the sum of the tops that it is in, and at most that plus the floors of the others (Fagin's threshold algorithm,
with no random access until the end). Only names that may belong to the list are then looked up. The list is exact when
its last entry exceeds what anybody else can be worth; else what anybody else can be worth is told.
"""

from __future__ import annotations

import heapq
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from logrouter.query.parameters import Sort
from logrouter.query.reader import Tier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from logrouter.core.cells import Cell, Numbers

RANKED: Final = (Sort.COUNT, Sort.ERRORS, Sort.BYTES)
"""What is ranked: sums, which only grow. A mean does not."""

VALUE: Final[Mapping[Sort, Callable[[Cell | Numbers], int]]] = MappingProxyType(
    {
        Sort.COUNT: lambda row: row.count,
        Sort.ERRORS: lambda row: row.count - row.outcome.get("ok", 0) - row.outcome.get("aborted", 0),
        Sort.BYTES: lambda row: row.bytes_in + row.bytes_out,
    }
)
"""What a row is worth in each order."""

ROOM: Final = {Tier.MINUTE: 250, Tier.HOUR: 500, Tier.DAY: 1000, Tier.LIFE: 2000}
"""How many names a top keeps at least, by tier; it may hold twice as many."""


class Top(msgspec.Struct, array_like=True):
    """The largest values of one bucket by name; every name that is not in it is worth *floor* at most."""

    values: dict[str, int] = {}
    floor: int = 0

    def offer(self, name: str, value: int, room: int) -> None:
        """Take note of a value that has grown to this, or is new."""
        values = self.values
        if value > self.floor or name in values:
            values[name] = value
            if len(values) > 2 * room:
                self.cut(room)

    def cut(self, room: int) -> None:
        """Leave the largest only."""
        if len(self.values) > room:
            ordered = sorted(self.values.items(), key=lambda item: (-item[1], item[0]))
            self.floor = max(self.floor, ordered[room][1])
            self.values = dict(ordered[:room])


class Board:
    """The tops of one bucket, and how many names have a row in it."""

    __slots__ = ("bytes", "count", "errors", "names", "room")

    def __init__(self, room: int, tops: Sequence[Top] = (), names: int = 0) -> None:
        self.room = room
        self.count, self.errors, self.bytes = tops or (Top(), Top(), Top())
        self.names = names

    def top(self, sort: Sort) -> Top:
        """The top of one order."""
        return {Sort.COUNT: self.count, Sort.ERRORS: self.errors, Sort.BYTES: self.bytes}[sort]

    def offer(self, name: Callable[[], str], row: Cell | Numbers) -> None:
        """Take note of a row as it is now; *name* is asked for only if the row is large enough."""
        count, size = row.count, row.bytes_in + row.bytes_out
        outcome = row.outcome
        errors = count - outcome.get("ok", 0) - outcome.get("aborted", 0)
        if count > self.count.floor:
            self.count.offer(name(), count, self.room)
        if errors > self.errors.floor:
            self.errors.offer(name(), errors, self.room)
        if size > self.bytes.floor:
            self.bytes.offer(name(), size, self.room)


class Ranks(NamedTuple):
    """What is known of the order in one partition over a window: its tops, and how many rows they stand for.

    The rows are those that a scan would read, names not flushed yet left out.
    """

    tops: list[Top]
    rows: int


class Contender(NamedTuple):
    """A name that may belong to the list, and between which values its sum lies."""

    name: str
    least: int
    most: int


class Contest(NamedTuple):
    """The contenders of one partition, and what anybody else in it is worth at most."""

    contenders: list[Contender]
    bound: int


def contest(tops: Sequence[Top], limit: int, below: float | None = None) -> Contest:
    """Who may be among the *limit* largest sums of some tops, or among the largest that do not exceed *below*."""
    least: dict[str, int] = {}
    get = least.get
    for top in tops:
        for name, value in top.values.items():
            least[name] = get(name, 0) + value
    floors = sum(top.floor for top in tops)
    if below is not None:
        # Whoever is known to be worth more comes before; of the others nobody knows yet how many will.
        ordered = heapq.nsmallest(limit + 1, ((-n, name) for name, n in least.items() if n <= below))
        listed = [Contender(name, -n, floors - n) for n, name in ordered]
        return Contest(listed[:limit], max(floors, listed[limit].most if len(listed) > limit else 0))
    enough = heapq.nlargest(limit, least.values())
    worth = enough[-1] if len(enough) == limit else 0
    floored = [top for top in tops if top.floor]
    listed, bound = [], floors
    for name, value in least.items():
        if value + floors >= worth:
            most = value + sum(top.floor for top in floored if name not in top.values)
            if most >= worth:
                listed.append(Contender(name, value, most))
    return Contest(listed, bound)


class Shortlist(NamedTuple):
    """The names to look up, and what any name that is not among them is worth at most."""

    names: list[str]
    bound: int


def shortlist(contests: Iterable[Contest], limit: int, room: int, *, cursor: bool = False) -> Shortlist:
    """Of the contenders of all partitions those that may be among the *limit* largest, at most *room* of them.

    Who is left out because he cannot be among them does not count for the bound; with a *cursor*, where it is not known
    yet who comes before it, everybody does.
    """
    contests = list(contests)
    found = [one for contest in contests for one in contest.contenders]
    bound = max((contest.bound for contest in contests), default=0)
    if not cursor:
        enough = heapq.nlargest(limit, (one.least for one in found))
        worth = enough[-1] if len(enough) == limit else 0
        found = [one for one in found if one.most >= worth]
    ordered = heapq.nlargest(room + 1, found, key=lambda one: one.most)
    if len(ordered) > room:
        bound = max(bound, ordered[room].most)
    return Shortlist([one.name for one in ordered[:room]], bound)


def is_exact(values: Sequence[float], limit: int, bound: float) -> bool:
    """Whether the first *limit* of some values, largest first, are the largest of all, others being worth *bound*."""
    return bound <= 0 or (len(values) >= limit and values[limit - 1] > bound)
