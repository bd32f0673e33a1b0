"""The lines of one pairing partition that wait for each other: which are paired, time out, or must make room.

    buffer = PairingBuffer(max_lines=50_000, max_bytes=32 << 20)
    resolved = buffer.take(key, line, value, at_ms)     # one more line; what waits no longer because of it
    resolved += buffer.expire(now_ms)                   # what has waited for its whole window
    for key, entry in buffer.take_changes(): ...        # to be written with the transaction that publishes *resolved*
    buffer.committed()                                  # it is committed, or
    buffer.rollback()                                   # it is not: undo all since the last `committed`

Pure and bounded. The caller says what time it is (`core.join.partition_clock`): that of the partition's records, which
the broker has given them, and where none come what has passed since.

An opening line that waited for its whole window is reported as a request that was never completed, and stays known for
another window: a closing line that comes after all is flagged, and not counted a second time. An opening line that is
sent once more after it was paired is recognised by its time, but not by the partition's next owner (`_RecentlyPaired`).
"""

from __future__ import annotations

from collections import OrderedDict
from enum import IntEnum
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from logrouter.core.join import held_lines
from logrouter.core.join.held_lines import PairResult
from logrouter.core.join.versions import refuse_newer, refuse_newer_array

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logrouter.core.join.held_lines import HeldLine

PARKED_MS: Final = 60_000
"""A route that is unknown for so long is gone. Until then another process may know it, or this one soon will."""

MAX_PARKED_BYTES: Final = 900_000
"""Of two lines that wait for their route, as they are one record of the changelog: a producer takes 1,000,000 bytes."""

GRACE_MS: Final = 30_000
"""After a break no line times out sooner than this: the line that it waits for may not have been read yet."""

MOST_EXPIRED: Final = 5_000
"""How many lines time out in one call at most: bounds a transaction."""

_OVERHEAD: Final = 300
"""About what an entry takes in memory besides its bytes."""


class EntryKind(IntEnum):
    """What an entry stands for."""

    OPENED = 0
    CLOSED = 1
    REPORTED = 2
    """An opening line that was reported as never completed."""
    PARKED = 3
    """Lines that are paired or have timed out, and whose route is not in the route table."""


class PairingEntry(NamedTuple):
    """One entry of the buffer and of its changelog: it waits from *since_ms* for *wait_ms*.

    *opening* and *closing* are values of held lines. *how* counts for parked entries only: what became of their lines.
    """

    kind: EntryKind
    since_ms: int
    wait_ms: int
    how: PairResult
    opening: bytes | None
    closing: bytes | None

    @property
    def size(self) -> int:
        """About how much memory it takes."""
        return _OVERHEAD + len(self.opening or b"") + len(self.closing or b"")


class Resolved(NamedTuple):
    """One or both lines of a request that wait no longer: what became of them, and their values."""

    how: PairResult
    opening: bytes | None = None
    closing: bytes | None = None


class _Row(msgspec.Struct, array_like=True):
    """An entry as the changelog has it."""

    kind: int
    since_ms: int
    wait_ms: int
    how: str
    opening: msgspec.Raw
    closing: msgspec.Raw
    version: int = 1
    """Stands at this place in every later form, too. The first release has written none."""


VERSION: Final = 1
_VERSION_AT: Final = 6
_LINE_BEGINS: Final = b"[%d," % held_lines.VERSION
_NOTHING: Final = b"null"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Row).decode


def encode(entry: PairingEntry) -> bytes:
    """The value of an entry in the changelog."""
    kind, since_ms, wait_ms, how, opening, closing = entry
    return _encode(
        _Row(kind, since_ms, wait_ms, how, msgspec.Raw(opening or _NOTHING), msgspec.Raw(closing or _NOTHING), VERSION)
    )


def decode(value: bytes) -> PairingEntry | None:
    """The entry of a changelog value, None if it is none.

    Raises:
        NewerStateError: a newer version has written it, or a line in it.
    """
    try:
        row = _decode(value)
    except msgspec.DecodeError:
        refuse_newer_array(value, _VERSION_AT, VERSION)
        return None
    refuse_newer(row.version, VERSION)
    opening, closing = _line_or_none(row.opening), _line_or_none(row.closing)
    try:
        if opening is None and closing is None:
            return None
        return PairingEntry(EntryKind(row.kind), row.since_ms, row.wait_ms, PairResult(row.how), opening, closing)
    except ValueError:
        return None


def _line_or_none(raw: msgspec.Raw) -> bytes | None:
    line = bytes(raw)
    if line == _NOTHING:
        return None
    if not line.startswith(_LINE_BEGINS):
        refuse_newer_array(line, 0, held_lines.VERSION)
    return line


