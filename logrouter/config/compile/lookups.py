"""Lookup files: rows by key from a CSV or JSON file, read strictly; every problem has its line.

    client_id,name,tier,owner              {"c1": {"name": "Reader", "tier": "free", "owner": "web"}}
    c1,Reader,free,web                     [{"client_id": "c1", "name": "Reader", "tier": "free", "owner": "web"}]

The first line of a CSV file names its columns; a JSON file is an object by key, or a list of objects that hold theirs.
Messages say where something is wrong and repeat no value.
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING, Any, Final

from logrouter.config.compile.inputs import InputFileError
from logrouter.config.yaml.kinds import usable
from logrouter.config.yaml.problems import did_you_mean, join_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from logrouter.config.compile.inputs import Inputs
    from logrouter.config.options.file import LookupFileOptions
    from logrouter.config.yaml.problems import Problems

    Rows = dict[str, dict[str, str]]
    Line = tuple[int, dict[str, Any] | str]
    """A row, or what is wrong with it."""

MAX_BYTES: Final = 32 << 20
MAX_BYTES_OF_ALL: Final = 256 << 20
"""Of all lookup files together: their rows are kept in memory."""
MAX_ROWS: Final = 500_000
MAX_VALUE: Final = 1024
MAX_FAULTS: Final = 20

_ABSENT: Final = (None, "", "-")
_SPACE = re.compile(r"[ \t\r\n]*")


class _MemberError(Exception):
    """A value of a JSON file that JSON does not allow."""


class _FaultError(Exception):
    """The file can't be read any further. *line* counts from 1."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


def load_lookups(
    lookups: Mapping[str, LookupFileOptions] | None, inputs: Inputs, problems: Problems
) -> dict[str, Rows | None]:
    """The rows of every lookup by its name; None for one that can't be used, with its problems noted."""
    made: dict[str, Rows | None] = {}
    left = MAX_BYTES_OF_ALL
    for name, options in (lookups or {}).items():
        path = join_path(join_path("lookups", name), "file")
        made[name], size = _load(options, path, inputs, problems, left) if usable(options) else (None, 0)
        left -= size
    return made


def _load(
    options: LookupFileOptions, path: str, inputs: Inputs, problems: Problems, left: int
) -> tuple[Rows | None, int]:
    """The rows and the number of bytes read; at most *left* are."""
    name = options.file
    readers = {".csv": _csv, ".json": _json}
    reader = next((reader for suffix, reader in readers.items() if name.lower().endswith(suffix)), None)
    if reader is None:
        problems.add(path, f"{name} must be a .csv or .json file")
        return None, 0
    try:
        data = inputs.read(name, min(MAX_BYTES, left))
    except InputFileError as error:
        problems.add(path, f"{name} {error}" + (", which is left of the bytes for all" if left < MAX_BYTES else ""))
        return None, 0
    if data is None:
        problems.add(path, f"there is no file {name}")
        return None, 0
    table = _Table(options.key, options.fields)
    try:
        for line, row in reader(data, options.key, options.fields):
            table.add(line, row)
    except _FaultError as error:
        table.fault(error.line, str(error))
    for line, text in table.faults[:MAX_FAULTS]:
        problems.add(path, f"{name}:{line}: {text}")
    if len(table.faults) > MAX_FAULTS:
        problems.add(path, f"{name} has {len(table.faults) - MAX_FAULTS} more faults")
    return (None if table.faults else table.rows), len(data)


