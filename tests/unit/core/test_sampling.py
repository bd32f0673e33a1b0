"""Samples and rate limits: the same choice on every replay, the right share, and nothing that gets stuck."""

from __future__ import annotations

import pytest

from logrouter.core import ids
from logrouter.core.sampling import compile_limit, compile_sample
from logrouter.model import RawRecord

IDS = [ids.for_partition("test", "t", partition)(offset, 0) for partition in range(4) for offset in range(5000)]
START = 1_777_888_800_000


def asked(limit, times, *, partition=0, first=0):
    """What a limit says to records of one partition at these times, in milliseconds from a start."""
    records = [RawRecord("t", partition, first + n, START + at, b"x") for n, at in enumerate(times)]
    return [limit(record, 0, 0) for record in records]


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.5, 0.99])
def test_sample_keeps_its_share(rate):
    """Over consecutive offsets the share kept is the rate, within four standard deviations."""
    kept = sum(map(compile_sample(rate), IDS))

    assert abs(kept - rate * len(IDS)) < 4 * (len(IDS) * rate * (1 - rate)) ** 0.5


def test_sample_is_the_same_on_replay_and_part_of_a_larger_one():
    """The choice depends on the id alone, and what a small share keeps a larger one keeps too."""
    small, large = compile_sample(0.1), compile_sample(0.3)

    assert list(map(small, IDS)) == list(map(compile_sample(0.1), IDS))
    assert all(large(id_) for id_ in IDS if small(id_))


def test_sample_keeps_all_or_almost_none_at_the_ends():
    """A rate next to 1 keeps everything here, the smallest that can be written nothing."""
    assert all(map(compile_sample(1 - 1e-12), IDS))
    assert sum(map(compile_sample(0.000001), IDS)) <= 1


def test_limit_lets_a_burst_through_and_then_the_rate():
    """Of ten records a second for three seconds, a rate of 2 with a burst of 5 passes 5, then 2 a second."""
    times = [n * 100 for n in range(30)]

    assert sum(asked(compile_limit(2, 5), times)) == 5 + 5
    assert asked(compile_limit(2, 5), times)[:7] == [True] * 6 + [False]


def test_limit_is_by_partition_and_by_the_records_time():
    """The same records are dropped whatever else is read in between, and whenever that happens."""
    times = [n * 100 for n in range(30)]
    alone = asked(compile_limit(2, 5), times)
    limit = compile_limit(2, 5)
    mixed = []
    for n, at in enumerate(times):
        asked(limit, [at + 999_999], partition=1, first=n)
        mixed += asked(limit, [at], first=n)

    assert alone == mixed


def test_limit_is_not_stuck_by_a_timestamp_from_the_future():
    """One record with an absurd time costs at most a full bucket; later ones go by their own time again."""
    limit = compile_limit(1, 1)
    asked(limit, [0])
    asked(limit, [10**12], first=1)

    assert asked(limit, [2000, 3000, 4000], first=2) == [False, True, True]


def test_limit_takes_small_steps_back_for_no_time():
    """Timestamps that jump between two producers' clocks don't fill the bucket twice."""
    assert sum(asked(compile_limit(1, 1), [0, 900, 0, 900, 0, 900, 0, 900])) == 1


def test_limit_starts_anew_when_a_record_is_read_again():
    """After a rewind the bucket is full: what an aborted batch took from it is given back."""
    limit = compile_limit(1, 2)
    first = asked(limit, [0, 0, 0])

    assert asked(limit, [0, 0, 0]) == first == [True, True, False]


def test_lines_of_one_record_are_limited_like_records():
    """Three lines packed into each of two records: they share the bucket, and a replay of the second begins anew."""
    limit = compile_limit(1, 2)
    packed = [RawRecord("t", 0, n, START, b"x") for n in range(2)]

    assert [limit(record, 0, index) for record in packed for index in range(3)] == [True, True, *[False] * 4]
    assert [limit(packed[1], 0, index) for index in range(3)] == [True, True, False]


def test_limit_without_a_timestamp_goes_by_the_clock():
    """A record without a time of its own is taken as of now."""
    limit = compile_limit(1, 1)
    records = [RawRecord("t", 0, n, -1, b"x") for n in range(3)]

    assert [limit(record, START + n * 600, 0) for n, record in enumerate(records)] == [True, False, True]
