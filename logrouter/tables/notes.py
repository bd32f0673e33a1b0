"""What the changelog says of a partition besides its rows: where they come from, and what they lack.

Notes travel as lifetime rows of a bucket that has no rows. So versions without notes restore and compact them, and hand
them on like any row, and no answer reads them. The value is a watermark of 0, as rows begin with one, and a msgpack
array that begins with its version: 1. Of two values the later one stays.

~origin            `Origin`: of what topic the rows are, and how far they go
~hole · first      `query.tiers.Hole`, under its first offset as 8 bytes, big endian
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from logrouter.query.tiers import Hole
from logrouter.tables.mismatch import LATER_VERSION, MismatchError
from logrouter.tables.rows import NOTES

if TYPE_CHECKING:
    from collections.abc import Mapping

ORIGIN: Final = NOTES + b"~origin"
HOLE: Final = NOTES + b"~hole"
HOLES_END: Final = HOLE + b"\xff" * 9
MAX_HOLES: Final = 100
"""Holes that a partition tells apart; a further one widens the last."""

_VERSION: Final = 1
_WATERMARK: Final = bytes(8)


class Origin(msgspec.Struct, array_like=True, frozen=True):
    """Where the rows of a partition come from.

    *topic_id* is the id of the rollup topic, "" if the cluster tells none. *offset*, *time_ms* and *size* are those
    of the last record that was folded, its timestamp and the length of its value: by them it is known again; *offset*
    is -1 if there was none. *newest_ms* is the newest timestamp of any record. Below *reached* nothing is left to fold:
    it may lie behind *offset*, where transactions ended or were aborted.
    """

    topic_id: str = ""
    offset: int = -1
    time_ms: int = -1
    size: int = 0
    newest_ms: int = -1
    reached: int = 0


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_parts: Final = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw]).decode
_decode_origin: Final = msgspec.msgpack.Decoder(Origin).decode
_decode_hole: Final = msgspec.msgpack.Decoder(Hole).decode


def encode_origin(origin: Origin) -> bytes:
    """The value of the note `ORIGIN`."""
    return _WATERMARK + _encode((_VERSION, origin))


def decode_origin(value: bytes | None) -> Origin | None:
    """The origin in a value, None for None; `MismatchError` for one of a newer version."""
    return None if value is None else _decode(value, _decode_origin)


def encode_hole(hole: Hole) -> tuple[bytes, bytes]:
    """Key and value of the note of a hole."""
    return HOLE + hole.first.to_bytes(8, "big"), _WATERMARK + _encode((_VERSION, hole))


def decode_hole(value: bytes) -> Hole:
    """The hole in the value of a note; `MismatchError` for one of a newer version."""
    hole: Hole = _decode(value, _decode_hole)
    return hole


def is_note(key: bytes) -> bool:
    """Whether a key is that of a note, of whatever version."""
    return key.startswith(NOTES)


def _decode(value: bytes, decode: Any) -> Any:
    try:
        version, content = _decode_parts(memoryview(value)[len(_WATERMARK) :])
        if version == _VERSION:
            return decode(content)
    except msgspec.DecodeError:
        pass
    raise MismatchError(LATER_VERSION)


def add_hole(holes: Mapping[int, Hole], new: Hole) -> Hole:
    """The hole to be kept under its *first*, when *new* is found beside *holes*, which are by their first offsets.

    A hole that begins where a known one does, or within it or at its end, widens that; beyond `MAX_HOLES` the last one
    is widened, whatever lies between.
    """
    earlier = [hole for hole in holes.values() if hole.first <= new.first]
    before = max(earlier, key=lambda hole: hole.first, default=None)
    if before is None or (new.first > before.stop and len(holes) < MAX_HOLES):
        return new
    if new.stop <= before.stop:
        return before
    return before._replace(stop=new.stop, to_ms=new.to_ms)