class _RecentlyPaired:
    """Opening lines that were paired, by key and time, so that one that a shipper sends again is recognised.

    Nothing of this is in the changelog: a pair within one batch leaves no trace there. *most* bounds it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lines: OrderedDict[bytes, tuple[int, int]] = OrderedDict()
        self._new: list[bytes] = []
        self._in_flight: list[bytes] = []

    def add(self, key: bytes, time_ms: int, until_ms: int) -> None:
        self._lines[key] = time_ms, until_ms
        self._lines.move_to_end(key)
        self._new.append(key)
        if len(self._lines) > self._most:
            self._lines.popitem(last=False)

    def __contains__(self, line: tuple[bytes, int]) -> bool:
        """Whether the opening line of this key and time was paired."""
        key, time_ms = line
        found = self._lines.get(key)
        return found is not None and found[0] == time_ms

    def expire(self, now_ms: int) -> None:
        while self._lines and next(iter(self._lines.values()))[1] <= now_ms:
            self._lines.popitem(last=False)

    def published(self) -> None:
        self._in_flight += self._new
        self._new.clear()

    def committed(self) -> None:
        self._in_flight.clear()

    def rollback(self) -> None:
        for key in (*self._in_flight, *self._new):
            self._lines.pop(key, None)
        self._in_flight.clear()
        self._new.clear()


class PairingBuffer:
    """The lines of one partition that wait. *max_lines* and *max_bytes* bound it: beyond them the oldest leave."""

    def __init__(self, *, max_lines: int, max_bytes: int) -> None:
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._entries: dict[bytes, PairingEntry] = {}
        # Entries that wait equally long, in the order in which their time ends.
        self._queues: dict[tuple[int, int], OrderedDict[bytes, None]] = {}
        self._bytes = 0
        self._before: dict[bytes, PairingEntry | None] = {}
        self._in_flight: dict[bytes, PairingEntry | None] = {}
        self._known: frozenset[str] | None = None
        self._recently_paired = _RecentlyPaired(max_lines)
        self.at_ms = 0
        """The latest time of a record seen, at least that of the newest entry."""

    def __len__(self) -> int:
        return len(self._entries)

    def restore(self, entries: Iterable[tuple[bytes, PairingEntry]]) -> None:
        """Begin with the entries of the changelog, by key."""
        for key, entry in entries:
            self._insert(key, entry)
            self.at_ms = max(self.at_ms, entry.since_ms)
        self._sort(list(self._queues))

    def take(self, key: bytes, line: HeldLine, value: bytes, at_ms: int) -> list[Resolved]:
        """Add a line, whose record was written at *at_ms*; what waits no longer because of it.

        That is the line and the other one of its request, or what has to make room. *key* is `held_lines.record_key`,
        *line* is what `held_lines.decode` makes of *value*.
        """
        self.at_ms = now_ms = max(self.at_ms, at_ms)
        found = self._entries.get(key)
        if found is None:
            if line.opens and (key, line.time_ms) in self._recently_paired:
                return [Resolved(PairResult.DUPLICATE, opening=value)]
            kind = EntryKind.OPENED if line.opens else EntryKind.CLOSED
            opening, closing = (value, None) if line.opens else (None, value)
            self._put(key, PairingEntry(kind, now_ms, line.window_ms, PairResult.UNPAIRED, opening, closing))
            return self._evict()
        if line.opens:
            if found.closing is None:
                return [Resolved(PairResult.DUPLICATE, opening=value)]
            self._remove(key)
            self._recently_paired.add(key, line.time_ms, now_ms + line.window_ms)
            return [Resolved(PairResult.PAIRED, value, found.closing)]
        if found.opening is None:
            # Two lines that close one request: each is an event, as without pairing.
            return [Resolved(PairResult.UNPAIRED, closing=value)]
        self._remove(key)
        first = held_lines.decode(found.opening)
        if first is not None:
            self._recently_paired.add(key, first.time_ms, now_ms + line.window_ms)
        how = PairResult.LATE if found.kind == EntryKind.REPORTED else PairResult.PAIRED
        return [Resolved(how, found.opening, value)]

    def expire(self, now_ms: int, rested_ms: int = GRACE_MS) -> list[Resolved]:
        """What has waited for its whole window, at most `MOST_EXPIRED` lines.

        *rested_ms* ago a break has ended, in which no line could come: none times out for that.
        """
        left: list[Resolved] = []
        room = MOST_EXPIRED
        self._recently_paired.expire(now_ms)
        for kind, wait_ms in list(self._queues):
            if rested_ms < min(wait_ms, GRACE_MS):
                continue
            queue = self._queues[kind, wait_ms]
            while queue and room:
                key = next(iter(queue))
                entry = self._entries[key]
                if entry.since_ms + wait_ms > now_ms:
                    break
                self._remove(key)
                left += self._time_out(key, entry, now_ms)
                room -= 1
            if not queue:
                del self._queues[kind, wait_ms]
        return left

    def _time_out(self, key: bytes, entry: PairingEntry, now_ms: int) -> list[Resolved]:
        match entry.kind:
            case EntryKind.OPENED:
                self._put(key, entry._replace(kind=EntryKind.REPORTED, since_ms=now_ms))
                return [Resolved(PairResult.NEVER_COMPLETED, entry.opening)]
            case EntryKind.CLOSED:
                return [Resolved(PairResult.UNPAIRED, closing=entry.closing)]
            case EntryKind.PARKED:
                return [Resolved(PairResult.NO_ROUTE, entry.opening, entry.closing)]
        return []

    def park(self, left: Resolved, now_ms: int) -> list[Resolved]:
        """Keep lines whose route is unknown; what has to make room for them, or the lines if they are too large."""
        if len(left.opening or b"") + len(left.closing or b"") > MAX_PARKED_BYTES:
            return [Resolved(PairResult.TOO_LARGE, left.opening, left.closing)]
        # The key is free for the next lines; what is parked is found by `unpark` alone.
        key = blake2b(b"\0".join((b"parked", left.opening or b"", left.closing or b"")), digest_size=16).digest()
        self._put(key, PairingEntry(EntryKind.PARKED, now_ms, PARKED_MS, left.how, left.opening, left.closing))
        return self._evict()

    def unpark(self, known: frozenset[str]) -> list[Resolved]:
        """The parked lines whose route is among *known*; looks only if that is another object than last time."""
        if known is self._known:
            return []
        self._known = known
        left: list[Resolved] = []
        for key in list(self._queues.get((EntryKind.PARKED, PARKED_MS), ())):
            entry = self._entries[key]
            line = held_lines.decode(entry.closing or entry.opening or b"")
            if line is not None and line.route in known:
                self._remove(key)
                left.append(Resolved(entry.how, entry.opening, entry.closing))
        return left

    def _evict(self) -> list[Resolved]:
        """Make room: the oldest go. A closing line is an event at once; an opening one is forgotten.

        Were that reported as never completed, its closing line would make the request count twice. For the same reason
        those that are reported already stay for their window, even if what has just come has to go for them.
        """
        left: list[Resolved] = []
        while len(self._entries) > self._max_lines or self._bytes > self._max_bytes:
            queues = [queue for (kind, _), queue in self._queues.items() if queue and kind != EntryKind.REPORTED]
            if not queues:
                break
            fronts = [next(iter(queue)) for queue in queues]
            key = min(fronts, key=lambda each: self._entries[each].since_ms)
            entry = self._remove(key)
            if entry.kind == EntryKind.PARKED:
                left.append(Resolved(PairResult.NO_ROUTE, entry.opening, entry.closing))
            elif entry.kind == EntryKind.CLOSED:
                left.append(Resolved(PairResult.EVICTED, closing=entry.closing))
            else:
                left.append(Resolved(PairResult.FORGOTTEN, opening=entry.opening))
        return left

    def take_changes(self) -> list[tuple[bytes, PairingEntry | None]]:
        """(key, entry) of what has changed since the last call, None for what is gone; for the changelog.

        The transaction that is published now has to carry it. What came and went in between is left out.
        """
        self._recently_paired.published()
        before, self._before = self._before, {}
        for key, entry in before.items():
            self._in_flight.setdefault(key, entry)
        found = [(key, self._entries.get(key), entry) for key, entry in before.items()]
        return [(key, now) for key, now, entry in found if now is not entry]

    def committed(self) -> None:
        """What `take_changes` returned last is committed."""
        self._in_flight.clear()
        self._recently_paired.committed()

    def rollback(self) -> None:
        """Go back to what is committed."""
        self._recently_paired.rollback()
        touched = set()
        for journal in (self._before, self._in_flight):
            for key, entry in journal.items():
                if key in self._entries:
                    self._drop(key)
                if entry is not None:
                    touched.add(self._insert(key, entry))
            journal.clear()
        self._sort(touched)
        self._known = None

    def _put(self, key: bytes, entry: PairingEntry) -> None:
        self._before.setdefault(key, self._entries.get(key))
        if key in self._entries:
            self._drop(key)
        self._insert(key, entry)

    def _remove(self, key: bytes) -> PairingEntry:
        self._before.setdefault(key, self._entries[key])
        return self._drop(key)

    def _insert(self, key: bytes, entry: PairingEntry) -> tuple[int, int]:
        self._entries[key] = entry
        self._bytes += entry.size
        queue = entry.kind, entry.wait_ms
        self._queues.setdefault(queue, OrderedDict())[key] = None
        return queue

    def _drop(self, key: bytes) -> PairingEntry:
        entry = self._entries.pop(key)
        self._bytes -= entry.size
        del self._queues[entry.kind, entry.wait_ms][key]
        return entry

    def _sort(self, queues: Iterable[tuple[int, int]]) -> None:
        for queue in queues:
            keys = sorted(self._queues[queue], key=lambda key: self._entries[key].since_ms)
            self._queues[queue] = OrderedDict.fromkeys(keys)
