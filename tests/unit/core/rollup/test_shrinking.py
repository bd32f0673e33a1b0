"""Cells that are too large for a record: made smaller, with every request in them."""

from __future__ import annotations

from logrouter.core.rollup.accumulator import Accumulator
from logrouter.core.rollup.ranked import bounds_of
from logrouter.core.rollup.records import MAX_RECORD_BYTES, decode_record, pack_records

WIDE = "\U0001f4a3" * 200


def test_a_hostile_cell_is_a_record_that_every_topic_takes():
    """Names of four bytes a character in full maps: no request is lost, and every figure lies within its bounds."""
    sums = Accumulator()
    for n in range(6000):
        status, outcome = ((200, "ok"), (500, f"{WIDE}{n % 90}"))[n % 7 == 0]
        path = f"/{WIDE}/{1 + n % 400 if n % 3 else 0}"
        sums.add("alice", f"{n % 300}{WIDE}", 0, status, outcome, path=path, error={"code": f"{n % 90}{WIDE}"})
    records = [record for _, record in pack_records(sums.take(), 1)]
    assert max(map(len, records)) <= MAX_RECORD_BYTES + 100
    cell = {name: cells[0] for record in records for name, cells in decode_record(record)}["calice"]
    assert (cell.count, sum(cell.peer.values()), sum(cell.outcome.values())) == (6000, 6000, 6000)
    assert sum(cell.error.values()) == cell.count - cell.status[200] == 858
    url = f"/{WIDE}/0"
    for status, names, slack, truth in (
        ("200", cell.url, cell.slack.url, sum(n % 7 != 0 and n % 3 == 0 for n in range(6000))),
        ("500", cell.failed, cell.slack.failed, sum(n % 7 == 0 and n % 3 == 0 for n in range(6000))),
    ):
        bounds = bounds_of(url, names.get(status + url, 0), slack)
        assert bounds.at_least <= truth <= bounds.at_most
        assert truth / 2 <= bounds.middle
