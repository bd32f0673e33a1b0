"""The verdict of a trial: what crosses a bound, what is too little to judge by, and when a table has passed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.trial import Trial, TrialBounds, TrialState

ALL = TrialBounds(10_000, 100, max_rejected_ratio=0.1, max_unmatched_ratio=0.5, max_lag_growth_records=1000)
A, B = ("t", 0), ("t", 1)


def trial(bounds=ALL, **seen):
    """A trial that began at 0 and has seen so much."""
    return Trial(bounds, 0).add_batch(**{"read": 0, "accepted": 0, "rejected": 0, "unmatched": 0} | seen)


@pytest.mark.parametrize(
    ("seen", "now_ms", "state", "reason"),
    [
        ({}, 0, "watching", ""),
        ({}, 9_999, "watching", ""),
        ({}, 10_000, "passed", ""),
        ({"read": 200, "accepted": 90, "rejected": 10}, 1, "watching", ""),
        (
            {"read": 200, "accepted": 89, "rejected": 11},
            1,
            "crossed",
            "rejected_ratio is 0.11, max_rejected_ratio is 0.1",
        ),
        ({"read": 200, "rejected": 99}, 1, "watching", ""),
        ({"read": 200, "unmatched": 100}, 1, "watching", ""),
        ({"read": 200, "unmatched": 101}, 1, "crossed", "unmatched_ratio is 0.505, max_unmatched_ratio is 0.5"),
        ({"read": 99, "unmatched": 99}, 1, "watching", ""),
        ({"read": 200, "unmatched": 200}, 60_000, "crossed", "unmatched_ratio is 1, max_unmatched_ratio is 0.5"),
    ],
)
def test_ratio_over_its_bound_is_crossed_once_there_are_enough_records(seen, now_ms, state, reason):
    """A ratio at its bound is kept, one over it is not; too few records and no crossing by the window's end pass."""
    assert trial(**seen).verdict(now_ms) == (state, reason)


@pytest.mark.parametrize(
    ("looks", "state"),
    [
        ([{A: 5000}], "watching"),
        ([{A: 0}, {A: 1000}], "watching"),
        ([{A: 0}, {A: 1001}], "crossed"),
        ([{A: 9000}, {A: 400}], "watching"),
        ([{A: 0}, {A: 0, B: 50_000}], "watching"),
        ([{A: 0, B: 0}, {A: 900, B: 900}], "crossed"),
        ([{A: 0, B: 0}, {A: 900}], "watching"),
        ([{A: 0}, {}], "watching"),
    ],
)
def test_lag_counts_by_its_growth_over_the_partitions_that_stay(looks, state):
    """An old lag, and one that comes or goes with a partition, is not the table's doing."""
    watched = Trial(ALL, 0)
    for lag in looks:
        watched = watched.with_lag(lag)

    assert watched.verdict(1).state == state


def test_bound_that_is_not_given_is_not_looked_at():
    """Without bounds whatever happens passes."""
    everything = trial(TrialBounds(10, 1), read=100, rejected=50, unmatched=50).with_lag({A: 0}).with_lag({A: 10**9})

    assert everything.verdict(9).state is TrialState.WATCHING
    assert everything.verdict(10).state is TrialState.PASSED


BATCH = st.tuples(*[st.integers(0, 300)] * 4).map(
    lambda n: {"read": sum(n), "accepted": n[0], "rejected": n[1], "unmatched": n[2]}
)


@given(st.lists(BATCH, max_size=8), st.randoms())
def test_verdict_does_not_depend_on_how_records_fall_into_batches(batches, rnd):
    """Batches in any order give the verdict of one batch with all of it."""
    whole = trial(**{name: sum(b[name] for b in batches) for name in ("read", "accepted", "rejected", "unmatched")})
    rnd.shuffle(batches)
    parts = Trial(ALL, 0)
    for batch in batches:
        parts = parts.add_batch(**batch)

    assert parts.verdict(1) == whole.verdict(1)


@given(BATCH, st.integers(0, 20_000))
def test_clean_records_never_cross(batch, now_ms):
    """A table under which nothing is rejected or unmatched stays, whatever the time."""
    clean = trial(read=batch["read"], accepted=batch["read"])

    assert clean.verdict(now_ms).state is (TrialState.PASSED if now_ms >= 10_000 else TrialState.WATCHING)
