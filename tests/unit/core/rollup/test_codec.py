"""The rollup record: round trip, and every other byte string is a `RecordError`."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.rollup.accumulator import Accumulator
from logrouter.core.rollup.cells import Cell, CellSlack, CellTotals, Failure
from logrouter.core.rollup.ranked import Slack
from logrouter.core.rollup.records import (
    MAX_RECORD_BYTES,
    NewerRecordError,
    RecordError,
    decode_record,
    encode_record,
    pack_records,
)

GOOD = [("calice", [Cell(1, 2, 2.0, 3, 4, 5, 6, 1, 60_001, 60_009, {200: 2}, {"ok": 2}, {"core": 2}, {45: 1})])]
VERSION_BYTE = 1
"""Where a record has its version."""


def test_record_round_trips():
    """What was encoded is decoded, field for field."""
    assert decode_record(encode_record(GOOD)) == GOOD


def test_head_reads_the_numbers_without_the_maps():
    """A scan can stop after the fixed numbers of a cell."""
    numbers = msgspec.msgpack.decode(msgspec.msgpack.encode(GOOD[0][1][0]), type=CellTotals)
    assert (numbers.minute, numbers.count, numbers.last_ms) == (1, 2, 60_009)


FIRST = [
    *(1, 3, 3.0, 3, 4, 5, 6, 1, 60_001, 60_009),
    *({200: 3}, {"ok": 3}, {"core": 2, "~other": 1}, {45: 1}),
]
"""A cell of version 1, as it is on the wire."""


def test_record_of_version_1_is_read():
    """What a route lane before the upgrade wrote is counted; by API, its status is not known."""
    (name, (cell,)), api = decode_record(msgspec.msgpack.encode([1, [["calice", [FIRST]], ["acore", [FIRST]]]]))
    assert (name, cell.count, cell.status, cell.sketch) == ("calice", 3, {200: 3}, {45: 1})
    assert cell.peer == {"---core": 2, "~other": 1}
    assert (cell.clients, cell.url, cell.error, cell.recent, cell.slack) == ({}, {}, {}, [], None)
    assert api[0] == "acore"


SECOND = [
    *FIRST[:12],
    {"200core": 2, "404core": 1},
    {45: 1},
    {"alice": 2},
    1,
    {"200/a/1": 1, "200/a/2": 1, "404/b": 1},
    1,
]
"""The beginning of a cell of version 2: of every URL, and of every client, one request may be missing."""


def test_record_of_version_2_is_read():
    """Its URLs become templates, those that failed apart; what it forgot may be of any of them, kept or not."""
    failure = [5, "404not_found", "core", "/b", ""]
    ((_, (cell,)),) = decode_record(
        msgspec.msgpack.encode([2, [["acore", [[*SECOND, {"404not_found": 1}, [failure]]]]]])
    )
    assert (cell.url, cell.failed, cell.clients) == ({"200/a/{id}": 2}, {"404/b": 1}, {"alice": 2})
    assert (cell.error, cell.recent) == ({"404not_found": 1}, [Failure(*failure)])
    assert cell.slack == CellSlack(Slack(1, {"/a/{id}": 1}), Slack(1, {"/b": 1}), Slack(1, {"alice": 1}), 0)


def test_largest_cell_fits_a_record():
    """However hostile the names, a subject's cell in one minute can be read back: it is never dropped for its size."""
    accumulator = Accumulator()
    wide = "\U0001f4a3" * 5000
    for n in range(600):
        name = f"{n:03d}{wide}"
        error = {"code": name, "message": wide}
        accumulator.add("x", name, n, n, name, path=name, error=error, request_id=name)
        accumulator.add(name, "y", n, n, name, path=name, error=error, request_id=name)
    for _, value in pack_records(accumulator.take(), 1):
        assert len(value) < 2 * MAX_RECORD_BYTES
        decode_record(value)


def cell(**fields):
    """A cell with one field replaced, as the untyped list that is on the wire."""
    raw = msgspec.to_builtins(GOOD[0][1][0])
    for name, value in fields.items():
        raw[Cell.__struct_fields__.index(name)] = value
    return raw


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        [0, []],
        [1, [], 3],
        [1, [["x-unknown-kind", []]]],
        [1, [["c", []]]],
        [1, [["calice" * 200, []]]],
        [1, [["calice", [cell(count=-1)]]]],
        [1, [["calice", [cell(count="2")]]]],
        [1, [["calice", [cell(weight=float("nan"))]]]],
        [1, [["calice", [cell(weight=float("inf"))]]]],
        [1, [["calice", [cell(bytes_in=2**63)]]]],
        [1, [["calice", [cell(status={1000: 1})]]]],
        [1, [["calice", [cell(sketch={10**6: 1})]]]],
        [1, [["calice", [cell(peer={str(n): 1 for n in range(258)})]]]],
        [1, [["calice", []]] * 513],
        [2, [["acore", [[*SECOND[:14], {str(n): 1 for n in range(65)}]]]]],
        [2, [["acore", [[*SECOND[:16], {"200/": -1}]]]]],
        [3, [["acore", [cell(clients={str(n): 1 for n in range(65)})]]]],
        [3, [["acore", [cell(url={"200/": -1})]]]],
        [3, [["acore", [cell(recent=[[1, "404not_found", "alice", "/", ""]] * 21)]]]],
        [3, [["acore", [cell(recent=[[1, "404not_found"]])]]]],
        [3, [["acore", [cell(recent=[[1, "404not_found", "x" * 513]])]]]],
        [3, [["acore", [cell(parts=[{}, {}, {"/": {10**6: 1}}])]]]],
        [3, [["acore", [cell(slack=[[1, {str(n): 1 for n in range(129)}]])]]]],
        [3, [["acore", [cell(slack=[None, None, [-1, {}]])]]]],
    ],
)
def test_malformed_record_is_refused(record):
    """Wrong version, shape, type or size is refused, and never half taken."""
    with pytest.raises(RecordError):
        decode_record(msgspec.msgpack.encode(record))


@given(st.integers(0, len(encode_record(GOOD)) - 1), st.integers(0, 255))
def test_flipped_byte_never_raises_anything_else(position, byte):
    """One wrong byte in a good record gives other sums, a `RecordError` or is a newer version."""
    value = bytearray(encode_record(GOOD))
    value[position] = byte
    refused = (RecordError, NewerRecordError) if position == VERSION_BYTE else RecordError
    with contextlib.suppress(refused):
        decode_record(bytes(value))


def test_refusal_names_no_payload():
    """The text of a refusal can be logged: it names the place, not the content."""
    with pytest.raises(RecordError, match="at `") as refusal:
        decode_record(encode_record(GOOD).replace(b"\xa2ok", b"\x02ok", 1))
    assert "alice" not in str(refusal.value)


def test_deep_nesting_and_giant_records_are_refused():
    """Neither recursion nor size takes the reader down."""
    for value in (b"\x91" * 100_000, b"\x92\x01" + b"\x91" * 100_000, b"\x00" * (2 << 20)):
        with pytest.raises(RecordError):
            decode_record(value)
