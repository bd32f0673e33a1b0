"""The steps of `fields` as one function, and a check that they lose nothing that the schema or a table needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from logrouter.config.yaml.problems import did_you_mean, join_path
from logrouter.core.transform import (
    ALWAYS_KEPT,
    ESSENTIAL,
    Change,
    Path,
    assign,
    chain,
    drop,
    keep,
    path_of,
    redact,
    rename,
    within,
)
from logrouter.core.validate import SchemaError, Validator

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from logrouter.config.options.field_changes import Steps
    from logrouter.config.yaml.problems import Problems

_OPEN: Final = frozenset({"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "patternProperties", "if"})
"""Keywords with which an object may allow more than its `properties` say."""


def compile_fields(steps: Steps) -> Change:
    """The steps as one function on events."""
    return chain([_compiled(verb, operand) for verb, operand in steps])


def _compiled(verb: str, operand: Any) -> Change:
    match verb:
        case "rename":
            return rename([(path_of(old), path_of(new)) for old, new in operand.items()])
        case "set":
            return assign({path_of(name): value for name, value in operand.items()})
    return {"keep": keep, "drop": drop, "redact": redact}[verb]([path_of(name) for name in operand])


@dataclass(slots=True)
class NameChecker:
    """Follows the steps by field names alone, and notes those that make every event invalid.

    *schema* is the one that the route's events must satisfy, *canonical* that of events before the steps. *needed* are
    fields that something besides the schema relies on, with a phrase that says what; *added* are top-level fields that
    the route adds beyond *canonical*.
    """

    schema: Mapping[str, Any]
    canonical: Mapping[str, Any]
    needed: Mapping[Path, str]
    added: Iterable[str]
    problems: Problems
    _gone: dict[Path, str] = field(default_factory=dict)

    def run(self, steps: Steps, path: str) -> None:
        """Check the steps at *path*: none may remove a required field or add one that the schema forbids."""
        known: set[Path] = {(name,) for name in self.added}
        for verb, operand in steps:
            at = join_path(path, verb)
            for name in operand:
                self._source(verb, name, known, at)
            if verb == "keep":
                self._keep([path_of(name) for name in operand], at)
            if verb in ("rename", "set"):
                for name, target in operand.items():
                    new = target if verb == "rename" else name
                    self._target(new, join_path(at, name))
                    known.add(path_of(new))
                if verb == "set":
                    self._values(operand, at)
        for lost, at in sorted(self._gone.items()):
            why = self.needed.get(lost, "the schema requires")
            self.problems.add(at, f"takes away {'.'.join(lost)}, which {why}")

    def _source(self, verb: str, name: str, known: set[Path], at: str) -> None:
        """A field that a step takes from the event."""
        if verb == "set":
            return
        path = path_of(name)
        if verb != "keep" and any(within(each, path) or within(path, each) for each in ESSENTIAL):
            self.problems.add(at, f"{name} is part of every event and can't be changed")
            return
        if forbids_field(self.canonical, path) and not any(within(path, each) or within(each, path) for each in known):
            hint = did_you_mean(name, (".".join(each) for each in named_fields(self.canonical)))
            self.problems.add(at, f"no event has a field {name}{hint}")
            return
        if verb in ("drop", "rename"):
            self._lose((each for each in self._required() if within(each, path)), at)
        if verb in ("drop", "rename", "redact"):
            self._lose((each for each in self.needed if within(each, path)), at)

    def _keep(self, paths: Sequence[Path], at: str) -> None:
        kept = [*paths, *ALWAYS_KEPT]
        wanted = [*self._required(), *self.needed]
        self._lose((each for each in wanted if not any(within(each, k) or within(k, each) for k in kept)), at)

    def _lose(self, lost: Iterable[Path], at: str) -> None:
        for each in lost:
            self._gone.setdefault(each, at)

    def _target(self, name: str, at: str) -> None:
        """A field that a step puts into the event."""
        path = path_of(name)
        if any(within(each, path) or within(path, each) for each in ESSENTIAL):
            self.problems.add(at, f"{name} is part of every event and can't be changed")
        elif forbids_field(self.schema, path):
            self.problems.add(at, f"the schema allows no field {name}")
        for each in [each for each in self._gone if within(path, each)]:
            del self._gone[each]

    def _values(self, values: Mapping[str, Any], at: str) -> None:
        for name, value in values.items():
            below = _part(self.schema, path_of(name))
            if below is None:
                continue
            try:
                fits = Validator(below).is_valid(value)
            except SchemaError:  # it refers to other parts of the schema
                continue
            if not fits:
                self.problems.add(join_path(at, name), f"the schema refuses this value for {name}")

    def _required(self) -> Iterator[Path]:
        return _required(self.schema, ())


def forbids_field(schema: Any, path: Path) -> bool:
    """Whether the schema allows no field at *path*; false where that can't be decided."""
    for name in path:
        if not isinstance(schema, dict):
            return schema is False
        if schema.get("type", "object") != "object":
            return "object" not in schema["type"]
        properties = schema.get("properties", {})
        if name in properties:
            schema = properties[name]
        elif _OPEN & schema.keys():
            return False
        else:
            schema = schema.get("additionalProperties", True)
    return schema is False


def named_fields(schema: Mapping[str, Any], above: Path = ()) -> Iterator[Path]:
    """The path of every field that the schema names, of objects and of the fields in them."""
    for name, below in schema.get("properties", {}).items():
        yield (*above, name)
        if isinstance(below, dict):
            yield from named_fields(below, (*above, name))


def _required(schema: Mapping[str, Any], above: Path) -> Iterator[Path]:
    for name in schema.get("required", ()):
        yield (*above, name)
        below = schema.get("properties", {}).get(name)
        if isinstance(below, dict):
            yield from _required(below, (*above, name))


def _part(schema: Any, path: Path) -> dict[str, Any] | None:
    """The schema of the field at *path*, if the schema names it."""
    for name in path:
        schema = schema.get("properties", {}).get(name) if isinstance(schema, dict) else None
    return schema if isinstance(schema, dict) else None
