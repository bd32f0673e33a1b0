"""Partial sums: what a batch of events adds to the tables, how they travel, and how they merge.

A *cell* is everything the tables know of one subject in one stretch of time.  Cells merge like sums: in any order and
grouping with the same result (floating-point rounding and the cut of over-full name maps apart), so the same struct
serves for the partial sums of a batch, for the rows of every tier and for answers over many rows.

A *subject* is one kind letter and a name: ``c<client_id>`` or ``a<api>``; ``c-`` and ``a-`` are the absent ones.
"""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

VERSION: Final = 1
MAX_SUBJECTS: Final = 512
MAX_CELLS: Final = 4096
MAX_NAMES: Final = 64
MAX_NAME: Final = 512
MAX_RECORD_BYTES: Final = 512 * 1024
"""A record is closed before it grows beyond this; a reader accepts twice as much."""
OTHER: Final = "~other"
"""Where the counts of names go that an over-full map has no room for. No API or outcome is called so."""

MAX_LATENCY_MS: Final = 2**31 - 1
MAX_MINUTE: Final = 2**32 - 1
"""Bucket numbers are four bytes in row keys."""
_MAX_SUM: Final = 2**63 - 1
_MAX_WEIGHT: Final = 1e18
_STATUS_CODES: Final = range(1000)
_GAMMA: Final = 1.02 / 0.98
_INVERSE_LOG_GAMMA: Final = 1 / math.log(_GAMMA)
_ZERO: Final = -1
"""The sketch bucket of 0 ms."""


def _exact_bucket(ms: int) -> int:
    return math.ceil(math.log(ms) * _INVERSE_LOG_GAMMA) if ms > 0 else _ZERO


_SMALL: Final = tuple(_exact_bucket(ms) for ms in range(8192))
_MAX_BUCKET: Final = _exact_bucket(MAX_LATENCY_MS)


def bucket(ms: int) -> int:
    """The sketch bucket of a latency; any int is accepted, out-of-range ones are clamped."""
    if 0 <= ms < 8192:
        return _SMALL[ms]
    return _ZERO if ms < 0 else _exact_bucket(min(ms, MAX_LATENCY_MS))


def bucket_value(index: int) -> float:
    """The latency that stands for a bucket: at most 2 % away from everything that fell into it."""
    return 0.0 if index <= _ZERO else float(2 * _GAMMA**index / (_GAMMA + 1))


_Count = Annotated[int, msgspec.Meta(ge=0, le=_MAX_SUM)]
_Millis = Annotated[int, msgspec.Meta(ge=-_MAX_SUM, le=_MAX_SUM)]
_Bucket = Annotated[int, msgspec.Meta(ge=0, le=MAX_MINUTE)]
_Weight = Annotated[float, msgspec.Meta(ge=0, le=_MAX_WEIGHT)]
_Name = Annotated[str, msgspec.Meta(max_length=MAX_NAME)]
_Status = Annotated[int, msgspec.Meta(ge=0, le=999)]
_Names = Annotated[dict[_Name, _Count], msgspec.Meta(max_length=MAX_NAMES + 1)]
_Sketch = Annotated[
    dict[Annotated[int, msgspec.Meta(ge=_ZERO, le=_MAX_BUCKET)], _Count],
    msgspec.Meta(max_length=_MAX_BUCKET + 2),
]


class Cell(msgspec.Struct, array_like=True):
    """Sums of one subject in one stretch of time; *minute* is the bucket number in the unit of its tier.

    The numbers come first so that a reader can stop before the maps (`Head`).  Cells are mutable and shared maps are
    never aliased: `merge` and `copy_of` make their own.
    """

    minute: _Bucket
    count: _Count = 0
    weight: _Weight = 0.0
    bytes_in: _Count = 0
    bytes_out: _Count = 0
    latency_sum: _Count = 0
    latency_max: _Count = 0
    latency_count: _Count = 0
    first_ms: _Millis = 0
    last_ms: _Millis = 0
    status: Annotated[dict[_Status, _Count], msgspec.Meta(max_length=1000)] = {}
    outcome: _Names = {}
    peer: _Names = {}
    sketch: _Sketch = {}


class Head(msgspec.Struct, array_like=True):
    """The numbers of a cell alone: decoding this skips the maps."""

    minute: int
    count: int
    weight: float
    bytes_in: int
    bytes_out: int
    latency_sum: int
    latency_max: int
    latency_count: int
    first_ms: int
    last_ms: int


Subjects = list[tuple[str, list[Cell]]]


class RecordError(ValueError):
    """A rollup record that is not one: corrupt, hostile or from an unknown version. The text holds no payload."""


def copy_of(cell: Cell, number: int) -> Cell:
    """A cell with the same sums and its own maps, for bucket *number*."""
    return Cell(
        number,
        cell.count,
        cell.weight,
        cell.bytes_in,
        cell.bytes_out,
        cell.latency_sum,
        cell.latency_max,
        cell.latency_count,
        cell.first_ms,
        cell.last_ms,
        cell.status.copy(),
        cell.outcome.copy(),
        cell.peer.copy(),
        cell.sketch.copy(),
    )


