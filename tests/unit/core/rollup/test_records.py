"""Partial sums: sketch, merge, accumulation and packing."""

from __future__ import annotations

import contextlib
import math
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.rollup.accumulator import Accumulator
from logrouter.core.rollup.cells import (
    MAX_NAMES,
    MAX_PAIRS,
    MAX_RECENT,
    OTHER,
    ApiParts,
    Cell,
    Failure,
    add_name,
    copy_cell,
    latency_quantiles,
    merge_cells,
    newest_failures,
)
from logrouter.core.rollup.records import (
    MAX_RECORD_BYTES,
    MAX_SUBJECTS,
    VERSION,
    NewerRecordError,
    RecordError,
    decode_record,
    encode_record,
    pack_records,
    partition_of,
)
from logrouter.core.rollup.shrinking import saturate_cell
from logrouter.core.rollup.sketches import MAX_LATENCY_MS, bucket_value, latency_bucket

LATENCIES = st.integers(0, MAX_LATENCY_MS)


@given(st.integers(1, MAX_LATENCY_MS))
def test_bucket_stands_for_its_latencies_within_two_percent(ms):
    """The value of a bucket is within 2 % of every latency in it."""
    assert math.isclose(bucket_value(latency_bucket(ms)), ms, rel_tol=0.0201)


def test_bucket_clamps_what_is_no_latency():
    """Zero has its own bucket, negative and absurd latencies land in the nearest one."""
    assert latency_bucket(0) == latency_bucket(-5) == -1
    assert latency_bucket(1) == 0
    assert latency_bucket(10**30) == latency_bucket(MAX_LATENCY_MS)


@given(st.lists(LATENCIES, min_size=1, max_size=200))
def test_quantiles_are_within_two_percent_of_the_exact_ones(latencies):
    """Percentiles from the sketch are close to the same percentiles of the sorted latencies."""
    cell, shares = Cell(0), [0.0, 0.5, 0.95, 0.99, 1.0]
    for ms in latencies:
        cell.sketch[latency_bucket(ms)] = cell.sketch.get(latency_bucket(ms), 0) + 1
        cell.latency_max = max(cell.latency_max, ms)
    ordered = sorted(latencies)
    exact = [ordered[int(q * (len(latencies) - 1))] for q in shares]
    assert latency_quantiles(cell, shares) == pytest.approx(exact, rel=0.0201)


def test_quantiles_of_nothing_are_none():
    """Without latencies there are no percentiles, rather than zeros."""
    assert latency_quantiles(Cell(0, 5), [0.5]) is None


NAMES = st.sampled_from(["core", "feed", "-", "/x/é"])
COUNTS = st.integers(0, 2**40)
FAILURES = st.builds(Failure, st.integers(0, 9), st.sampled_from(["404not_found", "500backend_error x"]), NAMES, NAMES)
CELLS = st.builds(
    Cell,
    minute=st.integers(0, 2**32 - 1),
    count=st.integers(1, 2**40),
    weight=COUNTS.map(float),
    bytes_in=COUNTS,
    bytes_out=COUNTS,
    latency_sum=COUNTS,
    latency_max=COUNTS,
    latency_count=COUNTS,
    first_ms=st.integers(-1, 2**45),
    last_ms=st.integers(-1, 2**45),
    status=st.dictionaries(st.integers(0, 999), COUNTS, max_size=4),
    outcome=st.dictionaries(NAMES, COUNTS, max_size=4),
    peer=st.dictionaries(NAMES, COUNTS, max_size=4),
    sketch=st.dictionaries(st.integers(-1, 500), COUNTS, max_size=6),
    clients=st.dictionaries(NAMES, COUNTS, max_size=4),
    url=st.dictionaries(NAMES, COUNTS, max_size=4),
    failed=st.dictionaries(NAMES, COUNTS, max_size=4),
    parts=st.none()
    | st.builds(
        ApiParts,
        backend=st.dictionaries(NAMES, COUNTS, max_size=4),
        version=st.dictionaries(NAMES, COUNTS, max_size=4),
        url_latency=st.dictionaries(NAMES, st.dictionaries(st.integers(-1, 100), COUNTS, max_size=3), max_size=3),
    ),
    error=st.dictionaries(NAMES, COUNTS, max_size=4),
    recent=st.lists(FAILURES, max_size=MAX_RECENT).map(newest_failures),
)


