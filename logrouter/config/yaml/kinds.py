"""Kinds of option values. A kind reads a value, describes it as JSON Schema and in words; options are declared with it.

    @options
    class Batch:
        \"\"\"How much goes into one transaction.\"\"\"
        max_records: int = option(Integer(1, 1_000_000), "Records at most.", default=10_000)

That one declaration is the parser, the default, the validation, the JSON Schema and the line in docs/topics-yaml.md.
"""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, dataclass_transform

from logrouter.config.yaml.document import resolve
from logrouter.config.yaml.problems import Problems, did_you_mean, echo, join
from logrouter.config.yaml.secrets import FromEnv

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class _Invalid:
    """The mark of a value that could not be read; the problem is noted already."""

    def __repr__(self) -> str:
        return "INVALID"


INVALID: Final = _Invalid()


def usable(value: Any) -> bool:
    """Whether the value could be read."""
    return value is not INVALID


class OptionKind(Protocol):
    """What an option may hold."""

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """The value as the program wants it, or INVALID with the problem noted."""

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""

    def words(self) -> str:
        """As the reference page says it, one short phrase."""


def _typed(value: Any) -> Any:
    """Text from the environment stands for the number or boolean that it would be in the file."""
    return resolve(str(value)) if isinstance(value, FromEnv) else value


def _fail(problems: Problems, path: str, wanted: str, value: Any) -> _Invalid:
    problems.add(path, f"must be {wanted}, not {'empty' if value is None or value == '' else echo(value)}")
    return INVALID


@dataclass(frozen=True, slots=True)
class Text:
    """A string; *pattern* must match all of it and *called* names what matches. Plain numbers are not strings."""

    pattern: str = ""
    called: str = "text"
    max_length: int = 1000
    may_be_empty: bool = False

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """The string."""
        if not isinstance(value, str) or (not value and not self.may_be_empty):
            hint = "" if not isinstance(value, int | float) else " (put it in quotes)"
            return _fail(problems, path, self.words() + hint, value)
        if len(value) > self.max_length:
            problems.add(path, f"has {len(value)} characters, at most {self.max_length} are allowed")
            return INVALID
        if self.pattern and value and not re.fullmatch(self.pattern, value):
            return _fail(problems, path, self.words(), value)
        return str(value)

    def schema(self) -> dict[str, Any]:
        """A string."""
        bounds = {"maxLength": self.max_length} | ({} if self.may_be_empty else {"minLength": 1})
        return {"type": "string", **bounds, **({"pattern": f"^(?:{self.pattern})$"} if self.pattern else {})}

    def words(self) -> str:
        """What it is called."""
        return self.called


TOPIC: Final = Text(r"[A-Za-z0-9._-]{1,249}", "a topic name (letters, digits, . _ -)", 249)
NAME: Final = Text(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "a name (letters, digits, . _ -; at most 64)", 64)


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number from *low* to *high*."""

    low: int
    high: int

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """The number."""
        number = _typed(value)
        if isinstance(number, bool) or not isinstance(number, int) or not self.low <= number <= self.high:
            return _fail(problems, path, self.words(), value)
        return number

    def schema(self) -> dict[str, Any]:
        """An integer."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}

    def words(self) -> str:
        """Its range."""
        return f"a whole number from {self.low} to {self.high}"


@dataclass(frozen=True, slots=True)
class Number:
    """A number from *low* to *high*."""

    low: float
    high: float

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """The number as a float."""
        number = _typed(value)
        if isinstance(number, bool) or not isinstance(number, int | float) or not self.low <= number <= self.high:
            return _fail(problems, path, self.words(), value)
        return float(number)

    def schema(self) -> dict[str, Any]:
        """A number."""
        return {"type": "number", "minimum": self.low, "maximum": self.high}

    def words(self) -> str:
        """Its range."""
        return f"a number from {self.low:.10g} to {self.high:.10g}"


