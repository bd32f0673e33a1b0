"""Reads topics from outside any consumer group: what is committed, from the beginning to the end as it is now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, cast

from confluent_kafka import Consumer, KafkaException, TopicPartition

from logrouter.model import RawRecord
from logrouter.route.client import ClientError, make, plain_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from logrouter.route.batch import Message

_ASK_SECONDS: Final = 10.0
_QUIET_SECONDS: Final = 30.0


def read_committed(kafka: Mapping[str, Any], topic: str) -> Iterator[tuple[bytes | None, RawRecord]]:
    """(key, record) of every committed record of *topic* up to its present end, partition by partition interleaved.

    Raises:
        ClientError: no such topic, or the cluster stopped answering.
    """
    consumer = make(
        Consumer,
        plain_settings(kafka)
        | {
            "group.id": "logrouter-reader",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        },
    )
    try:
        yield from _read(consumer, topic)
    finally:
        consumer.close()


def end_offsets(kafka: Mapping[str, Any], topic: str) -> dict[int, int]:
    """The offset after the last record of each partition, open transactions not counted."""
    consumer = make(
        Consumer, plain_settings(kafka) | {"group.id": "logrouter-reader", "isolation.level": "read_committed"}
    )
    try:
        return {p: high for p, (_low, high) in _watermarks(consumer, topic).items()}
    finally:
        consumer.close()


def _watermarks(consumer: Consumer, topic: str) -> dict[int, tuple[int, int]]:
    try:
        metadata = consumer.list_topics(topic, timeout=_ASK_SECONDS).topics[topic]
        if metadata.error is not None:
            raise ClientError(f"topic {topic}: {metadata.error.str()}")
        return {
            p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=_ASK_SECONDS)
            for p in metadata.partitions
        }
    except KafkaException as exc:
        raise ClientError(f"cannot read topic {topic}: {exc.args[0].str()}") from None


def _read(consumer: Consumer, topic: str) -> Iterator[tuple[bytes | None, RawRecord]]:
    marks = _watermarks(consumer, topic)
    left = {p for p, (low, high) in marks.items() if high > low}
    consumer.assign([TopicPartition(topic, p, marks[p][0]) for p in left])
    quiet_since = time.monotonic()
    while left:
        # A short wait: consume() returns only when it has as many as asked for, or when time is up.
        messages = consumer.consume(5000, 0.1)
        if messages:
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since > _QUIET_SECONDS:
            raise ClientError(f"topic {topic}: nothing came for {_QUIET_SECONDS:g} s")
        for m in cast("list[Message]", messages):
            partition = m.partition()
            if (error := m.error()) is not None:
                if error.name() != "_PARTITION_EOF":
                    raise ClientError(f"cannot read topic {topic}: {error.str()}")
                left.discard(partition)
            elif partition in left:
                headers = tuple((name, value) for name, value in m.headers() or ())
                yield m.key(), RawRecord(topic, partition, m.offset(), m.timestamp()[1], m.value(), headers)
