"""The rows of the tables: keys sort by time, values hold the sums.

key     tier (1 byte) · bucket (4 bytes, big endian) · subject (UTF-8)
value   watermark (8 bytes, big endian) · cell (msgpack, numbers first)

The *watermark* is the offset of the last rollup record that is part of the row, in the row's own partition. Of two
values of a row the one with the higher watermark contains the other. Keys of one tier and one bucket lie together, so
expiry and lists are range scans.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from logrouter.core.rollup.cells import MAX_SUM, MAX_WEIGHT, Cell, CellTotals
from logrouter.core.rollup.old_cells import FIRST_FIELDS, SECOND_FIELDS, OldCell, upgrade_cell
from logrouter.core.rollup.shrinking import encode_within, saturate_cell
from logrouter.query.tiers import Tier
from logrouter.tables.mismatch import LATER_VERSION, MismatchError

if TYPE_CHECKING:
    from logrouter.query.url_filter import ByteSearch

TIERS: Final = (Tier.MINUTE, Tier.HOUR, Tier.DAY, Tier.LIFE)
CODE: Final = {tier: code for code, tier in enumerate(TIERS)}
META: Final = b"\xff"
"""First byte of the store's own keys, which sort behind all rows. One is in the changelog as well (see `replicas`)."""

NOTES: Final = b"\x03\xff\xff\xff\xff"
"""How keys of `notes` begin: as those of lifetime rows, in a bucket that has no rows."""

NOTHING: Final = -1
"""The watermark of a row that does not exist yet."""

MAX_ROW_BYTES: Final = 3 << 19
"""A cell is made smaller than this for its row: with its key, a batch of the changelog must take it (2 MB)."""

_PREFIX: Final = Struct(">BI")
BUCKET_BYTES: Final = _PREFIX.size
"""Length of the part of a key that holds tier and bucket."""
_WATERMARK: Final = Struct(">Q")
_encode = msgspec.msgpack.Encoder().encode


def _header_of(fields: int) -> bytes:
    """First bytes of a cell: an array of so many elements."""
    return _encode([None] * fields)[:-fields]


_HEADER: Final = _header_of(len(Cell.__struct_fields__))
_FIRST: Final = _header_of(FIRST_FIELDS)
_COMPLETE: Final = _encode([None, None])[1:]
"""Last bytes of a client's row that has all its URLs: no slack, and no parts of an API."""
_NUMBERS: Final = ((-3, 0xCC), (-4, 0xCD), (-6, 0xCE), (-10, 0xCF))
"""Where the header of a number would be, and which, if the first of these bytes were the last of a slack's number."""
_OLD: Final = (_FIRST, _header_of(SECOND_FIELDS))
_decode_old = msgspec.msgpack.Decoder(OldCell).decode
_decode = msgspec.msgpack.Decoder(Cell).decode
_decode_any = msgspec.msgpack.Decoder().decode
_decode_numbers = msgspec.msgpack.Decoder(CellTotals).decode


class Key(NamedTuple):
    """A row key, taken apart."""

    tier: Tier
    bucket: int
    subject: str


def prefix(tier: Tier, bucket: int) -> bytes:
    """The first five bytes of the keys of one tier and one bucket."""
    return _PREFIX.pack(CODE[tier], bucket)


