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
