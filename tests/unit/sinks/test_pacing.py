"""Pace: pauses, concurrency and rate, in made-up time."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.sinks.contract import Trouble
from logrouter.sinks.pacing import LONGEST_ASKED, Pace, PaceLimits

LIMITS = PaceLimits(max_requests=8, first_pause=1, longest_pause=10)


def longest(_limits: PaceLimits = LIMITS) -> Pace:
    """A pace whose pauses are never shortened."""
    return Pace(_limits, lambda: 1.0)


def fail_once(pace: Pace, trouble: Trouble, now: float, after: float | None = None) -> float:
    """How long to wait after one more failure at *now*."""
    pace.start(1, now)
    pace.fail(trouble, now, now, after)
    return pace.seconds_to_wait(now)


def test_pauses_double_up_to_the_longest_and_begin_anew_after_a_success():
    """1, 2, 4, 8, 10, 10, and 1 again."""
    pace = longest()
    pauses, now = [], 0.0
    for _ in range(6):
        pauses.append(fail_once(pace, Trouble.CONNECT, now))
        now += pauses[-1]
    pace.start(1, now)
    pace.succeed()
    assert [*pauses, fail_once(pace, Trouble.CONNECT, now)] == [1, 2, 4, 8, 10, 10, 1]


@given(st.floats(0, 1))
def test_a_pause_is_drawn_from_its_upper_half(draw):
    """So that processes that fail together do not come back together."""
    assert 0.5 <= fail_once(Pace(LIMITS, lambda: draw), Trouble.CONNECT, 0) <= 1


@pytest.mark.parametrize(("after", "waits"), [(5, 5), (0.1, 1), (10**9, LONGEST_ASKED), (math.inf, LONGEST_ASKED)])
def test_a_target_may_ask_for_a_longer_pause(after, waits):
    """Not for a shorter one, and not for one without end."""
    assert fail_once(longest(), Trouble.OVERLOADED, 0, after) == waits


def test_concurrency_grows_by_one_and_is_halved():
    """Two at first; one more after as many successes as were allowed; half of that when the target is crowded."""
    pace = longest()
    limits = []
    for _ in range(30):
        pace.start(1, 0)
        pace.succeed()
        limits.append(pace.limit)
    assert limits[:6] == [2, 3, 3, 3, 4, 4]
    assert pace.limit == 8
    fail_once(pace, Trouble.TIMEOUT, 0)
    assert pace.limit == 4


def test_requests_that_fail_together_count_once():
    """Eight were on their way when the target went down: one pause, not eight of them."""
    pace = longest()
    for _ in range(20):
        pace.start(1, 0)
        pace.succeed()
    for _ in range(5):
        pace.start(1, 0)
    for _ in range(5):
        pace.fail(Trouble.OVERLOADED, 0, 3)
    assert (pace.in_flight, pace.failures, pace.seconds_to_wait(3)) == (0, 1, 1)


def test_while_a_target_fails_one_request_at_a_time_tries():
    """The second waits for the first."""
    pace = longest()
    fail_once(pace, Trouble.UNAVAILABLE, 0)
    assert pace.seconds_to_wait(1) == 0
    pace.start(1, 1)
    assert pace.seconds_to_wait(1) == math.inf


def test_a_rate_is_kept_over_requests_of_any_size():
    """Ten events a second: 5 cost half a second, and time that was not used is not saved up."""
    pace = longest(PaceLimits(max_requests=8, first_pause=1, longest_pause=10, rate=10))
    pace.start(5, 100)
    assert pace.seconds_to_wait(100) == 0.5
    pace.succeed()
    pace.start(1, 200)
    assert pace.seconds_to_wait(200) == pytest.approx(0.1)
