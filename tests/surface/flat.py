"""JSON Schemas as sorted lines, one for each place in a document, so that a diff shows which place has changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORDS_ONLY = {"description", "title", "$schema", "$comment", "example", "examples", "summary"}
_WALKED = {"properties", "patternProperties", "required", "items", "anyOf", "oneOf", "allOf", "not"}
_BY_NAME = {"additionalProperties": "<name>", "propertyNames": "<the name>", "contains": "<one of them>"}
_LIST_WORTH = 3
"""Sub-schemas with so many places are written once: where they occur again, the line says of which place they are."""


def lines_of(schema: dict[str, Any], path: str = "", seen: dict[str, str] | None = None) -> list[str]:
    """Every place that *schema* knows, with all that it says of it but the prose.

    `a.b` is a member, `a[]` an element, `a.<name>` a member with any name, `a|1` the first of several alternatives.
    *seen* is for schemas that have much in common: which shapes have been written already, and where.
    """
    return [line.strip() for line in _walk(path, schema, "", {} if seen is None else seen)]


def _walk(path: str, schema: Any, note: str, seen: dict[str, str]) -> Iterator[str]:
    if not isinstance(schema, dict):
        yield f"{path} {compact(schema)}{note}"
        return
    match schema.get("anyOf"):
        case [first, {"type": "null"}]:
            rest = {key: value for key, value in schema.items() if key != "anyOf"}
            yield from _walk(path, first | rest, f" or null{note}", seen)
            return
    below = list(_below(path, schema))
    shape = compact(_without_words(schema))
    if len(below) >= _LIST_WORTH:
        if shape in seen:
            default = f" default={compact(schema['default'])}" if "default" in schema else ""
            yield f"{path} as {seen[shape]}{default}{note}"
            return
        seen[shape] = path or "the whole"
    yield f"{path}{_says(schema)}{note}"
    for at, part, more in below:
        yield from _walk(at, part, more, seen)


def _says(schema: dict[str, Any]) -> str:
    """What is said of the place itself, with its type first."""
    kind = schema.get("type", ())
    words = [kind] if isinstance(kind, str) else [" or ".join(kind)] if kind else []
    if schema.get("additionalProperties") is False:
        words.append("closed")
    for key, value in sorted(schema.items()):
        walked = key in _WORDS_ONLY | _WALKED or (key in _BY_NAME and isinstance(value, dict))
        if not walked and key != "type" and (key, value) != ("additionalProperties", False):
            words.append(f"{key}={compact(value)}")
    return "".join(f" {word}" for word in words)


def _below(path: str, schema: dict[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """The sub-schemas with the places that they are about, and what is to be noted there."""
    required = set(schema.get("required", ()))
    dot = "." if path else ""
    for key, part in sorted(schema.get("properties", {}).items()):
        yield f"{path}{dot}{key}", part, " required" if key in required else ""
    for key in sorted(required - set(schema.get("properties", {}))):
        yield f"{path}{dot}{key}", {}, " required"
    for pattern, part in sorted(schema.get("patternProperties", {}).items()):
        yield f"{path}{dot}<{pattern}>", part, ""
    for key, name in _BY_NAME.items():
        if isinstance(schema.get(key), dict):
            yield f"{path}{dot}{name}", schema[key], ""
    if "items" in schema:
        yield f"{path}[]", schema["items"], ""
    for key in ("anyOf", "oneOf", "allOf"):
        for number, part in enumerate(schema.get(key, ()), 1):
            yield f"{path}|{number}", part, "" if key == "anyOf" else f" ({key})"
    if "not" in schema:
        yield f"{path}|not", schema["not"], ""


def _without_words(schema: Any) -> Any:
    """The schema as it is compared: without prose, and at its top without its default."""
    bare = _bare(schema)
    return {key: value for key, value in bare.items() if key != "default"} if isinstance(bare, dict) else bare


def _bare(schema: Any, *, names: bool = False) -> Any:
    """The schema without prose. Under *names*, keys are those of a document and no keywords."""
    if isinstance(schema, dict):
        kept = schema if names else {key: value for key, value in schema.items() if key not in _WORDS_ONLY}
        return {
            key: _bare(v, names=not names and key in ("properties", "patternProperties")) for key, v in kept.items()
        }
    return [_bare(part) for part in schema] if isinstance(schema, list) else schema


def compact(value: Any) -> str:
    """A value as one short line of JSON."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
