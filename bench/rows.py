"""How table rows are best laid out: rows a second and changelog bytes of three layouts, without Kafka.

    python bench/rows.py

separate   a row per minute, hour, day and lifetime of a subject (what the tables do)
joint      a row per minute; hour, day and lifetime together in one row, the hour moved out when it is over
ring       the minutes of an hour together in one row; a row per hour, day and lifetime

Every flush merges 40,000 partial sums of Zipf-distributed clients per subject, loads the rows they belong to, merges,
encodes, writes them to RocksDB in one go and builds the changelog batches (snappy).  Time moves on by 20 minutes.
"""

from __future__ import annotations

import bisect
import gc
import itertools
import os
import platform
import random
import shutil
import tempfile
import time
from typing import TYPE_CHECKING

import msgspec
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from logrouter.core.rollup.accumulator import Accumulator
from logrouter.core.rollup.cells import Cell, copy_cell, merge_cells
from logrouter.query.tiers import Tier
from logrouter.tables import rows
from logrouter.tables.store import batch, open_database

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FLUSHES, SUMS, MINUTES, CHUNK = 10, 40_000, 20, 200
START = 29_000_000
JOINT = b"\x09"
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(list[Cell]).decode
Rows = dict[bytes, bytes]
Get = "Callable[[list[bytes]], list[bytes | None]]"


def partial_sums() -> list[Cell]:
    """Cells of one to eight requests each, as a batch of the route lane makes them."""
    rnd, found = random.Random(1), []
    for _ in range(500):
        accumulator = Accumulator()
        for _ in range(rnd.choice((1, 1, 2, 3, 8))):
            accumulator.add(
                client="c",
                api=rnd.choice(("core", "feed", "lists")),
                time_ms=START * 60_000 + 5,
                status=rnd.choice((200, 200, 200, 404, 503)),
                outcome="ok",
                bytes_out=rnd.randrange(5000),
                latency_ms=int(rnd.lognormvariate(4, 1)),
            )
        found.append(dict(accumulator.take())["cc"][0])
    return found


def raised(old: bytes | None, cell: Cell, bucket: int) -> bytes:
    """A row with one cell more."""
    if old is None:
        return rows.encode_as(1, cell, Tier.DAY, bucket)
    known = rows.decode_cell(old)
    merge_cells(known, cell)
    return rows.encode(1, known)


def separate(get: Get, chunk: list[tuple[str, Cell]]) -> Rows:
    """A row per tier."""
    keys = [key for subject, cell in chunk for key in rows.keys(subject, cell.minute)]
    cells = [cell for _, cell in chunk for _ in rows.TIERS]
    return {
        key: raised(old, cell, rows.tier_and_bucket(key)[1])
        for key, old, cell in zip(keys, get(keys), cells, strict=True)
    }


def joint(get: Get, chunk: list[tuple[str, Cell]]) -> Rows:
    """A row per minute, and one for the rest."""
    minutes = [rows.key_of(Tier.MINUTE, cell.minute, subject) for subject, cell in chunk]
    rest = [JOINT + subject.encode() for subject, _ in chunk]
    out, olds = {}, get(minutes + rest)
    for place, (subject, cell) in enumerate(chunk):
        out[minutes[place]] = raised(olds[place], cell, cell.minute)
        old, hour = olds[len(chunk) + place], cell.minute // 60
        if old is None:
            parts = [copy_cell(cell, bucket) for bucket in (hour, cell.minute // 1440, 0)]
        else:
            parts = decode(memoryview(old)[8:])
            if parts[0].minute != hour:
                out[rows.key_of(Tier.HOUR, parts[0].minute, subject)] = rows.encode(1, parts[0])
                parts[0] = Cell(hour)
            for part in parts:
                merge_cells(part, cell)
        out[rest[place]] = b"\0" * 8 + encode(parts)
    return out


def ring(get: Get, chunk: list[tuple[str, Cell]]) -> Rows:
    """The minutes of an hour in one row, and a row per coarser tier."""
    keys = [
        key
        for subject, cell in chunk
        for key in (JOINT + rows.key_of(Tier.HOUR, cell.minute // 60, subject), *rows.keys(subject, cell.minute)[1:])
    ]
    out, olds = {}, get(keys)
    for place, (_, cell) in enumerate(chunk):
        key, old = keys[4 * place], olds[4 * place]
        minutes = [] if old is None else decode(memoryview(old)[8:])
        known = next((part for part in minutes if part.minute == cell.minute), None)
        if known is None:
            minutes.append(cell)
        else:
            merge_cells(known, cell)
        out[key] = b"\0" * 8 + encode(minutes)
        for key, old in zip(keys[4 * place + 1 : 4 * place + 4], olds[4 * place + 1 : 4 * place + 4], strict=True):
            out[key] = raised(old, cell, rows.tier_and_bucket(key)[1])
    return out


def wire_size(changes: Rows) -> int:
    """The size of the changelog batches."""
    size, builder, number = 0, None, 0
    for key, value in changes.items():
        while builder is None or builder.append(number, timestamp=0, key=key, value=value, headers=[]) is None:
            size += len(builder.build()) if builder else 0
            number = 0
            builder = DefaultRecordBatchBuilder(2, 2, 0, 1, 0, 0, 256 * 1024)
        number += 1
    return size + (len(builder.build()) if builder else 0)


def deltas(clients: int, pool: list[Cell], rnd: random.Random) -> list[dict[str, Cell]]:
    """What is to be flushed, by flush and subject."""
    weights = list(itertools.accumulate(1 / (rank + 1) for rank in range(clients)))
    found = []
    for flush in range(FLUSHES):
        minute, pending = START + flush * MINUTES // FLUSHES, {}
        for _ in range(SUMS):
            subject = f"cclient-{bisect.bisect(weights, rnd.random() * weights[-1]):07d}"
            if subject in pending:
                merge_cells(pending[subject], rnd.choice(pool))
            else:
                pending[subject] = copy_cell(rnd.choice(pool), minute)
        found.append(pending)
    return found


def run(layout: Callable[..., Rows], clients: int, folder: Path) -> None:
    """Flush everything and print what it took."""
    database = open_database(folder)
    flushes = deltas(clients, partial_sums(), random.Random(2))
    count = size = wire = 0
    start = time.perf_counter()
    for pending in flushes:
        items = list(pending.items())
        for place in range(0, len(items), CHUNK):
            changes = layout(database.get, items[place : place + CHUNK])
            write = batch()
            for key, value in changes.items():
                write.put(key, value)
            database.write(write)
            count += len(changes)
            size += sum(map(len, changes)) + sum(map(len, changes.values()))
            wire += wire_size(changes)
    seconds, sums = time.perf_counter() - start, FLUSHES * SUMS
    print(
        f"{clients:>7,} clients | {layout.__name__:<8} | {count / seconds:>8,.0f} rows/s | "
        f"{sums / seconds:>8,.0f} sums/s | {size / count:4.0f} B/row | "
        f"{size / sums:4.0f} B/sum | {wire / sums:4.0f} changelog B/sum",
        flush=True,
    )


def main() -> None:
    """Every layout, few and many clients."""
    from pathlib import Path

    gc.set_threshold(50_000, 20, 100)
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}")
    folder = Path(tempfile.mkdtemp(prefix="logrouter-rows-"))
    try:
        for clients in (5_000, 50_000):
            for layout in (separate, joint, ring):
                run(layout, clients, folder / f"{layout.__name__}-{clients}")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
