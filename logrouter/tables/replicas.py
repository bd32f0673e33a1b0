"""How far a database is a whole copy of its partition, whoever wrote the rows in it.

The owner of a partition ends every flush with a *mark* in the changelog: the offset up to which every rollup record is
in the rows before it. Whoever follows the changelog is complete to the last mark that it has read, provided that it
has read everything before that mark.

Compaction breaks this: it removes a row in favour of a later one, which may lie behind the mark. Then offsets are
missing. From such a gap on marks are noted but not believed, until the follower has reached what was the end of the
changelog when it met the gap: by then it has every later row. A database that begins empty begins with a gap.

Keys of a database, none of them a row:

done     the last mark of the changelog; the only key that is in the changelog as well
copy     the mark up to which this database is known to be complete
gap      the changelog offset that must be applied before marks are believed again
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from logrouter.tables.rows import META

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DONE: Final = META + b"done"
COPY: Final = META + b"copy"
GAP: Final = META + b"gap"

_MARK: Final = Struct(">Qq")
_UNKNOWN: Final = -(2**63)


class Mark(NamedTuple):
    """Rows are complete up to this rollup *offset*; *newest_ms* is the newest event time in them, None if not known."""

    offset: int
    newest_ms: int | None


def encode(mark: Mark) -> bytes:
    """A mark as a value, which begins with its offset like the value of a row."""
    return _MARK.pack(mark.offset, _UNKNOWN if mark.newest_ms is None else mark.newest_ms)


def decode(value: bytes | None) -> Mark | None:
    """The mark in a value; None if there is none."""
    if value is None or len(value) != _MARK.size:
        return None
    offset, newest = _MARK.unpack(value)
    return Mark(offset, None if newest == _UNKNOWN else newest)


def follow(
    read: Callable[[list[bytes]], list[bytes | None]], applied: bytes, records: Iterable[Any], end: Callable[[], int]
) -> dict[bytes, bytes | None]:
    """What applying changelog records changes in these keys; None removes one.

    *applied* is the key under which the last applied offset is kept, *end* tells the last offset of the changelog.
    """
    offset, gap, done, copy = read([applied, GAP, DONE, COPY])
    expected = None if offset is None else int(offset) + 1
    reach = None if gap is None else int(gap)
    for record in records:
        if expected is None or record.offset > expected:
            reach = end() if reach is None else max(end(), reach)
        expected = max(record.offset + 1, expected or 0)
        if record.key == DONE and decode(record.value) is not None:
            done = later(done, record.value)
    if expected is None:
        return {}
    changes: dict[bytes, bytes | None] = {applied: str(expected - 1).encode()}
    if reach is not None and reach < expected:
        reach = None
    if done is not None:
        changes[DONE] = done
        if reach is None:
            changes[COPY] = later(copy, done)
    if reach is not None or gap is not None:
        changes[GAP] = None if reach is None else str(reach).encode()
    return changes


def later(one: bytes | None, other: bytes) -> bytes:
    """Of two encoded marks the one that reaches further."""
    return other if one is None or other[:8] >= one[:8] else one
