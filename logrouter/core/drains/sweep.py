"""One partition of the retry topic, read for many drains: each has its own place in it, and buffers of a bounded size.

    from_offset = sweep.offset()                       # read from here
    sweep.take(from_offset, records, position)         # up to here
    batch = sweep.batch("d1", 100, 1 << 20)            # send these lines
    sweep.settle("d1", batch.ticket, 100)              # they are delivered
    sweep.changes()                                    # write these, then sweep.written(...)

A drain whose buffer is full is left behind at the record that had no room, and reading goes on for the others; when
half of its buffer is delivered, reading goes back to that record. What the others have had they are not given again.

Numbers of lines that are missing are a loss: retention has deleted them. It is found where a later line comes, or
where none comes up to an offset that was the end of the partition after the number was known (`note_end`). In front of
the next line the target is told, and only then is the loss counted. Pure.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from logrouter.core.drains.place import first_fitting
from logrouter.core.drains.status import DeliveredUpTo, Reached
from logrouter.core.text.timestamps import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from logrouter.core.drains.line import Line
    from logrouter.core.drains.status import MovedLine, MovedUpTo, SourcePartition

_NEVER: Final = Reached("", 0, 0, 0)


class SweepBounds(NamedTuple):
    """How much of one drain may wait in memory: *lines* and *bytes*, or one line if that is larger."""

    lines: int = 500
    bytes: int = 1 << 18


class DroppedLines(NamedTuple):
    """So many *lines* of a source partition are gone; moved after *from_ms* (None: unknown), up to *to_ms*."""

    lines: int
    from_ms: int | None
    to_ms: int

    @property
    def text(self) -> str:
        """What the target is told."""
        since = "an unknown time" if self.from_ms is None else rfc3339(self.from_ms)
        return f"{self.lines} messages dropped from {since} to {rfc3339(self.to_ms)}"


class SweptRecord(NamedTuple):
    """A record of the retry topic: the drain's id is its key. *size* is that of its value in bytes."""

    offset: int
    drain: str
    line: MovedLine
    size: int


class SweptBatch(NamedTuple):
    """What is to be sent to a drain, in this order. *ticket* tells this request from those before and after."""

    ticket: int
    items: Sequence[Line | DroppedLines]


class _BufferedItem(NamedTuple):
    offset: int
    item: Line | DroppedLines
    reached: Reached
    size: int


@dataclass(slots=True)
class _Drain:
    """What one drain has of the partition: all of its records below *next* are delivered or in the buffer."""

    next: int
    delivered: dict[SourcePartition, Reached] = field(default_factory=dict)
    """What is at the target."""
    dropped: int = 0
    buffered: dict[SourcePartition, Reached] = field(default_factory=dict)
    """The same with what is in the buffer."""
    written: DeliveredUpTo | None = None
    """What the status topic has."""
    entries: deque[_BufferedItem] = field(default_factory=deque)
    bytes: int = 0
    is_left_behind: bool = False
    ticket: int = 0
    requested: int = 0
    end: int = 0
    expected: dict[SourcePartition, MovedUpTo] = field(default_factory=dict)
    """Lines that are in the partition below *end*, if anywhere."""

    @property
    def is_changed(self) -> bool:
        """Whether whoever is next would begin elsewhere: at the beginning of the partition, if nothing is written."""
        if self.written is None:
            return bool(self.entries or self.delivered)
        return self.written.numbers() != self.delivered

    def state(self) -> DeliveredUpTo:
        """What is to be written."""
        cursor = self.entries[0].offset if self.entries else self.next
        return DeliveredUpTo(cursor, tuple(self.delivered[at] for at in sorted(self.delivered)), self.dropped)


