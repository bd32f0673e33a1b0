"""One partition of the retry topic, read for many drains."""

from __future__ import annotations

import pytest

from logrouter.core.drains.line import Line
from logrouter.core.drains.status import DeliveredUpTo, MovedLine, MovedUpTo, Reached
from logrouter.core.drains.sweep import DroppedLines, Sweep, SweepBounds, SweptRecord

BOUNDS = SweepBounds(lines=4, bytes=1_000)
S, T = ("s", 0), ("t", 1)


def line(number, at=S):
    """The line with this number."""
    return Line(f"{at[0]}{number}", None, "shop-prod", "web", 6, b"text")


def record(offset, drain, number, at=S, size=10):
    """Lines are moved at a thousand times their number."""
    return SweptRecord(offset, drain, MovedLine(number, *at, number * 1_000, line(number, at)), size)


def numbers(*pairs):
    """What a drain has of these source partitions."""
    return tuple(Reached(*at, number, number * 1_000) for at, number in pairs)


def send(sweep, drain, lines=10):
    """What a request to a drain holds that delivers all of it."""
    batch = sweep.batch(drain, lines, 1_000)
    if batch is None:
        return []
    sweep.settle(drain, batch.ticket, len(batch.items))
    return [each if isinstance(each, DroppedLines) else each.id for each in batch.items]


def test_each_drain_gets_its_lines_in_order():
    """Of several source partitions, one request at a time, and what was not delivered again."""
    sweep = Sweep(BOUNDS, 0)
    sweep.take(0, [record(0, "a", 1), record(1, "b", 1), record(3, "a", 1, T), record(4, "a", 2)], 6)

    batch = sweep.batch("a", 2, 1_000)
    assert [each.id for each in batch.items] == ["s1", "t1"]
    assert (sweep.batch("a", 2, 1_000), [*sweep.ready()]) == (None, ["b"])
    sweep.settle("a", batch.ticket, 1)
    sweep.settle("a", batch.ticket, 1)  # of a request that is over
    assert send(sweep, "a") == ["t1", "s2"]
    assert (send(sweep, "b"), send(sweep, "b"), send(sweep, "c")) == (["s1"], [], [])
    assert sweep.offset() == 6


def test_a_batch_is_bounded_by_bytes_but_for_one_line():
    """A line that is larger goes alone."""
    sweep = Sweep(BOUNDS, 0)
    sweep.take(0, [record(0, "a", 1, size=900), record(1, "a", 2), record(2, "a", 3)], 3)

    large = sweep.batch("a", 10, 100)
    sweep.settle("a", large.ticket, 1)
    assert (len(large.items), len(sweep.batch("a", 10, 100).items)) == (1, 2)


def test_a_dead_drain_is_left_behind_and_holds_up_nobody():
    """Reading goes back for it when half of its buffer is delivered, and others get nothing twice."""
    sweep = Sweep(BOUNDS, 0)
    records = [record(at, "dead", at + 1) for at in range(6)] + [record(6, "well", 1), record(7, "dead", 7)]

    sweep.take(0, records, 8)
    assert (sweep.offset(), send(sweep, "well")) == (8, ["s1"])
    assert send(sweep, "dead", 1) == ["s1"]
    assert sweep.offset() == 8
    assert send(sweep, "dead", 1) == ["s2"]
    assert sweep.offset() == 4
    sweep.take(4, records[4:], 8)
    assert send(sweep, "dead") == ["s3", "s4", "s5", "s6"]
    assert sweep.offset() == 7
    sweep.take(7, records[7:], 8)
    assert (send(sweep, "dead"), send(sweep, "well"), sweep.offset()) == (["s7"], [], 8)


def test_records_that_were_asked_for_before_a_drain_had_room_again_are_not_its_next():
    """It would skip those between."""
    sweep = Sweep(BOUNDS, 0)
    records = [record(at, "a", at + 1) for at in range(8)]
    sweep.take(0, records[:6], 6)
    assert sweep.offset() == 6  # asked; then there is room
    send(sweep, "a")

    sweep.take(6, records[6:], 8)

    assert sweep.offset() == 4
    sweep.take(4, records[4:], 8)
    assert send(sweep, "a") == ["s5", "s6", "s7", "s8"]


def test_what_is_written_is_where_the_next_owner_begins():
    """Once for each change; it is due until it is known to be committed."""
    sweep = Sweep(BOUNDS, 0)
    assert sweep.changes() == {}
    sweep.take(5, [record(5, "a", 1), record(6, "a", 2), record(7, "b", 1, T)], 9)
    first = sweep.changes()
    assert first == {"a": DeliveredUpTo(5), "b": DeliveredUpTo(7)}
    sweep.written(first)
    assert sweep.changes() == {}

    send(sweep, "a", 1)
    send(sweep, "b")
    states = sweep.changes()
    assert states == {"a": DeliveredUpTo(6, numbers((S, 1))), "b": DeliveredUpTo(9, numbers((T, 1)))}
    assert sweep.changes() == states
    sweep.written(states)
    assert sweep.changes() == {}


