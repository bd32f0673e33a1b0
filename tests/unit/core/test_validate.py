"""The compiled validator decides as `jsonschema` does, and rejections are explained without giving values away."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from typing import Any

import jsonschema
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logrouter.config.compile.schemas import packaged_schemas
from logrouter.core.dead_letter import encode
from logrouter.core.outcomes import OUTCOMES
from logrouter.core.validate import MAX_MESSAGE, SchemaError, Validator
from logrouter.model import RawRecord, Reason, Rejected, Stage
from tests.conftest import examples

EVENT: dict[str, Any] = {
    "$schema": "/logrouter/api_request/1.1.0",
    "meta": {
        "stream": "api-gateway.request",
        "dt": "2026-05-04T10:00:00.000Z",
        "id": "01890a5d-ac96-8774-bcce-b302099a8057",
        "request_id": "f7",
        "domain": "api.example.org",
        "uri": "/core/v1/page",
    },
    "api": "core",
    "api_version": "v1",
    "route": "core",
    "stage": "prod",
    "client_id": "c1",
    "client_type": "jwt-sub",
    "application": "reader",
    "user": "u1",
    "http": {
        "method": "GET",
        "path": "/core/v1/page",
        "protocol": "HTTP/2",
        "status_code": 200,
        "client_ip": "192.0.2.7",
        "request_headers": {"user-agent": "reader/1.0"},
    },
    "status_class": "2xx",
    "outcome": "ok",
    "total_time_ms": 12,
    "backend_time_ms": 10,
    "bytes_sent": 1234,
    "bytes_received": 0,
    "error": {"code": "900800", "message": "quota"},
    "weight": 1.0,
    "source": {
        "format": "docker",
        "topic": "logs",
        "partition": 3,
        "offset": 12,
        "index": 0,
        "host": "a",
        "program": "b",
    },
    "flags": ["repaired"],
}

SCHEMAS: dict[str, dict[str, Any]] = {name: json.loads(data) for name, data in packaged_schemas().items()}
VALIDATORS = {name: Validator(schema) for name, schema in SCHEMAS.items()}


def whole(_validator, pattern: str, instance: Any, _schema):
    """The `pattern` keyword as ECMA 262 has it: Python's own `$` also matches before a line feed at the end."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield jsonschema.ValidationError("pattern")


REFERENCE = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": whole})
ORACLES = {name: REFERENCE(schema) for name, schema in SCHEMAS.items()}
OURS = VALIDATORS["api_request/1.1.0"]
DT_PATTERN = f"does not match the pattern {OURS.schema['properties']['meta']['properties']['dt']['pattern']}"


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside, deepest last."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, item in items for path in [(*prefix, key), *paths(item, (*prefix, key))]]