def total(cells):
    """The merge of cells into an empty one."""
    into = Cell(0)
    for cell in cells:
        merge_cells(into, cell)
    return into


@given(st.lists(CELLS, max_size=6), st.randoms(use_true_random=False), st.integers(0, 6))
def test_merge_ignores_order_and_grouping(cells, rnd, cut):
    """Cells merged in any order, or first among themselves in groups, give the same sums."""
    shuffled = cells[:]
    rnd.shuffle(shuffled)
    grouped = total([total(part) for part in (shuffled[:cut], shuffled[cut:]) if part])
    assert total(cells) == grouped


@given(CELLS, CELLS)
def test_merge_leaves_its_argument_alone(one, other):
    """Merging aliases no maps: neither the merged cell nor a copy's source changes."""
    before = copy_cell(other, other.minute)
    copied = copy_cell(other, 7)
    merge_cells(copied, one)
    merge_cells(one, other)
    assert other == before
    assert copied.minute == 7


def test_full_name_maps_count_further_names_together():
    """A map keeps 64 names; the rest is counted under one name, and the total is right."""
    names: dict[str, int] = {}
    for n in range(500):
        add_name(names, f"api{n}", 1)
    for _ in range(3):
        add_name(names, "api5", 1)
    assert len(names) == MAX_NAMES + 1
    assert names["api5"] == 4
    assert names[OTHER] == 500 - MAX_NAMES
    assert sum(names.values()) == 503


def test_merge_of_wide_cells_bounds_the_names():
    """Two cells with many different peers or errors merge into a bounded one without losing a count."""
    for field, room in (("peer", MAX_PAIRS), ("outcome", MAX_NAMES), ("error", MAX_NAMES)):
        one, other = Cell(0, 1), Cell(0, 1)
        getattr(one, field).update({f"200a{n}": 1 for n in range(room - 4)})
        getattr(other, field).update({f"200b{n}": 2 for n in range(60)})
        merge_cells(one, other)
        assert len(getattr(one, field)) == room + 1
        assert sum(getattr(one, field).values()) == room - 4 + 120


def test_saturated_cell_can_be_encoded():
    """Sums beyond 63 bits are capped instead of failing to encode."""
    cell = Cell(0, 2**70, bytes_in=2**64, status={200: 2**70}, weight=1e300)
    saturate_cell(cell)
    assert decode_record(encode_record([("cx", [cell])])) == [("cx", [cell])]


def events(count, *, seed=7):
    """Seeded random events as arguments of `Accumulator.add`."""
    rnd = random.Random(seed)
    for _ in range(count):
        yield {
            "client": f"client{rnd.randrange(20)}",
            "api": rnd.choice(["core", "feed", "-"]),
            "time_ms": 1_700_000_000_000 + rnd.randrange(300_000),
            "status": rnd.choice([0, 200, 404, 503]),
            "outcome": rnd.choice(["ok", "not_found"]),
            "weight": rnd.choice([1.0, 10.0]),
            "bytes_in": rnd.randrange(100),
            "bytes_out": rnd.randrange(10_000),
            "latency_ms": rnd.choice([None, 0, 3, rnd.randrange(5000)]),
            "path": rnd.choice([None, "/a", "/b/c"]),
        }