def test_a_new_owner_goes_on_where_the_former_one_stood():
    """A drain that has all of its lines needs nothing of what lies before the end."""
    sweep = Sweep(BOUNDS, 100)
    sweep.add("behind", DeliveredUpTo(40, numbers((S, 7))), {S: MovedUpTo(9, 0)})
    sweep.add("well", DeliveredUpTo(10, numbers((S, 3))), {S: MovedUpTo(3, 0)})
    assert sweep.offset() == 40

    sweep.take(40, [record(41, "behind", 7), record(42, "behind", 8), record(43, "gone", 5)], 60)

    assert send(sweep, "behind") == ["s8"]
    assert "gone" not in sweep
    assert {*sweep.drains()} == {"behind", "well"}
    sweep.take(60, [record(100, "well", 4), record(101, "new", 1)], 102)
    assert (send(sweep, "well"), send(sweep, "new")) == (["s4"], ["s1"])


def test_a_drain_of_which_nothing_is_known_is_looked_for_from_the_beginning():
    """Its lines were moved while nobody had this partition."""
    sweep = Sweep(BOUNDS, 100)
    sweep.add("a", None, {S: MovedUpTo(2, 0)})
    assert sweep.offset() == 0


@pytest.mark.parametrize(("before", "since"), [(0, "an unknown time"), (2, "1970-01-01T00:00:02.000Z")])
def test_numbers_that_are_missing_are_told_in_front_of_the_next_line(before, since):
    """And counted when that is delivered."""
    sweep = Sweep(BOUNDS, 0)
    sweep.add("a", DeliveredUpTo(0, numbers((S, before)) if before else ()), {S: MovedUpTo(9, 0)})

    sweep.take(0, [record(30, "a", 9)], 31)

    batch = sweep.batch("a", 10, 1_000)
    loss = batch.items[0]
    assert (loss.lines, batch.items[1].id) == (8 - before, "s9")
    assert loss.text == f"{8 - before} messages dropped from {since} to 1970-01-01T00:00:09.000Z"
    sweep.settle("a", batch.ticket, 1)
    assert sweep.changes()["a"] == DeliveredUpTo(30, (Reached(*S, 8, 9_000),), 8 - before)


def test_lines_that_are_all_gone_are_missed_at_the_end():
    """Not before reading has come to what was the end after the number was known."""
    sweep = Sweep(BOUNDS, 0)
    sweep.add("a", DeliveredUpTo(0, numbers((S, 2))), {S: MovedUpTo(5, 5_000)})
    sweep.note_end(10, {"a": {S: MovedUpTo(5, 5_000)}})
    sweep.take(0, [record(4, "a", 3)], 9)
    assert send(sweep, "a") == ["s3"]

    sweep.take(9, [], 10)

    assert send(sweep, "a") == [DroppedLines(2, 3_000, 5_000)]
    assert sweep.changes()["a"] == DeliveredUpTo(10, (Reached(*S, 5, 5_000),), 2)
    sweep.note_end(10, {"a": {S: MovedUpTo(5, 5_000)}})
    assert send(sweep, "a") == []


def test_lines_of_a_drain_of_which_no_record_was_read_are_missed_too():
    """They were deleted before anybody had read them."""
    sweep = Sweep(BOUNDS, 0)
    sweep.note_end(7, {"a": {S: MovedUpTo(2, 2_000)}})
    assert send(sweep, "a") == []
    sweep.take(0, [], 7)
    assert send(sweep, "a") == [DroppedLines(2, None, 2_000)]


def test_a_loss_waits_for_room():
    """A buffer that is full stays as it is."""
    sweep = Sweep(BOUNDS, 0)
    sweep.take(0, [record(at, "a", at + 1) for at in range(4)], 4)
    sweep.note_end(4, {"a": {S: MovedUpTo(6, 6_000)}})

    assert send(sweep, "a", 4) == ["s1", "s2", "s3", "s4"]
    assert send(sweep, "a") == [DroppedLines(2, 4_000, 6_000)]


def test_a_drain_that_is_gone_is_forgotten():
    """What was on its way for it counts for nothing, and old records of it begin nothing anew."""
    sweep = Sweep(BOUNDS, 0)
    sweep.take(0, [record(0, "a", 1), record(1, "b", 1)], 2)
    batch = sweep.batch("a", 1, 100)

    sweep.forget("a")
    sweep.settle("a", batch.ticket, 1)
    sweep.written({"a": DeliveredUpTo()})
    sweep.take(0, [record(0, "a", 1)], 2)

    assert (sweep.drains(), [*sweep.changes()]) == (["b"], ["b"])


def test_a_partition_that_was_made_anew_is_read_from_its_beginning():
    """Numbers go on, so what the former one still had is a loss; states are written with the new offsets."""
    sweep = Sweep(BOUNDS, 0)
    sweep.take(50, [record(at, "a", at - 49) for at in range(50, 56)], 56)
    send(sweep, "a", 1)
    sweep.written(sweep.changes())

    sweep.restart(0)

    assert sweep.offset() == 0
    assert sweep.changes() == {"a": DeliveredUpTo(0, numbers((S, 1)))}
    sweep.take(0, [record(3, "a", 6)], 4)
    assert send(sweep, "a") == ["s2", "s3", "s4"]
    sweep.take(3, [record(3, "a", 6)], 4)
    assert send(sweep, "a") == [DroppedLines(1, 4_000, 6_000), "s6"]


def test_an_owner_that_finds_a_drain_behind_the_end_reads_from_the_beginning():
    """The topic was made anew while nobody was there."""
    sweep = Sweep(BOUNDS, 5)
    sweep.add("a", DeliveredUpTo(900, numbers((S, 1))), {S: MovedUpTo(2, 0)})
    assert sweep.offset() == 0
