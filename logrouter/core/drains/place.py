"""Where the lines of one drain and one source partition are: in memory, or moved to the retry topic. Pure.

    live      lines wait here for the target
    behind    lines were moved, and are not delivered yet: what comes is moved as well
    holding   as behind, but the last ones are about to be delivered: what comes waits here for that

    live ── full, or too old ──► behind ── few are left ──► holding ── all are delivered ──► live
                                   ▲                           └── full, or too old ──► behind

Lines that are moved are numbered, on from the last one. A move is a transaction: until its end is known the lines stay
here; if it was aborted they go again, with the same numbers, so that it does no harm if it had landed after all.
"""

from __future__ import annotations

import math
from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Item = TypeVar("Item")
"""A line with whatever its owner needs to know when it is done."""


class PlaceBounds(NamedTuple):
    """How much may wait: *lines*, *bytes*, and *seconds* (the drain's patience).

    With at most *few* moved lines that are not delivered, lines wait here for them.
    """

    lines: int = 1_000
    bytes: int = 1 << 20
    seconds: float = 10.0
    few: int = 256


class PlaceState(StrEnum):
    """See the module."""

    LIVE = "live"
    BEHIND = "behind"
    HOLDING = "holding"


class SizedItem(Protocol):
    """What waits for a request."""

    @property
    def size(self) -> int:
        """In bytes."""


Sized = TypeVar("Sized", bound=SizedItem)


def first_fitting(waiting: Iterable[Sized], lines: int, size: int) -> list[Sized]:
    """The first ones for a request: at most so many, and so large together unless one alone is larger."""
    found: list[Sized] = []
    total = 0
    for each in waiting:
        total += each.size
        if found and (len(found) >= lines or total > size):
            break
        found.append(each)
    return found


class _QueuedLine(NamedTuple, Generic[Item]):
    item: Item
    size: int
    since: float


class PlaceRequest(NamedTuple, Generic[Item]):
    """Lines for a request. *ticket* tells this request from those before and after."""

    ticket: int
    items: Sequence[Item]


class DrainPlace(Generic[Item]):
    """Lines of one drain and one source partition, in order. Times are seconds that never go back."""

    def __init__(self, bounds: PlaceBounds, *, moved: int = 0, delivered: int = 0) -> None:
        """*moved* is the number of the last line that was moved, *delivered* that of the last one delivered of these.

        Both are from the status topic, read to its end after nobody else could write the first.
        """
        self.bounds = bounds
        self.moved = moved
        self.delivered = delivered
        self.bytes = 0
        self._queue: deque[_QueuedLine[Item]] = deque()
        self._moving: list[_QueuedLine[Item]] = []
        self._moving_bytes = 0
        self._is_under_way = False
        self._ticket = 0
        self._requested = 0

    def __len__(self) -> int:
        """How many lines are here."""
        return len(self._queue) + len(self._moving)

    @property
    def state(self) -> PlaceState:
        """See the module. A number delivered that is higher than ours is another owner's work: we are none any more."""
        if self._moving:
            return PlaceState.BEHIND
        if self.delivered == self.moved:
            return PlaceState.LIVE
        return PlaceState.HOLDING if 0 < self.moved - self.delivered <= self.bounds.few else PlaceState.BEHIND

    @property
    def is_full(self) -> bool:
        """Whether as much waits as may: then it is to be moved at once."""
        return len(self._queue) >= self.bounds.lines or self.bytes - self._moving_bytes >= self.bounds.bytes

    @property
    def is_requested(self) -> bool:
        """Whether a request with lines of this place is on its way."""
        return self._requested > 0

    @property
    def moving(self) -> int:
        """How many of the lines have numbers: they are in a transaction, or in the next."""
        return len(self._moving)

    @property
    def move_at(self) -> float:
        """When lines are to be moved, if nothing happens until then; infinite if there are none."""
        if self._is_under_way:
            return math.inf  # one transaction after the other
        if self._moving or (self._queue and (self.is_full or self.state is PlaceState.BEHIND)):
            return -math.inf
        return self._queue[0].since + self.bounds.seconds if self._queue else math.inf

    def add(self, item: Item, size: int, now: float) -> None:
        """A line of *size* bytes has come, behind all others."""
        self._queue.append(_QueuedLine(item, size, now))
        self.bytes += size

    def note_delivered(self, number: int) -> None:
        """The moved lines are delivered up to this number, as the status topic says."""
        self.delivered = max(self.delivered, number)

    def take(self, lines: int, size: int) -> PlaceRequest[Item] | None:
        """The first lines, at most so many and so large (but one), for a request; None if none may be sent now."""
        if self.state is not PlaceState.LIVE or self._requested or not self._queue:
            return None
        items = [each.item for each in first_fitting(self._queue, lines, size)]
        self._ticket += 1
        self._requested = len(items)
        return PlaceRequest(self._ticket, items)

    def settle(self, ticket: int, done: int) -> list[Item]:
        """The request is over, and its first *done* lines are delivered or refused: these, which leave.

        None of them if the lines were moved meanwhile: then they leave when that is committed.
        """
        if ticket != self._ticket or not self._requested:
            return []
        self._requested = 0
        return [self._leave(self._queue.popleft()) for _ in range(done)]

    def begin_move(self) -> tuple[int, list[Item]]:
        """All lines that are here are moved by a transaction that begins now: the first one's number, and the lines.

        A request that is on its way is to be cancelled: its lines are among them.
        """
        self._moving += self._queue
        self._moving_bytes = self.bytes
        self._queue.clear()
        self._requested = 0
        self._is_under_way = bool(self._moving)
        return self.moved + 1, [each.item for each in self._moving]

    def end_move(self, *, is_committed: bool) -> list[Item]:
        """The transaction has ended: the lines that leave by it, none if it was aborted or nobody knows."""
        self._is_under_way = False
        if not is_committed:
            return []
        self.moved += len(self._moving)
        left = [self._leave(each) for each in self._moving]
        self._moving, self._moving_bytes = [], 0
        return left

    def _leave(self, entry: _QueuedLine[Item]) -> Item:
        self.bytes -= entry.size
        return entry.item
