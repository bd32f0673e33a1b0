"""Kinds of option values. A kind reads a value and describes it, as JSON Schema and in words; an option names its kind.

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
from logrouter.config.yaml.problems import Problems, did_you_mean, join_path, quote_value
from logrouter.config.yaml.secrets import FromEnv

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class _Invalid:
    """Stands for a value that could not be read; the problem has been noted."""

    def __repr__(self) -> str:
        return "INVALID"


INVALID: Final = _Invalid()


def usable(value: Any) -> bool:
    """Whether the value could be read, that is, is not `INVALID`."""
    return value is not INVALID


class OptionKind(Protocol):
    """What an option may hold. Kinds are immutable and shared."""

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """The value as the program uses it; `INVALID` if it is wrong, with the problem noted at *path*."""

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of values of this kind."""

    def describe(self) -> str:
        """One short phrase, for messages and the reference page."""


def _typed(value: Any) -> Any:
    """A value from the environment as the number or boolean that the same text would be in the file."""
    return resolve(str(value)) if isinstance(value, FromEnv) else value


_SHAPES: Final = ((str, "text"), (bool, "true or false"), (int, "a number"), (float, "a number"), (list, "a list"))


def shape_of(value: Any) -> str:
    """What a value is that stands where a mapping does, without what it holds: the mapping may be one of secrets."""
    if value is None or value == "":
        return "empty"
    return next((name for kind, name in _SHAPES if isinstance(value, kind)), "that")


def _fail_mapping(problems: Problems, path: str, wanted: str, value: Any) -> _Invalid:
    problems.add(path, f"must be {wanted}, not {shape_of(value)}")
    return INVALID


def _fail(problems: Problems, path: str, wanted: str, value: Any) -> _Invalid:
    problems.add(path, f"must be {wanted}, not {quote_value(value)}")
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
            return _fail(problems, path, self.describe() + hint, value)
        if len(value) > self.max_length:
            problems.add(path, f"has {len(value)} characters, at most {self.max_length} are allowed")
            return INVALID
        if self.pattern and value and not re.fullmatch(self.pattern, value):
            return _fail(problems, path, self.describe(), value)
        return str(value)

    def schema(self) -> dict[str, Any]:
        """A string."""
        bounds = {"maxLength": self.max_length} | ({} if self.may_be_empty else {"minLength": 1})
        return {"type": "string", **bounds, **({"pattern": f"^(?:{self.pattern})$"} if self.pattern else {})}

    def describe(self) -> str:
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
            return _fail(problems, path, self.describe(), value)
        return number

    def schema(self) -> dict[str, Any]:
        """An integer."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}

    def describe(self) -> str:
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
            return _fail(problems, path, self.describe(), value)
        return float(number)

    def schema(self) -> dict[str, Any]:
        """A number."""
        return {"type": "number", "minimum": self.low, "maximum": self.high}

    def describe(self) -> str:
        """Its range."""
        return f"a number from {self.low:.10g} to {self.high:.10g}"


@dataclass(frozen=True, slots=True)
class Boolean:
    """true or false."""

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """The boolean."""
        flag = _typed(value)
        return flag if isinstance(flag, bool) else _fail(problems, path, self.describe(), value)

    def schema(self) -> dict[str, Any]:
        """A boolean."""
        return {"type": "boolean"}

    def describe(self) -> str:
        """The two words."""
        return "true or false"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    of: tuple[Any, ...]

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """The one of *of* that the value is."""
        word = _typed(value) if value not in self.of else value
        if word in self.of and not isinstance(word, bool):
            return word
        problems.add(
            path, f"must be {self.describe()}, not {quote_value(value)}{did_you_mean(str(value), map(str, self.of))}"
        )
        return INVALID

    def schema(self) -> dict[str, Any]:
        """An enumeration."""
        return {"enum": list(self.of)}

    def describe(self) -> str:
        """All of them."""
        return "one of " + ", ".join(f"`{word}`" for word in self.of) if len(self.of) > 1 else f"`{self.of[0]}`"


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of *min_items* to *max_items* values of one kind, read as a tuple.

    With *shorthand* a single value stands for a list of one. *unique* rejects repetitions.

    With *partial*, `INVALID` entries stay in their places, so that the others can be checked further.
    """

    of: OptionKind
    min_items: int = 0
    max_items: int = 1000
    shorthand: bool = False
    unique: bool = False
    partial: bool = False

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """A tuple; with *partial* it may hold `INVALID`."""
        if self.shorthand and not isinstance(value, list):
            value = [value]
            item_path: Callable[[int], str] = lambda _index: path  # noqa: E731 - two spellings of one small function
        else:
            item_path = lambda index: f"{path}[{index}]"  # noqa: E731 - see above
        if not isinstance(value, list):
            return _fail(problems, path, self.describe(), value)
        if not self.min_items <= len(value) <= self.max_items:
            problems.add(path, f"has {len(value)} entries, {self.min_items} to {self.max_items} are allowed")
            return INVALID
        read = [self.of.read(item, item_path(index), problems) for index, item in enumerate(value)]
        for index, item in enumerate(read):
            if self.unique and item is not INVALID and item in read[:index]:
                problems.add(item_path(index), f"{quote_value(item)} is listed twice")
        return INVALID if INVALID in read and not self.partial else tuple(read)

    def schema(self) -> dict[str, Any]:
        """An array, or with *shorthand* one value."""
        array: dict[str, Any] = {"type": "array", "items": self.of.schema(), "maxItems": self.max_items}
        array |= {"minItems": self.min_items} if self.min_items else {}
        array |= {"uniqueItems": True} if self.unique else {}
        return {"anyOf": [self.of.schema(), array]} if self.shorthand else array

    def describe(self) -> str:
        """What the values are."""
        return f"{self.of.describe()}, or a list of such" if self.shorthand else f"a list; each: {self.of.describe()}"


