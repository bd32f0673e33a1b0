"""Answers encoded in pieces are the bytes that they would be in one."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.query.steps import encode_members, finish
from logrouter.web.respond import etag

NAMES = st.text('ab"é\n', max_size=3)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | NAMES,
    lambda inner: st.lists(inner, max_size=40) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=60,
)


@given(st.dictionaries(NAMES, VALUES, max_size=5), st.sampled_from([0, orjson.OPT_SORT_KEYS]))
def test_the_pieces_are_the_whole(members, option):
    """For any members, in the order that was asked for."""
    assert b"".join(encode_members(members, option)) == orjson.dumps(members, option=option)


@pytest.mark.parametrize("count", [0, 1, 16, 17, 32, 1000])
def test_a_long_list_is_many_pieces(count):
    """None of them holds more than a few entries."""
    pieces = list(encode_members({"points": [{"n": number} for number in range(count)]}))
    assert orjson.loads(b"".join(pieces)) == {"points": [{"n": number} for number in range(count)]}
    assert max(piece.count(b"{") for piece in pieces) <= 16


@given(st.dictionaries(st.sampled_from(["from", "to", "freshness", "a", "b"]), VALUES), st.text("x", max_size=2))
def test_the_tag_is_that_of_the_figures(body, moved):
    """Neither the time of the answer nor the order of its members is in it; any figure is."""
    tag = finish(etag(body))
    assert finish(etag(dict(reversed(body.items())) | {"from": moved, "freshness": moved})) == tag
    assert finish(etag({**body, "c": moved})) != tag
