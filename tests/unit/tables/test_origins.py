"""Where rows come from and what they lack: holes are found whatever is lost, and nothing else is taken for one."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.query.tiers import Hole
from logrouter.tables import notes, rows
from logrouter.tables.mismatch import MismatchError
from logrouter.tables.notes import HOLE, MAX_HOLES, ORIGIN, Origin, add_hole, decode_hole, decode_origin, encode_hole
from logrouter.tables.origins import FoldStart, Origins, find_start
from logrouter.tables.replicas import Checkpoint
from logrouter.tables.topic_check import is_the_one, refuse_other


class Record(NamedTuple):
    """A rollup record as the consumer hands it out."""

    offset: int
    timestamp: int
    value: bytes = b"sums"


def upto(offset, reached=None):
    """What rows say that hold everything up to *offset*."""
    known = offset + 1 if reached is None else reached
    return Checkpoint(offset, None), Origin("id", offset, 1000 + offset, 4, 1000 + offset, known)


@pytest.mark.parametrize(
    ("committed", "known", "earliest", "start"),
    [
        (None, (None, None), 0, FoldStart(0)),
        (None, (None, None), 500, FoldStart(500)),  # new tables begin with what there is
        (8, upto(9), 0, FoldStart(8)),  # flushed, not committed: the fold sees what is in rows already
        (10, upto(9), 10, FoldStart(10)),
        (10, upto(9), 11, FoldStart(11)),  # a transaction has ended there, which is no record
        (10, upto(9), 12, FoldStart(12, 10, 12)),
        (10, upto(9, reached=11), 11, FoldStart(11)),
        (11, upto(9, reached=11), 12, FoldStart(12, 11, 12)),
        (12, (Checkpoint(11, None), upto(9, reached=11)[1]), 13, FoldStart(13)),  # 0.1.0 has folded for a while
        (10, (Checkpoint(9, None), None), 11, FoldStart(11)),  # rows of 0.1.0 can't say
        (10, (Checkpoint(9, None), None), 12, FoldStart(12, 10, 12)),
        (None, upto(9), 5, FoldStart(5)),  # the group's offset has expired, the rows have not
        (None, upto(9), 20, FoldStart(20, 10, 20)),
        (10, (None, None), 0, FoldStart(0)),  # the rows are gone, changelog and all: they are made again
        (10, (None, None), 7, FoldStart(7, 0, 7)),
        (15, upto(9), 3, FoldStart(10)),
    ],
)
def test_start_is_where_the_rows_end_and_a_hole_is_what_they_will_never_get(committed, known, earliest, start):
    """By group, checkpoint and origin, and by what the topic still has."""
    assert find_start(committed, *known, earliest) == start


class Partition:
    """A rollup partition, the tables of it as they are on disk, and a worker that folds it and may die."""

    def __init__(self):
        self.records, self.end, self.earliest = [], 0, 0
        self.rows, self.checkpoint, self.committed, self.notes = set(), None, None, {}
        self.start()

    def start(self):
        """Take over, as after a kill."""
        holes = [decode_hole(value) for key, value in self.notes.items() if key != ORIGIN]
        self.origins, self.folded = Origins("rollup"), []
        self.origins.topic_id = "id"
        origin = decode_origin(self.notes.get(ORIGIN))
        self.origins.take_over(0, origin, holes)
        found = find_start(self.committed, self.checkpoint, self.origins.origin(0), self.earliest)
        if found.first < found.stop:
            self.origins.add_hole(0, found.first, found.stop, None)
        self.position = found.begin
        self.last = found.begin - 1

    def produce(self):
        """A transaction of one record: its end has an offset, too."""
        self.records.append(Record(self.end, 1000 + self.end))
        self.end += 2

    def end_transaction(self):
        self.end += 1

    def read(self):
        """Fold all there is."""
        if self.position < self.earliest:  # the broker says so, and the client begins at the first offset there is
            self.origins.note_reset(0, self.earliest, self.last)
        batch = [record for record in self.records if record.offset >= max(self.position, self.earliest)]
        if batch:
            self.origins.read(0, batch, self.last)
            self.folded += [record.offset for record in batch]
            self.last = batch[-1].offset
        self.position = max(self.position, self.end)

    def flush(self):
        """Write rows and notes; a kill may come before the commit."""
        if self.folded:
            self.rows |= set(self.folded)
            self.folded = []
            self.checkpoint = Checkpoint(self.last, None)
            self.notes |= self.origins.take_notes(0)
        elif self.rows:
            self.origins.note_reached(0, max(self.last + 1, self.position))
            self.notes |= self.origins.take_notes(0)

    def commit(self):
        self.flush()
        if self.last >= 0:
            self.committed = self.last + 1

    def delete(self):
        """Retention takes everything."""
        self.earliest = self.end

    def expire_group(self):
        """The group's offset is gone."""
        if self.rows:
            self.committed = None


