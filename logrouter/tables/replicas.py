"""Up to which rollup offset a database is a complete replica of its partition, whoever wrote the rows in it.

The owner of a partition ends every flush with a *checkpoint* in the changelog: the offset up to which every rollup
record is in the rows before it. A follower of the changelog is complete to the last checkpoint that it has read,
provided that it has read everything before that checkpoint.

Compaction breaks this: it removes a row in favour of a later one, which may lie behind the checkpoint. Then offsets are
missing. After such a gap checkpoints are noted but not trusted until the follower has reached what was the end of the
changelog when it met the gap: by then it has every later row. A database that begins empty begins with a gap.

Keys of a database that are no rows (`META` comes first):

done     the last checkpoint of the changelog; the only one of these keys that is in the changelog as well
copy     the checkpoint up to which this database is known to be complete
gap      the changelog offset that must be applied before checkpoints are trusted again
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from logrouter.tables.mismatch import LATER_VERSION, MismatchError
from logrouter.tables.rows import META

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LAST_CHECKPOINT: Final = META + b"done"
COMPLETE_TO: Final = META + b"copy"
GAP: Final = META + b"gap"

_CHECKPOINT: Final = Struct(">Qq")
_UNKNOWN: Final = -(2**63)


class Checkpoint(NamedTuple):
    """Rows are complete up to this rollup *offset*; *newest_ms* is the newest event time in them, None if not known."""

    offset: int
    newest_ms: int | None


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """The value of a checkpoint: offset and newest event time, 8 bytes each, big endian. Rows begin alike."""
    return _CHECKPOINT.pack(checkpoint.offset, _UNKNOWN if checkpoint.newest_ms is None else checkpoint.newest_ms)


def decode_checkpoint(value: bytes | None) -> Checkpoint | None:
    """The checkpoint in a value; None if the value holds no checkpoint."""
    if value is None or len(value) != _CHECKPOINT.size:
        return None
    offset, newest = _CHECKPOINT.unpack(value)
    return Checkpoint(offset, None if newest == _UNKNOWN else newest)


def follow_changelog(
    read: Callable[[list[bytes]], list[bytes | None]], applied: bytes, records: Iterable[Any], end: Callable[[], int]
) -> dict[bytes, bytes | None]:
    """What applying changelog records changes in the keys above and in *applied*; the value None removes a key.

    *read* looks keys up in the database, *applied* is the key of the last applied changelog offset, *records* have
    `offset`, `key` and `value`, and *end* returns the last offset of the changelog.
    """
    offset, gap, last, complete = read([applied, GAP, LAST_CHECKPOINT, COMPLETE_TO])
    expected = None if offset is None else int(offset) + 1
    reach = None if gap is None else int(gap)
    for record in records:
        if expected is None or record.offset > expected:
            reach = end() if reach is None else max(end(), reach)
        expected = max(record.offset + 1, expected or 0)
        if record.key == LAST_CHECKPOINT and record.value is not None:
            if len(record.value) > _CHECKPOINT.size:
                raise MismatchError(LATER_VERSION)
            if len(record.value) == _CHECKPOINT.size:
                last = later_checkpoint(last, record.value)
    if expected is None:
        return {}
    changes: dict[bytes, bytes | None] = {applied: str(expected - 1).encode()}
    if reach is not None and reach < expected:
        reach = None
    if last is not None:
        changes[LAST_CHECKPOINT] = last
        if reach is None:
            changes[COMPLETE_TO] = later_checkpoint(complete, last)
    if reach is not None or gap is not None:
        changes[GAP] = None if reach is None else str(reach).encode()
    return changes


def later_checkpoint(one: bytes | None, other: bytes) -> bytes:
    """The encoded checkpoint with the higher offset; *other* if they are equal."""
    return other if one is None or other[:8] >= one[:8] else one
