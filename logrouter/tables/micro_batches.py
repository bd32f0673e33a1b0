"""Micro-batches through Faust's public settings `ConsumerScheduler` and `Schema`.

Faust spends about 100 µs on every event, whatever is in it. So an event here is several consecutive records of one
partition: the scheduler hands them out as one `MicroBatch` in place of a record, and the schema leaves it undecoded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import faust
from faust.transport.utils import DefaultSchedulingStrategy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from faust.types import TP

MAX_RECORDS: Final = 2_000
MAX_BYTES: Final = 16 * 1024
"""About 2 ms of folding, so that queries and heartbeats are not kept waiting. One larger record makes a batch."""


class MicroBatch:
    """Consecutive records of one partition. It looks like an aiokafka record: its offset is that of the last one."""

    __slots__ = ("offset", "partition", "timestamp", "topic", "value")
    timestamp_type = 0
    headers = ()
    key = None
    checksum = None
    serialized_key_size = serialized_value_size = 0

    def __init__(self, records: Sequence[Any]) -> None:
        last = records[-1]
        self.topic: str = last.topic
        self.partition: int = last.partition
        self.offset: int = last.offset
        self.timestamp: int = last.timestamp
        self.value = records


def split_batches(records: Sequence[Any]) -> Iterator[MicroBatch]:
    """Consecutive records as batches of at most `MAX_RECORDS` records and about `MAX_BYTES` of values."""
    start = size = 0
    for number, record in enumerate(records):
        size += len(record.value or b"")
        if size >= MAX_BYTES or number + 1 - start >= MAX_RECORDS:
            yield MicroBatch(records[start : number + 1])
            start, size = number + 1, 0
    if start < len(records):
        yield MicroBatch(records[start:])


class BatchScheduler(DefaultSchedulingStrategy):
    """Hands out batches of the topics in *batched*, one partition after the other; single records of other topics."""

    batched: ClassVar[frozenset[str]] = frozenset()

    def iterate(self, records: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, Any]]:
        """Batches and records, each with its partition, in the order in which Faust delivers them."""
        turns = [(tp, split_batches(found)) for tp, found in records.items() if tp.topic in self.batched]
        while turns:
            left = []
            for tp, run in turns:
                batch = next(run, None)
                if batch is not None:
                    left.append((tp, run))
                    yield tp, batch
            turns = left
        others = {tp: found for tp, found in records.items() if tp.topic not in self.batched}
        if others:
            yield from super().iterate(others)


def scheduler_class(*topics: str) -> type[BatchScheduler]:
    """The scheduler class of an application that reads these topics in batches."""
    return type("Scheduler", (BatchScheduler,), {"batched": frozenset(topics)})


class BatchSchema(faust.Schema):  # type: ignore[type-arg]  # not subscriptable when it runs
    """A Faust schema that does not decode: the value of an event is its list of records."""

    def compile(
        self,
        app: Any,
        *,
        on_key_decode_error: object = None,
        on_value_decode_error: object = None,
        default_propagate: bool = False,
    ) -> Callable[..., Any]:
        """The function that Faust calls for every event; it returns the event."""
        del on_key_decode_error, on_value_decode_error, default_propagate
        create = app.create_event

        async def decode(message: Any, *, propagate: bool = False) -> Any:
            del propagate
            return create(None, message.value, message.headers, message)

        return decode
