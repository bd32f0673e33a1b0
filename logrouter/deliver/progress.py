"""How far each partition is done: offsets are settled in any order, and committed only behind what is settled. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from logrouter.kafka.records import Partition

Letter = Any
"""A dead letter, of which nothing is known here but that it belongs to an offset, and its size."""


@dataclass(slots=True)
class _Waiting:
    """A record that was read: its *offset*, the leader's *epoch* then, and what has become of it."""

    offset: int
    epoch: int | None
    size: int
    is_settled: bool = False
    letter: Letter | None = None
    letter_size: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """What may be committed: *positions* are behind settled records alone, *letters* belong to records before them."""

    positions: Mapping[Partition, int] = field(default_factory=dict)
    epochs: Mapping[Partition, int] = field(default_factory=dict)
    letters: Mapping[Partition, list[Letter]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.positions)

    def without(self, gone: Iterable[Partition]) -> Due:
        """The same, but for partitions that have left."""
        left = set(gone)
        positions, epochs, letters = (
            {at: value for at, value in each.items() if at not in left}
            for each in (self.positions, self.epochs, self.letters)
        )
        return Due(positions, epochs, letters)  # type: ignore[arg-type]


class Progress:
    """Records that were read and are not committed, by partition and in order.

    Partitions come and go: a *ticket* tells one assignment of a partition from the next, so that what comes late of a
    former one counts for nothing.
    """

    def __init__(self) -> None:
        self.records = 0
        """Records that are read and not settled."""
        self.bytes = 0
        """Bytes of their values and headers."""
        self.uncommitted = 0
        """Records that are read and not committed, settled or not."""
        self.letter_bytes = 0
        """Bytes of the letters that are not committed."""
        self._waiting: dict[Partition, deque[_Waiting]] = {}
        self._by_offset: dict[Partition, dict[int, _Waiting]] = {}
        self._tickets: dict[Partition, int] = {}
        self._last_ticket = 0

    def add_partition(self, at: Partition) -> int:
        """The partition is ours from now on, and nothing of it is read; its ticket."""
        self.forget(at)
        self._last_ticket += 1
        self._tickets[at] = self._last_ticket
        self._waiting[at], self._by_offset[at] = deque(), {}
        return self._last_ticket

    def ticket(self, at: Partition) -> int | None:
        """What stands for the present assignment of a partition; None if it is not ours."""
        return self._tickets.get(at)

    def read(self, at: Partition, offset: int, size: int, epoch: int | None = None) -> None:
        """A record of *size* bytes was read, behind all that were read before."""
        waiting = _Waiting(offset, epoch, size)
        self._waiting[at].append(waiting)
        self._by_offset[at][offset] = waiting
        self.records += 1
        self.uncommitted += 1
        self.bytes += size

    def settle(
        self, at: Partition, ticket: int | None, offset: int, letter: Letter | None = None, letter_size: int = 0
    ) -> None:
        """The record is delivered, or *letter* of so many bytes takes its place."""
        if ticket is None or self._tickets.get(at) != ticket:
            return
        waiting = self._by_offset[at].pop(offset)
        waiting.is_settled, waiting.letter, waiting.letter_size = True, letter, letter_size
        self.letter_bytes += letter_size
        self.records -= 1
        self.bytes -= waiting.size

    def is_waiting(self, partitions: Iterable[Partition]) -> bool:
        """Whether a record of any of these is read and not settled."""
        return any(self._by_offset.get(at) for at in partitions)

    def is_committed(self, at: Partition) -> bool:
        """Whether all that was read of a partition is committed."""
        return not self._waiting.get(at)

    def due(self) -> Due:
        """What may be committed now; the same again and more until `committed` is called."""
        positions, epochs, letters = {}, {}, {}
        for at, waiting in self._waiting.items():
            found: list[Letter] = []
            for each in waiting:
                if not each.is_settled:
                    break
                positions[at] = each.offset + 1
                if each.epoch is not None:
                    epochs[at] = each.epoch
                if each.letter is not None:
                    found.append(each.letter)
            if found:
                letters[at] = found
        return Due(positions, epochs, letters)

    def committed(self, positions: Mapping[Partition, int]) -> None:
        """The group has committed these, of partitions that are ours still."""
        for at, position in positions.items():
            waiting = self._waiting.get(at)
            while waiting and waiting[0].offset < position:
                self._drop(waiting.popleft())

    def forget(self, at: Partition) -> None:
        """The partition is not ours any more."""
        for each in self._by_offset.pop(at, {}).values():
            self.records -= 1
            self.bytes -= each.size
        for each in self._waiting.pop(at, ()):
            self._drop(each)
        self._tickets.pop(at, None)

    def _drop(self, each: _Waiting) -> None:
        self.uncommitted -= 1
        self.letter_bytes -= each.letter_size
