"""A source batch whose bytes a disk has damaged: reported with its place, passed over only if the file says so."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer

from logrouter.devkafka.broker import DevKafka
from tests.conftest import HANG_SECONDS
from tests.integration.stack import Stack, request_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.broker, pytest.mark.long]

_LENGTH = slice(8, 12)
_HEADER = 61
"""Bytes of a record batch before its records; bytes 8 to 12 say how many follow those."""


@pytest.fixture
def kafka(tmp_path) -> Iterator[DevKafka]:
    """A broker of our own, whose files are known."""
    with DevKafka(data_dir=tmp_path / "kafka") as made:
        yield made


def damage(folder: Path, number: int) -> None:
    """Overwrite some of the compressed records of one batch of a partition; the broker doesn't look at them."""
    (log,) = folder.glob("*.log")
    content, at = log.read_bytes(), [0]
    while at[-1] < len(content):
        at.append(at[-1] + 12 + int.from_bytes(content[at[-1] :][_LENGTH], "big"))
    start, end = [*pairwise(at)][number]
    assert end - start > _HEADER + 30
    with log.open("r+b") as file:
        file.seek(start + _HEADER + 4)
        file.write(b"\xff" * 20)


def produce_batch(stack: Stack, lines: list[bytes]) -> None:
    """One compressed batch for partition 0."""
    producer = Producer({**stack.kafka, "compression.type": "zstd", "linger.ms": 1000})
    for line in lines:
        producer.produce(stack.source, line, partition=0)
    assert producer.flush(HANG_SECONDS) == 0


def test_a_damaged_batch_stops_its_partition_until_the_file_says_skip(kafka, tmp_path, unique, eventually):
    """Others go on. Then exactly its records are lost, and one dead letter says which."""
    stack = Stack(kafka.bootstrap, tmp_path, unique("damaged"), partitions=2)
    try:
        for first in (0, 10, 20):
            produce_batch(stack, [request_line(n, "c") for n in range(first, first + 10)])
        damage(tmp_path / "kafka" / "data" / f"{stack.source}-0", 1)
        lane = stack.route()
        eventually(lambda: "source_unreadable" in lane.text(), "reported")
        stack.feed((request_line(n, "c") for n in range(30, 40)), partition=1)
        eventually(lambda: stack.numbers() == Counter([*range(10), *range(30, 40)]), "all but what stands still")
        assert f"topic={stack.source} partition=0 offset=10 " in lane.text()
        assert lane.text().count("source_unreadable") == 1

        text = stack.config.read_text()
        stack.config.write_text(text.replace("  metrics: {port: 0}", "  on_unreadable: skip\n  metrics: {port: 0}"))
        eventually(lambda: stack.numbers() == Counter([*range(10), *range(20, 40)]), "passed over")
        assert lane.stop() == 0
        lane = stack.route()
        stack.feed([request_line(40, "c")], partition=0)
        eventually(lambda: stack.numbers() == Counter([*range(10), *range(20, 41)]), "goes on behind it")
        assert lane.stop() == 0
        (letter,) = stack.dead_letters()
        assert letter["lost"] == {"first": 10, "end": 20}
        assert letter["source"] == {"topic": stack.source, "partition": 0, "offset": 10}
        assert "damaged" in letter["detail"]
    finally:
        stack.close()
