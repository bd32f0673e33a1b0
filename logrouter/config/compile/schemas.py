"""JSON Schemas by name: a file relative to topics.yaml, or one of those that come with the package."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final

import orjson

from logrouter.config.compile.inputs import InputFileError
from logrouter.config.yaml.problems import did_you_mean, list_names
from logrouter.core.validate import SchemaError, Validator

if TYPE_CHECKING:
    from logrouter.config.compile.inputs import Inputs
    from logrouter.config.yaml.problems import Problems

MAX_BYTES: Final = 1 << 20


def packaged_schemas() -> dict[str, bytes]:
    """Every schema in the package by name (`api_request/1.0.0`), as its file's bytes."""
    root = files("logrouter") / "schemas"
    found: dict[str, bytes] = {}
    left = [(root, "")]
    while left:
        folder, prefix = left.pop()
        for entry in folder.iterdir():
            if entry.is_dir():
                left.append((entry, f"{prefix}{entry.name}/"))
            elif entry.name.endswith(".json"):
                found[prefix + entry.name.removesuffix(".json")] = entry.read_bytes()
    return found


def load_schema(name: str, inputs: Inputs, path: str, problems: Problems) -> Validator | None:
    """The validator of the schema that a route names; None if it can't be used, with the problem noted."""
    data = _bytes_of(name, inputs, path, problems)
    if data is None:
        return None
    try:
        schema = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        problems.add(path, f"{name} is not JSON: {error}")
        return None
    if not isinstance(schema, dict):
        problems.add(path, f"{name} is not a JSON object")
        return None
    try:
        return Validator(schema)
    except SchemaError as error:
        problems.add(path, f"{name} is not a usable schema: {error}")
        return None


def _bytes_of(name: str, inputs: Inputs, path: str, problems: Problems) -> bytes | None:
    try:
        data = inputs.read(name, MAX_BYTES)
    except InputFileError as error:
        problems.add(path, f"{name} {error}")
        return None
    if data is not None:
        return data
    known = packaged_schemas()
    plain = name.removeprefix("schemas/").removesuffix(".json")
    if plain in known:
        return known[plain]
    hint = did_you_mean(plain, known)
    problems.add(path, f"there is no schema {name!r}{hint}: no such file, and the package has {list_names(known)}")
    return None