@dataclass(frozen=True, slots=True)
class Boolean:
    """true or false."""

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """The boolean."""
        flag = _typed(value)
        return flag if isinstance(flag, bool) else _fail(problems, path, self.words(), value)

    def schema(self) -> dict[str, Any]:
        """A boolean."""
        return {"type": "boolean"}

    def words(self) -> str:
        """The two words."""
        return "true or false"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    of: tuple[Any, ...]

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """The word."""
        word = _typed(value) if value not in self.of else value
        if word in self.of and not isinstance(word, bool):
            return word
        problems.add(path, f"must be {self.words()}, not {echo(value)}{did_you_mean(str(value), map(str, self.of))}")
        return INVALID

    def schema(self) -> dict[str, Any]:
        """An enumeration."""
        return {"enum": list(self.of)}

    def words(self) -> str:
        """The words."""
        return "one of " + ", ".join(f"`{word}`" for word in self.of) if len(self.of) > 1 else f"`{self.of[0]}`"


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of one kind; a single value stands for a list of one where *bare*. *unique* refuses repetitions.

    With *partial*, INVALID entries stay in their places, so that the others can be checked further.
    """

    of: OptionKind
    least: int = 0
    most: int = 1000
    bare: bool = False
    unique: bool = False
    partial: bool = False

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """A tuple of what could be read."""
        if self.bare and not isinstance(value, list):
            value = [value]
            item_path: Callable[[int], str] = lambda _index: path  # noqa: E731 - two spellings of one small function
        else:
            item_path = lambda index: f"{path}[{index}]"  # noqa: E731 - see above
        if not isinstance(value, list):
            return _fail(problems, path, self.words(), value)
        if not self.least <= len(value) <= self.most:
            problems.add(path, f"has {len(value)} entries, {self.least} to {self.most} are allowed")
            return INVALID
        read = [self.of.read(item, item_path(index), problems) for index, item in enumerate(value)]
        for index, item in enumerate(read):
            if self.unique and item is not INVALID and item in read[:index]:
                problems.add(item_path(index), f"{echo(item)} is listed twice")
        return INVALID if INVALID in read and not self.partial else tuple(read)

    def schema(self) -> dict[str, Any]:
        """An array, or one bare value."""
        array: dict[str, Any] = {"type": "array", "items": self.of.schema(), "maxItems": self.most}
        array |= ({"minItems": self.least} if self.least else {}) | ({"uniqueItems": True} if self.unique else {})
        return {"anyOf": [self.of.schema(), array]} if self.bare else array

    def words(self) -> str:
        """Of what."""
        return f"{self.of.words()}, or a list of such" if self.bare else f"a list; each: {self.of.words()}"


@dataclass(frozen=True, slots=True)
class MappingOf:
    """A mapping from names to values of one kind. *key* is the kind of the names; *partial* as for `ListOf`."""

    of: OptionKind
    key: OptionKind = NAME
    least: int = 0
    partial: bool = False

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """A dict of what could be read."""
        if not isinstance(value, dict):
            return _fail(problems, path, self.words(), value)
        if len(value) < self.least:
            problems.add(path, "must not be empty")
            return INVALID
        read = {}
        for key, item in value.items():
            at = join(path, key)
            name = self.key.read(key, at, problems)
            made = self.of.read(item, at, problems)
            read[key] = INVALID if name is INVALID else made
        return INVALID if INVALID in read.values() and not self.partial else read

    def schema(self) -> dict[str, Any]:
        """An object with free names."""
        least = {"minProperties": self.least} if self.least else {}
        return {"type": "object", "propertyNames": self.key.schema(), "additionalProperties": self.of.schema(), **least}

    def words(self) -> str:
        """Of what."""
        return f"a mapping from name to: {self.of.words()}"


@dataclass(frozen=True, slots=True)
class AnyValue:
    """Anything; *called* says what for."""

    called: str

    def read(self, value: Any, path: str, problems: Problems) -> Any:  # noqa: ARG002 - the protocol's shape
        """The value as it is."""
        return value

    def schema(self) -> dict[str, Any]:
        """Anything."""
        return {}

    def words(self) -> str:
        """What for."""
        return self.called


@dataclass(frozen=True, slots=True)
class Option:
    """One declared option: its key in the file, kind, default (MISSING = required) and one or two sentences."""

    key: str
    kind: OptionKind
    doc: str
    default: Any = MISSING


def option(kind: OptionKind, doc: str, *, default: Any = MISSING, key: str = "") -> Any:
    """Declare an option of an `@options` class. *key* is its name in the file where that is a Python keyword."""
    metadata = {"option": (kind, doc, key)}
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(option,))
def options(cls: type[T]) -> type[T]:
    """A frozen dataclass whose fields are declared options."""
    return dataclass(frozen=True, slots=True, kw_only=True)(cls)


def declared(cls: type) -> list[tuple[str, Option]]:
    """Attribute name and declaration of every option of an `@options` class, in order."""
    found = []
    for attribute in fields(cls):
        if "option" in attribute.metadata:
            kind, doc, key = attribute.metadata["option"]
            found.append((attribute.name, Option(key or attribute.name, kind, doc, attribute.default)))
    return found


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping with the options of one `@options` class. A bare value stands for the option *bare* where given.

    With *partial* there is an instance as long as there is a mapping, with INVALID where an option could not be read.
    """

    of: type[Any]
    bare: str = ""
    partial: bool = False

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """An instance; INVALID if any option is, after all have been looked at."""
        if not isinstance(value, dict):
            if not self.bare or value is None:
                return _fail(problems, path, self.words(), value)
            made = dict(declared(self.of))[self.bare].kind.read(value, path, problems)
            return INVALID if made is INVALID else self.of(**{self.bare: made})
        known = {option.key: (name, option) for name, option in declared(self.of)}
        for key in value:
            if key not in known:
                problems.add(join(path, key), f"unknown key{did_you_mean(key, known)}", at_key=True)
        read = {}
        for key, (name, declaration) in known.items():
            if key in value:
                read[name] = declaration.kind.read(value[key], join(path, key), problems)
            elif declaration.default is MISSING:
                problems.add(path, f"lacks `{key}`, which is required", at_key=True)
                read[name] = INVALID
        bad = any(made is INVALID for made in read.values()) or any(key not in known for key in value)
        return INVALID if bad and not self.partial else self.of(**read)

    def schema(self) -> dict[str, Any]:
        """A closed object with the documentation in it."""
        every = [entry for _, entry in declared(self.of)]
        properties = {entry.key: entry.kind.schema() | {"description": entry.doc} | _default(entry) for entry in every}
        required = [entry.key for entry in every if entry.default is MISSING]
        made: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": properties}
        made |= {"required": required} if required else {}
        if not self.bare:
            return made
        return {"anyOf": [dict(declared(self.of))[self.bare].kind.schema(), made]}

    def words(self) -> str:
        """That it is a mapping, and what a bare value would mean."""
        if not self.bare:
            return "a mapping"
        return f"a mapping, or {dict(declared(self.of))[self.bare].kind.words()}"


def _default(entry: Option) -> dict[str, Any]:
    plain = entry.default
    if isinstance(plain, tuple):
        return {"default": list(plain)}
    return {"default": plain} if isinstance(plain, str | int | float | bool) else {}