def test_accumulator_counts_every_event_for_its_client_and_its_api():
    """Every event is in one client cell and one API cell of its minute, and a second take is empty."""
    accumulator, sent = Accumulator(), list(events(500))
    for event in sent:
        accumulator.add(**event)
    subjects = dict(accumulator.take())
    assert accumulator.take() == []
    clients = [cell for name, cells in subjects.items() if name[0] == "c" for cell in cells]
    apis = [cell for name, cells in subjects.items() if name[0] == "a" for cell in cells]
    for cells in (clients, apis):
        assert sum(cell.count for cell in cells) == 500
        assert sum(cell.weight for cell in cells) == sum(event["weight"] for event in sent)
        assert sum(cell.latency_count for cell in cells) == sum(event["latency_ms"] is not None for event in sent)
        assert sum(cell.bytes_out for cell in cells) == sum(event["bytes_out"] for event in sent)
    assert all(sum(cell.peer.values()) == cell.count for cell in clients)
    assert all(sum(cell.clients.values()) == cell.count for cell in apis)
    assert not any(cell.peer for cell in apis)
    assert not any(cell.clients for cell in clients)
    for cells in (clients, apis):
        urls = [n for cell in cells for names in (cell.url, cell.failed) for n in names.values()]
        assert sum(urls) == sum(event["path"] is not None for event in sent)
        assert sum(sum(cell.error.values()) for cell in cells) == sum(event["outcome"] != "ok" for event in sent)
    assert all(cell.first_ms // 60_000 == cell.last_ms // 60_000 == cell.minute for cell in clients + apis)


@pytest.mark.parametrize("partitions", [1, 4])
def test_pack_puts_every_subject_into_its_partition_once_per_record(partitions):
    """Packing neither loses nor moves a subject, and no record holds more than its bound."""
    subjects = [(f"cclient{n}", [Cell(5, 1), Cell(6, 2)]) for n in range(3000)]
    found = []
    for partition, value in pack_records(subjects, partitions):
        record = decode_record(value)
        assert len(record) <= MAX_SUBJECTS
        assert len({name for name, _ in record}) == len(record)
        assert {partition_of(name, partitions) for name, _ in record} == {partition}
        found += record
    assert sorted(found, key=lambda item: item[0]) == sorted(subjects, key=lambda item: item[0])


def test_pack_splits_a_subject_with_too_many_cells():
    """A subject with more minutes than a record may hold goes on in the next record."""
    cells = [Cell(minute, 1, peer={f"api{n}" * 20: 1 for n in range(60)}) for minute in range(5000)]
    records = [decode_record(value) for _, value in pack_records([("cx", cells), ("cy", [Cell(1, 1)])], 1)]
    assert all(len({name for name, _ in record}) == len(record) for record in records)
    assert [cell.minute for record in records for name, found in record if name == "cx" for cell in found] == list(
        range(5000)
    )


@pytest.mark.parametrize(
    "absurd",
    [
        {"status": 12345},
        {"status": -1},
        {"bytes_in": -7},
        {"bytes_out": 2**70},
        {"weight": float("nan")},
        {"weight": float("inf")},
        {"weight": -1.0},
        {"api": "x" * 5000},
        {"client": "é" * 5000},
        {"outcome": "y" * 5000},
        {"latency_ms": 2**80},
        {"latency_ms": -3},
        {"time_ms": -1},
        {"time_ms": 10**17},
        {"path": "z" * 50_000},
        {"status": 500, "outcome": "backend_error", "error": {"code": "1" * 999, "message": "m" * 5000}},
        {"status": None, "outcome": None, "error": {"code": 7, "message": None}, "request_id": "r" * 5000},
    ],
)
def test_absurd_event_leaves_its_record_readable(absurd):
    """Whatever an event holds, the record that counts it can be read, and the others in it are untouched."""
    accumulator = Accumulator()
    sound = {"client": "alice", "api": "core", "time_ms": 1_700_000_000_000, "status": 200, "outcome": "ok"}
    accumulator.add(**sound)
    accumulator.add(**{**sound, "client": "mallory", **absurd})
    found = [subject for _, value in pack_records(accumulator.take(), 4) for subject in decode_record(value)]
    clients = {name: cells for name, cells in found if name[0] == "c"}
    assert clients.pop("calice")[0].status == {200: 1}
    assert [cells[0].count for cells in clients.values()] == [1]


@pytest.mark.parametrize("rest", [[], [[["cx", []]]], [{"shape": "another"}, 1, None], ["x" * 2 * MAX_RECORD_BYTES]])
def test_record_of_a_later_version_is_no_malformed_one(rest):
    """Whatever else is in it, also where it is larger than any record of this version may be."""
    with pytest.raises(NewerRecordError, match=f"version {VERSION + 1}"):
        decode_record(msgspec.msgpack.encode([VERSION + 1, *rest]))


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x90",
        b"\xc0",
        b"\x92\x03",
        b"\x91\xcd\x30\x39",
        b"\x92\xff\x90",
        b"\x92\xa13\x90",
        b'{"version": 3}',
        b"\x91" * 5000,
    ],
    ids=["empty", "no element", "nil", "cut", "no version", "negative", "a text", "JSON", "nested"],
)
def test_what_is_no_record_of_any_version_is_malformed(value):
    """It is counted and skipped: it stops nobody."""
    with pytest.raises(RecordError):
        decode_record(value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_record_or_one_of_two_errors(value):
    """Nothing else is raised."""
    with contextlib.suppress(RecordError, NewerRecordError):
        decode_record(value)
