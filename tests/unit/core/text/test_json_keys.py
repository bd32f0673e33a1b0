"""Keys of JSON objects as a person names them, and keys that an object writes twice."""

from __future__ import annotations

import json
import re

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.text.json_keys import (
    MAX_PARTS,
    MISSING,
    compile_key,
    count_keys,
    leaf_of,
    names_in,
    parts_of,
    repeated_keys,
)

KEYS = st.sampled_from(["a", "b", "a.b", "b.c", "é", '"', "\\", "~"])
NAMES = st.sampled_from(["a", "b", "a.b", "b.c", "", "é", '"', "\\", "/", "~"])
OBJECTS = st.recursive(
    st.none() | st.integers(0, 9) | st.text('a":{}[],\\', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("key", "document"),
    [
        ("status", {"status": 1}),
        ("a.b", {"a": {"b": 1}}),
        ("a.b", {"a.b": 1}),
        ("a.b.c", {"a": {"b": {"c": 1}}}),
        ("a.b.c", {"a": {"b.c": 1}}),
        ("a.b.c", {"a.b": {"c": 1}}),
        ("a.b.c", {"a.b.c": 1}),
        ("a.b", {"a.b": 1, "a": {"b": 2}}),
        ("a.b", {"a": {"b": 1, "c": 2}}),
        ("a.b.c", {"a.b": {"x": 2}, "a": {"b": {"c": 1}}}),
        ("a.b.c", {"a.b": 2, "a": {"b.c": 1}}),
        ("a b", {"a b": 1}),
        ("@time", {"@time": 1}),
        ("/a.b", {"a.b": 1}),
        ("/a/b", {"a": {"b": 1}}),
        ("/a~1b/c~0d", {"a/b": {"c~d": 1}}),
        ("/a/0/b", {"a": [{"b": 1}]}),
        ("/a/0/b", {"a": {"0": {"b": 1}}}),
        ("/", {"": 1}),
    ],
)
def test_a_key_is_found_however_the_line_nests_it(key, document):
    """Nested, flat, or half of each; the longest name counts."""
    assert compile_key(key)(document) == 1


@pytest.mark.parametrize(
    ("key", "document"),
    [
        ("a.b", {"a": 1}),
        ("a.b", {"a": [{"b": 1}]}),
        ("a.b", {"a": None}),
        ("a", {"b": 1}),
        ("/a.b", {"a": {"b": 1}}),
        ("/a/b", {"a.b": 1}),
        ("/a/1", {"a": [1]}),
        ("/a/-1", {"a": [1]}),
        ("/a/01", {"a": [1, 1]}),
        ("/a/0", {"a": "text"}),
    ],
)
def test_what_is_not_there_is_missing(key, document):
    """And so not null, which is a value."""
    assert compile_key(key)(document) is MISSING
    assert compile_key("a")({"a": None}) is None


@pytest.mark.parametrize("key", ["/a~b", "/~2", ".".join("a" * (MAX_PARTS + 1))])
def test_a_key_that_can_t_be_read_is_refused(key):
    """A pointer that is none, and one with too many ways to spell it."""
    with pytest.raises(ValueError, match=r"~0|at most"):
        compile_key(key)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("$.status", "write status, or a JSON pointer"),
        (".status", "write status, or a JSON pointer"),
        ("$['status']", "begins as in another notation"),
        ("tries[0].ip", "written as a JSON pointer: /tries/0/ip"),
        ("a..b", "a part without a name"),
        ("a.", "a part without a name"),
    ],
)
def test_other_notations_are_told(key, says):
    """Those of JSONPath and jq would be keys that no line has."""
    with pytest.raises(ValueError, match=re.escape(says)):
        compile_key(key)


def test_a_dollar_may_begin_a_name():
    """As in `$schema`."""
    assert compile_key("$schema")({"$schema": 1}) == compile_key("a.$b")({"a": {"$b": 1}}) == 1


def test_the_parts_and_names_of_a_key():
    """What error messages and the search for repeated keys go by."""
    assert parts_of("a.b") == parts_of("/a/b") == ["a", "b"]
    assert names_in("a.b.c") == {"a", "b", "c", "a.b", "b.c", "a.b.c"}
    assert names_in("/a.b") == {"a.b"}
    assert leaf_of("request.method") == leaf_of("/request/method") == "method"


@given(OBJECTS, st.lists(KEYS, min_size=1, max_size=4).map(".".join))
def test_no_object_makes_reading_raise(document, key):
    """Whatever stands where the key has a part."""
    compile_key(key)({"a": document, "b": document})


@given(OBJECTS, st.booleans())
def test_keys_are_counted_and_none_is_repeated_in_what_was_an_object(document, spaced):
    """However they are escaped and spaced."""

    def keys(part):
        below = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        return (len(part) if isinstance(part, dict) else 0) + sum(map(keys, below))

    text = json.dumps({"x": document}, indent=1) if spaced else orjson.dumps({"x": document}).decode()
    assert count_keys({"x": document}) == keys({"x": document})
    assert repeated_keys(text) == frozenset()


@pytest.mark.parametrize(
    ("text", "repeated"),
    [
        ('{"a":1,"a":2}', {"a"}),
        ('{"a":1,"\\u0061":2}', {"a"}),
        ('{"a" : 1, "b": {"c":1}, "a" :2}', {"a"}),
        ('{"x":[{"a":1},{"a":2}],"y":{"a":3}}', set()),
        ('{"x":[{"a":1,"b":"a\\":","a":2}]}', {"a"}),
        ('{"a":"\\"a\\":1"}', set()),
        ('{"a":{"a":{"a":1}}}', set()),
        ('{"\\ud800":1,"\\ud800":2}', {"\\ud800"}),
        ('}{"a":1,"a":2}', {"a"}),
        ('"a":1,"a":2', set()),
    ],
)
def test_a_key_that_one_object_has_twice_is_told(text, repeated):
    """By what it is and not by how it is escaped; equal names in several objects are none."""
    assert repeated_keys(text) == repeated


def test_depth_is_no_matter():
    """Objects are counted and looked through without recursion."""
    text = '{"a":' * 1000 + "1" + "}" * 1000

    assert count_keys(orjson.loads(text)) == 1000
    assert repeated_keys(text) == frozenset()
