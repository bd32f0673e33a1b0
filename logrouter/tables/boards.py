"""The boards of one partition (`query.ranking`): kept up to date with the rows, in memory and behind them in the store.

A board is *open* while its bucket is written to; then it is saved and leaves memory. Keys, all behind the rows and
none of them in the changelog:

rank     tier · bucket · number: a top of a board, numbered as in `RANKED`; number 9 is how many names it has
edit     tier · bucket: the rows have changed since the board was saved: after a kill it is worth nothing

So a board is known if it is open, or saved without an edit, or if its bucket had no row when the first one came. All
others are unknown until somebody reads all rows of the bucket (`building`, `built`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import rocksdict

from logrouter.query.ranking import RANKED, ROOM, Board, Top
from logrouter.query.reader import Tier
from logrouter.tables import rows
from logrouter.tables.rows import BUCKET_BYTES, META

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from logrouter.core.cells import Cell, Numbers
    from logrouter.query.parameters import Sort

RANK: Final = META + b"rank"
EDIT: Final = META + b"edit"
MAX_OPEN: Final = 32
"""Boards in memory: of this minute, hour and day, of the lifetime, and of what comes late."""
MAX_WANTED: Final = 4096
"""Unknown boards that are remembered to be built: more than there are buckets of all tiers."""

_NUMBER: Final = {sort: bytes([number]) for number, sort in enumerate(RANKED)}
_NAMES: Final = b"\x09"
_LIFE: Final = rows.prefix(Tier.LIFE, 0)
CLIENT: Final = b"c"
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Top).decode


class Known(NamedTuple):
    """One top of a board and how many names the board has. Neither to be changed nor to be kept."""

    top: Top
    names: int


class Boards:
    """All boards of one database."""

    def __init__(self, database: rocksdict.Rdict) -> None:
        self._database = database
        self._open: dict[bytes, Board] = {}
        self._building: dict[bytes, Board] = {}
        self._unknown: set[bytes] = set()
        self._edited: set[bytes] = set()
        self._unmarked: list[bytes] = []
        self.wanted: dict[bytes, None] = {}
        self._forget_edited()

    def _forget_edited(self) -> None:
        changes = _batch()
        for key in list(keys_with(self._database, EDIT)):
            self._erase(changes, key[len(EDIT) :])
        self._database.write(changes)

    # --- changes of rows

    def changed(self, key: bytes, row: Cell | Numbers, *, new: bool) -> None:
        """A client's row is about to be this; it was not there before if it is *new*.

        To be called before the row is in the store: a bucket without any row gets its board now.
        """
        bucket = key[:BUCKET_BYTES]
        board = self._open.get(bucket) or self._reopened(bucket)
        if board is None:
            return
        if bucket not in self._edited:
            self._edited.add(bucket)
            self._unmarked.append(bucket)
        board.names += new
        board.offer(key[BUCKET_BYTES + 1 :].decode, row)

    def marks(self) -> Iterable[bytes]:
        """Keys to be put, with nothing in them, by the write that brings the rows which were announced."""
        marks, self._unmarked = [EDIT + bucket for bucket in self._unmarked], []
        return marks

    def spoil(self, buckets: Iterable[bytes]) -> None:
        """Rows of these buckets change without being announced: their boards are unknown."""
        changes = _batch()
        for bucket in buckets:
            if bucket not in self._unknown:
                self._unknown.add(bucket)
                self._building.pop(bucket, None)
                self._open.pop(bucket, None)
                self._edited.discard(bucket)
                self._erase(changes, bucket)
        self._unmarked = [bucket for bucket in self._unmarked if bucket in self._edited]
        self._database.write(changes)

    def _reopened(self, bucket: bytes) -> Board | None:
        building = self._building.get(bucket)
        if building is not None or bucket in self._unknown:
            return building
        board = self._loaded(bucket)
        if board is None and self._empty(bucket):
            board = Board(_room(bucket))
        if board is None:
            self._unknown.add(bucket)
        else:
            self._open[bucket] = board
        return board

    def _loaded(self, bucket: bytes) -> Board | None:
        *tops, names = self._get([bucket + number for number in (*_NUMBER.values(), _NAMES)])
        found = [_decode(top) for top in tops if top is not None]
        if names is None or len(found) < len(tops):
            return None
        return Board(_room(bucket), found, int(names))

    def _get(self, keys: list[bytes]) -> list[bytes | None]:
        found: Any = self._database.get([RANK + key for key in keys])
        return list(found)

    def _empty(self, bucket: bytes) -> bool:
        return next(keys_with(self._database, bucket + CLIENT), None) is None

    # --- reading

    def known(self, bucket: bytes, sort: Sort) -> Known | None:
        """One top of a bucket; None if it is unknown, which makes it wanted."""
        board = self._open.get(bucket)
        if board is not None:
            return Known(board.top(sort), board.names)
        if bucket not in self._unknown and bucket not in self._building:
            top, names = self._get([bucket + _NUMBER[sort], bucket + _NAMES])
            if top is not None and names is not None:
                return Known(_decode(top), int(names))
            if self._empty(bucket):
                return Known(Top(), 0)
        self.want(bucket)
        return None

    def want(self, bucket: bytes) -> None:
        """Have the board of a bucket built if it is unknown."""
        if len(self.wanted) < MAX_WANTED and bucket not in self._building:
            self.wanted[bucket] = None

    # --- building what is unknown

    def lacks(self, bucket: bytes) -> bool:
        """Whether a bucket has rows and no board, nor one that is being built."""
        if bucket in self._open or bucket in self._building:
            return False
        return bucket in self._unknown or (self._get([bucket + _NAMES])[0] is None and not self._empty(bucket))

    def is_building(self, bucket: bytes) -> bool:
        """Whether the board that was begun is still worth to be gone on with."""
        return bucket in self._building

    def building(self, bucket: bytes) -> Board:
        """An empty board, to be offered all rows that are in the store now; what changes meanwhile it gets as well."""
        self._unknown.discard(bucket)
        board = self._building[bucket] = Board(_room(bucket))
        return board

    def built(self, bucket: bytes) -> None:
        """All rows have been offered: the board is known."""
        board = self._building.pop(bucket, None)
        if board is not None:
            self._open[bucket] = board
            self._edited.add(bucket)
            self.save([bucket])

    def abandon(self, bucket: bytes) -> None:
        """The rows could not be read to the end."""
        if self._building.pop(bucket, None) is not None:
            self._unknown.add(bucket)
            self._edited.discard(bucket)

    # --- saving

    def save(self, buckets: Iterable[bytes] | None = None) -> None:
        """Write open boards, by default all of them, and drop them from memory. All announced rows must be written."""
        changes = _batch()
        for bucket in list(self._open) if buckets is None else buckets:
            board = self._open.pop(bucket)
            if bucket in self._edited:
                self._edited.discard(bucket)
                for sort, number in _NUMBER.items():
                    top = board.top(sort)
                    top.cut(board.room)
                    changes.put(RANK + bucket + number, _encode(top))
                changes.put(RANK + bucket + _NAMES, str(board.names).encode())
                changes.delete(EDIT + bucket)
        self._database.write(changes)

    def trim(self) -> None:
        """Save and drop the boards that are too many in memory: those opened first."""
        surplus = len(self._open) - MAX_OPEN
        if surplus > 0:
            self.save([bucket for bucket in self._open if bucket != _LIFE][:surplus])

    def expire(self, tier: Tier, oldest: int) -> None:
        """Drop the boards of buckets before *oldest*."""
        stop = rows.prefix(tier, oldest)
        changes = _batch()
        for key in list(keys_between(self._database, RANK + rows.prefix(tier, 0), RANK + stop)):
            changes.delete(key)
        for bucket in [bucket for bucket in self._open if bucket[0] == stop[0] and bucket < stop]:
            del self._open[bucket]
            self._edited.discard(bucket)
            changes.delete(EDIT + bucket)
        self._unknown = {bucket for bucket in self._unknown if bucket[0] != stop[0] or bucket >= stop}
        self._database.write(changes)

    @staticmethod
    def _erase(changes: rocksdict.WriteBatch, bucket: bytes) -> None:
        for number in (*_NUMBER.values(), _NAMES):
            changes.delete(RANK + bucket + number)
        changes.delete(EDIT + bucket)


def keys_with(database: rocksdict.Rdict, prefix: bytes) -> Iterator[bytes]:
    """The keys that begin with *prefix*, in order."""
    for key in database.keys(from_key=prefix):
        if not isinstance(key, bytes) or not key.startswith(prefix):
            return
        yield key


def keys_between(database: rocksdict.Rdict, start: bytes, stop: bytes) -> Iterator[bytes]:
    """The keys from *start* on that lie before *stop*."""
    for key in database.keys(from_key=start):
        if not isinstance(key, bytes) or key >= stop:
            return
        yield key


def _room(bucket: bytes) -> int:
    return ROOM[rows.TIERS[bucket[0]]]


def _batch() -> rocksdict.WriteBatch:
    return rocksdict.WriteBatch(raw_mode=True)