def add_name(names: dict[str, int], name: str, count: int) -> None:
    """Add to a bounded map of names: what finds no room is counted under `OTHER`, so that totals stay right."""
    name = name[:MAX_NAME]
    if name not in names and len(names) - (OTHER in names) >= MAX_NAMES:
        name = OTHER
    names[name] = names.get(name, 0) + count


def _merge_names(into: dict[str, int], names: dict[str, int]) -> None:
    get = into.get
    if len(into) + len(names) <= MAX_NAMES:
        for name, n in names.items():
            into[name] = get(name, 0) + n
    else:
        for name, n in names.items():
            add_name(into, name, n)


def merge(into: Cell, cell: Cell) -> None:
    """Add *cell* to *into*, which keeps its own bucket number."""
    if not into.count or cell.first_ms < into.first_ms:
        into.first_ms = cell.first_ms
    if not into.count or cell.last_ms > into.last_ms:
        into.last_ms = cell.last_ms
    into.count += cell.count
    into.weight += cell.weight
    into.bytes_in += cell.bytes_in
    into.bytes_out += cell.bytes_out
    into.latency_sum += cell.latency_sum
    into.latency_count += cell.latency_count
    if cell.latency_max > into.latency_max:  # noqa: PLR1730 - twice as fast as max()
        into.latency_max = cell.latency_max
    status, get = into.status, into.status.get
    for code, n in cell.status.items():
        status[code] = get(code, 0) + n
    sketch, get = into.sketch, into.sketch.get
    for index, n in cell.sketch.items():
        sketch[index] = get(index, 0) + n
    _merge_names(into.outcome, cell.outcome)
    if cell.peer:
        _merge_names(into.peer, cell.peer)


def quantile(cell: Cell, q: float) -> float | None:
    """The latency in ms below which a share *q* (0 to 1) of the requests lies, within 2 %; None without latencies."""
    total = sum(cell.sketch.values())
    if total <= 0:
        return None
    rank, seen = q * (total - 1), 0
    for index in sorted(cell.sketch):
        seen += cell.sketch[index]
        if seen > rank:
            return min(bucket_value(index), float(cell.latency_max))
    return float(cell.latency_max)


def saturate(cell: Cell) -> None:
    """Cap every sum at what the encoding can carry: absurd input ends in a stuck counter, not in a stopped lane."""
    for name in ("count", "bytes_in", "bytes_out", "latency_sum", "latency_max", "latency_count"):
        setattr(cell, name, min(getattr(cell, name), _MAX_SUM))
    cell.weight = min(cell.weight, _MAX_WEIGHT)
    for sums in (cell.status, cell.outcome, cell.peer, cell.sketch):
        for key, n in sums.items():
            sums[key] = min(n, _MAX_SUM)  # type: ignore[index]  # each map keeps its own key type


class _Record(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    version: Literal[1]
    subjects: Annotated[
        list[
            tuple[
                Annotated[str, msgspec.Meta(min_length=2, max_length=MAX_NAME + 1, pattern="^[ac]")],
                Annotated[list[Cell], msgspec.Meta(max_length=MAX_CELLS)],
            ]
        ],
        msgspec.Meta(max_length=MAX_SUBJECTS),
    ]


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Record).decode


def encode_record(subjects: Subjects) -> bytes:
    """The value of one rollup record. At most `MAX_SUBJECTS` subjects, each once (`pack` keeps that)."""
    return _encode((VERSION, subjects))


def decode_record(value: bytes) -> Subjects:
    """The partial sums of a record; anything but a well-formed one within bounds is a `RecordError`."""
    if len(value) > 2 * MAX_RECORD_BYTES:
        msg = f"rollup record of {len(value)} bytes is too large"
        raise RecordError(msg)
    try:
        return _decode(value).subjects
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        msg = f"not a rollup record: {exc}"
        raise RecordError(msg) from exc


def partition_of(subject: str, partitions: int) -> int:
    """The rollup and table partition of a subject. CRC-32, as both writer and readers of it are ours and it is fast."""
    return zlib.crc32(subject.encode()) % partitions


def _entries(subject: str, cells: list[Cell]) -> Iterator[bytes]:
    entry = _encode((subject, cells))
    if len(cells) <= 1 or (len(entry) <= MAX_RECORD_BYTES and len(cells) <= MAX_CELLS):
        yield entry
        return
    half = len(cells) // 2
    yield from _entries(subject, cells[:half])
    yield from _entries(subject, cells[half:])


def _close(entries: list[bytes]) -> bytes:
    return b"\x92\x01\xdc" + len(entries).to_bytes(2, "big") + b"".join(entries)