class Sweep:
    """The drains of one partition. Drains that are not known by `add` begin where their first record is read."""

    def __init__(self, bounds: SweepBounds, head: int) -> None:
        """*head* is the end of the partition, as of before the status topic was read to its end."""
        self.bounds = bounds
        self._head = head
        """Everything below was read once, or belongs to drains that were added, or needs not be read."""
        self._drains: dict[str, _Drain] = {}

    def add(self, drain: str, delivered: DeliveredUpTo | None, moved: Mapping[SourcePartition, MovedUpTo]) -> None:
        """A drain with lines that were moved, and what is known of those delivered, before anything is taken.

        One that has all of them begins at the end, not where it stood when it got the last one. One that stands behind
        the end has read a partition that was made anew since.
        """
        known = delivered or DeliveredUpTo()
        numbers = known.numbers()
        lacks = any(number_of(numbers, at) < each.number for at, each in moved.items())
        start = 0 if known.cursor > self._head else known.cursor
        self._drains[drain] = _Drain(
            start if lacks else self._head, numbers, known.dropped, dict(numbers), written=delivered
        )

    def forget(self, drain: str) -> None:
        """The drain is gone: nothing of it is wanted. Whoever finds a later record of it calls this again."""
        self._drains.pop(drain, None)

    def __contains__(self, drain: str) -> bool:
        """Whether anything is known of a drain."""
        return drain in self._drains

    def drains(self) -> list[str]:
        """All that are known here."""
        return [*self._drains]

    def offset(self) -> int:
        """From where to read now."""
        return min([self._head, *(each.next for each in self._drains.values() if not each.is_left_behind)])

    def restart(self, start: int) -> None:
        """The partition was made anew, and begins at *start*: offsets of before mean nothing."""
        self._head = start
        for each in self._drains.values():
            each.next, each.is_left_behind, each.written = start, False, None
            each.end, each.expected = 0, {}
            each.entries = deque(entry._replace(offset=start) for entry in each.entries)

    def take(self, from_offset: int, records: Sequence[SweptRecord], position: int) -> None:
        """These are all records from *from_offset*, which `offset` has told, up to *position*, in their order."""
        for record in records:
            drain = self._drains.get(record.drain)
            if drain is None:
                if record.offset < self._head:
                    continue  # of a drain that is gone: a new one has nothing below what was read once
                drain = self._drains[record.drain] = _Drain(record.offset)
            # For a drain that stands before these records reading goes back: it must not skip what lies between.
            if not drain.is_left_behind and from_offset <= drain.next <= record.offset:
                self._take_record(drain, record)
        for drain in self._drains.values():
            if not drain.is_left_behind and from_offset <= drain.next < position:
                drain.next = position
            self._look_for_end(drain)
        self._head = max(self._head, position)

    def note_end(self, end: int, moved: Mapping[str, Mapping[SourcePartition, MovedUpTo]]) -> None:
        """*end* was asked after these numbers were known: open transactions included, so all of the lines are below."""
        for name, sources in moved.items():
            drain = self._drains.get(name)
            buffered = drain.buffered if drain is not None else {}
            expected = {at: each for at, each in sources.items() if number_of(buffered, at) < each.number}
            if not expected:
                continue
            if drain is None:
                drain = self._drains[name] = _Drain(self._head)
            drain.end, drain.expected = end, expected
            self._look_for_end(drain)

    def ready(self) -> Iterator[str]:
        """Drains for which something waits, and no request is on its way."""
        return (name for name, each in self._drains.items() if each.entries and not each.requested)

    def batch(self, drain: str, lines: int, size: int) -> SweptBatch | None:
        """The next lines of a drain for a request, at most so many and so large (but one); None if there are none."""
        each = self._drains.get(drain)
        if each is None or each.requested or not each.entries:
            return None
        items = [entry.item for entry in first_fitting(each.entries, lines, size)]
        each.ticket += 1
        each.requested = len(items)
        return SweptBatch(each.ticket, items)

    def settle(self, drain: str, ticket: int, done: int) -> None:
        """The request is over, and the first *done* of its lines are delivered or refused."""
        each = self._drains.get(drain)
        if each is None or each.ticket != ticket or not each.requested:
            return
        each.requested = 0
        for _ in range(done):
            entry = each.entries.popleft()
            each.bytes -= entry.size
            each.delivered[entry.reached.topic, entry.reached.partition] = entry.reached
            if isinstance(entry.item, DroppedLines):
                each.dropped += entry.item.lines
        if len(each.entries) <= self.bounds.lines // 2 and each.bytes <= self.bounds.bytes // 2:
            each.is_left_behind = False
        self._look_for_end(each)

    def changes(self) -> dict[str, DeliveredUpTo]:
        """What is to be written to the status topic, by drain: the same again and more until `written` is called."""
        return {name: each.state() for name, each in self._drains.items() if each.is_changed}

    def written(self, states: Mapping[str, DeliveredUpTo]) -> None:
        """The transaction with these is committed."""
        for name, state in states.items():
            if name in self._drains:
                self._drains[name].written = state

    def _take_record(self, drain: _Drain, record: SweptRecord) -> None:
        line = record.line
        at = line.topic, line.partition
        last = drain.buffered.get(at, _NEVER)
        if line.number > last.number:
            found = [_BufferedItem(record.offset, line.line, Reached(*at, line.number, line.at_ms), record.size)]
            if line.number > last.number + 1:
                found.insert(0, _lose(record.offset, at, last, line.number - 1, line.at_ms))
            if not self._add(drain, found):
                drain.next = record.offset
                return
        drain.next = record.offset + 1

    def _look_for_end(self, drain: _Drain) -> None:
        """What was expected below the end, and did not come."""
        if not drain.expected or drain.is_left_behind or drain.next < drain.end:
            return
        for at, moved in [*drain.expected.items()]:
            last = drain.buffered.get(at, _NEVER)
            if last.number < moved.number and not self._add(
                drain, [_lose(drain.next, at, last, moved.number, moved.at_ms)]
            ):
                return
            del drain.expected[at]

    def _add(self, drain: _Drain, found: Sequence[_BufferedItem]) -> bool:
        """Whether there was room for these; if not, the drain is left behind."""
        size = sum(each.size for each in found)
        lines, total = len(drain.entries) + len(found), drain.bytes + size
        if drain.entries and (lines > self.bounds.lines or total > self.bounds.bytes):
            drain.is_left_behind = True
            return False
        drain.entries += found
        drain.bytes += size
        for each in found:
            drain.buffered[each.reached.topic, each.reached.partition] = each.reached
        return True


def number_of(numbers: Mapping[SourcePartition, Reached], at: SourcePartition) -> int:
    """The number of the last line of a source partition, 0 if there is none."""
    return numbers.get(at, _NEVER).number


def _lose(offset: int, at: SourcePartition, last: Reached, number: int, at_ms: int) -> _BufferedItem:
    loss = DroppedLines(number - last.number, last.at_ms or None, at_ms)
    return _BufferedItem(offset, loss, Reached(*at, number, at_ms), len(loss.text))
