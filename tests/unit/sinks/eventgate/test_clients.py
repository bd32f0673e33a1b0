"""Blocked and throttled clients, in the time of the records."""

from __future__ import annotations

import fnmatch
import re

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logrouter.model import RawRecord
from logrouter.sinks.contract import Skipped, SkipReason
from logrouter.sinks.eventgate.clients import ClientRate, ClientRules

BLOCKED = Skipped(SkipReason.BLOCKED)
THROTTLED = Skipped(SkipReason.THROTTLED)
WALL_MS = 5_000_000


def event(client: str | None, at_ms: int = 1_000_000, offset: int = 0, partition: int = 0) -> RawRecord:
    """An event of a client."""
    fields = {} if client is None else {"client_id": client}
    return RawRecord("events", partition, offset, at_ms, orjson.dumps(fields))


def rules(*blocked: str, per_second: float | None = None, burst: int = 1, most: int = 100) -> ClientRules:
    """Rules with these options."""
    rate = None if per_second is None else ClientRate(per_second, burst)
    return ClientRules(blocked, rate, lambda: WALL_MS, most_buckets=most)


def passed(decide: ClientRules, *events: RawRecord) -> list[bool]:
    """Which events are sent."""
    return [skipped is None for skipped in decide(events)]


def test_clients_are_blocked_by_id_and_by_glob():
    """In the order of the events; whoever is not named is sent."""
    decide = rules("jwt-sub:7", "user-agent:*bot*", "x*y*z")

    stopped = ["jwt-sub:7", "user-agent:Robot/1", "user-agent:bot", "x--y--z", "xyz"]
    sent = ["jwt-sub:77", "user-agent:Browser/1", "my user-agent:bot", "x--z--y", "xz", None]

    assert decide([event(client) for client in stopped]) == [BLOCKED] * len(stopped)
    assert decide([event(client) for client in sent]) == [None] * len(sent)


def test_a_hyphen_blocks_events_of_nobody():
    """As tables call them."""
    assert rules("-")([event(None), event("a")]) == [BLOCKED, None]


@given(
    st.lists(st.text(st.sampled_from("ab*.["), max_size=6), max_size=4),
    st.text(st.sampled_from("ab.[\n"), max_size=8),
)
@example(["ab*b"], "ab")
def test_a_glob_matches_as_globs_do(globs, client):
    """`*` is any text, and nothing else is special."""
    plain = [re.sub(r"([?\[])", r"[\1]", glob) for glob in globs]

    assert passed(rules(*globs), event(client)) == [not any(fnmatch.fnmatchcase(client, glob) for glob in plain)]


def test_a_hostile_id_takes_linear_time():
    """Of many parts, none of which is searched for twice."""
    decide = rules(*(f"{'a*' * 100}{end}" for end in range(20)))

    assert passed(decide, event("a" * 1_000_000)) == [True]


def test_a_client_may_send_a_burst_and_then_as_much_as_time_gives():
    """Two at once, then one each half second."""
    decide = rules(per_second=2, burst=2)
    times = [0, 0, 0, 499, 500, 501, 1000, 9000, 9000, 9000]

    events = [event("a", 1_000_000 + ms, offset) for offset, ms in enumerate(times)]

    assert passed(decide, *events) == [True, True, False, False, True, False, True, True, True, False]


def test_events_that_have_waited_for_the_target_are_not_too_many_for_that():
    """They come all at once, and were an event per second when they happened."""
    decide = rules(per_second=1)

    assert passed(decide, *(event("a", 1_000_000 + 1000 * n, n) for n in range(500))) == [True] * 500


def test_clients_and_partitions_have_buckets_of_their_own():
    """What one sends is not taken from another."""
    decide = rules(per_second=0.01)

    assert passed(decide, event("a"), event("b"), event("a", partition=1), event("a", offset=1)) == [True] * 3 + [False]


def test_events_of_nobody_are_not_throttled_as_one_client():
    """They are many clients'."""
    assert passed(rules(per_second=0.01), *(event(None, offset=n) for n in range(5))) == [True] * 5


def test_a_blocked_client_is_counted_as_blocked():
    """Not as throttled, however much it sends."""
    decide = rules("a", per_second=0.01)

    assert decide([event("a", offset=n) for n in range(3)]) == [BLOCKED] * 3


def test_clients_that_are_remembered_are_bounded():
    """The one that was silent for the longest time begins anew."""
    decide = rules(per_second=0.01, most=2)

    assert passed(decide, event("a"), event("b"), event("b", offset=1), event("c")) == [True, True, False, True]
    assert passed(decide, event("a", offset=2), event("c", offset=3)) == [True, False]


def test_an_event_that_is_read_again_finds_a_full_bucket():
    """As after a rebalance: what was sent before may be sent again."""
    decide = rules(per_second=0.01)

    assert passed(decide, event("a", offset=5), event("a", offset=6)) == [True, False]
    assert passed(decide, event("a", offset=5), event("a", offset=6)) == [True, False]


@pytest.mark.parametrize("value", [None, b"", b"no json", b"[]", b"\xff", b"[" * 5000])
def test_what_is_no_event_is_left_to_whoever_refuses_it(value):
    """It has no client."""
    assert rules("*", per_second=1)([RawRecord("events", 0, 0, 0, value)]) == [None]


def test_a_clock_that_was_wrong_does_not_silence_a_client():
    """One record from next year; and one without a time counts as of now."""
    decide = rules(per_second=1)
    year = 31_536_000_000

    assert passed(decide, event("a", 1_000_000 + year), event("a", 1_000_000, 1), event("a", 1_001_000, 2)) == [
        True,
        False,
        True,
    ]
    assert passed(decide, event("a", -1, 3), event("a", WALL_MS + 999, 4)) == [True, False]
