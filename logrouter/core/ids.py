"""Event ids: a UUIDv8 that says which record an event came from, the same on every replay.

The 122 free bits of RFC 9562 §5.8 hold, most significant first::

    origin 40 | partition 16 | offset 52 | index 14

*origin* is a hash of the cluster's name and the topic, so that two topics never share an id; *index* counts the
events of one record.  No hashing is paid per event: `for_partition` computes the constant part once.

A topic that was deleted and made anew has the same name and offsets: its id is hashed, too, or its events would repeat
the ids of those before.  Which id of a topic needs no mention is in the ledger of sources (`core.source_ledger`).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PARTITION = (1 << 16) - 1
MAX_OFFSET = (1 << 52) - 1
MAX_INDEX = (1 << 14) - 1

_SMALL_OFFSET = (1 << 34) - 1
_NODE = (1 << 48) - 1


@dataclass(frozen=True, slots=True)
class Coordinates:
    """The record and the event that an id points to.

    *origin* is a hash: the topic is the one for which `origin` gives the same.
    """

    origin: int
    partition: int
    offset: int
    index: int


def origin(cluster: str, topic: str, topic_id: str = "") -> int:
    """The 40-bit hash of *cluster* and *topic* that starts every id of that topic.

    *topic_id* is Kafka's id of a topic that has had another one before; empty for the first, and where it is unknown.
    """
    # The length prefix keeps ("a", "bc") and ("ab", "c") apart, the colon is in no name of a topic.
    name = f"{len(cluster)}:{cluster}{topic}{topic_id and f':{topic_id}'}".encode()
    return int.from_bytes(blake2b(name, digest_size=5).digest(), "big")


def for_partition(cluster: str, topic: str, partition: int, topic_id: str = "") -> Callable[[int, int], str]:
    """A function ``(offset, index) -> id`` for one partition; *topic_id* as for `origin`.

    Raises:
        ValueError: the partition number does not fit 16 bits (Kafka clusters stay far below).
    """
    if not 0 <= partition <= MAX_PARTITION:
        raise ValueError(f"partition {partition} does not fit an event id")
    head = f"{origin(cluster, topic, topic_id):010x}{partition >> 8:02x}"
    prefix = f"{head[:8]}-{head[8:]}-8{partition & 0xFF:02x}"

    small = f"{prefix}0-8000-"  # what ids of the first 2**34 offsets begin with

    def event_id(offset: int, index: int = 0) -> str:
        if 0 <= offset <= _SMALL_OFFSET:
            return f"{small}{offset << 14 | index:012x}"
        # The low 64 bits are the variant, 48 bits of the offset and the index: 16 of them stand before the last dash.
        high = 0x8000 | offset >> 34 & 0x3FFF
        return f"{prefix}{offset >> 48:x}-{high:04x}-{(offset << 14 | index) & _NODE:012x}"

    return event_id


def coordinates(text: str) -> Coordinates | None:
    """The coordinates in an id; None if *text* is not an id as `for_partition` makes them."""
    try:
        number = UUID(text).int
    except ValueError:
        return None
    if number >> 76 & 0xF != 8 or number >> 62 & 0b11 != 0b10:
        return None
    low = number & (1 << 62) - 1
    return Coordinates(
        origin=number >> 88,
        partition=(number >> 80 & 0xFF) << 8 | number >> 68 & 0xFF,
        offset=(number >> 64 & 0xF) << 48 | low >> 14,
        index=low & MAX_INDEX,
    )