STEPS = ["produce", "end_transaction", "read", "flush", "commit", "delete", "start", "expire_group"]


@given(st.lists(st.sampled_from(STEPS), max_size=40))
def test_every_record_is_in_the_rows_or_in_a_hole_and_none_in_both(steps):
    """Whatever is deleted, killed and forgotten between; for tables that have begun."""
    partition = Partition()
    for step in ("produce", "end_transaction", "read", "commit", *steps, "read", "commit", "start", "produce", "read"):
        getattr(partition, step)()
    partition.flush()

    holes = [decode_hole(value) for key, value in partition.notes.items() if key != ORIGIN]
    lost = {offset for hole in holes for offset in range(hole.first, hole.stop)}
    produced = {record.offset for record in partition.records}
    assert produced <= partition.rows | lost
    assert not partition.rows & lost
    assert all(hole.to_ms is not None and (hole.from_ms or 0) <= hole.to_ms for hole in holes)


def test_hole_spans_the_times_of_the_records_around_it():
    """From the older of the last record's time and the newest event's, to the time of the first record behind."""
    partition = Partition()
    for step in ("produce", "read", "commit", "produce", "produce"):
        getattr(partition, step)()
    partition.delete()
    partition.start()
    (hole,) = partition.origins.holes(0)
    assert hole == Hole(1, 6, 1000, None)
    partition.produce()
    partition.read()
    assert partition.origins.holes(0) == [Hole(1, 6, 1000, 1006)]


def test_hole_of_a_partition_that_gets_no_more_records_ends_by_those_of_others():
    """Else every later answer about all partitions would be partial, though nothing of that time is lost."""
    origins = Origins("rollup")
    origins.take_over(0, Origin("id", 9, 1009, 4, 1009, 10), [])
    origins.take_over(1, None, [])
    origins.add_hole(0, 10, 20, None)
    origins.take_notes(0)
    origins.end_holes(5000)
    origins.read(1, [Record(0, 4000)], -1)
    origins.end_holes(6000)
    assert origins.holes(0) == [Hole(10, 20, 1009, None)]  # what was lost may be later than that record
    origins.read(1, [Record(2, 7000)], 0)
    origins.end_holes(8000)
    assert origins.holes(0) == [Hole(10, 20, 1009, 7000)]
    assert origins.has_unsaved(0)
    origins.add_hole(0, 20, 30, None)
    origins.end_holes(8000)
    assert origins.holes(0) == [Hole(10, 30, 1009, None)]


def test_every_hole_that_is_open_ends_with_the_next_record():
    """A second one may be found before anything has come behind the first."""
    origins = Origins("rollup")
    origins.take_over(0, Origin("id", 0, 1000, 4, 1000, 1), [Hole(1, 3, 1000, None)])
    origins.add_hole(0, 4, 6, None)
    origins.read(0, [Record(6, 1006)], 5)
    assert origins.holes(0) == [Hole(1, 3, 1000, 1006), Hole(4, 6, 1000, 1006)]


def test_record_before_what_was_folded_is_of_another_topic():
    """After the broker did not know our position: a topic that begins again must not be skipped as a replay."""
    origins = Origins("rollup")
    origins.take_over(0, None, [])
    origins.read(0, [Record(0, 1000), Record(9, 1009)], -1)
    origins.note_reset(0, 3, 9)
    with pytest.raises(MismatchError, match="rollup has begun anew at offset 3"):
        origins.read(0, [Record(3, 2000)], 9)


def test_records_that_wait_to_be_folded_do_not_hide_what_was_deleted_behind_them():
    """The broker's answer comes while records before the hole are still on their way to the fold."""
    origins = Origins("rollup")
    origins.take_over(0, None, [])
    origins.read(0, [Record(0, 1000)], -1)
    origins.note_reset(0, 50, 0)
    origins.read(0, [Record(2, 1002)], 0)
    assert origins.holes(0) == []
    origins.read(0, [Record(50, 1050)], 2)
    assert origins.holes(0) == [Hole(3, 50, 1002, 1050)]


def test_records_that_wait_to_be_folded_do_not_hide_a_topic_that_begins_again():
    """The same, with a topic that was made anew."""
    origins = Origins("rollup")
    origins.take_over(0, None, [])
    origins.read(0, [Record(0, 1000), Record(9, 1009)], -1)
    origins.note_reset(0, 0, 9)
    origins.read(0, [Record(11, 1011)], 9)
    with pytest.raises(MismatchError, match="rollup has begun anew at offset 0"):
        origins.read(0, [Record(0, 2000)], 11)


