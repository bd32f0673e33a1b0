"""Changes to fields: what each step makes of an event, in order, and that none ever raises."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.transform import ESSENTIAL, assign, chain, drop, keep, path_of, redact, rename, value_at

EVENT: dict[str, Any] = {
    "$schema": "/s",
    "meta": {"stream": "s", "dt": "d", "id": "i", "request_id": "r"},
    "source": {"topic": "t", "partition": 0, "offset": 1, "index": 0, "host": "h"},
    "weight": 1.0,
    "api": "core",
    "http": {"path": "/x", "status_code": 200, "request_headers": {"user-agent": "curl"}},
    "flags": ["suspect"],
}
BARE = {
    "$schema": "/s",
    "meta": {"stream": "s", "dt": "d", "id": "i"},
    "source": {"topic": "t", "partition": 0, "offset": 1, "index": 0},
    "weight": 1.0,
    "flags": ["suspect"],
}


def paths(*names: str) -> list[tuple[str, ...]]:
    """Dotted names as paths."""
    return [path_of(name) for name in names]


def without(*names: str) -> dict[str, Any]:
    """The event without some fields, taken out by hand."""
    event = copy.deepcopy(EVENT)
    for name in names:
        *above, last = name.split(".")
        part = event
        for each in above:
            part = part[each]
        del part[last]
    return event


def with_(**changes: Any) -> dict[str, Any]:
    """The event with top-level fields replaced."""
    return {**copy.deepcopy(EVENT), **changes}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (drop(paths("api")), without("api")),
        (drop(paths("http.path", "nowhere", "http.no.where", "api.below")), without("http.path")),
        (drop(paths("http.request_headers.user-agent")), without("http.request_headers")),
        (drop(paths("http.path", "http.status_code", "http.request_headers")), without("http")),
        (keep(paths("api")), BARE | {"api": "core"}),
        (keep(paths("http.path")), BARE | {"http": {"path": "/x"}}),
        (keep(paths("http", "http.path")), BARE | {"http": EVENT["http"]}),
        (keep(paths("meta", "nowhere")), BARE | {"meta": EVENT["meta"]}),
        (rename([(("api",), ("route",))]), without("api") | {"route": "core"}),
        (rename([(("nowhere",), ("route",))]), EVENT),
        (rename([(("api",), ("http", "path"))]), without("api") | {"http": {**EVENT["http"], "path": "core"}}),
        (rename([(("api",), ("a", "b"))]), without("api") | {"a": {"b": "core"}}),
        (redact(paths("api", "nowhere")), with_(api="REDACTED")),
        (redact(paths("http.status_code")), without("http.status_code")),
        (redact(paths("http")), with_(http={"path": "REDACTED", "request_headers": {"user-agent": "REDACTED"}})),
        (redact(paths("flags")), with_(flags=["REDACTED"])),
        (
            assign({("stage",): "prod", ("http", "method"): "GET"}),
            with_(stage="prod", http={**EVENT["http"], "method": "GET"}),
        ),
        (assign({("api", "name"): "x"}), EVENT),
        (assign({("error", "code"): 7}), with_(error={"code": 7})),
    ],
)
def test_step(change, expected):
    """One step makes just this change and takes what is not there as done."""
    event = copy.deepcopy(EVENT)
    change(event)

    assert event == expected


def test_steps_are_taken_in_order():
    """A field that is renamed before it is dropped stays under its new name; the other way round it is gone."""
    move, lose = rename([(("api",), ("route",))]), drop(paths("api"))
    first, second = copy.deepcopy(EVENT), copy.deepcopy(EVENT)
    chain([move, lose])(first)
    chain([lose, move])(second)

    assert (first.get("route"), second.get("route")) == ("core", None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(st.sampled_from("abc"), below, max_size=3),
    max_leaves=8,
)
PATHS = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(tuple), min_size=1, max_size=3)


@given(st.dictionaries(st.sampled_from("abc"), JSON), PATHS, PATHS)
def test_no_event_makes_a_step_raise(event, some, others):
    """Whatever types stand where a path leads through, every step ends, and what is dropped is gone."""
    steps = [redact(some), rename(list(zip(some, others, strict=False))), assign(dict.fromkeys(others, 1)), keep(some)]
    chain([*steps, drop(some)])(event)

    assert [value_at(event, path) for path in some] == [None] * len(some)


def test_essential_fields_survive_keep():
    """Nothing that every event has is lost by keeping something else."""
    event = copy.deepcopy(EVENT)
    keep(paths("api"))(event)

    assert all(value_at(event, path) is not None for path in ESSENTIAL)
