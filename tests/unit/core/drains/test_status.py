"""Records of the status topic and of the retry topic, and the view of the first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.drains.line import Line
from logrouter.core.drains.status import (
    MAX_KEY_BYTES,
    MAX_VALUE_BYTES,
    Counts,
    CountsKey,
    DeliveredKey,
    DeliveredUpTo,
    MovedKey,
    MovedLine,
    MovedUpTo,
    Reached,
    SeenPair,
    SeenPairKey,
    decode_key,
    decode_line,
    decode_value,
    encode_key,
    encode_line,
    encode_value,
)
from logrouter.core.drains.status_view import MAX_PAIRS, StatusView
from logrouter.core.formats.families.app_space import AppSpace

RECORDS = [
    (MovedKey("d1", "gateway", 3), MovedUpTo(57, 1_777), b'["moved","d1","gateway",3]', b"[1,[57,1777]]"),
    (
        DeliveredKey("d1"),
        DeliveredUpTo(9120, (Reached("gateway", 3, 55, 1_776),), 2),
        b'["delivered","d1"]',
        b'[1,[9120,[["gateway",3,55,1776]],2]]',
    ),
    (CountsKey("d1", "host-1"), Counts(delivered=3), b'["counts","d1","host-1"]', b'[1,[3,0,0,0,0,0,""]]'),
    (SeenPairKey("shop-prod", "shop", "prod"), SeenPair(5), b'["pair","shop-prod","shop","prod"]', b"[1,[5]]"),
]
LINE = MovedLine(57, "gateway", 3, 1_777, Line("id", None, "shop-prod", "web.1", 6, b"\xff\x00text"))


@pytest.mark.parametrize(("key", "value", "key_bytes", "value_bytes"), RECORDS)
def test_records_are_written_like_this_and_come_back(key, value, key_bytes, value_bytes):
    """Later versions read what this one has written."""
    assert (encode_key(key), encode_value(value)) == (key_bytes, value_bytes)
    assert (decode_key(key_bytes), decode_value(key, value_bytes)) == (key, value)


def test_a_moved_line_comes_back_with_any_text():
    """Its text is not always UTF-8 to begin with."""
    assert decode_line(encode_line(LINE)) == LINE


@given(st.binary() | st.none())
def test_any_bytes_are_read_without_an_error(data):
    """As nothing that is known."""
    assert decode_key(data) is None
    assert decode_line(data) is None
    assert data is None or [decode_value(key, data) for key, *_ in RECORDS] == [None] * 4


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b'["moved","d1","gateway",3]', b"[2,[57,1777]]"),
        (b'["moved","d1","gateway",3]', b'[1,[9120,[["gateway",3,55,1776]],2]]'),
        (b'["moved","d1","gateway"]', b"[1,[57,1777]]"),
        (b'["grown","d1"]', b"[1,[57,1777]]"),
        (encode_key(DeliveredKey("x" * MAX_KEY_BYTES)), b"[1,[1]]"),
        (b'["moved","d1","gateway",3]', b"[1,[57,1777]]" + b" " * MAX_VALUE_BYTES),
        (None, b"[1,[57,1777]]"),
    ],
    ids=["later version", "another kind", "half a key", "unknown kind", "long key", "long value", "no key"],
)
def test_what_is_not_understood_is_counted_and_changes_nothing(key, value):
    """Also what a later version writes."""
    view = StatusView()
    view.apply(encode_key(MovedKey("d1", "gateway", 3)), encode_value(MovedUpTo(1)))

    assert view.apply(key, value) is None
    assert view.undecodable == 1
    assert view.moved("d1") == {("gateway", 3): MovedUpTo(1)}


def view_of(*records):
    """A view of a topic with these."""
    view = StatusView()
    for key, value in records:
        assert view.apply(encode_key(key), None if value is None else encode_value(value)) == key
    return view


def test_the_view_says_how_far_each_drain_has_come():
    """The last record of each key counts."""
    view = view_of(
        (MovedKey("d1", "s", 0), MovedUpTo(3)),
        (MovedKey("d1", "s", 1), MovedUpTo(4)),
        (MovedKey("d2", "s", 1), MovedUpTo(5)),
        (MovedKey("d1", "s", 0), MovedUpTo(6)),
        (DeliveredKey("d1"), DeliveredUpTo(7)),
        (CountsKey("d3", "host"), Counts(delivered=8)),
    )

    assert view.moved("d1") == {("s", 0): MovedUpTo(6), ("s", 1): MovedUpTo(4)}
    assert dict(view.moved_of(("s", 1))) == {"d1": MovedUpTo(4), "d2": MovedUpTo(5)}
    assert (view.delivered("d1"), view.delivered("d2")) == (DeliveredUpTo(7), None)
    assert view.counts("d3") == {"host": Counts(delivered=8)}
    assert view.drains() == {"d1", "d2", "d3"}
    assert (view.moved("d9"), view.counts("d9")) == ({}, {})


def test_a_drain_is_gone_when_all_its_keys_are_deleted():
    """They are listed for whoever deletes them."""
    d1 = [
        (MovedKey("d1", "s", 0), MovedUpTo(3)),
        (CountsKey("d1", "host"), Counts()),
        (DeliveredKey("d1"), DeliveredUpTo(7)),
    ]
    view = view_of(*d1, (MovedKey("d2", "s", 0), MovedUpTo(1)))
    assert view.keys_of("d1") == [key for key, _ in d1]

    for key in view.keys_of("d1"):
        view.apply(encode_key(key), None)

    assert (view.drains(), view.keys_of("d1")) == ({"d2"}, [])
    assert view.apply(encode_key(DeliveredKey("d1")), None) == DeliveredKey("d1")


def test_the_pair_that_was_seen_first_stands_first():
    """Whichever was written first."""
    view = view_of(
        (SeenPairKey("my-shop-prod", "my", "shop-prod"), SeenPair(20)),
        (SeenPairKey("my-shop-prod", "my-shop", "prod"), SeenPair(10)),
    )

    assert view.pairs("my-shop-prod") == (AppSpace("my-shop", "prod"), AppSpace("my", "shop-prod"))
    assert view.pairs("other") == ()


def test_pairs_of_a_name_are_bounded():
    """Two make it ambiguous; who writes lines chooses names."""
    view = view_of(*((SeenPairKey("n", f"a{each}", "s"), SeenPair(each)) for each in range(MAX_PAIRS + 5)))
    assert len(view.pairs("n")) == MAX_PAIRS
    view.apply(encode_key(SeenPairKey("n", "a0", "s")), None)
    assert len(view.pairs("n")) == MAX_PAIRS - 1
