"""Cursors: what was made is read back, and nothing else is believed."""

from __future__ import annotations

import base64

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.query.cursors import Cursor, decode_cursor, encode_cursor, fingerprint

QUESTION = fingerprint("clients", [("window", "24h")])
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=512)


@given(st.integers(0, 2**63) | st.floats(0, 1e18), NAMES)
def test_cursors_round_trip(value, name):
    """Values are exact, names of any kind, and the text needs no escaping in a URL."""
    text = encode_cursor(Cursor(value, name), QUESTION)
    assert decode_cursor(text, QUESTION) == (value, name)
    assert text.replace("-", "").replace("_", "").isalnum()


@given(st.text(max_size=60))
def test_no_text_raises(text):
    """Whatever a caller sends, it is a cursor or it is none."""
    assert decode_cursor(text, QUESTION) is None or isinstance(decode_cursor(text, QUESTION), Cursor)


@pytest.mark.parametrize(
    "content",
    [
        [QUESTION, True, "x"],
        [QUESTION, "5", "x"],
        [QUESTION, 5, 5],
        [QUESTION, 5],
        [QUESTION, 5, "x", 1],
        [QUESTION, 5, "x" * 513],
        ["other", 5, "x"],
        {"question": QUESTION},
        None,
        [QUESTION, [5], "x"],
    ],
)
def test_malformed_cursors_are_none(content):
    """Wrong question, shape or type."""
    text = base64.urlsafe_b64encode(orjson.dumps(content)).decode().rstrip("=")
    assert decode_cursor(text, QUESTION) is None


def test_a_question_is_the_same_in_any_order_of_its_parameters():
    """But not with other parameters, or of another endpoint."""
    one = fingerprint("clients", [("a", "1"), ("b", "2")])
    assert one == fingerprint("clients", [("b", "2"), ("a", "1")])
    assert one != fingerprint("apis", [("a", "1"), ("b", "2")])
    assert one != fingerprint("clients", [("a", "1"), ("b", "3")])
