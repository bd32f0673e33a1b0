"""Work in steps: whoever drives it may serve others between two of them.

Questions are answered in the event loop of a worker that also folds, so nothing here may compute for long in one go.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Work that returns a result; it yields wherever it may be interrupted, each time after a millisecond or less."""

_ENTRIES: Final = 16
"""Entries of a list that are encoded at a time: of the largest kind, points with 256 names each, some 150 KB."""


def finish(steps: Steps[T]) -> T:
    """The result of *steps*, done in one go."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def collect(pieces: Iterable[T]) -> Steps[list[T]]:
    """All of *pieces*, one made in each step."""
    made = []
    for piece in pieces:
        made.append(piece)
        yield
    return made


def encode_members(members: Mapping[str, Any], option: int = 0) -> Iterator[bytes]:
    """*members* as a JSON object: the bytes of `orjson.dumps`, in pieces."""
    between = b"{"
    names: Iterable[str] = sorted(members) if option & orjson.OPT_SORT_KEYS else members
    for name in names:
        yield between + orjson.dumps(name) + b":"
        between = b","
        value = members[name]
        if isinstance(value, list) and len(value) > _ENTRIES:
            yield from _encode_list(value, option)
        else:
            yield orjson.dumps(value, option=option)
    yield b"{}" if between == b"{" else b"}"


def _encode_list(values: Sequence[Any], option: int) -> Iterator[bytes]:
    for start in range(0, len(values), _ENTRIES):
        piece = orjson.dumps(values[start : start + _ENTRIES], option=option)
        yield (b"[" if start == 0 else b",") + piece[1:-1]
    yield b"]"
