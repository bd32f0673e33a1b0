"""A place: where the lines of one drain and one source partition are."""

from __future__ import annotations

import math

from logrouter.core.drains.place import DrainPlace, PlaceBounds, PlaceState

BOUNDS = PlaceBounds(lines=3, bytes=100, seconds=10.0, few=2)


def place_with(*items, now=0.0, moved=0, delivered=0):
    """A place where these lines, of a byte each, came at once."""
    place = DrainPlace(BOUNDS, moved=moved, delivered=delivered)
    for item in items:
        place.add(item, 1, now)
    return place


def move(place):
    """A move that is committed."""
    place.begin_move()
    return place.end_move(is_committed=True)


def test_lines_of_a_live_drain_leave_when_they_are_delivered():
    """One request at a time, and what it did not deliver is first in the next."""
    place = place_with("a", "b", "c")

    first = place.take(2, 100)
    assert (first.items, place.take(2, 100)) == (["a", "b"], None)
    assert place.settle(first.ticket, 1) == ["a"]
    assert place.take(5, 100).items == ["b", "c"]
    assert place.bytes == 2


def test_a_request_is_bounded_by_bytes_but_for_one_line():
    """A line that is larger goes alone."""
    place = place_with()
    for item, size in (("a", 9), ("b", 2), ("c", 3)):
        place.add(item, size, 0.0)

    alone = place.take(5, 5)
    place.settle(alone.ticket, 1)
    assert (alone.items, place.take(5, 5).items) == (["a"], ["b", "c"])


def test_a_full_queue_is_moved_at_once_and_one_that_waits_when_its_time_is_over():
    """By lines, by bytes, and by the age of the oldest."""
    assert place_with().move_at == math.inf
    assert place_with("a", "b", now=5.0).move_at == 15.0
    assert place_with("a", "b", "c").move_at == -math.inf
    large = place_with()
    large.add("a", 100, 0.0)
    assert large.is_full
    assert large.move_at == -math.inf


def test_lines_that_are_moved_are_numbered_on():
    """They leave when the move is committed; what comes meanwhile goes with the next one."""
    place = place_with("a", "b", moved=7, delivered=7)

    assert place.begin_move() == (8, ["a", "b"])
    place.add("c", 1, 0.0)
    assert (place.move_at, len(place), place.bytes) == (math.inf, 3, 3)
    assert place.end_move(is_committed=True) == ["a", "b"]
    assert (place.moved, place.state, place.bytes) == (9, PlaceState.HOLDING, 1)
    assert place.begin_move() == (10, ["c"])


def test_lines_of_an_aborted_move_keep_their_numbers():
    """So it does no harm if it had landed after all. They go again at once, and nothing is sent live until then."""
    place = place_with("a", "b")
    place.begin_move()
    place.add("c", 1, 0.0)

    assert place.end_move(is_committed=False) == []
    place.note_delivered(2)  # it had landed
    assert (place.state, place.move_at, place.take(5, 100)) == (PlaceState.BEHIND, -math.inf, None)
    assert place.begin_move() == (1, ["a", "b", "c"])
    assert place.end_move(is_committed=True) == ["a", "b", "c"]
    assert place.state is PlaceState.HOLDING


def test_a_request_that_ends_after_its_lines_were_moved_counts_for_nothing():
    """Whether it delivered them or not: they leave once."""
    place = place_with("a", "b")
    request = place.take(2, 100)
    place.begin_move()

    assert not place.is_requested
    assert place.settle(request.ticket, 2) == []
    assert place.end_move(is_committed=True) == ["a", "b"]
    assert place.settle(request.ticket, 2) == []


def test_lines_wait_for_the_last_that_were_moved_and_go_behind_them():
    """With few left; with more of them what comes is moved as well."""
    place = place_with("a", "b", "c")
    move(place)
    place.add("d", 1, 20.0)
    assert (place.state, place.move_at) == (PlaceState.BEHIND, -math.inf)

    place.note_delivered(1)
    assert (place.state, place.move_at, place.take(5, 100)) == (PlaceState.HOLDING, 30.0, None)
    place.note_delivered(3)
    assert (place.state, place.take(5, 100).items) == (PlaceState.LIVE, ["d"])


def test_a_number_delivered_never_goes_back():
    """Records of the status topic may be read again."""
    place = place_with(moved=5, delivered=5)
    place.note_delivered(3)
    assert place.state is PlaceState.LIVE


def test_whoever_sees_more_delivered_than_it_has_moved_sends_nothing():
    """Another process owns the source partition and has gone on."""
    place = place_with("a", moved=5, delivered=6)
    assert (place.state, place.take(5, 100)) == (PlaceState.BEHIND, None)
