"""Tolerant JSON: what is mended, what is refused, and that nothing raises."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.text.json_objects import Repaired, decode_object
from logrouter.model import Reason, Rejected, Stage

FRAGMENTS = st.sampled_from(
    [
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b",",
        b":",
        b"\\",
        b"\\x4",
        b"\\x41",
        b"\\ud800",
        b"\\uDC00",
        b"\\u0041",
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"1e-9",
        b"9" * 500,
        b"null",
        b"a",
        b" ",
        b"\xff",
        b"\xed\xa0\x80",
        b"\x00",
        b"\\\\",
    ]
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"a":NaN,"b":-Infinity,"c":Infinity}', {"a": None, "b": None, "c": None}),
        (b'{"a":"NaN, -Infinity","b":NaN}', {"a": "NaN, -Infinity", "b": None}),
        (b'{"a":1e999,"b":-1e999,"c":1e10}', {"a": None, "b": None, "c": 1e10}),
        (b'{"a":' + b"9" * 500 + b"}", {"a": None}),
        (b'{"a":"caf\\xC3\\xA9"}', {"a": "caf<C3><A9>"}),
        (b'{"a":"\\\\x41 \\x41"}', {"a": "\\x41 <41>"}),
        (b'{"a":"\\ud83d|\\ud83d\\ude00|\\udc00"}', {"a": "\ufffd|\U0001f600|\ufffd"}),
        ('{"a":"\ud800"}', {"a": "?"}),
    ],
)
def test_what_known_writers_get_wrong_is_mended_and_marked(text, value):
    """Bare constants, overflowing numbers, byte escapes and half surrogates become something strict JSON can say."""
    found = decode_object(text, Stage.PARSE)
    assert found == value
    assert isinstance(found, Repaired) or isinstance(text, str)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", Reason.INVALID_JSON),
        (b'{"a":1,}', Reason.INVALID_JSON),
        (b'{"a":1', Reason.INVALID_JSON),
        (b'{"a":1} {"b":2}', Reason.INVALID_JSON),
        (b'{"a":1}\xef\xbb\xbf', Reason.INVALID_JSON),
        (b'{"a":"\\x4"}', Reason.INVALID_JSON),
        (b'{"a":"\x01"}', Reason.INVALID_JSON),
        (b'{"a":"\xff"}', Reason.INVALID_UTF8),
        (b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}", Reason.TOO_DEEP),
        (b'{"b":NaN,"a":' + b"[" * 2000 + b"]" * 2000 + b"}", Reason.TOO_DEEP),
        (b"[" * 100_000, Reason.TOO_DEEP),
        (b"[{}]", Reason.NOT_OBJECT),
        (b"NaN", Reason.NOT_OBJECT),
        (b'"\\x41"', Reason.NOT_OBJECT),
    ],
)
def test_what_is_no_object_is_rejected_with_a_bounded_detail(text, reason):
    """Each way of not being a JSON object has its reason, and keeps the stage it was asked for."""
    found = decode_object(text, Stage.DECODE)
    assert isinstance(found, Rejected)
    assert (found.stage, found.reason) == (Stage.DECODE, reason)
    assert len(found.detail) <= 200


def test_strict_json_is_not_marked():
    """An object that needs no mending is a plain dict, so that no event is flagged without cause."""
    assert type(decode_object(b'{"a":"\\u00e9 NaN \\\\x41"}', Stage.DECODE)) is dict


@given(st.lists(FRAGMENTS, max_size=30).map(b"".join) | st.binary(max_size=200))
def test_no_bytes_make_it_raise_and_what_it_returns_can_be_written(data):
    """Any bytes, with or without an object around them, give an object that orjson can dump, or a rejection."""
    for text in (data, b'{"a":' + data + b"}", b'{"a":"' + data + b'"}', data.decode("utf-8", "surrogateescape")):
        found = decode_object(text, Stage.DECODE)
        if not isinstance(found, Rejected):
            assert orjson.loads(orjson.dumps(found)) == found


@given(st.dictionaries(st.text(), st.text() | st.integers(-(2**53), 2**53) | st.none() | st.booleans()))
def test_strict_json_comes_back_as_it_is(value):
    """Decoding is the inverse of dumping."""
    assert decode_object(orjson.dumps(value), Stage.DECODE) == value


@pytest.mark.parametrize("before", ["\ufeff", "\ufeff\ufeff", "\ufeff ", " "])
def test_what_may_stand_before_an_object_is_no_fault_of_it(before):
    """It is read as the object without, as text and as bytes, and nothing was mended."""
    for text in (f'{before}{{"a":1}}', f'{before}{{"a":1}}'.encode()):
        found = decode_object(text, Stage.DECODE)
        assert found == {"a": 1}
        assert not isinstance(found, Repaired)
