"""Filters of drains come from whoever may ask: every bound, and every mistake by its path."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.config.compile.drain_filters import compile_line_filter
from logrouter.core.drains.filters import LineFilter
from logrouter.core.drains.owner import OwnerKind


def faults(kind: OwnerKind = OwnerKind.APP, **asked: object) -> list[str]:
    """What is wrong with a filter."""
    found = compile_line_filter(kind, **asked)
    assert not isinstance(found, LineFilter)
    return [str(problem) for problem in found]


def nested(levels: int) -> dict[str, object]:
    """Conditions within each other."""
    made: dict[str, object] = {"app": "shop"}
    for _ in range(levels):
        made = {"not": made}
    return made


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"match": []}, "match: must not be empty"),
        ({"match": {}}, "match: must not be empty"),
        ({"match": "x"}, "match: must be a mapping from envelope field to condition"),
        ({"match": {"topic": "x"}}, "match.topic: no such field"),
        ({"match": {"header.x": "x"}}, "match.header.x: no such field"),
        ({"match": {"looks_like": "request"}}, "match.looks_like: no such field"),
        ({"match": {"host": {"regex": "("}}}, "match.host.regex: is not a regular expression of RE2"),
        ({"match": {"host": {"regex": "(ab){600}"}}}, "match.host.regex: compiles to"),
        ({"match": {"host": "x" * 501}}, "match.host: has 501 characters, at most 500 are allowed"),
        ({"request": {"status_code": "x"}}, "request.status_code: must be a number"),
        ({"match": nested(8)}, "match: has conditions within each other, at most 8 levels are allowed"),
        ({"match": {"app": [str(n) for n in range(200)]}}, "match: has too many parts, at most 200 are allowed"),
        ({"match": {"any": [{"text": "x" * 400}] * 21}}, "match: has too much text, at most 8192 characters"),
        ({"match": {"any": [{"text": {"glob": "*"}}] * 5}}, "match: has too many expressions, at most 4"),
        ({"sample": 0}, "sample: must be a number above 0, at most 1"),
        ({"sample": True}, "sample: must be a number above 0, at most 1"),
        ({"sample": float("nan")}, "sample: must be a number above 0, at most 1"),
    ],
)
def test_a_mistake_is_named_with_its_path(asked, message):
    """One line each."""
    [found] = faults(**asked)

    assert found.startswith(message)
    assert "\n" not in found


def test_all_mistakes_are_named_at_once():
    """Of every part."""
    found = faults(OwnerKind.API, match={"app": "x"}, request={"nothing": 1}, sample=2)

    assert [message.partition(":")[0] for message in found] == ["match", "request.nothing", "sample"]


def test_nothing_asked_is_everything_wanted():
    """For drains of every kind."""
    assert [compile_line_filter(kind) for kind in OwnerKind] == [LineFilter()] * 4


KEYS = ["app", "all", "any", "not", "regex", "in", "host", "status_code", "glob"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda below: (
        st.lists(below, max_size=4)
        | st.dictionaries(
            st.sampled_from(["app", "all", "any", "not", "regex", "in", "host", "status_code", "glob"]),
            below,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(VALUES, VALUES, VALUES)
def test_no_json_makes_it_raise(match, request, sample):
    """A filter, or what is wrong."""
    found = compile_line_filter(OwnerKind.APP, match, request, sample)

    assert isinstance(found, LineFilter) or found


def test_depth_takes_no_time():
    """However deep JSON may be."""
    deep = orjson.loads(b'{"a":' * 200 + b"1" + b"}" * 200)

    assert faults(match=deep) == ["match: has conditions within each other, at most 8 levels are allowed"]
