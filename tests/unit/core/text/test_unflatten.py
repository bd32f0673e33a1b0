"""Flat names to nested objects, only along known paths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.text.unflatten import known_paths, unflatten

PATHS = known_paths(
    ["http.status_code", "http.method", "meta.dt", "client_id", "a.b.c"],
    maps=["http.request_headers"],
    aliases={"resp_code": "http.status_code"},
)

NESTED = {
    "http": {"status_code": 200, "method": "GET", "request_headers": {"user-agent": "x", "x_y.z": "1"}},
    "meta": {"dt": "now"},
    "client_id": "c",
    "a": {"b": {"c": 0}},
}

SCALARS = st.text(min_size=2) | st.integers() | st.booleans()


def flatten(value, separator, prefix=""):
    """The blind way there, which has no blind way back."""
    flat = {}
    for key, below in value.items():
        if isinstance(below, dict):
            flat |= flatten(below, separator, prefix + key + separator)
        else:
            flat[prefix + key] = below
    return flat


@pytest.mark.parametrize("separator", [".", "_"])
def test_known_names_are_taken_apart_at_their_known_joints(separator):
    """`http_status_code` is http and status_code, whatever the separator, and header names stay whole."""
    assert unflatten(flatten(NESTED, separator), PATHS) == (NESTED, None)


@pytest.mark.parametrize(
    "flat",
    [
        {"a.b_c": 0},
        {"a_b": {"c": 0}},
        {"a": {"b.c": 0}},
        {"a": {"b": {"c": 0}}},
        {"a": None, "a.b": "-", "a_b_c": 0},
    ],
)
def test_half_nested_objects_end_up_nested(flat):
    """Any mixture of separators and nesting is the same object, and absent values claim nothing."""
    assert unflatten(flat, PATHS) == ({"a": {"b": {"c": 0}}}, None)


@pytest.mark.parametrize(
    ("flat", "path"),
    [
        ({"http.status_code": 200, "http": {"status_code": 500}}, ("http", "status_code")),
        ({"http.status_code": 200, "resp_code": 404}, ("http", "status_code")),
        ({"http.status_code": 1, "http_status_code": True}, ("http", "status_code")),
        ({"http": "GET /"}, ("http",)),
        ({"http": ["GET"]}, ("http",)),
        ({"http.request_headers": "x"}, ("http", "request_headers")),
        ({"a.b.c": {"d": 1}}, ("a", "b", "c")),
        ({"http.request_headers.x": [1]}, ("http", "request_headers", "x")),
    ],
)
def test_two_claims_on_one_path_are_a_conflict(flat, path):
    """A scalar where an object belongs, an object where a scalar belongs, and two different values are told."""
    assert unflatten(flat, PATHS)[1] == path


def test_equal_claims_are_no_conflict_and_unknown_names_are_left_out():
    """The same value twice is one value; names that are not known are nobody's."""
    assert unflatten({"http.method": "GET", "http_method": "GET", "httpx.method": 1, "x": {}}, PATHS) == (
        {"http": {"method": "GET"}},
        None,
    )


@given(st.dictionaries(st.sampled_from(["http.method", "http", "a", "a_b", "a.b.c", "client_id", "q"]), SCALARS))
def test_it_is_idempotent(flat):
    """Nested output goes through unchanged, without a conflict."""
    nested, _ = unflatten(flat, PATHS)
    assert unflatten(nested, PATHS) == (nested, None)
