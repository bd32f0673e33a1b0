"""The client rankings of one database, kept up to date by every row that is written, and saved with the rows.

A ranking is a `query.ranking.Top`: the largest values of one bucket by one order.

Keys, all behind the rows and none of them in the changelog:

rank     order (1 byte) · tier · bucket: a ranking
whole    the rankings know every row: there from the first row on, or never

Rankings are saved with the last write of a flush. What a killed process wrote before that is folded again, and each row
that it touches is written and offered again (`fold`); so rankings are complete whenever rows are, and nothing must be
rebuilt.
On a standby, and in recovery, they are saved with every write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from logrouter.core.rollup.subjects import SubjectKind
from logrouter.query.answers import count_errors
from logrouter.query.parameters import Sort
from logrouter.query.ranking import NAMES_KEPT, RANKED, Top
from logrouter.query.tiers import Tier
from logrouter.tables import rows
from logrouter.tables.rows import BUCKET_BYTES, META

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rocksdict import WriteBatch

    from logrouter.core.rollup.cells import Cell, CellTotals

    MultiGet = Callable[[list[bytes]], list[bytes | None]]

RANK: Final = META + b"rank"
WHOLE: Final = META + b"whole"
MAX_OPEN: Final = 32
"""Buckets whose rankings stay in memory after a write: of this hour and day, of the lifetime, and of late events."""

_CLIENT: Final = ord(SubjectKind.CLIENT)
_MINUTE: Final = rows.CODE[Tier.MINUTE]
_OF: Final = {sort: RANK + bytes([number]) for number, sort in enumerate(RANKED)}
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Top).decode


class BucketRankings:
    """The rankings of one bucket by requests, errors and bytes; *room* is how many names each keeps at least."""

    __slots__ = ("bytes", "changed", "count", "errors", "room")

    def __init__(self, room: int, tops: Iterable[Top]) -> None:
        self.room = room
        self.count, self.errors, self.bytes = tops
        self.changed = False

    def top(self, sort: Sort) -> Top:
        """The ranking by one order."""
        return {Sort.COUNT: self.count, Sort.ERRORS: self.errors, Sort.BYTES: self.bytes}[sort]


class ClientRankings:
    """All rankings of one database, whose keys *read* looks up; *empty* says whether it has no row yet.

    `Store` makes one for each open database. For every write: `offer` its rows, then `add_whole_key` and `add_changed`,
    and after the write `confirm_saved`.
    """

    def __init__(self, read: MultiGet, *, empty: bool) -> None:
        self._read = read
        self._open: dict[bytes, BucketRankings] = {}
        self._begun = not empty
        self.whole = empty or read([WHOLE])[0] is not None
        """Whether the rankings know every row; a database from before there were rankings has other rows."""

    def has_ranking(self, key: bytes) -> bool:
        """Whether there are rankings for the row of this key."""
        return key[BUCKET_BYTES] == _CLIENT and key[0] != _MINUTE and self.whole

    def offer(self, key: bytes, row: Cell | CellTotals) -> None:
        """Note that a row is written with these sums."""
        if key[0] == _MINUTE or key[BUCKET_BYTES] != _CLIENT or not self.whole:
            return
        bucket = self._open.get(key[:BUCKET_BYTES]) or self._opened(key[:BUCKET_BYTES])
        # Every row of every flush passes here, and nearly all stay below every floor: these cost two comparisons.
        count, size = row.count, row.bytes_in + row.bytes_out
        if count > bucket.count.floor:
            bucket.count.offer(key[BUCKET_BYTES + 1 :].decode(), count, bucket.room)
            bucket.changed = True
        if count > bucket.errors.floor and (failed := count_errors(row)) > bucket.errors.floor:
            bucket.errors.offer(key[BUCKET_BYTES + 1 :].decode(), failed, bucket.room)
            bucket.changed = True
        if size > bucket.bytes.floor:
            bucket.bytes.offer(key[BUCKET_BYTES + 1 :].decode(), size, bucket.room)
            bucket.changed = True

    def top(self, sort: Sort, tier: Tier, bucket: int) -> Top:
        """A ranking with all rows that were offered. It must be neither changed nor kept."""
        prefix = rows.prefix(tier, bucket)
        in_memory = self._open.get(prefix)
        if in_memory is not None:
            return in_memory.top(sort)
        return _decoded(self._read([_OF[sort] + prefix])[0])

    def add_whole_key(self, changes: WriteBatch) -> None:
        """Add the key *whole* to the first write of rows."""
        if not self._begun:
            changes.put(WHOLE, b"")
            self._begun = True

    def add_changed(self, changes: WriteBatch) -> None:
        """Add the changed rankings to the write that holds the last offered rows."""
        for prefix, bucket in self._open.items():
            if bucket.changed:
                for sort, key in _OF.items():
                    changes.put(key + prefix, _encode(bucket.top(sort)))
                bucket.changed = False

    def confirm_saved(self) -> None:
        """Note that the write with `add_changed` is done; the rankings that were opened first leave memory."""
        for prefix in list(self._open)[:-MAX_OPEN]:
            del self._open[prefix]

    def drop_before(self, tier: Tier, oldest: int) -> list[tuple[bytes, bytes]]:
        """Drop the buckets before *oldest* from memory; the ranges of keys (first, stop) under which they are saved."""
        first, stop = rows.prefix(tier, 0), rows.prefix(tier, oldest)
        for prefix in [prefix for prefix in self._open if first <= prefix < stop]:
            del self._open[prefix]
        return [(key + first, key + stop) for key in _OF.values()]

    def _opened(self, prefix: bytes) -> BucketRankings:
        tops = [_decoded(value) for value in self._read([key + prefix for key in _OF.values()])]
        bucket = self._open[prefix] = BucketRankings(NAMES_KEPT[rows.TIERS[prefix[0]]], tops)
        return bucket


def _decoded(value: bytes | None) -> Top:
    return Top() if value is None else _decode(value)
