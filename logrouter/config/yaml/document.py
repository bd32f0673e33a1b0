"""Strict YAML 1.2: reads bytes into plain values and the position of each.

Stricter than most loaders, so that a file means one thing: only `true` and `false` are booleans (`no` is text), keys
are unique strings, there are no tags, merge keys or further documents, and size, depth and aliases are bounded.
ruamel.yaml reads the characters; values are built here from its events, without recursion.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml import events as ev
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from logrouter.config.yaml.problems import Problem, join_path

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 32
MAX_NODES: Final = 50_000

_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,15}")
_OCTAL = re.compile(r"0o[0-7]{1,20}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class DocumentError(Exception):
    """The bytes are not a YAML document as `read` takes it. *problem* says where and why."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


@dataclass(frozen=True, slots=True)
class Document:
    """*value* in plain dict, list, str, int, float, bool and None; positions (line, column from 1) by path.

    *values* has where each value begins, *keys* where each mapping key does.
    """

    value: Any
    values: dict[str, tuple[int, int]] = field(default_factory=dict)
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)


def read(data: bytes) -> Document:
    """The document in *data*, or `DocumentError`; no other exception for any bytes."""
    if len(data) > MAX_BYTES:
        raise DocumentError(Problem("", f"the file has {len(data)} bytes, at most {MAX_BYTES} are read"))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DocumentError(Problem("", "the file is not UTF-8", line, 1)) from None
    builder = _Builder()
    try:
        # The scanner recurses nowhere; it raises YAMLError, and ValueError for a few malformed escapes.
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.take(event)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # Only the library's own words: its snippet would show the line, and the line may hold a secret.
        words = " ".join(str(part) for part in (error.context, error.problem) if part)
        raise DocumentError(Problem("", f"not YAML: {words}", *_at(mark))) from None
    except ReaderError as error:
        before = text[: error.position]
        where = before.count("\n") + 1, error.position - before.rfind("\n")
        raise DocumentError(Problem("", f"not YAML: the character U+{error.character:04X}", *where)) from None
    except (YAMLError, ValueError, OverflowError) as error:
        raise DocumentError(Problem("", f"not YAML: {type(error).__name__}")) from None
    return builder.document()


@dataclass(slots=True)
class _Open:
    """A collection whose end has not been read yet; *key* is the mapping key that waits for its value."""

    value: dict[str, Any] | list[Any]
    path: str
    anchor: str | None
    key: str | None = None


class _Builder:
    """Builds values from parser events with an explicit stack."""

    def __init__(self) -> None:
        self._root: list[Any] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._nodes = 0
        self._documents = 0
        self._values: dict[str, tuple[int, int]] = {}
        self._keys: dict[str, tuple[int, int]] = {}

    def document(self) -> Document:
        """The document of all events so far."""
        return Document(self._root[0] if self._root else None, self._values, self._keys)

    def take(self, event: Any) -> None:
        """Handle one parser event; `DocumentError` for what is not allowed."""
        match event:
            case ev.ScalarEvent():
                self._scalar(event)
            case ev.MappingStartEvent():
                self._open(event, {})
            case ev.SequenceStartEvent():
                self._open(event, [])
            case ev.MappingEndEvent() | ev.SequenceEndEvent():
                done = self._stack.pop()
                if done.anchor is not None:
                    self._anchors[done.anchor] = (done.value, _size(done.value))
            case ev.AliasEvent():
                self._alias(event)
            case ev.DocumentStartEvent():
                self._start_document(event)

    def _start_document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            raise _wrong(event, "a second document: one file is one document")
        if event.tags or (event.version is not None and tuple(event.version) != (1, 2)):
            raise _wrong(event, "a %TAG or %YAML directive: this is plain YAML 1.2")

    def _open(self, event: Any, value: dict[str, Any] | list[Any]) -> None:
        if len(self._stack) >= MAX_DEPTH:
            raise _wrong(event, f"nested deeper than {MAX_DEPTH} levels")
        self._check_tag(event)
        if self._waits_for_key():
            raise _wrong(event, "a mapping key must be text")
        path = self._place(event, value, 1)
        self._stack.append(_Open(value, path, event.anchor))

    def _scalar(self, event: Any) -> None:
        self._check_tag(event)
        if _SURROGATE.search(event.value):
            raise _wrong(event, "an escape of half a character: it can't be written as UTF-8")
        if self._waits_for_key():
            self._key(event)
            return
        value = resolve(event.value) if event.style in (None, "") else event.value
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        self._place(event, value, 1)

    def _alias(self, event: Any) -> None:
        if self._waits_for_key():
            raise _wrong(event, "a mapping key must be text, not an alias")
        if event.anchor not in self._anchors:
            raise _wrong(event, f"alias *{event.anchor} has no anchor before it")
        value, size = self._anchors[event.anchor]
        self._place(event, value, size)

    def _key(self, event: Any) -> None:
        top = self._stack[-1]
        key: str = event.value
        path = join_path(top.path, key)
        if key == "<<" and event.style in (None, ""):
            raise _wrong(event, "merge keys are not YAML 1.2: write the keys out")
        if key in top.value:
            raise _wrong(event, "the key occurs twice", path)
        top.key = key
        self._keys[path] = _mark(event)

    def _place(self, event: Any, value: Any, size: int) -> str:
        """Put a value where it belongs and return its path."""
        self._nodes += size
        if self._nodes > MAX_NODES:
            raise _wrong(event, f"more than {MAX_NODES} values, aliases counted as what they stand for")
        if not self._stack:
            self._root.append(value)
            self._values[""] = _mark(event)
            return ""
        top = self._stack[-1]
        if isinstance(top.value, list):
            path = f"{top.path}[{len(top.value)}]"
            top.value.append(value)
        else:
            key = top.key or ""
            path = join_path(top.path, key)
            top.value[key], top.key = value, None
            if _is_left_out(event) and _mark(event)[0] != self._keys[path][0]:
                self._values[path] = self._keys[path]
                return path
        self._values[path] = _mark(event)
        return path

    def _waits_for_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].value, dict) and self._stack[-1].key is None

    @staticmethod
    def _check_tag(event: Any) -> None:
        if event.tag is not None:
            raise _wrong(event, "tags are not allowed")


def resolve(text: str) -> Any:
    """A plain scalar by the YAML 1.2 core schema, without the infinities: `no` and `0777` are what they look like."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if _INT.fullmatch(text):
        return int(text)
    if _HEX.fullmatch(text):
        return int(text, 16)
    if _OCTAL.fullmatch(text):
        return int(text, 8)
    return float(text) if _FLOAT.fullmatch(text) else text


def _size(value: Any) -> int:
    """How many values it is made of; shared ones count each time, which `_place` has bounded already."""
    total, left = 0, [value]
    while left:
        item = left.pop()
        total += 1
        left.extend(item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
    return total


def _at(mark: Any) -> tuple[int | None, int | None]:
    return (mark.line + 1, mark.column + 1) if mark else (None, None)


def _is_left_out(event: Any) -> bool:
    """Whether nothing stands behind a key: the mark of that is where the next thing begins, in a line further down."""
    return getattr(event, "value", None) == "" and event.start_mark.index == event.end_mark.index


def _mark(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _wrong(event: Any, message: str, path: str = "") -> DocumentError:
    return DocumentError(Problem(path, message, *_mark(event)))
