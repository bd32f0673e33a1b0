"""How far each drain has come, as it lies in Kafka: records of `logrouter.drains.status` and `logrouter.drains.retry`.

    key                                       value                                              written by
    ["moved","d1","gateway",3]                [1,[57,1777888000123]]                             owner of gateway [3]
    ["delivered","d1"]                        [1,[9120,[["gateway",3,55,1777888000100]],0]]      owner of d1's lines
    ["counts","d1","host-1"]                  [1,[...]]                                          each process
    ["pair","my-shop-prod","my-shop","prod"]  [1,[1777888000123]]                                whoever has seen it

The status topic is compacted and in JSON, so that people can read it; a moved line is binary, as its text is. A value
begins with the version of its form. What is of another version, too long or not of this form is read as None.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from logrouter.core.drains.line import Line  # noqa: TC001 - msgspec looks up the types of fields

VERSION: Final = 1
MAX_KEY_BYTES: Final = 2_048
MAX_VALUE_BYTES: Final = 1 << 20
"""Of a status record: what one drain has of some ten thousand source partitions."""
MAX_ERROR: Final = 300
"""Characters of what is kept of an error."""

SourcePartition = tuple[str, int]
"""(topic, partition) that a line was read from."""


class MovedKey(Struct, frozen=True, array_like=True, tag="moved"):
    """Of a drain and a source partition."""

    drain: str
    topic: str
    partition: int


class DeliveredKey(Struct, frozen=True, array_like=True, tag="delivered"):
    """Of a drain."""

    drain: str


class CountsKey(Struct, frozen=True, array_like=True, tag="counts"):
    """Of a drain and a process."""

    drain: str
    instance: str


class SeenPairKey(Struct, frozen=True, array_like=True, tag="pair"):
    """Of a name and one of the pairs that it was seen to mean."""

    name: str
    app: str
    space: str


class MovedUpTo(Struct, frozen=True, array_like=True):
    """*number* is the last one of a line that was moved to the topic, at *at_ms* (epoch)."""

    number: int = 0
    at_ms: int = 0


class Reached(Struct, frozen=True, array_like=True):
    """The line with this *number* of a source partition is at the target, or told to it as dropped.

    It was moved at *at_ms* (epoch).
    """

    topic: str
    partition: int
    number: int
    at_ms: int


class DeliveredUpTo(Struct, frozen=True, array_like=True):
    """How far the lines of a drain have come that were moved.

    Nothing of the drain below offset *cursor* of its partition of the retry topic is needed any more. *dropped* counts
    the lines that were told to the target as dropped.
    """

    cursor: int = 0
    sources: tuple[Reached, ...] = ()
    dropped: int = 0

    def numbers(self) -> dict[SourcePartition, Reached]:
        """The same by source partition."""
        return {(each.topic, each.partition): each for each in self.sources}


class Counts(Struct, frozen=True, array_like=True):
    """What one process has done for a drain since the drain was made. *last_error* is coarse, and no secret."""

    delivered: int = 0
    refused: int = 0
    moved: int = 0
    requests_failed: int = 0
    last_delivered_ms: int = 0
    last_error_ms: int = 0
    last_error: str = ""


class SeenPair(Struct, frozen=True, array_like=True):
    """When the pair was first seen: epoch milliseconds."""

    at_ms: int


StatusKey = MovedKey | DeliveredKey | CountsKey | SeenPairKey
StatusValue = MovedUpTo | DeliveredUpTo | Counts | SeenPair


class MovedLine(Struct, frozen=True, array_like=True):
    """A line in the retry topic: the *number*-th that was moved of its drain and source partition, at *at_ms*."""

    number: int
    topic: str
    partition: int
    at_ms: int
    line: Line


_keys: Final[msgspec.json.Decoder[StatusKey]] = msgspec.json.Decoder(StatusKey)
_values: Final[dict[type, msgspec.json.Decoder[Any]]] = {
    MovedKey: msgspec.json.Decoder(tuple[int, MovedUpTo]),
    DeliveredKey: msgspec.json.Decoder(tuple[int, DeliveredUpTo]),
    CountsKey: msgspec.json.Decoder(tuple[int, Counts]),
    SeenPairKey: msgspec.json.Decoder(tuple[int, SeenPair]),
}
_lines: Final = msgspec.msgpack.Decoder(tuple[int, MovedLine])


def encode_key(key: StatusKey) -> bytes:
    """The key of its record; the same key has the same bytes."""
    return msgspec.json.encode(key)


def encode_value(value: StatusValue) -> bytes:
    """The value of its record."""
    return msgspec.json.encode((VERSION, value))


def decode_key(key: bytes | None) -> StatusKey | None:
    """What `encode_key` has made; None for anything else."""
    if key is None or len(key) > MAX_KEY_BYTES:
        return None
    try:
        return _keys.decode(key)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def decode_value(key: StatusKey, value: bytes) -> StatusValue | None:
    """What `encode_value` has made for a key of this kind; None for anything else."""
    if len(value) > MAX_VALUE_BYTES:
        return None
    try:
        version, decoded = _values[type(key)].decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    found: StatusValue = decoded
    return found if version == VERSION else None


def encode_line(line: MovedLine) -> bytes:
    """The value of its record; the key is the drain's id."""
    return msgspec.msgpack.encode((VERSION, line))


def decode_line(value: bytes | None) -> MovedLine | None:
    """What `encode_line` has made; None for anything else."""
    if value is None:
        return None
    try:
        version, line = _lines.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return line if version == VERSION else None
