"""The lines of one source partition on their way to all drains: which records are done, and what is to be moved. Pure.

    lines.add(offset, [(line, ["d1", "d2"])], now)          # a record was read
    lines.take("d1", 100, 1 << 20)                          # a request begins; `settle` when it is over
    lines.begin_move(now, now_ms)                           # goes into the next transaction, with the offsets

A record is done when each of its drains has its lines, or they are in a transaction that moves them. If that is
aborted the next one moves them, too: so no offset is committed without them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from logrouter.core.drains.place import DrainPlace, PlaceRequest
from logrouter.core.drains.status import MovedLine, MovedUpTo

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from logrouter.core.drains.line import Line
    from logrouter.core.drains.place import PlaceBounds
    from logrouter.core.drains.status import SourcePartition

_LINE_BYTES = 200
"""What a line takes in memory besides its text, about."""


class _OpenLine(NamedTuple):
    offset: int
    line: Line


@dataclass(slots=True)
class LineMoves:
    """What one transaction has of a source partition: *lines* with their drains, and the *last* of each drain.

    *done* are offsets of records of which nothing waits any more, and requests to those *cancelled* are to be ended.
    """

    lines: list[tuple[str, MovedLine]] = field(default_factory=list)
    last: dict[str, MovedUpTo] = field(default_factory=dict)
    done: list[int] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)


class SourceLines:
    """One assignment of a source partition."""

    def __init__(self, at: SourcePartition, bounds: PlaceBounds, numbers: Callable[[str], tuple[int, int]]) -> None:
        """*numbers* tells of a drain the last number that was moved, and the last delivered of these.

        It is asked when the drain gets its first line here; nobody else moves lines of this partition by then.
        """
        self._at = at
        self._bounds = bounds
        self._numbers = numbers
        self._places: dict[str, DrainPlace[_OpenLine]] = {}
        self._open: dict[int, int] = {}
        """How many lines of a record wait, by offset, counted for each drain."""
        self._moving: list[str] = []
        """Drains of which lines are in the transaction that is open."""

    @property
    def bytes(self) -> int:
        """Of all lines that wait; a line of two drains is counted twice."""
        return sum(each.bytes for each in self._places.values())

    @property
    def move_at(self) -> float:
        """When `begin_move` is to be called, if nothing happens until then."""
        return min((each.move_at for each in self._places.values()), default=float("inf"))

    def add(self, offset: int, lines: Sequence[tuple[Line, Collection[str]]], now: float) -> bool:
        """A record was read, and its lines are for these drains; whether it is done, as nobody wants any."""
        count = 0
        for line, drains in lines:
            for drain in drains:
                self._place(drain).add(_OpenLine(offset, line), len(line.text) + _LINE_BYTES, now)
                count += 1
        if count:
            self._open[offset] = count
        return not count

    def ready(self) -> Iterator[str]:
        """Drains that lines wait for, by the order of nothing in particular; `take` says whether they may be sent."""
        return (drain for drain, place in self._places.items() if len(place) and not place.is_requested)

    def take(self, drain: str, lines: int, size: int) -> PlaceRequest[Line] | None:
        """The first lines for a drain, as `DrainPlace.take`."""
        place = self._places.get(drain)
        taken = place.take(lines, size) if place is not None else None
        return None if taken is None else PlaceRequest(taken.ticket, [each.line for each in taken.items])

    def settle(self, drain: str, ticket: int, done: int) -> list[int]:
        """The request is over, and its first *done* lines are delivered or refused; offsets that are done by that."""
        place = self._places.get(drain)
        return [] if place is None else self._leave(place.settle(ticket, done))

    def note_delivered(self, drain: str, number: int) -> None:
        """As the status topic says of this partition."""
        if drain in self._places:
            self._places[drain].note_delivered(number)

    def drop(self, drain: str) -> list[int]:
        """The drain is gone, and a request to it is to be ended; offsets that are done by that."""
        place = self._places.pop(drain, None)
        if place is None:
            return []
        passed = place.moving
        return self._leave(place.begin_move()[1][passed:])

    def begin_move(self, now: float, now_ms: int, *, everything: bool = False) -> LineMoves:
        """What the transaction that begins now has to move: what is due, or *everything* as the partition leaves."""
        moves = LineMoves()
        for drain, place in self._places.items():
            if not len(place) or (place.move_at > now and not everything):
                continue
            if place.is_requested:
                moves.cancelled.append(drain)
            passed = place.moving
            number, waiting = place.begin_move()
            moves.lines += [
                (drain, MovedLine(number + index, *self._at, now_ms, each.line)) for index, each in enumerate(waiting)
            ]
            moves.last[drain] = MovedUpTo(number + len(waiting) - 1, now_ms)
            moves.done += self._leave(waiting[passed:])
            self._moving.append(drain)
        return moves

    def end_move(self, *, is_committed: bool) -> None:
        """The transaction has ended. If it was aborted, or nobody knows, the next one has the same lines."""
        for drain in self._moving:
            if drain in self._places:
                self._places[drain].end_move(is_committed=is_committed)
        self._moving.clear()

    def _place(self, drain: str) -> DrainPlace[_OpenLine]:
        place = self._places.get(drain)
        if place is None:
            moved, delivered = self._numbers(drain)
            place = self._places[drain] = DrainPlace(self._bounds, moved=moved, delivered=delivered)
        return place

    def _leave(self, waiting: Sequence[_OpenLine]) -> list[int]:
        """Of which records nothing waits any more."""
        done = []
        for each in waiting:
            self._open[each.offset] -= 1
            if not self._open[each.offset]:
                del self._open[each.offset]
                done.append(each.offset)
        return done
