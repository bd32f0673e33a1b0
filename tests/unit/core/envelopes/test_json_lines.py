"""Records of the envelope `json` that are no JSON: which of them are text, and which are JSON that was cut."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.envelopes.jsonlines import decode
from logrouter.model import Envelope, Reason, Rejected

OBJECTS = st.dictionaries(
    st.text(max_size=5),
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=5) | st.lists(st.text(max_size=3)),
)


@pytest.mark.parametrize(
    "line",
    [
        "[Pipeline] stage",
        "[Pipeline] { (Build)",
        "  [INFO] Scanning for projects...",
        "[2026-05-01 10:00:00,118]  INFO {org.example.Startup} - Started",
        "[1/9] FROM base",
        "[12] done",
        "[true-ish",
        "[::1] up",
        "[[8mha:0123[0m started",
        "{ port: 8080, ready: true }",
        "{'method': 'GET', 'status': 200}",
        "{{ name }}",
    ],
)
def test_text_in_brackets_or_braces_is_a_line(line):
    """As CI servers, loggers and templates print it: nothing of JSON begins so."""
    found = decode(line.encode())
    assert isinstance(found, Envelope)
    assert (found.shape, found.text) == ("plain", line)


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[",
        "[ [",
        ' { "method": "GET", "status": 200',
        '{"message": "GET /cart',
        '{"a": 1} trailing',
        '[{"method": "GET"}, {"sta',
        '["192.0.2.7 - - [01/May',
        '[[{"a": 1}',
        '[null, {"method": "GET"',
        '[1, {"method": "GET"',
        "[-Infinity, tru",
        "[1.5e3",
    ],
)
def test_json_that_was_cut_or_damaged_is_rejected(line):
    """A request may be in it, and it must not pass for text."""
    found = decode(line.encode())
    assert isinstance(found, Rejected)
    assert found.reason is Reason.INVALID_JSON


@given(OBJECTS | st.lists(OBJECTS, min_size=1), st.data())
def test_no_cut_makes_text_of_json(value, data):
    """Wherever an object, or a list of objects, is cut: it stays JSON, or ends before the first bracket."""
    whole = orjson.dumps(value, option=data.draw(st.sampled_from([0, orjson.OPT_INDENT_2])))
    cut = whole[: data.draw(st.integers(1, len(whole) - 1))]
    assert not isinstance(decode(cut), Envelope)


@pytest.mark.parametrize(
    "line", [b"[" * 200_000, b"[ " * 100_000 + b"x", b"[" + b"1" * 200_000 + b"x", b"{" + b" " * 200_000]
)
def test_hostile_records_take_linear_time(line):
    """A quadratic look at the beginning would not come back."""
    assert decode(line) is not None
