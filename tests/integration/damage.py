"""Batches of records, and a disk that damages their bytes."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from confluent_kafka import Producer

from tests.conftest import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

_LENGTH = slice(8, 12)
_HEADER = 61
"""Bytes of a record batch before its records; bytes 8 to 12 say how many follow those."""


def damage(folder: Path, number: int) -> Callable[[], None]:
    """Overwrite some of the compressed records of one batch of a partition; the broker doesn't look at them.

    What it returns puts them back, as from a good replica.
    """
    (log,) = folder.glob("*.log")
    content, at = log.read_bytes(), [0]
    while at[-1] < len(content):
        at.append(at[-1] + 12 + int.from_bytes(content[at[-1] :][_LENGTH], "big"))
    start, end = [*pairwise(at)][number]
    assert end - start > _HEADER + 30

    def write(at: int, found: bytes) -> None:
        with log.open("r+b") as file:
            file.seek(at)
            file.write(found)

    place = start + _HEADER + 4
    write(place, b"\xff" * 20)
    return lambda: write(place, content[place : place + 20])


def produce_batch(kafka: Mapping[str, Any], topic: str, values: Iterable[bytes]) -> None:
    """One compressed batch for partition 0."""
    producer = Producer({**kafka, "compression.type": "zstd", "linger.ms": 1000})
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(HANG_SECONDS) == 0