@dataclass(slots=True)
class _Table:
    """Rows as they come in, and what is wrong with them."""

    key: str
    fields: Sequence[str]
    rows: Rows = field(default_factory=dict)
    faults: list[tuple[int, str]] = field(default_factory=list)
    _lines: dict[str, int] = field(default_factory=dict)

    def fault(self, line: int, text: str) -> None:
        self.faults.append((line, text))

    def add(self, line: int, row: Mapping[str, Any] | str) -> None:
        if isinstance(row, str):
            self.fault(line, row)
            return
        key = row.get(self.key)
        if not isinstance(key, str) or key in _ABSENT:
            self.fault(line, f"lacks a key: {self.key} must be text, not {'empty' if key in _ABSENT else _kind(key)}")
            return
        if key in self._lines:
            self.fault(line, f"has the key of line {self._lines[key]}")
            return
        if len(self._lines) >= MAX_ROWS:
            raise _FaultError(line, f"is beyond the {MAX_ROWS} rows that are allowed")
        self._lines[key] = line
        self.rows[key] = {name: value for name in self.fields if (value := self._value(line, name, row)) is not None}

    def _value(self, line: int, name: str, row: Mapping[str, Any]) -> str | None:
        value = row.get(name)
        if value in _ABSENT:
            return None
        if not isinstance(value, str):
            self.fault(line, f"{name} must be text, not {_kind(value)}")
        elif len(value) > MAX_VALUE:
            self.fault(line, f"{name} has {len(value)} characters, at most {MAX_VALUE} are allowed")
        else:
            return value
        return None


def _kind(value: Any) -> str:
    """What a value is. The value itself is not repeated: the file that was named may be one of secrets."""
    kinds = {bool: "true or false", str: "text", list: "a list", dict: "an object", type(None): "null"}
    return kinds.get(type(value), "a number")


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _FaultError(data.count(b"\n", 0, error.start) + 1, "is not UTF-8") from None


def _csv(data: bytes, key: str, fields: Sequence[str]) -> Iterator[Line]:
    reader = csv.reader(StringIO(_text(data), newline=""), strict=True)
    try:
        header = next(reader, [])
        _check_header(header, (key, *fields))
        for cells in reader:
            if len(cells) == len(header):
                yield reader.line_num, dict(zip(header, cells, strict=True))
            elif cells:
                yield reader.line_num, f"has {len(cells)} cells, the header has {len(header)}"
    except csv.Error as error:
        raise _FaultError(reader.line_num, f"is not CSV: {error}") from None


def _check_header(header: Sequence[str], wanted: Sequence[str]) -> None:
    twice = [number for number, name in enumerate(header, 1) if header.index(name) < number - 1]
    if twice:
        raise _FaultError(1, f"names a column twice, the second time as its column {twice[0]}")
    missing = [name for name in wanted if name not in header]
    if missing:
        raise _FaultError(1, f"has no column {missing[0]!r}{did_you_mean(missing[0], header)}")


def _json(data: bytes, key: str, _fields: Sequence[str]) -> Iterator[Line]:
    try:
        for line, name, value in _members(_text(data)):
            if isinstance(value, dict):
                yield line, value if name is None else {**value, key: name}
            else:
                yield line, f"must be an object, not {_kind(value)}"
    except json.JSONDecodeError as error:
        raise _FaultError(error.lineno, f"is not JSON: {error.msg}") from None
    except RecursionError:
        raise _FaultError(1, "is nested too deep") from None


def _members(text: str) -> Iterator[tuple[int, str | None, Any]]:
    """Line, name (None in a list) and value of what the outermost object or list holds."""
    decode = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant).raw_decode
    first = _skip(text, 0)
    end = {"[": "]", "{": "}"}.get(text[first : first + 1])
    if end is None:
        raise json.JSONDecodeError("an object or a list is expected", text, first)
    at = _skip(text, first + 1)
    line = 1 + text.count("\n", 0, at)
    more = text[at : at + 1] != end
    while more:
        start, name = at, None
        try:
            if end == "}":
                name, at = decode(text, at)
                at = _past(text, at, ":")
            value, at = decode(text, at)
        except _MemberError as error:
            raise _FaultError(line, str(error)) from None
        yield line, name, value
        at = _skip(text, at)
        more = text[at : at + 1] == ","
        if more:
            at = _past(text, at, ",")
        line += text.count("\n", start, at)
    if _past(text, at, end) != len(text):
        raise json.JSONDecodeError("nothing more is expected", text, _past(text, at, end))


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _past(text: str, at: int, sign: str) -> int:
    if text[at : at + 1] != sign:
        at = _skip(text, at)
    if text[at : at + 1] != sign:
        raise json.JSONDecodeError(f"{sign} is expected", text, at)
    return _skip(text, at + 1)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _MemberError("holds a name twice")
    return made


def _no_constant(name: str) -> None:
    raise _MemberError(f"holds {name}, which is no JSON")
