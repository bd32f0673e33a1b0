"""Where reading goes on, for every kind of offset that a group can have."""

from __future__ import annotations

import pytest

from logrouter.kafka.offset_reset import Begin, Decision, LogRange, LostRange, ReadPosition, decide, needs_range

EARLIEST, LATEST = Begin.EARLIEST, Begin.LATEST
LOG = LogRange(10, 20)


@pytest.mark.parametrize(
    ("place", "present", "begin", "decision"),
    [
        # No offset is committed: the source says where to begin.
        (ReadPosition(None), "new", EARLIEST, ("no_commit", 10, None)),
        (ReadPosition(None), "new", LATEST, ("no_commit", 20, None)),
        (ReadPosition(None, "old"), "new", EARLIEST, ("no_commit", 10, None)),
        # In range of the same topic, or of one of which nobody knows whether it is another.
        (ReadPosition(10, "new"), "new", EARLIEST, ("committed", 10, None)),
        (ReadPosition(15), "new", LATEST, ("committed", 15, None)),
        (ReadPosition(15, "old"), "", EARLIEST, ("committed", 15, None)),
        (ReadPosition(20, "new"), "new", LATEST, ("committed", 20, None)),
        # Retention has passed the offset.
        (ReadPosition(9, "new"), "new", LATEST, ("retention", 10, (9, 10))),
        (ReadPosition(0), "", EARLIEST, ("retention", 10, (0, 10))),
        # Another topic has the name: in range, below, at the end or beyond it.
        (ReadPosition(15, "old"), "new", EARLIEST, ("recreated", 10, (15, None))),
        (ReadPosition(5, "old"), "new", LATEST, ("recreated", 10, (5, None))),
        (ReadPosition(20, "old"), "new", EARLIEST, ("recreated", 10, (20, None))),
        (ReadPosition(21, "old"), "new", LATEST, ("recreated", 10, (21, None))),
        # The log is shorter than what was read: nobody but an operator knows what to do.
        (ReadPosition(21, "new"), "new", EARLIEST, ("beyond_end", None, None)),
        (ReadPosition(21), "new", LATEST, ("beyond_end", None, None)),
        (ReadPosition(21, "old"), "", EARLIEST, ("beyond_end", None, None)),
    ],
)
def test_each_kind_of_offset_has_its_own_decision(place, present, begin, decision):
    """The log has offsets 10 to 19."""
    cause, start, lost = decision

    assert decide(place, LOG, present, begin) == Decision(cause, start, LostRange(*lost) if lost else None)


def test_replaced_records_in_range_stop_it_unless_the_topic_is_another():
    """What librdkafka has found out counts like an end that is too early."""
    assert decide(ReadPosition(15, "a"), LOG, "a", EARLIEST, truncated=True) == Decision("beyond_end", None)
    assert decide(ReadPosition(15, "a"), LOG, "b", EARLIEST, truncated=True).cause == "recreated"


def test_an_empty_log_can_be_read_from_its_end():
    """Retention has taken everything."""
    empty = LogRange(7, 7)

    assert decide(ReadPosition(7), empty, "", EARLIEST) == Decision("committed", 7)
    assert decide(ReadPosition(3), empty, "", EARLIEST) == Decision("retention", 7, LostRange(3, 7))


@pytest.mark.parametrize(
    ("place", "present", "begin", "needed"),
    [
        (ReadPosition(None), "new", EARLIEST, False),
        (ReadPosition(None), "new", LATEST, True),
        (ReadPosition(15, "new"), "new", LATEST, False),
        (ReadPosition(15), "new", EARLIEST, False),
        (ReadPosition(15, "old"), "new", EARLIEST, True),
    ],
)
def test_the_ends_of_a_log_are_asked_for_where_they_matter(place, present, begin, needed):
    """Most partitions begin without that question."""
    assert needs_range(place, present, begin) is needed