def changed(event: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A copy with one value replaced, or removed where *value* is Ellipsis."""
    copy: Any = deepcopy(event)
    holder = copy
    for step in path[:-1]:
        holder = holder[step]
    if value is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    result: dict[str, Any] = copy
    return result


def test_canonical_event_satisfies_both_request_schemas() -> None:
    """A clean event of ours is also one of the schema that it is a superset of."""
    assert OURS.explain(EVENT) == ("", "")
    assert VALIDATORS["wikimedia/api-gateway/request/1.0.0"].explain(EVENT) == ("", "")


@pytest.mark.parametrize("name", SCHEMAS)
def test_packaged_schema_is_valid_described_and_named_by_its_id(name: str) -> None:
    """Each schema is one, says what every property means, and its `$id` is where it lies."""
    schema = SCHEMAS[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    undescribed = [path for path in paths(schema) if path[-2:-1] == ("properties",) and "oneOf" not in path]
    undescribed = [path for path in undescribed if "description" not in _at(schema, path)]

    assert undescribed == []
    assert VALIDATORS[name].uri.removeprefix("/logrouter").strip("/") == name.removeprefix("wikimedia/")


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def test_schema_knows_every_outcome() -> None:
    """The words of the program and of the schema are the same."""
    assert SCHEMAS["api_request/1.1.0"]["properties"]["outcome"]["enum"] == list(OUTCOMES)


def test_the_schema_of_dead_letters_knows_every_stage() -> None:
    """The same: a letter of a stage that the schema does not know would be turned down by whoever checks letters."""
    assert SCHEMAS["dead_letter/1.0.0"]["properties"]["stage"]["enum"] == list(Stage)


@pytest.mark.parametrize("value", [b"plain text", b"\xff\xfe", b"x" * 500, b""])
def test_dead_letters_satisfy_their_schema(value: bytes) -> None:
    """What the program writes for a rejected record is what the schema promises."""
    record = RawRecord("logs", 3, 12, 1_777_888_800_000, value)
    rejected = Rejected(Stage.VALIDATE, Reason.SCHEMA, "is string, must be integer", "/http/status_code", "gateway")
    letter = orjson.loads(
        encode(record, rejected, event_id="i", emitter="e", stream="s", max_raw_bytes=100, now_ms=1_777_888_800_000)
    )

    assert VALIDATORS["dead_letter/1.0.0"].explain(letter) == ("", "")


WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**53 - 1, 2**53, -(2**53), 2**63, 2**64, 10**30, -1, 0, 999, 1000]),
    st.floats(),
    st.sampled_from([1.0, 200.0, 1e15, 1e300, -0.0, 1e6, 1e6 + 0.5]),
    st.text(max_size=12),
    st.sampled_from(["x" * 32, "x" * 33, "é" * 256, "é" * 257, "\U0001f600" * 64, "\U0001f600" * 65]),
    st.sampled_from(["2026-05-04T10:00:00Z", "2026-05-04T10:00:00Z\n", "٢026-05-04T10:00:00Z", "2026-13-04T10:00:00Z"]),
    st.lists(st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=3), st.one_of(st.text(max_size=3), st.integers()), max_size=3),
    st.just(...),
)


@given(data=st.data(), name=st.sampled_from(sorted(SCHEMAS)))
@settings(max_examples=examples(500), deadline=None)
def test_compiled_and_reference_validators_agree(data: st.DataObject, name: str) -> None:
    """Whatever is done to an event, both validators say the same, and a rejection is always explained."""
    event = EVENT
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([*paths(event), ("extra",)]) if event else st.just(("extra",)))
        wrong = data.draw(WRONG)
        if wrong is not ... or path != ("extra",) or "extra" in event:
            event = changed(event, path, wrong)
    valid = VALIDATORS[name].is_valid(event)
    _pointer, message = VALIDATORS[name].explain(event)

    assert valid == ORACLES[name].is_valid(event)
    assert (message == "") == valid
    assert len(message) <= MAX_MESSAGE


@pytest.mark.parametrize(
    ("path", "value", "explained"),
    [
        (("http", "status_code"), "200", ("/http/status_code", "is string, must be integer")),
        (("meta", "dt"), "2026-05-04T10:00:00Z\n", ("/meta/dt", DT_PATTERN)),
        (("http", "status_code"), True, ("/http/status_code", "is boolean, must be integer")),
        (("http", "status_code"), 1000, ("/http/status_code", "is out of range, maximum is 999")),
        (("http", "status_code"), 200.5, ("/http/status_code", "is number, must be integer")),
        (("client_id",), None, ("/client_id", "is null, must be string")),
        (("client_id",), "x" * 257, ("/client_id", "has 257 characters, maxLength is 256")),
        (("client_id",), "", ("/client_id", "has 0 characters, minLength is 1")),
        (("meta", "stream"), ..., ("/meta", "lacks stream")),
        (("meta",), ..., ("", "lacks meta")),
        (("outcome",), "fine", ("/outcome", "is none of the 8 values that the schema lists")),
        (("$schema",), "/x", ("/$schema", "is not the constant that the schema demands")),
        (("extra",), "x", ("", "has properties that the schema does not know")),
        (("flags",), [], ("/flags", "has 0 members, minItems is 1")),
        (("flags", 0), 7, ("/flags/0", "is integer, must be string")),
        (("http", "request_headers", "a/b~c"), 1, ("/http/request_headers/a~1b~0c", "is integer, must be string")),
        (("weight",), 0.5, ("/weight", "is out of range, minimum is 1")),
        (("weight",), float("inf"), ("/weight", "is out of range, maximum is 1000000")),
    ],
)
def test_explain_points_at_what_is_wrong(path: tuple[Any, ...], value: Any, explained: tuple[str, str]) -> None:
    """One line in the schema's words, and a JSON pointer to the place."""
    assert OURS.explain(changed(EVENT, path, value)) == explained


@given(
    path=st.sampled_from(paths(EVENT)),
    secret=st.sampled_from(["s3cr3t-value", ["s3cr3t-value"], {"a": "s3cr3t-value"}]),
)
def test_explain_never_repeats_a_value(path: tuple[Any, ...], secret: Any) -> None:
    """A rejected value may be a secret: the explanation has none of it."""
    assert "s3cr3t" not in "".join(OURS.explain(changed(EVENT, path, secret)))


def test_explain_survives_what_the_reference_validator_does_not() -> None:
    """Depth and endless numbers are explained by the compiled validator alone."""
    deep: dict[str, Any] = {}
    for _ in range(1000):
        deep = {"a": deep}
    whole = Validator({"properties": {"n": {"multipleOf": 0.5}}})

    assert OURS.explain(changed(EVENT, ("api",), deep)) == ("", "is nested too deep to say where it fails")
    assert whole.explain({"n": float("inf")}) in {("", ""), ("/n", "fails multipleOf")}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strng"},
        {"minimum": "1"},
        {"$ref": "#/nowhere"},
        {"$ref": "https://example.org/other.json"},
        {"$schema": "https://example.org/none"},
        {"pattern": "(?=look)ahead"},
        {"pattern": "(back)\\1"},
        {"pattern": "("},
    ],
)
def test_unusable_schema_is_refused_when_it_is_loaded(schema: dict[str, Any]) -> None:
    """Nothing about a schema can go wrong later, and nothing is fetched."""
    with pytest.raises(SchemaError) as refused:
        Validator(schema)

    assert 0 < len(str(refused.value)) <= MAX_MESSAGE


@pytest.mark.parametrize(
    "draft", ["http://json-schema.org/draft-07/schema#", "http://json-schema.org/draft-04/schema#"]
)
def test_draft_is_the_one_that_the_schema_names(draft: str) -> None:
    """Schemas of other drafts work by their own rules."""
    own = Validator({"$schema": draft, "properties": {"a": {"type": "integer"}}, "required": ["a"]})

    assert own.explain({"a": 1}) == ("", "")
    assert own.explain({"a": "1"}) == ("/a", "is string, must be integer")
    assert own.explain({}) == ("", "lacks a")


def test_formats_are_annotations() -> None:
    """A `format` never rejects an event: engines differ in which they know."""
    own = Validator({"properties": {"a": {"type": "string", "format": "uri-reference"}, "b": {"format": "date-time"}}})

    assert own.is_valid({"a": "/x y|z", "b": "yesterday"})


def test_patterns_take_linear_time() -> None:
    """An expression that would hang a backtracking engine answers at once, when deciding and when explaining."""
    own = Validator({"properties": {"a": {"pattern": "^(a+)+$"}}})

    assert own.explain({"a": "a" * 5000 + "!"}) == ("/a", "does not match the pattern ^(a+)+$")
