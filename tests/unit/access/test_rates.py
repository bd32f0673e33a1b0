"""Rates are kept exactly, in bounded memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.access.rates import Buckets, Rate, bucket_key


def test_a_burst_passes_and_then_so_many_a_second():
    """The wait that is told is the one after which the next request passes."""
    buckets = Buckets(Rate(2, 3))
    assert [buckets.take("a", 10.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert buckets.take("b", 10.0) == 0
    assert [buckets.take("a", 10.5), buckets.take("a", 10.5)] == [0, 0.5]


@given(st.lists(st.floats(0, 2), max_size=200), st.floats(0.1, 50), st.integers(1, 20))
def test_never_more_than_the_rate_allows(gaps, per_second, burst):
    """In any stretch of time there pass at most the burst and what came in since."""
    buckets, now, passed = Buckets(Rate(per_second, burst)), 0.0, 0
    for gap in gaps:
        now += gap
        passed += buckets.take("a", now) == 0
    assert passed <= burst + now * per_second + 1e-6


@given(
    st.lists(st.tuples(st.floats(0, 2), st.integers(0, 40), st.integers(-5, 40)), max_size=200),
    st.floats(0.1, 50),
    st.integers(1, 20),
)
def test_costs_are_granted_up_to_the_budget_and_debts_are_paid_first(questions, per_second, burst):
    """What was taken, and settled afterwards, never exceeds the budget by more than the last question's cost."""
    buckets, now, spent, last = Buckets(Rate(per_second, burst)), 0.0, 0.0, 0.0
    for gap, expected, more in questions:
        now += gap
        if buckets.take("a", now, expected) == 0:
            assert spent <= burst + now * per_second - min(expected, burst) + 1e-6
            read = max(expected + more, 0)
            buckets.charge("a", now, read - expected)
            spent, last = spent + read, read
    assert spent - last <= burst + now * per_second + 1e-6


@given(st.floats(0.1, 50), st.integers(1, 50), st.integers(1, 100), st.integers(0, 100), st.floats(0, 10))
def test_the_wait_that_is_told_is_the_shortest_that_helps(per_second, burst, cost, debt, now):
    """Asked again then, the same question passes; a little before it does not."""
    buckets = Buckets(Rate(per_second, burst))
    buckets.charge("a", now, debt)
    wait = buckets.take("a", now, cost)
    if wait > 1e-3:
        assert buckets.take("a", now + wait * 0.99 - 1e-6, cost) > 0
        assert buckets.take("a", now + wait + 1e-6, cost) == 0


def test_what_was_not_read_is_given_back():
    """A question about somebody unknown costs the one row that was looked up, and a bucket never overflows."""
    buckets = Buckets(Rate(1, 10))
    assert buckets.take("a", 0.0, 10) == 0
    buckets.charge("a", 0.0, -9)
    assert buckets.take("a", 0.0, 9) == 0
    buckets.charge("a", 0.0, -1000)
    assert [buckets.take("a", 0.0, 10), buckets.take("a", 0.0, 1)] == [0, 1]


def test_memory_is_bounded_and_who_asked_last_is_remembered():
    """Many addresses push out the oldest, not the busiest."""
    buckets = Buckets(Rate(1, 1), most=100)
    buckets.take("mine", 0.0)
    for n in range(1000):
        buckets.take(f"other-{n}", 0.0)
        assert buckets.take("mine", 0.0) > 0
    assert len(buckets) == 100


def test_no_rate_is_no_bound():
    """0 switches it off."""
    buckets = Buckets(Rate(0, 1))
    assert {buckets.take("a", 0.0) for _ in range(100)} == {0}
    assert len(buckets) == 0


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1%eth0", "2001:db8::/64"),
        (None, "unknown"),
        ("/run/socket", "unknown"),
    ],
)
def test_one_host_is_one_neighbour(address, counted_as):
    """IPv6 gives a host a whole network to ask from."""
    assert bucket_key(address) == counted_as