def test_holes_are_written_again_by_whoever_takes_over():
    """The process that found one may have been killed when it was on its disk and not in the changelog."""
    origins, hole = Origins("rollup"), Hole(3, 50, 1002, 1050)
    origins.take_over(0, Origin("id", 60, 1060, 4, 1060, 61), [hole])
    assert origins.has_unsaved(0)
    key, value = encode_hole(hole)
    assert origins.take_notes(0)[key] == value
    assert not origins.has_unsaved(0)


def test_record_at_the_watermark_is_known_by_offset_time_and_size():
    """A topic that was cut short and filled again has another one there."""
    origin = Origin("id", 9, 1009, 4, 1009, 10)
    assert is_the_one(origin, Record(9, 1009))
    assert not is_the_one(origin, Record(9, 1009, b"other sums"))
    assert not is_the_one(origin, Record(9, 2009))
    assert not is_the_one(origin, Record(10, 1009))


ORIGINS = {0: Origin("id", 9, 1009, 4, 1009, 10), 1: Origin("id", 5, 1005, 4, 1005, 6)}


@pytest.mark.parametrize(
    ("topic_id", "records"),
    [
        ("id", {0: Record(9, 1009), 1: Record(5, 1005)}),
        ("id", {}),  # retention has deleted them, or the cluster is slow
        ("", {0: Record(9, 1009)}),
        ("other", {0: Record(9, 1009), 1: Record(5, 1005)}),  # a mirror with the same offsets
        ("other", {1: Record(5, 1005)}),
    ],
)
def test_topic_that_holds_what_was_folded_is_accepted(topic_id, records):
    """A worker that refuses a topic that is whole does not come back by itself."""
    refuse_other("rollup", topic_id, ORIGINS, records)


@pytest.mark.parametrize(
    ("topic_id", "records", "why"),
    [
        ("id", {0: Record(9, 1009), 1: Record(5, 2005)}, "holds another record at offset 5 of partition 1"),
        ("", {0: Record(9, 2009)}, "holds another record at offset 9 of partition 0"),
        ("other", {0: Record(9, 1009), 1: Record(5, 2005)}, "its id is another"),
        ("other", {}, "its id is another"),
    ],
)
def test_topic_that_may_hold_something_else_is_refused(topic_id, records, why):
    """Its records below the watermark would be skipped as replays."""
    with pytest.raises(MismatchError, match=why):
        refuse_other("rollup", topic_id, ORIGINS, records)


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 50)), max_size=300))
def test_holes_stay_bounded_and_cover_what_was_lost(lost):
    """However many there are."""
    holes = {}
    for first, size in sorted(lost):
        hole = add_hole(holes, Hole(first, first + size, None, None))
        holes[hole.first] = hole
    covered = {offset for hole in holes.values() for offset in range(hole.first, hole.stop)}
    assert {offset for first, size in lost for offset in range(first, first + size)} <= covered
    assert len(holes) <= MAX_HOLES


def test_notes_look_like_lifetime_rows_and_are_none():
    """So version 0.1.0 carries them along, and no scan of rows meets them."""
    key, value = encode_hole(Hole(7, 9, None, 5))
    for each in (key, ORIGIN):
        assert each[0] == 3
        assert each > rows.prefix(rows.TIERS[3], 1)
        assert each < rows.META
        assert not rows.is_row(each)
    assert key.startswith(HOLE)
    assert rows.watermark(value) == 0
    assert decode_hole(value) == Hole(7, 9, None, 5)


@pytest.mark.parametrize("value", [b"", bytes(8), bytes(8) + b"\x92\x02\x90", bytes(8) + b"\x92\x01\x90\x00"])
def test_note_of_a_later_version_is_refused(value):
    """It may say what this version has to know."""
    with pytest.raises(MismatchError, match="newer version"):
        decode_origin(value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (rows.META + b"new", b"anything"),
        (b"\x04" + bytes(4) + b"ca", bytes(8) + b"\xdc\x00\x14"),
        (rows.key_of(rows.TIERS[0], 5, "ca"), bytes(8) + b"\xdc\x00\x15" + bytes(21)),
    ],
    ids=["a key of its own", "a tier", "a row with more figures"],
)
def test_changelog_record_of_a_later_version_is_refused(key, value):
    """A row that lost figures on its way would be written back without them."""
    with pytest.raises(MismatchError, match="newer version"):
        rows.refuse_later(key, value)


def test_values_of_a_row_are_let_through():
    """Rows of both versions, tombstones and notes."""
    key = rows.key_of(rows.TIERS[0], 5, "ca")
    for value in (rows.encode(3, rows.Cell(5)), bytes(8) + b"\x9e" + bytes(14), None):
        rows.refuse_later(key, value)
    rows.refuse_later(notes.ORIGIN, notes.encode_origin(Origin()))
