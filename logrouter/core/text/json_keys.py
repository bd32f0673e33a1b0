r"""Keys of JSON objects, as a person names them: nested, dotted, or with dots of their own.

    status                  {"status": 200}
    request.method          {"request": {"method": "GET"}}   {"request.method": "GET"}
    a.b.c                   {"a": {"b": {"c": 1}}}   {"a.b": {"c": 1}}   {"a": {"b.c": 1}}   {"a.b.c": 1}
    /request/a.b            {"request": {"a.b": 1}} only: a JSON pointer (RFC 6901), as it begins with a slash
    /tries/0/ip             {"tries": [{"ip": "…"}]}

Of several spellings in one object the longest name counts, so that a key that is there as it was named is always found.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    KeyReader = Callable[[Mapping[str, Any]], Any]

MAX_PARTS: Final = 8
"""Parts of a key, as each more of them doubles the ways to spell it."""

MISSING: Final = object()
"""What a reader gives where the object does not have the key."""

_INDEX = re.compile(r"0|[1-9][0-9]{0,5}", re.ASCII)
# How JSONPath and jq begin, and their places in lists.
_PATH = re.compile(r"\$?\.|\$(?=\[)")
_PLACE = re.compile(r"\[(\d{1,6})\]", re.ASCII)
_TILDE = re.compile(r"~(?![01])")
_TOKEN = re.compile(r'"((?:[^"\\]++|\\.)*+)"(\s*+:)?+|[{}\[\]]', re.DOTALL)


def compile_key(key: str) -> KeyReader:
    """A function that reads the value of a key out of an object; `MISSING` where it is not there.

    Raises:
        ValueError: no object has such a key.
    """
    if key.startswith("/"):
        return _pointer_reader(_pointer_parts(key))
    parts = key.split(".")
    if _PATH.match(key):
        raise ValueError(f"{key} begins as in another notation: write {_PATH.sub('', key)}, or a JSON pointer")
    if _PLACE.search(key):
        pointer = "/" + _PLACE.sub(r"/\1", key.replace(".", "/"))
        raise ValueError(f"{key} has a place in a list, which is written as a JSON pointer: {pointer}")
    if "" in parts:
        raise ValueError(f"{key} has a part without a name; if that is right, write it as a JSON pointer")
    if len(parts) > MAX_PARTS:
        raise ValueError(f"a key of {len(parts)} parts; at most {MAX_PARTS} are read")
    if len(parts) == 1:
        return lambda line: line.get(key, MISSING)
    spelled = [
        [(".".join(parts[start:end]), end) for end in range(len(parts), start, -1)] for start in range(len(parts))
    ]

    def search(part: Mapping[str, Any], start: int) -> Any:
        for name, end in spelled[start]:
            value = part.get(name, MISSING)
            if value is MISSING or end == len(parts):
                if value is not MISSING:
                    return value
            elif type(value) is dict and (found := search(value, end)) is not MISSING:
                return found
        return MISSING

    return lambda line: search(line, 0)


def names_in(key: str) -> frozenset[str]:
    """Every name that an object may have for a key or a part of it."""
    parts = parts_of(key)
    ends = range(1, len(parts) + 1)
    return frozenset(".".join(parts[start:end]) for end in ends for start in range(end))


def leaf_of(key: str) -> str:
    """The last part of a key."""
    return parts_of(key)[-1]


def parts_of(key: str) -> list[str]:
    """The parts of a key, each the name of a member or, in a JSON pointer, the place in a list."""
    return _pointer_parts(key) if key.startswith("/") else key.split(".")


def _pointer_parts(pointer: str) -> list[str]:
    if _TILDE.search(pointer):
        raise ValueError("in a JSON pointer ~ is written ~0, and a slash in a name ~1")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def _pointer_reader(parts: list[str]) -> KeyReader:
    indices = [int(part) if _INDEX.fullmatch(part) else None for part in parts]
    steps = list(zip(parts, indices, strict=True))

    def read(line: Mapping[str, Any]) -> Any:
        value: Any = line
        for name, index in steps:
            if type(value) is dict:
                value = value.get(name, MISSING)
            elif type(value) is list and index is not None and index < len(value):
                value = value[index]
            else:
                return MISSING
        return value

    return read


def count_keys(document: Any) -> int:
    """How many keys an object or list has, at any depth, however deep that is."""
    count = 0
    left = [document]
    while left:
        part = left.pop()
        if type(part) is dict:
            count += len(part)
            part = part.values()
        left += [value for value in part if type(value) in (dict, list)]
    return count


def repeated_keys(text: str) -> frozenset[str]:
    """The names that an object in valid JSON text has more than once, at any depth. Takes linear time."""
    seen: list[set[str]] = []
    repeated: set[str] = set()
    for token in _TOKEN.finditer(text):
        written = token[1]
        if written is None:
            if token[0] in "{[":
                seen.append(set())
            elif seen:
                seen.pop()
        elif token[2] is not None and seen:
            name = _unescape(written) if "\\" in written else written
            if name in seen[-1]:
                repeated.add(name)
            seen[-1].add(name)
    return frozenset(repeated)


def _unescape(written: str) -> str:
    """The name that is written between two quotes; as it is written, if escapes in it had to be mended."""
    try:
        return str(orjson.loads(f'"{written}"'))
    except ValueError:
        return written
