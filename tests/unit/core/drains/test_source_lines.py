"""Lines of one source partition on their way to all drains."""

from __future__ import annotations

import math

from logrouter.core.drains.line import Line
from logrouter.core.drains.place import PlaceBounds
from logrouter.core.drains.source_lines import SourceLines
from logrouter.core.drains.status import MovedLine, MovedUpTo

AT = ("s", 3)
BOUNDS = PlaceBounds(lines=3, bytes=10_000, seconds=10.0)
A, B, C = (Line(name, None, "shop-prod", "web", 6, b"text") for name in "abc")


def lines_with(numbers=(0, 0)):
    """No lines yet; every drain has had these numbers."""
    return SourceLines(AT, BOUNDS, lambda _drain: numbers)


def send(lines, drain):
    """A request that delivers all: what it held, and the records that are done."""
    taken = lines.take(drain, 10, 10_000)
    return [each.id for each in taken.items], lines.settle(drain, taken.ticket, len(taken.items))


def test_a_record_is_done_when_each_of_its_drains_has_its_lines():
    """In whatever order that happens; one that nobody wants is done at once."""
    lines = lines_with()
    assert not lines.add(5, [(A, ["d1", "d2"]), (B, ["d1"])], 0.0)
    assert not lines.add(6, [(C, ["d1"])], 0.0)
    assert lines.add(7, [(C, [])], 0.0)

    assert [*lines.ready()] == ["d1", "d2"]
    assert send(lines, "d1") == (["a", "b", "c"], [6])
    assert send(lines, "d2") == (["a"], [5])
    assert ([*lines.ready()], lines.bytes, lines.move_at) == ([], 0, math.inf)
    assert (lines.take("d3", 1, 1), lines.settle("d3", 1, 1)) == (None, [])


def test_what_is_due_is_moved_with_the_offsets_of_what_is_done_by_that():
    """Other drains keep theirs, and their records are not done."""
    lines = lines_with((7, 7))
    lines.add(5, [(A, ["dead", "well"])], 0.0)
    lines.add(6, [(B, ["dead"])], 1.0)
    lines.take("dead", 10, 10_000)
    assert send(lines, "well") == (["a"], [])
    lines.add(7, [(C, ["well"])], 9.0)
    assert lines.move_at == 10.0

    moves = lines.begin_move(10.0, 99)

    assert moves.lines == [("dead", MovedLine(8, *AT, 99, A)), ("dead", MovedLine(9, *AT, 99, B))]
    assert (moves.last, moves.done, moves.cancelled) == ({"dead": MovedUpTo(9, 99)}, [5, 6], ["dead"])
    lines.end_move(is_committed=True)
    assert lines.move_at == 19.0
    lines.add(8, [(A, ["dead"])], 10.0)
    assert lines.take("dead", 10, 10_000) is None
    lines.note_delivered("dead", 9)
    lines.note_delivered("unknown", 9)
    assert send(lines, "dead") == (["a"], [8])


def test_lines_of_an_aborted_move_are_in_the_next_one_and_done_once():
    """Their records count as done already: no transaction has their offsets without them."""
    lines = lines_with()
    lines.add(5, [(A, ["d"])], 0.0)
    assert lines.begin_move(10.0, 1).done == [5]
    lines.add(6, [(B, ["d"])], 10.0)

    lines.end_move(is_committed=False)
    assert lines.move_at == -math.inf
    again = lines.begin_move(10.0, 2)

    assert again.lines == [("d", MovedLine(1, *AT, 2, A)), ("d", MovedLine(2, *AT, 2, B))]
    assert again.done == [6]


def test_all_that_waits_is_moved_as_the_partition_leaves():
    """Due or not."""
    lines = lines_with()
    lines.add(5, [(A, ["d1", "d2"])], 0.0)
    assert lines.begin_move(0.0, 1).lines == []
    assert lines.begin_move(0.0, 1, everything=True).last == {"d1": MovedUpTo(1, 1), "d2": MovedUpTo(1, 1)}


def test_records_wait_for_no_drain_that_is_gone():
    """Also if its lines are in a transaction, or were in one that was aborted."""
    lines = lines_with()
    lines.add(5, [(A, ["gone"])], 0.0)
    lines.begin_move(10.0, 1)
    lines.add(6, [(B, ["gone", "well"])], 10.0)
    lines.add(7, [(C, ["gone"])], 10.0)

    assert lines.drop("gone") == [7]
    assert lines.drop("gone") == []
    lines.end_move(is_committed=False)
    assert lines.begin_move(10.0, 1).lines == []
    assert send(lines, "well") == (["b"], [6])