@dataclass(frozen=True, slots=True)
class MappingOf:
    """A mapping from names to values of one kind, read as a dict.

    *key* is the kind of the names, *partial* as in `ListOf`.
    """

    of: OptionKind
    key: OptionKind = NAME
    min_items: int = 0
    partial: bool = False

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """A dict; with *partial* it may hold `INVALID`."""
        if not isinstance(value, dict):
            return _fail_mapping(problems, path, self.describe(), value)
        if len(value) < self.min_items:
            problems.add(path, "must not be empty")
            return INVALID
        read = {}
        for key, item in value.items():
            at = join_path(path, key)
            name = self.key.read(key, at, problems)
            made = self.of.read(item, at, problems)
            read[key] = INVALID if name is INVALID else made
        return INVALID if INVALID in read.values() and not self.partial else read

    def schema(self) -> dict[str, Any]:
        """An object with free names."""
        bound = {"minProperties": self.min_items} if self.min_items else {}
        return {"type": "object", "propertyNames": self.key.schema(), "additionalProperties": self.of.schema(), **bound}

    def describe(self) -> str:
        """What the values are."""
        return f"a mapping from name to: {self.of.describe()}"


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

    def describe(self) -> str:
        """What it is for."""
        return self.called


@dataclass(frozen=True, slots=True)
class Option:
    """One declared option: its key in the file, kind, default (MISSING = required) and one or two sentences."""

    key: str
    kind: OptionKind
    doc: str
    default: Any = MISSING


def option(kind: OptionKind, doc: str, *, default: Any = MISSING, key: str = "") -> Any:
    """Declare an option of an `@options` class.

    *doc* is one or two sentences for the reference page. Without *default* the option is required. *key* is its name in
    the file where that cannot be the attribute's, like `from`.
    """
    metadata = {"option": (kind, doc, key)}
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(option,))
def options(cls: type[T]) -> type[T]:
    """A frozen dataclass whose fields are declared options."""
    return dataclass(frozen=True, slots=True, kw_only=True)(cls)


def declared_options(cls: type) -> list[tuple[str, Option]]:
    """Attribute name and declaration of every option of an `@options` class, in the order of the class."""
    found = []
    for attribute in fields(cls):
        if "option" in attribute.metadata:
            kind, doc, key = attribute.metadata["option"]
            found.append((attribute.name, Option(key or attribute.name, kind, doc, attribute.default)))
    return found


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping with the options of one `@options` class.

    With *shorthand*, a value that is no mapping is the value of the option of that name. With *partial*, any mapping
    makes an instance, with `INVALID` where an option could not be read.
    """

    of: type[Any]
    shorthand: str = ""
    partial: bool = False

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """An instance of *of*; `INVALID` if an option is or a key is unknown. All problems are noted first."""
        if not isinstance(value, dict):
            if not self.shorthand or value is None:
                return _fail_mapping(problems, path, self.describe(), value)
            made = dict(declared_options(self.of))[self.shorthand].kind.read(value, path, problems)
            return INVALID if made is INVALID else self.of(**{self.shorthand: made})
        known = {option.key: (name, option) for name, option in declared_options(self.of)}
        for key in value:
            if key not in known:
                problems.add(join_path(path, key), f"unknown key{did_you_mean(key, known)}", at_key=True)
        read = {}
        for key, (name, declaration) in known.items():
            if key in value:
                read[name] = declaration.kind.read(value[key], join_path(path, key), problems)
            elif declaration.default is MISSING:
                problems.add(path, f"lacks `{key}`, which is required", at_key=True)
                read[name] = INVALID
        bad = any(made is INVALID for made in read.values()) or any(key not in known for key in value)
        return INVALID if bad and not self.partial else self.of(**read)

    def schema(self) -> dict[str, Any]:
        """An object without further keys, with the documentation of each option."""
        every = [entry for _, entry in declared_options(self.of)]
        properties = {entry.key: entry.kind.schema() | {"description": entry.doc} | _default(entry) for entry in every}
        required = [entry.key for entry in every if entry.default is MISSING]
        made: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": properties}
        made |= {"required": required} if required else {}
        if not self.shorthand:
            return made
        return {"anyOf": [dict(declared_options(self.of))[self.shorthand].kind.schema(), made]}

    def describe(self) -> str:
        """That it is a mapping, and what else may stand for it."""
        if not self.shorthand:
            return "a mapping"
        return f"a mapping, or {dict(declared_options(self.of))[self.shorthand].kind.describe()}"


def _default(entry: Option) -> dict[str, Any]:
    plain = entry.default
    if isinstance(plain, tuple):
        return {"default": list(plain)}
    return {"default": plain} if isinstance(plain, str | int | float | bool) else {}
