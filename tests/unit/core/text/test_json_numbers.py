"""Whole numbers in JSON, however a transport has spelled them."""

from __future__ import annotations

import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.text.json_numbers import MAX_WHOLE, as_whole, whole, written_whole

VALUES = st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), st.text(), st.lists(st.integers()))


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("503", 503),
        ("503.0", 503),
        ("5.03e2", 503),
        ("-1", -1),
        ("-1.0", -1),
        ("-0.0", 0),
        ("9007199254740991", MAX_WHOLE),
        ("9007199254740991.0", MAX_WHOLE),
        ("9007199254740992", None),
        ("9007199254740992.0", None),
        ("-9007199254740992", None),
        ("1e300", None),
        ("18446744073709551616", None),  # beyond 64 bits readers make a float of it
        ("503.5", None),
        ("true", None),
        ("false", None),
        ("null", None),
        ('"503"', None),
        ("[503]", None),
        ("{}", None),
    ],
)
def test_a_number_is_whole_by_its_value_and_not_by_its_spelling(written, number):
    """What comes out is an int, and only of what is one."""
    found = whole(orjson.loads(written))
    assert (found, type(found)) == (number, type(number))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_is_no_whole_number(value):
    """Such values never come from a strict reader, but a lenient one may be before us."""
    assert whole(value) is None
    assert as_whole(value) is value


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("503", 503),
        ("503.0", 503),
        ("503.000", 503),
        ("-1", -1),
        ("9007199254740991", MAX_WHOLE),
        ("9007199254740992", None),
        ("00000000000000503", None),  # more digits than any figure has
        ("503.5", None),
        ("5.03e2", None),
        ("503.", None),
        (".0", None),
        ("+503", None),
        (" 503", None),
        ("٥٠٣", None),
        ("", None),
        ("-", None),
    ],
)
def test_a_text_of_digits_is_a_whole_number(written, number):
    """As formats write figures whose values are texts."""
    assert written_whole(written) == number


@given(VALUES)
def test_what_is_whole_is_an_int_that_equals_it_and_all_else_stays(value):
    """Nothing is rounded, and nothing is guessed."""
    number = whole(value)
    if number is None:
        assert as_whole(value) is value
        assert written_whole(value) is None or isinstance(value, str)
    else:
        assert type(number) is int
        assert abs(number) <= MAX_WHOLE
        assert number == value == as_whole(value) == written_whole(value)
        assert type(as_whole(value)) is int


@given(st.integers(-MAX_WHOLE, MAX_WHOLE))
def test_integer_float_and_text_are_one_number(number):
    """All spellings of a figure that the tables can count."""
    assert whole(float(number)) == number
    assert written_whole(str(number)) == number
    assert written_whole(f"{number}.0") == number
