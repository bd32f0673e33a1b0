"""Micro-batches through Faust's public settings `ConsumerScheduler` and `Schema`.

Faust spends about 100 µs on every event, whatever is in it.  So an event here is a run of records of one partition: the
scheduler hands them out as one `MicroBatch` in place of a record, and the schema leaves it undecoded.
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
    """Some records of one partition in order, in the shape of one aiokafka record that has the last one's offset."""

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


def batches(records: Sequence[Any]) -> Iterator[MicroBatch]:
    """Records cut into batches of bounded number and size."""
    start = size = 0
    for number, record in enumerate(records):
        size += len(record.value or b"")
        if size >= MAX_BYTES or number + 1 - start >= MAX_RECORDS:
            yield MicroBatch(records[start : number + 1])
            start, size = number + 1, 0
    if start < len(records):
        yield MicroBatch(records[start:])


class BatchScheduler(DefaultSchedulingStrategy):
    """Hands out batches of the topics in *batched*, partition by partition in turn; records of others as Faust does."""

    batched: ClassVar[frozenset[str]] = frozenset()

    def iterate(self, records: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, Any]]:
        """The fetched records in the order of delivery."""
        turns = [(tp, batches(found)) for tp, found in records.items() if tp.topic in self.batched]
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


def scheduler(*topics: str) -> type[BatchScheduler]:
    """The scheduler class for an application that reads these topics in batches."""
    return type("Scheduler", (BatchScheduler,), {"batched": frozenset(topics)})


class BatchSchema(faust.Schema):  # type: ignore[type-arg]  # not subscriptable when it runs
    """Leaves values as they are: a list of records."""

    def compile(
        self,
        app: Any,
        *,
        on_key_decode_error: object = None,
        on_value_decode_error: object = None,
        default_propagate: bool = False,
    ) -> Callable[..., Any]:
        """The decoder that Faust calls for every event."""
        del on_key_decode_error, on_value_decode_error, default_propagate
        create = app.create_event

        async def decode(message: Any, *, propagate: bool = False) -> Any:
            del propagate
            return create(None, message.value, message.headers, message)

        return decode
