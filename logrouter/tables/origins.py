"""Where the rows of the partitions folded here come from, what they lack, and how new the newest record is.

Without Faust or Kafka. `UsageTable` tells it what is read, and writes the notes that it gives (`notes`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from logrouter.query.tiers import Hole
from logrouter.tables import notes
from logrouter.tables.mismatch import MismatchError, made_anew
from logrouter.tables.notes import ORIGIN, Origin
from logrouter.telemetry.log import Log, log
from logrouter.telemetry.metrics import ROLLUP_RECORDS_LOST

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from logrouter.tables.replicas import Checkpoint


class FoldStart(NamedTuple):
    """Where to begin to read a partition, and the offsets first <= offset < stop that are lost: equal if none is."""

    begin: int
    first: int = 0
    stop: int = 0


def find_start(committed: int | None, checkpoint: Checkpoint | None, origin: Origin | None, earliest: int) -> FoldStart:
    """Where to begin.

    *committed* is the group's offset, None if it has none; *checkpoint* and *origin* say how far the rows go;
    *earliest* is the first offset that the topic has. Rows are believed rather than the group: what it has committed
    beyond them is read again, if it is still there.
    """
    if checkpoint is None and committed is None:
        return FoldStart(earliest)  # new tables begin with what there is
    folded = 0 if checkpoint is None else checkpoint.offset + 1
    whole = folded if origin is None else max(folded, origin.reached)
    begin = max(min(committed or 0, whole), earliest)
    # The end of a transaction is behind the last record. It is not noted if the worker died then, or was of 0.1.0.
    slack = 1 if checkpoint is not None and whole == folded else 0
    return FoldStart(begin, whole, earliest) if earliest > whole + slack else FoldStart(begin)


class Origins:
    """The origins and holes of the partitions that are folded here."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.topic_id = ""
        """The id of the rollup topic now, "" while it is not known."""
        self.newest_ms = -1
        """The newest timestamp of any rollup record that was ever folded, as far as it is known here; never falls."""
        self._origins: dict[int, Origin] = {}
        self._holes: dict[int, dict[int, Hole]] = {}
        self._open: set[int] = set()
        """Partitions with holes behind which nothing came so far."""
        self._open_since: dict[int, int] = {}
        self._unsaved: dict[int, dict[bytes, bytes]] = {}
        self._reset: dict[int, int | None] = {}

    def clear(self) -> None:
        """Forget all partitions: they are to be taken over again."""
        for state in (self._origins, self._holes, self._open, self._open_since, self._unsaved, self._reset):
            state.clear()

    def take_over(self, partition: int, origin: Origin | None, holes: Iterable[Hole]) -> None:
        """Begin with what the notes of a partition say."""
        known = origin or Origin()
        self._origins[partition] = replace(known, topic_id=self.topic_id or known.topic_id)
        self._holes[partition] = {}
        for hole in holes:
            self._keep(partition, hole)  # again: whoever found it may not have lived to write it to the changelog
            if hole.to_ms is None:
                self._open.add(partition)
        self.note_newest(origin)

    def note_newest(self, origin: Origin | None) -> None:
        """Note what the rows of any partition, folded here or not, say of the newest record."""
        if origin is not None:
            self.newest_ms = max(self.newest_ms, origin.newest_ms)

    def origin(self, partition: int) -> Origin | None:
        """The origin of a partition that was taken over; None if its rows do not tell."""
        found = self._origins.get(partition)
        return None if found is None or found.offset < 0 else found

    def read(self, partition: int, records: Sequence[Any], last: int) -> None:
        """Note records that are about to be folded; all up to offset *last* have been.

        `MismatchError` if they are of another topic.
        """
        newest = records[-1]
        self.newest_ms = max(self.newest_ms, newest.timestamp)
        known = self._origins.get(partition)
        if known is None:
            return
        if partition in self._reset:
            self._close_reset(partition, records[0], last)
        if partition in self._open:
            self._end_open(partition, records[0].timestamp)
        if newest.offset > known.offset:
            size = len(newest.value or b"")
            at = max(known.newest_ms, newest.timestamp)
            self._origins[partition] = Origin(
                known.topic_id, newest.offset, newest.timestamp, size, at, max(known.reached, newest.offset + 1)
            )

    def note_reached(self, partition: int, reached: int) -> None:
        """Note that everything below offset *reached* is in the rows, unless what lies before it was lost just now."""
        known = self._origins.get(partition)
        if known is not None and known.offset >= 0 and reached > known.reached and partition not in self._reset:
            self._origins[partition] = replace(known, reached=reached)
            self._unsaved.setdefault(partition, {})

    def note_reset(self, partition: int, begin: int, last: int) -> None:
        """Note that the topic lacks the next record, and that reading goes on at offset *begin*.

        All up to *last* is folded. If *begin* is not behind that, the topic is another one. Records that were read
        before may still be on their way to `read`.
        """
        self._reset[partition] = begin if begin > last else None

    def _close_reset(self, partition: int, record: Any, last: int) -> None:
        if record.offset <= last:
            what = f"has begun anew at offset {record.offset}, and {last} was folded already"
            raise MismatchError(made_anew(self.topic, what))
        begin = self._reset[partition]
        if begin is None or record.offset < begin:
            return
        del self._reset[partition]
        first = max(last + 1, self._origins[partition].reached)
        if record.offset > first:
            self.add_hole(partition, first, record.offset, None)

    def add_hole(self, partition: int, first: int, stop: int, newest_event_ms: int | None) -> None:
        """Note that records are lost. *newest_event_ms* is the newest event time in the rows, if it is known."""
        origin, holes = self._origins[partition], self._holes[partition]
        times = [ms for ms in (newest_event_ms, origin.time_ms if origin.time_ms >= 0 else None) if ms is not None]
        hole = notes.add_hole(holes, Hole(first, stop, min(times, default=None), None))
        if hole == holes.get(hole.first):
            return
        before = holes.get(hole.first)
        ROLLUP_RECORDS_LOST.inc(hole.stop - (first if before is None else before.stop))
        log(
            Log.ROLLUP_RECORDS_LOST,
            topic=self.topic,
            partition=partition,
            first=first,
            last=stop - 1,
            error="deleted before they were folded; answers about that time are partial from now on",
        )
        self._keep(partition, hole)
        self._open.add(partition)
        self._open_since.pop(partition, None)

    def end_holes(self, now_ms: int) -> None:
        """End holes behind which nothing came so far, if a record of any partition is later than they were found.

        *now_ms* is by our clock. One that is behind by less than records are kept does no harm: what was lost is older.
        """
        for partition in list(self._open):
            if self.newest_ms > self._open_since.setdefault(partition, now_ms):
                self._end_open(partition, self.newest_ms)

    def _end_open(self, partition: int, at_ms: int) -> None:
        """End every hole of a partition that is open: there may be several, found by one start after the other."""
        self._open.discard(partition)
        self._open_since.pop(partition, None)
        for hole in list(self._holes[partition].values()):
            if hole.to_ms is None:
                self._keep(partition, hole._replace(to_ms=max(at_ms, hole.from_ms or 0)))

    def _keep(self, partition: int, hole: Hole) -> None:
        self._holes[partition][hole.first] = hole
        key, value = notes.encode_hole(hole)
        self._unsaved.setdefault(partition, {})[key] = value

    def holes(self, partition: int) -> list[Hole] | None:
        """The holes of a partition that is folded here, by offset; None of others."""
        found = self._holes.get(partition)
        return None if found is None else sorted(found.values(), key=lambda hole: hole.first)

    def has_unsaved(self, partition: int) -> bool:
        """Whether `take_notes` has something that no flush must bring."""
        return partition in self._unsaved

    def take_notes(self, partition: int) -> Mapping[bytes, bytes]:
        """The notes to be written with everything that was read so far."""
        origin, found = self.origin(partition), self._unsaved.pop(partition, {})
        return found if origin is None else {**found, ORIGIN: notes.encode_origin(origin)}