def pack(subjects: Iterable[tuple[str, list[Cell]]], partitions: int) -> Iterator[tuple[int, bytes]]:
    """Records of a batch's partial sums as (partition, value), bounded in subjects and bytes.

    A subject occurs once per record; one whose cells need more room than a record goes on in the next.
    """
    rooms: dict[int, list[bytes]] = {}
    sizes: dict[int, int] = {}
    for subject, cells in subjects:
        partition = partition_of(subject, partitions)
        for number, entry in enumerate(_entries(subject, cells)):
            room = rooms.setdefault(partition, [])
            size = sizes.get(partition, 0) + len(entry)
            if room and (number or len(room) >= MAX_SUBJECTS or size > MAX_RECORD_BYTES):
                yield partition, _close(room)
                room = rooms[partition] = []
                size = len(entry)
            room.append(entry)
            sizes[partition] = size
    for partition, room in rooms.items():
        yield partition, _close(room)


def _count(
    cell: Cell,
    time_ms: int,
    status: int | None,
    outcome: str | None,
    weight: float,
    bytes_in: int,
    bytes_out: int,
    latency_ms: int | None,
    index: int | None,
) -> None:
    if time_ms < cell.first_ms:
        cell.first_ms = time_ms
    elif time_ms > cell.last_ms:
        cell.last_ms = time_ms
    cell.count += 1
    cell.weight += weight
    if bytes_in:
        cell.bytes_in += bytes_in
    if bytes_out:
        cell.bytes_out += bytes_out
    if status is not None:
        statuses = cell.status
        statuses[status] = statuses.get(status, 0) + 1
    if outcome is not None:
        outcomes = cell.outcome
        if outcome in outcomes:
            outcomes[outcome] += 1
        else:
            add_name(outcomes, outcome, 1)
    if index is not None and latency_ms is not None:
        cell.latency_sum += latency_ms
        cell.latency_count += 1
        cell.latency_max = latency_ms if latency_ms > cell.latency_max else cell.latency_max  # noqa: FURB136 - half the price of max()
        sketch = cell.sketch
        sketch[index] = sketch.get(index, 0) + 1


class Accumulator:
    """The partial sums of one batch: every event adds to its client's and its API's cell of that minute."""

    __slots__ = ("_cells",)

    def __init__(self) -> None:
        self._cells: dict[tuple[str, int], Cell] = {}

    def add(  # positional, as the hot loop calls it
        self,
        client: str | None,
        api: str,
        time_ms: int,
        status: int | None,
        outcome: str | None,
        weight: float = 1.0,
        bytes_in: int = 0,
        bytes_out: int = 0,
        latency_ms: int | None = None,
        *,
        count_api: bool = True,
    ) -> None:
        """Count one event; *client* and *api* are names, "-" when absent. Times before 1970 count as 1970.

        *client* None counts no client, *count_api* False no API. An event without a status (or an outcome) is in the
        count, but under no status (or outcome).
        """
        minute = min(max(time_ms // 60_000, 0), MAX_MINUTE)
        if status is not None and status not in _STATUS_CODES:
            status = None
        if latency_ms is None:
            index = None
        else:
            latency_ms = min(max(latency_ms, 0), MAX_LATENCY_MS)
            index = bucket(latency_ms)
        cells = self._cells
        # Spelled out over `merge` of a one-event cell: this is half the price, and every request pays it twice.
        if client is not None:
            subject = "c" + client
            cell = cells.get((subject, minute))
            if cell is None:
                # Maps of its own: a default would be one map shared by all.
                cells[subject, minute] = Cell(
                    minute,
                    1,
                    weight,
                    bytes_in,
                    bytes_out,
                    latency_ms or 0,
                    latency_ms or 0,
                    0 if index is None else 1,
                    time_ms,
                    time_ms,
                    {} if status is None else {status: 1},
                    {} if outcome is None else {outcome[:MAX_NAME]: 1},
                    {api[:MAX_NAME]: 1},
                    {} if index is None else {index: 1},
                )
            else:
                add_name(cell.peer, api, 1)
                _count(cell, time_ms, status, outcome, weight, bytes_in, bytes_out, latency_ms, index)
        if count_api:
            subject = "a" + api
            cell = cells.get((subject, minute))
            if cell is None:
                cell = cells[subject, minute] = Cell(minute, 0, 0.0, 0, 0, 0, 0, 0, time_ms, time_ms, {}, {}, {}, {})
            _count(cell, time_ms, status, outcome, weight, bytes_in, bytes_out, latency_ms, index)

    def take(self) -> Subjects:
        """Everything since the last call, by subject, within the bounds that a reader checks."""
        cells, self._cells = self._cells, {}
        subjects: dict[str, list[Cell]] = {}
        for (subject, _), cell in cells.items():
            if not (
                0 <= cell.bytes_in <= _MAX_SUM and 0 <= cell.bytes_out <= _MAX_SUM and 0 <= cell.weight <= _MAX_WEIGHT
            ):
                _make_readable(cell)
            subjects.setdefault(subject[: MAX_NAME + 1], []).append(cell)
        return list(subjects.items())


def _make_readable(cell: Cell) -> None:
    """Cut what no sound event has: one absurd value must not make a whole record unreadable."""
    cell.bytes_in, cell.bytes_out = max(cell.bytes_in, 0), max(cell.bytes_out, 0)
    cell.weight = cell.weight if 0 <= cell.weight <= _MAX_WEIGHT else float(cell.count)
    saturate(cell)
