"""Rollup records: how partial sums travel from the route lane to the tables lane, bounded and checked."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from logrouter.core.rollup.cells import MAX_NAME, Cell
from logrouter.core.rollup.old_cells import OldCell, upgrade_cell
from logrouter.core.rollup.shrinking import encode_within

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

VERSION: Final = 3
"""The first element of every record, whatever else later versions change: a reader must know what it can't read."""
_MAX_VERSION: Final = 127
MAX_SUBJECTS: Final = 512
"""A reader accepts so many subjects in a record."""
PACKED: Final = 128
"""A record is closed when it has so many: its reader has other things to do after a few milliseconds."""
MAX_CELLS: Final = 4096
MAX_RECORD_BYTES: Final = 512 * 1024
"""A record is closed before it grows beyond this; a reader accepts twice as much."""

Subjects = list[tuple[str, list[Cell]]]


class RecordError(ValueError):
    """Not a rollup record: corrupt, hostile or of an unknown version. The text holds nothing of the record."""


class NewerRecordError(Exception):
    """A rollup record of a newer version. Whoever skipped it would lose requests without a word, so nobody may."""

    def __init__(self, version: int) -> None:
        super().__init__(f"a rollup record of version {version}, and this program reads versions 1 to {VERSION}")


_Subject = Annotated[str, msgspec.Meta(min_length=2, max_length=MAX_NAME + 1, pattern="^[ac]")]
_MOST_CELLS: Final = msgspec.Meta(max_length=MAX_CELLS)
_MOST_SUBJECTS: Final = msgspec.Meta(max_length=MAX_SUBJECTS)


class _Record(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    version: Literal[3]
    subjects: Annotated[list[tuple[_Subject, Annotated[list[Cell], _MOST_CELLS]]], _MOST_SUBJECTS]


class _OldRecord(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    version: Literal[1, 2]
    subjects: Annotated[list[tuple[_Subject, Annotated[list[OldCell], _MOST_CELLS]]], _MOST_SUBJECTS]


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Record).decode
_decode_old: Final = msgspec.msgpack.Decoder(_OldRecord).decode
_OLD: Final = (b"\x92\x01", b"\x92\x02")
"""How records of versions 1 and 2 begin: an array of two elements, and the version."""
_decode_elements: Final = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_decode_number: Final = msgspec.msgpack.Decoder(int).decode


def encode_record(subjects: Subjects) -> bytes:
    """The value of one rollup record, with `MAX_SUBJECTS` subjects at most, each once (`pack_records` sees to that)."""
    return _encode((VERSION, subjects))


def decode_record(value: bytes) -> Subjects:
    """The partial sums in a rollup record of this version or of one before.

    Raises:
        RecordError: the record is malformed or out of bounds.
        NewerRecordError: the record is of a newer version.
    """
    if len(value) > 2 * MAX_RECORD_BYTES:
        _refuse_newer(value)
        msg = f"rollup record of {len(value)} bytes is too large"
        raise RecordError(msg)
    try:
        return _upgrade(_decode_old(value)) if value.startswith(_OLD) else _decode(value).subjects
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        _refuse_newer(value)
        msg = f"not a rollup record: {exc}"
        raise RecordError(msg) from exc


def _upgrade(record: _OldRecord) -> Subjects:
    first = record.version == 1
    return [(subject, [upgrade_cell(cell, first=first) for cell in cells]) for subject, cells in record.subjects]


def _refuse_newer(value: bytes) -> None:
    """Raise `NewerRecordError` if a value that can't be read is an array whose first element is a newer version."""
    try:
        version = _decode_number(_decode_elements(value)[0])
    except (msgspec.DecodeError, RecursionError, IndexError):
        return
    if VERSION < version <= _MAX_VERSION:
        raise NewerRecordError(version)


def partition_of(subject: str, partitions: int) -> int:
    """The partition of a subject in the rollup topic and in the tables: CRC-32 of its UTF-8."""
    return zlib.crc32(subject.encode()) % partitions


def _encode_entries(subject: str, cells: list[Cell]) -> Iterator[bytes]:
    entry = _encode((subject, cells))
    if len(entry) <= MAX_RECORD_BYTES and len(cells) <= MAX_CELLS:
        yield entry
        return
    if len(cells) == 1:
        yield encode_within(cells[0], MAX_RECORD_BYTES, lambda: _encode((subject, cells)))
        return
    half = len(cells) // 2
    yield from _encode_entries(subject, cells[:half])
    yield from _encode_entries(subject, cells[half:])


def _close_record(entries: list[bytes]) -> bytes:
    return b"\x92" + bytes([VERSION]) + b"\xdc" + len(entries).to_bytes(2, "big") + b"".join(entries)


def pack_records(subjects: Iterable[tuple[str, list[Cell]]], partitions: int) -> Iterator[tuple[int, bytes]]:
    """The rollup records of a batch as (partition, value), bounded in subjects and bytes.

    A subject occurs once in a record; one whose cells need more room continues in the next record.
    """
    rooms: dict[int, list[bytes]] = {}
    sizes: dict[int, int] = {}
    for subject, cells in subjects:
        partition = partition_of(subject, partitions)
        for number, entry in enumerate(_encode_entries(subject, cells)):
            room = rooms.setdefault(partition, [])
            size = sizes.get(partition, 0) + len(entry)
            if room and (number or len(room) >= PACKED or size > MAX_RECORD_BYTES):
                yield partition, _close_record(room)
                room = rooms[partition] = []
                size = len(entry)
            room.append(entry)
            sizes[partition] = size
    for partition, room in rooms.items():
        yield partition, _close_record(room)