def keys(subject: str, minute: int) -> tuple[bytes, bytes, bytes, bytes]:
    """The keys of the four rows that count a subject in an epoch minute, in the order of `TIERS`."""
    name, pack = subject.encode(), _PREFIX.pack
    return (pack(0, minute) + name, pack(1, minute // 60) + name, pack(2, minute // 1440) + name, pack(3, 0) + name)


def key_of(tier: Tier, bucket: int, subject: str) -> bytes:
    """The key of a row."""
    return _PREFIX.pack(CODE[tier], bucket) + subject.encode()


def tier_and_bucket(key: bytes) -> tuple[Tier, int]:
    """Tier and bucket in a row key."""
    code, bucket = _PREFIX.unpack_from(key)
    return TIERS[code], bucket


def parse_key(key: bytes) -> Key:
    """A row key taken apart."""
    tier, bucket = tier_and_bucket(key)
    return Key(tier, bucket, key[_PREFIX.size :].decode())


def refuse_later(key: bytes, value: bytes | None) -> None:
    """Raise `MismatchError` if a changelog record is nothing that this version knows: a later one has written it."""
    if key.startswith(NOTES):
        return
    if key[0] >= len(TIERS) or not (value is None or value.startswith((_HEADER, *_OLD), _WATERMARK.size)):
        raise MismatchError(LATER_VERSION)


def is_row(key: bytes) -> bool:
    """Whether a key of the database is that of a row, not a note nor one of the store's own or Faust's."""
    return len(key) > _PREFIX.size and key[0] < len(TIERS) and not key.startswith(NOTES)


def encode(watermark: int, cell: Cell) -> bytes:
    """The value of a row. Sums too large to be encoded are capped, and a cell too large is made smaller, in place."""
    cell.url_error_bound = cell.count  # workers of 0.1.0 see no URLs of it, and say so
    try:
        value = _encode(cell) if cell.slack is None else _encode_with_bounds(cell)
    except OverflowError:
        saturate_cell(cell)
        value = _encode_with_bounds(cell)
    if len(value) > MAX_ROW_BYTES:
        value = encode_within(cell, MAX_ROW_BYTES, lambda: _encode_with_bounds(cell))
    cell.url_error_bound = cell.clients_error_bound = 0
    return _WATERMARK.pack(watermark) + value


def _encode_with_bounds(cell: Cell) -> bytes:
    """A cell with what workers of 0.1.0 know as error bounds: the most that any client's count may lack."""
    slack = None if cell.slack is None else cell.slack.clients
    cell.url_error_bound = cell.count
    cell.clients_error_bound = 0 if slack is None else max(slack.floor, *slack.over.values(), 0)
    return _encode(cell)


def encode_as(watermark: int, cell: Cell, tier: Tier, bucket: int) -> bytes:
    """The value of the row of *tier* and *bucket* with the sums of a cell of another bucket, which stays as it is."""
    number, recent = cell.minute, cell.recent
    cell.minute = bucket
    trim_to_tier(tier, cell)
    value = encode(watermark, cell)
    cell.minute, cell.recent = number, recent
    return value


def encode_tail(cell: Cell) -> bytes:
    """The end of the values of all rows that hold just this cell: everything but watermark, bucket and failures."""
    recent, cell.recent = cell.recent, []
    value = encode(0, cell)
    cell.recent = recent
    return value[_WATERMARK.size + len(_HEADER) + len(_encode(cell.minute)) :]


def join_tail(watermark: int, bucket: int, tail: bytes) -> bytes:
    """The value of a row of one cell, from the result of `encode_tail`."""
    return _WATERMARK.pack(watermark) + _HEADER + _encode(bucket) + tail


def trim_to_tier(tier: Tier, cell: Cell) -> None:
    """Remove from a cell what rows of its tier do not keep: only lifetime rows have recent failures."""
    if tier is not Tier.LIFE and cell.recent:
        cell.recent = []


def watermark(value: bytes) -> int:
    """The offset of the last rollup record in a row."""
    number: int = _WATERMARK.unpack_from(value)[0]
    return number


def decode_cell(value: bytes) -> Cell:
    """The sums in a row, of this version or of one before. What has grown beyond the largest sum is that."""
    try:
        if value.startswith(_OLD, _WATERMARK.size):
            return upgrade_cell(_decode_old(memoryview(value)[8:]), first=value.startswith(_FIRST, _WATERMARK.size))
        cell = _decode(memoryview(value)[8:])
    except msgspec.ValidationError:
        # Two sums that were sound are not when they are added up: no worker must end at that row for ever.
        capped = _capped(value)
        if capped == value:
            raise
        return decode_cell(capped)
    cell.url_error_bound = cell.clients_error_bound = 0
    return cell


def _capped(value: bytes) -> bytes:
    """The value of a row with no number above the largest sum."""
    fields = _cap(_decode_any(memoryview(value)[8:]))
    if isinstance(fields, list) and len(fields) >= FIRST_FIELDS and isinstance(fields[2], int | float):
        fields[2] = min(fields[2], MAX_WEIGHT)
    return value[:8] + _encode(fields)


def _cap(value: Any) -> Any:
    """A value of a row, and all in it, with no number above the largest sum."""
    if isinstance(value, list):
        return [_cap(one) for one in value]
    if isinstance(value, dict):
        return {name: _cap(one) for name, one in value.items()}
    return min(value, MAX_SUM) if isinstance(value, int) else value


def may_have_url(value: bytes, search: ByteSearch) -> bool:
    """Whether the row of a client may have a URL that *search* finds, or lack some: true where that is not certain."""
    complete = value.startswith(_HEADER, _WATERMARK.size) and value.endswith(_COMPLETE)
    if not complete or any(value[place] == header for place, header in _NUMBERS):
        return True
    return search.may_be_in(value)


def decode_totals(value: bytes) -> CellTotals:
    """The numbers in a row, at a fifth of the cost of `decode_cell`."""
    return _decode_numbers(memoryview(value)[8:])
