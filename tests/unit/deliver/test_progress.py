"""Offsets are committed only behind what is settled, whatever order that happens in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from logrouter.deliver.progress import Due, Progress

AT = ("events", 0)


def reading(*offsets: int) -> Progress:
    """Records of ten bytes were read at these offsets."""
    progress = Progress()
    progress.add_partition(AT)
    for offset in offsets:
        progress.read(AT, offset, 10, epoch=3)
    return progress


def test_nothing_is_due_before_the_first_record_is_settled():
    """The second is done, the first is not."""
    progress = reading(5, 6, 9)
    progress.settle(AT, progress.ticket(AT), 6)
    assert not progress.due()
    assert (progress.records, progress.bytes) == (2, 20)


def test_positions_lie_behind_what_is_settled_with_its_letters():
    """Offsets have gaps where transactions end; a letter goes with the position that passes its record."""
    progress = reading(5, 6, 9, 10)
    for offset, letter in ((5, None), (9, "late"), (6, "bad")):
        progress.settle(AT, progress.ticket(AT), offset, letter)
    assert progress.due() == Due({AT: 10}, {AT: 3}, {AT: ["bad", "late"]})


def test_what_is_due_stays_so_until_it_is_committed():
    """A commit that fails is asked for again, with all that came meanwhile."""
    progress = reading(5, 6)
    progress.settle(AT, progress.ticket(AT), 5, "bad")
    assert progress.due() == progress.due() == Due({AT: 6}, {AT: 3}, {AT: ["bad"]})
    progress.settle(AT, progress.ticket(AT), 6)
    assert progress.due() == Due({AT: 7}, {AT: 3}, {AT: ["bad"]})
    progress.committed({AT: 6})
    assert progress.due() == Due({AT: 7}, {AT: 3}, {})


def test_what_comes_late_of_a_former_assignment_counts_for_nothing():
    """The partition was away for a moment: its records are read again, and the old answer is not theirs."""
    progress = reading(5)
    former = progress.ticket(AT)
    progress.add_partition(AT)
    progress.read(AT, 5, 10)
    progress.settle(AT, former, 5)
    assert progress.is_waiting([AT])
    assert not progress.due()
    progress.forget(AT)
    assert (progress.records, progress.bytes, progress.ticket(AT)) == (0, 0, None)


@given(st.data(), st.lists(st.integers(1, 3), min_size=1, max_size=20))
def test_a_position_never_passes_a_record_that_is_not_settled(data, steps):
    """In any order of settling, with commits in between: each position is that of the longest settled beginning."""
    offsets = [sum(steps[: index + 1]) for index in range(len(steps))]
    progress, left, letters = reading(*offsets), set(offsets), []
    for offset in data.draw(st.permutations(offsets)):
        progress.settle(AT, progress.ticket(AT), offset, offset)
        left.discard(offset)
        due = progress.due()
        assert due.positions.get(AT, 0) <= min(left, default=offsets[-1] + 1)
        if due and data.draw(st.booleans()):
            letters += due.letters[AT]
            progress.committed(due.positions)
    letters += progress.due().letters.get(AT, [])
    assert letters == offsets


def test_what_is_settled_and_not_committed_is_counted():
    """Were it not, a cluster that takes no commit would have the process grow."""
    progress = reading(5, 6)
    progress.settle(AT, progress.ticket(AT), 5, "bad", 300)
    assert (progress.records, progress.uncommitted, progress.letter_bytes) == (1, 2, 300)
    progress.committed({AT: 6})
    assert (progress.records, progress.uncommitted, progress.letter_bytes) == (1, 1, 0)
    assert not progress.is_committed(AT)
    progress.settle(AT, progress.ticket(AT), 6, "bad", 300)
    progress.forget(AT)
    assert (progress.records, progress.uncommitted, progress.letter_bytes) == (0, 0, 0)
    assert progress.is_committed(AT)
