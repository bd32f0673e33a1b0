"""When a database is a complete replica: checkpoints, gaps of compaction, restarts, and values of another shape."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.tables.mismatch import MismatchError
from logrouter.tables.replicas import (
    COMPLETE_TO,
    GAP,
    LAST_CHECKPOINT,
    Checkpoint,
    decode_checkpoint,
    encode_checkpoint,
    follow_changelog,
    later_checkpoint,
)

APPLIED = b"applied"


class Record(NamedTuple):
    """A record of a changelog."""

    offset: int
    key: bytes
    value: bytes | None


class Follower:
    """A database that applies what it is given."""

    def __init__(self, end=0):
        self.keys, self.end = {}, end

    def apply(self, *records):
        """Apply one batch; the checkpoint that holds after it."""
        changes = follow_changelog(
            lambda keys: [self.keys.get(key) for key in keys], APPLIED, records, lambda: self.end
        )
        self.keys = {key: value for key, value in {**self.keys, **changes}.items() if value is not None}
        return decode_checkpoint(self.keys.get(COMPLETE_TO))


def row(offset):
    """Any row."""
    return Record(offset, b"\x03row", b"12345678")


def checkpoint(offset, reached):
    """The record of a checkpoint."""
    return Record(offset, LAST_CHECKPOINT, encode_checkpoint(Checkpoint(reached, 5)))


def test_checkpoints_hold_once_the_end_of_the_log_is_reached_and_at_once_from_then_on():
    """An empty database trusts none before: compaction may have moved a row behind the checkpoint."""
    follower = Follower(end=4)
    assert follower.apply(row(0), checkpoint(1, 10)) is None
    assert follower.apply(row(2), checkpoint(3, 20)) is None
    assert follower.apply(row(4)) == Checkpoint(20, 5)
    assert GAP not in follower.keys
    follower.end = 100
    assert follower.apply(row(5), checkpoint(6, 30), row(7)) == Checkpoint(30, 5)


def test_a_gap_makes_checkpoints_doubtful_until_what_was_the_end_then():
    """The replica stays what it was before the gap; a restart in between does not make it forget."""
    follower = Follower(end=1)
    follower.apply(row(0), checkpoint(1, 10))
    follower.end = 9
    assert follower.apply(row(2), checkpoint(5, 20)) == Checkpoint(10, 5)
    restarted = Follower(end=9)
    restarted.keys = dict(follower.keys)
    assert restarted.apply(row(6), checkpoint(7, 30), row(8)) == Checkpoint(10, 5)
    assert restarted.apply(row(9)) == Checkpoint(30, 5)


def test_records_that_come_again_are_no_gap_and_older_checkpoints_change_nothing():
    """Reading goes on at the last applied record, and an owner that starts anew repeats its checkpoints."""
    follower = Follower(end=1)
    follower.apply(row(0), checkpoint(1, 10))
    assert follower.apply(checkpoint(1, 10), checkpoint(2, 7)) == Checkpoint(10, 5)
    assert follower.apply(checkpoint(3, 12)) == Checkpoint(12, 5)


def test_a_value_of_another_shape_is_no_checkpoint():
    """Whatever stands under its key; one that says more is of a later version."""
    follower = Follower()
    for offset, value in enumerate((None, b"", b"short")):
        assert follower.apply(Record(offset, LAST_CHECKPOINT, value)) is None
    with pytest.raises(MismatchError, match="newer version"):
        follower.apply(Record(4, LAST_CHECKPOINT, b"x" * 17))
    assert decode_checkpoint(None) is None
    assert decode_checkpoint(encode_checkpoint(Checkpoint(3, None))) == Checkpoint(3, None)
    assert later_checkpoint(
        encode_checkpoint(Checkpoint(3, None)), encode_checkpoint(Checkpoint(2, 9))
    ) == encode_checkpoint(Checkpoint(3, None))


@given(st.data())
def test_a_replica_lacks_nothing_up_to_its_checkpoint_however_the_log_was_compacted(data):
    """Flushes of random rows, compaction up to a random point, batches of random size, kills in between."""
    log, newest, reached = [], {}, 0
    truth = {}
    for _ in range(data.draw(st.integers(1, 8))):
        reached += 1
        for key in data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=4)):
            newest[key] = reached
            log.append(Record(len(log), bytes([3, key]), reached.to_bytes(8, "big")))
        truth[reached] = dict(newest)
        log.append(checkpoint(len(log), reached))
    cleaned = data.draw(st.integers(0, len(log)))
    last = {record.key: record.offset for record in log[:cleaned]}
    kept = [record for record in log if record.offset >= cleaned or last[record.key] == record.offset]
    follower, rows_of = Follower(end=len(log) - 1), {}
    while kept:
        size = data.draw(st.integers(1, 3))
        batch, kept = kept[:size], kept[size:]
        rows_of |= {
            record.key: int.from_bytes(record.value, "big") for record in batch if record.key != LAST_CHECKPOINT
        }
        found = follower.apply(*batch)
        if found is not None:
            assert all(rows_of.get(bytes([3, key]), 0) >= least for key, least in truth[found.offset].items())
    assert found.offset == reached
