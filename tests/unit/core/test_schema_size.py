"""Schemas whose references multiply each other: refused when they are loaded, as they could validate no event."""

from __future__ import annotations

import orjson
import pytest

from logrouter.config.compile.schemas import packaged_schemas
from logrouter.core.schema_size import unfolded_size
from logrouter.core.validate import SchemaError, Validator


def doubling(steps, first="#/$defs/d0", named=None):
    """A schema of *steps* definitions of which each refers twice to the next."""
    following = named or (lambda step: f"#/$defs/d{step}")
    parts = {
        f"d{step}": {"allOf": [{"$ref": following(step + 1)}, {"$ref": following(step + 1)}], "$anchor": f"a{step}"}
        for step in range(steps)
    }
    return {"$ref": first, "$defs": {**parts, f"d{steps}": {"type": "object", "$anchor": f"a{steps}"}}}


@pytest.mark.parametrize(
    ("schema", "size"),
    [
        ({}, 1),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, 3),
        ({"$defs": {"a": {}, "b": {}}}, 1),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"not": {}}}}, 3),
        ({"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}], "$defs": {"a": {}}}, 6),
        ({"$ref": "#"}, 1),
        ({"properties": {"a": {"$ref": "#"}}}, 3),
        ({"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": {}}}, 2),
        ({"$ref": "#/$defs/none"}, 1),
        ({"$ref": "https://example.org/other"}, 1),
        ({"enum": [{}, [], {}]}, 1),
        (doubling(3), 37),
    ],
)
def test_what_is_counted(schema, size):
    """Objects and lists, what is referred to each time anew, a way back once."""
    assert unfolded_size(schema) == size


def with_ids(schema):
    """The same schema with an address for each definition."""
    return {**schema, "$defs": {name: {**part, "$id": f"{name}.json"} for name, part in schema["$defs"].items()}}


@pytest.mark.parametrize(
    "schema",
    [
        doubling(30),
        doubling(200),
        doubling(30, "#a0", "#a{}".format),
        with_ids(doubling(30, "d0.json", "d{}.json".format)),
        with_ids(doubling(30, "https://example.org/d0.json#", "https://example.org/d{}.json".format)),
        {"$ref": "https://example.org/e", "$defs": {"e": {"$id": "https://example.org/e", **doubling(30)}}},
        {"not": {"$ref": "#/$defs/d0"}, "$defs": doubling(30)["$defs"]},
    ],
)
def test_a_schema_that_would_hang_a_lane_is_refused(schema):
    """With two to the thirtieth parts, at once."""
    with pytest.raises(SchemaError, match="with its references written out it has more than 50000 parts"):
        Validator(schema)


@pytest.mark.parametrize("steps", [1_000, 100_000])
def test_a_chain_that_is_too_long_is_refused(steps):
    """Whatever it would come to."""
    chain = {f"d{step}": {"$ref": f"#/$defs/d{step + 1}"} for step in range(steps)}
    with pytest.raises(SchemaError, match="it is nested too deep"):
        Validator({"$ref": "#/$defs/d0", "$defs": chain})


def test_the_schemas_that_ship_are_small():
    """A hundredth of what is allowed."""
    sizes = {name: unfolded_size(orjson.loads(data)) for name, data in packaged_schemas().items()}

    assert max(sizes.values()) < 500
