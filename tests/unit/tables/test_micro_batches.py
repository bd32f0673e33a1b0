"""Records cut into micro-batches."""

from __future__ import annotations

from typing import NamedTuple

from faust.types import TP

from logrouter.tables.micro_batches import MAX_BYTES, MAX_RECORDS, scheduler_class, split_batches


class Record(NamedTuple):
    """As much of a fetched record as a scheduler sees."""

    topic: str
    partition: int
    offset: int
    value: bytes | None = b"x"
    timestamp: int = 0


def run(topic, partition, count, value=b"x"):
    """Records of one partition."""
    return [Record(topic, partition, offset, value) for offset in range(count)]


def test_batches_are_bounded_and_lose_nothing():
    """Neither too many records nor too many bytes, in order, the last offset for the whole."""
    many, large = run("t", 0, MAX_RECORDS * 2 + 1), run("t", 0, 5, b"y" * MAX_BYTES)
    for records, count in ((many, 3), (large, 5), ([], 0), (run("t", 0, 2, None), 1)):
        found = list(split_batches(records))
        assert [r for batch in found for r in batch.value] == records
        assert len(found) == count
        assert all(batch.offset == batch.value[-1].offset for batch in found)


def test_scheduler_takes_partitions_in_turn_and_leaves_other_topics_alone():
    """One partition's backlog does not hold up another; unbatched topics come record by record."""
    chosen = scheduler_class("t")()
    records = {
        TP("t", 0): run("t", 0, MAX_RECORDS * 2),
        TP("t", 1): run("t", 1, 3),
        TP("other", 0): run("other", 0, 2),
    }
    order = [(tp.topic, tp.partition, isinstance(r, Record)) for tp, r in chosen.iterate(records)]
    assert order == [("t", 0, False), ("t", 1, False), ("t", 0, False), ("other", 0, True), ("other", 0, True)]
