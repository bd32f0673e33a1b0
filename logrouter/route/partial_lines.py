"""Split lines of the source partitions that this process has: what waits, across batches, aborts and owners.

What waits is committed as places beside the offset of its partition. Whoever gets the partition reads those records
once more, silently, before it goes on at the offset.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace

from logrouter.core.envelopes.partial import fragment_of, join_fragments
from logrouter.core.join.partial_lines import PartialLineBuffer, PartialLineLimits, Taken, decode_places
from logrouter.core.join.partition_clock import BREAK_MS, PartitionClock
from logrouter.core.join.versions import NewerStateError
from logrouter.model import PARTIAL, Envelope, RawRecord
from logrouter.route.elapsed import elapsed_ms
from logrouter.route.newer_version import newer_version_error
from logrouter.route.transactional_state import ScreenedRecords, TransactionalState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from logrouter.core.join.partial_lines import Key, PartialLine
    from logrouter.core.routing import RouteTable, Source
    from logrouter.kafka.records import Message, Partition
    from logrouter.kafka.transaction import Headers
    from logrouter.model import Decoded
    from logrouter.route.output import BatchOutput
    from logrouter.route.settings import LaneSettings
    from logrouter.route.transactional_state import Produce

_NOTHING_JOINS: Final = PartialLineLimits(0, 0)
"""For what waited in a partition whose source does not join any more."""

REJOINED: Final = "rejoined"
"""The flag of an event whose line was put together from fragments."""


class Routed(NamedTuple):
    """What is to be routed because of a record: *given_up* as they are, and *record*, None if it waits.

    *found* is what *record* was decoded to, None if it is to be decoded.
    """

    given_up: tuple[RawRecord, ...]
    record: RawRecord | None
    found: Decoded | None = None


class _Replay:
    """Records that are read again up to the committed offset: *places* are those that wait.

    *after_gap*: none is, and the one that is listed is gone.
    """

    def __init__(self, until: int, places: dict[int, bool], *, after_gap: bool = False) -> None:
        self.until = until
        self.places = places
        self.after_gap = after_gap


class PartialLines(TransactionalState):
    """The split lines of all partitions of sources that say `join_partial`.

    `BatchProcessor` hands in records and routes what comes out.
    """

    def __init__(self, elapsed_ms: Callable[[], int] = elapsed_ms) -> None:
        """*elapsed_ms* gives milliseconds of a clock that nobody sets."""
        self._elapsed_ms = elapsed_ms
        self._source_of: Callable[[str], Source | None] = lambda _topic: None
        self._lines: dict[Partition, PartialLineBuffer] = {}
        self._clocks: dict[Partition, PartitionClock] = {}
        self._turn_ms = 0
        self._replays: dict[Partition, _Replay] = {}
        self._gaps: dict[Partition, int] = {}
        """Where reading goes on behind lost records, until something behind them is committed."""
        self._committed: dict[Partition, Mapping[Key, PartialLine]] = {}
        self._in_flight: dict[Partition, Mapping[Key, PartialLine]] = {}

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return any(self._lines.values())

    def configure(self, settings: LaneSettings, table: RouteTable) -> None:  # noqa: ARG002 - the table says it all
        """*table* says which sources join from now on, for partitions that are assigned."""
        self._source_of = cache(table.source_of)

    def take(self, source: Source, record: RawRecord, value: bytes) -> Routed:
        """What is to be routed because of one more record, of a source that joins. *value* is the record's."""
        lines = self._buffer_of(source, (record.topic, record.partition))
        at_ms = self._note_record((record.topic, record.partition), record.timestamp_ms)
        found = source.decode(value) if len(value) <= source.max_bytes else None
        fragment = None
        if isinstance(found, Envelope):
            found.headers = record.headers
            fragment = fragment_of(found)
        if fragment is None:
            return Routed(lines.expire(at_ms), record, found)
        taken = lines.take(fragment, record, at_ms)
        if taken.held:
            return Routed(taken.given_up, None)
        if taken.rest and isinstance(found, Envelope) and PARTIAL not in found.flags:
            found.flags = (*found.flags, PARTIAL)
        if taken.begins is not None and isinstance(found, Envelope):
            return Routed(taken.given_up, *_join_fragments(source, record, taken, found.shape))
        return Routed(taken.given_up, record, found)

    def _note_record(self, at: Partition, timestamp_ms: int) -> int:
        """What time it is by a record, which may have none."""
        elapsed_ms = self._elapsed_ms()
        clock = self._clocks.get(at)
        if clock is None:
            clock = self._clocks[at] = PartitionClock(max(timestamp_ms, 0), elapsed_ms)
        at_ms = timestamp_ms if timestamp_ms > 0 else clock.now_ms(elapsed_ms)
        clock.note_record(at_ms, elapsed_ms)
        return at_ms

    def note_outage(self, now_ms: int) -> None:  # noqa: ARG002 - a clock that may be wrong
        """Records could not come until now: nothing is overdue for that."""
        elapsed_ms = self._elapsed_ms()
        for clock in self._clocks.values():
            clock.note_break(elapsed_ms)

    def take_overdue(self, source_of: Callable[[str], Source | None]) -> Iterator[tuple[Source, RawRecord]]:
        """Fragments that have waited too long where nothing else comes, or whose source does not join any more.

        *source_of* gives the source of a topic by the route table in force.
        """
        elapsed_ms = self._elapsed_ms()
        if elapsed_ms > self._turn_ms + BREAK_MS:
            self.note_outage(elapsed_ms)
        self._turn_ms = elapsed_ms
        for (topic, partition), lines in self._lines.items():
            replay = self._replays.get((topic, partition))
            if not lines or (replay is not None and replay.places):
                continue
            source = source_of(topic)
            if source is None:
                continue
            if source.joining is None:
                yield from ((source, record) for record in lines.give_up())
                continue
            clock = self._clocks[topic, partition]
            if clock.is_quiet(elapsed_ms):
                yield from ((source, record) for record in lines.expire(clock.now_ms(elapsed_ms)))

    def take_snapshot(self, output: BatchOutput) -> None:
        """Put into *output* what waits after it, where that has changed or the partition was read."""
        for at, lines in self._lines.items():
            snapshot = lines.snapshot()
            if at in output.positions or snapshot != self._latest_snapshot(at):
                output.partial_lines[at] = snapshot
                output.metadata[at] = lines.encode_places()

    def _latest_snapshot(self, at: Partition) -> Mapping[Key, PartialLine]:
        return self._in_flight.get(at, self._committed.get(at, {}))

    def _buffer_of(self, source: Source, at: Partition) -> PartialLineBuffer:
        bounds = source.joining or _NOTHING_JOINS
        lines = self._lines.get(at)
        if lines is None:
            lines = self._lines[at] = PartialLineBuffer(bounds)
        lines.bounds = bounds
        return lines

    def process(self, messages: Sequence[Message], output: BatchOutput, now_ms: int) -> bool:  # noqa: ARG002
        """Whether fragments were given up, or what waits has changed: `BatchProcessor` has put that into *output*.

        Where only an offset behind a gap is committed, whoever goes on from there must know of the gap.
        """
        for (topic, partition), offset in self._gaps.items():
            at, source = (topic, partition), self._source_of(topic)
            if output.positions.get(at) == offset and source is not None and source.joining is not None:
                output.metadata[at] = self._buffer_of(source, at).encode_places(missing=offset - 1)
        return bool(output.partial_lines)

    def publish(self, output: BatchOutput, produce: Produce, headers: Headers) -> AbstractSet[Partition]:  # noqa: ARG002
        """Nothing is produced; places of fragments are committed beside the offsets of their partitions."""
        self._in_flight = output.partial_lines
        return output.metadata.keys()

    def committed(self, output: BatchOutput) -> None:
        """What waits after the batch is what its places say."""
        self._committed |= {at: lines for at, lines in self._in_flight.items() if at in self._lines}
        self._in_flight = {}
        self._gaps = {at: offset for at, offset in self._gaps.items() if output.positions.get(at, 0) <= offset}

    def aborted(self) -> None:
        """What waits is again what is committed."""
        self._in_flight = {}
        for at, lines in self._lines.items():
            lines.reset(self._committed.get(at, {}))
        for at, offset in self._gaps.items():
            self.begin_after_gap(at, offset)

    def is_replaying(self, at: Partition) -> bool:
        """Whether records of before the committed offset are being read again."""
        return at in self._replays and not self._replays[at].after_gap

    def replay(self, at: Partition, committed: int, metadata: str | None) -> int:
        """Begin with a partition whose last owner has committed this offset and text; the offset to read from.

        Raises:
            ClientError: a newer version has written the text.
        """
        self.forget(at)
        try:
            places = {offset: lost for offset, lost in decode_places(metadata).items() if offset < committed}
        except NewerStateError as error:
            raise newer_version_error(f"the offset committed for {at[0]}:{at[1]}", error) from None
        if not places:
            return committed
        self._replays[at] = _Replay(committed, places)
        return min(places)

    def screen(self, messages: list[Message], now_ms: int) -> ScreenedRecords:  # noqa: ARG002 - it may be wrong
        """The records that are new; those that were read before bring back what waits."""
        if not self._replays:
            return ScreenedRecords(messages, ())
        return ScreenedRecords([m for m in messages if not self._is_replayed(m)], ())

    def _is_replayed(self, message: Message) -> bool:
        at, offset = (message.topic(), message.partition()), message.offset()
        replay = self._replays.get(at)
        if replay is None:
            return False
        missing = [place for place in replay.places if place < offset]
        for place in missing:
            del replay.places[place]
        found = offset in replay.places
        if missing:
            self._note_missing(message, missing[0])
        if found:
            self._take_again(message, lost=replay.places.pop(offset))
        if (missing or found) and not replay.after_gap:
            self._committed[at] = self._lines[at].snapshot() if at in self._lines else {}
        if offset >= replay.until - 1:
            del self._replays[at]
        return offset < replay.until

    def _take_again(self, message: Message, *, lost: bool) -> None:
        source, value = self._source_of(message.topic()), message.value()
        if source is None or not value:
            return
        headers = message.headers()
        at_ms = message.timestamp()[1]
        record = RawRecord(
            message.topic(), message.partition(), message.offset(), at_ms, value, tuple(headers) if headers else ()
        )
        lines = self._buffer_of(source, (record.topic, record.partition))
        at_ms = self._note_record((record.topic, record.partition), at_ms)
        found = source.decode(value) if source.joining is not None else None
        fragment = None
        if isinstance(found, Envelope):
            found.headers = record.headers
            fragment = fragment_of(found)
        if fragment is not None:
            lines.take_again(fragment, record, at_ms, lost=lost)
        elif not lost:
            lines.give_up_again(record)

    def _note_missing(self, message: Message, place: int) -> None:
        """A record that waited is gone when *message* is read: by retention, mostly."""
        source = self._source_of(message.topic())
        if source is None or source.joining is None:
            return  # nothing is put together, so nothing that is cut off can look whole
        at = message.topic(), message.partition()
        at_ms = self._note_record(at, message.timestamp()[1])
        self._buffer_of(source, at).note_missing(RawRecord(*at, place, -1, b""), at_ms)

    def begin_after_gap(self, at: Partition, offset: int) -> None:
        """Records before *offset*, where reading goes on, are lost: a line may have begun in them.

        What waits in memory is given up then.
        """
        self._gaps[at] = offset
        self._replays[at] = _Replay(offset, {offset - 1: True}, after_gap=True)

    def pass_over(self, at: Partition, first: int, end: int) -> int:
        """Records from *first* up to, without, *end* can't be read: the first of them that had not been read before."""
        replay = self._replays.get(at)
        until = replay.until if replay is not None and not replay.after_gap else first
        if end <= until:
            return end  # the replay goes on, without those of them that waited
        self.begin_after_gap(at, end)
        return max(first, until)

    def forget(self, at: Partition) -> None:
        """The partition is not ours (any more)."""
        for states in (self._lines, self._clocks, self._replays, self._gaps, self._committed, self._in_flight):
            states.pop(at, None)


def _join_fragments(source: Source, record: RawRecord, taken: Taken, shape: str) -> tuple[RawRecord, Decoded | None]:
    """The whole line as a record at the place of the last fragment, and what is in it."""
    first = taken.begins
    value = join_fragments(shape, first.value or b"", taken.whole) if first is not None else None
    if value is None:
        return record, None
    whole = replace(record, value=value)
    found = source.decode(value) if len(value) <= source.max_bytes else None
    if isinstance(found, Envelope):
        found.flags = (*found.flags, REJOINED)
    return whole, found
