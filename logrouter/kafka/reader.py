"""Reads topics from outside any consumer group: what is committed, up to the end as it is now.

A consumer here is assigned its partitions and commits nothing, so the cluster never hears of a group.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from logrouter.kafka.client import make_client, plain_settings
from logrouter.kafka.errors import OF_NO_GROUP, ClientError, Refusals, offset_error
from logrouter.kafka.metadata import fetch_metadata
from logrouter.model import RawRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from logrouter.kafka.records import Message

    Place = tuple[str, int]
    Range = tuple[int, int]

_ASK_SECONDS: Final = 10.0
_AGAIN_SECONDS: Final = 0.2
_NO_LEADER: Final = frozenset({KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE})
_QUIET_SECONDS: Final = 30.0


def read_committed(kafka: Mapping[str, Any], topic: str) -> Iterator[tuple[bytes | None, RawRecord]]:
    """(key, record) of every committed record of *topic* up to its present end, partition by partition interleaved.

    Raises:
        ClientError: no such topic, or the cluster stopped answering.
    """
    consumer, refusals = _make_consumer(kafka)
    try:
        marks = {(topic, p): mark for p, mark in _fetch_watermarks(kafka, consumer, refusals, topic).items()}
        yield from _read_ranges(consumer, {place: low for place, (low, high) in marks.items() if high > low})
    finally:
        consumer.close()


def _make_consumer(kafka: Mapping[str, Any]) -> tuple[Consumer, Refusals]:
    own = {
        "group.id": "logrouter-reader",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
    }
    refusals = Refusals()
    return make_client(Consumer, plain_settings(kafka) | own, error_cb=refusals), refusals


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """A cluster's id, and the names of its topics."""

    id: str
    topics: frozenset[str]


def describe_cluster(kafka: Mapping[str, Any]) -> ClusterInfo:
    """Ask the cluster for its id and topics.

    Raises:
        ClientError: it does not answer.
    """
    consumer, refusals = _make_consumer(kafka)
    try:
        metadata = fetch_metadata(kafka, consumer, refusals)
        return ClusterInfo(metadata.cluster_id or "", frozenset(metadata.topics))
    finally:
        consumer.close()


def read_at(kafka: Mapping[str, Any], topic: str, partition: int, offset: int) -> RawRecord:
    """The record at one place.

    Raises:
        ClientError: there is none (any more), or the cluster does not answer.
    """
    consumer, refusals = _make_consumer(kafka)
    try:
        marks = _fetch_watermarks(kafka, consumer, refusals, topic)
        if partition not in marks:
            raise ClientError(f"topic {topic} has no partition {partition}: it has {len(marks)}")
        low, high = marks[partition]
        if not low <= offset < high:
            has = f"offsets {low} to {high - 1}" if high > low else "no records"
            raise ClientError(f"{topic}:{partition}:{offset} is not there: the partition has {has}")
        place = topic, partition
        for _, record in _read_ranges(consumer, {place: offset}, {place: offset + 1}):
            return record
        raise ClientError(f"{topic}:{partition}:{offset} is no record: a transaction's marker, or compacted away")
    finally:
        consumer.close()


def read_tail(
    kafka: Mapping[str, Any], topics: Iterable[str], *, records: int | None, since_ms: int | None = None
) -> Iterator[RawRecord]:
    """About the last *records* committed records of *topics* together, or all since a time, up to the present end.

    The number is shared out evenly over the partitions; what a short one has no use for goes to the others. It counts
    offsets, and transactions and compaction leave gaps in these, so there may be fewer records. With both bounds, the
    narrower one counts.

    Raises:
        ClientError: no such topic, or the cluster stopped answering.
    """
    consumer, refusals = _make_consumer(kafka)
    try:
        marks = {(t, p): mark for t in topics for p, mark in _fetch_watermarks(kafka, consumer, refusals, t).items()}
        if since_ms is not None:
            marks = _ranges_since(consumer, marks, since_ms)
        starts = marks if records is None else share_tail(marks, records)
        starts = {place: mark for place, mark in starts.items() if mark[1] > mark[0]}
        ends = {place: high for place, (_, high) in starts.items()}
        for _, record in _read_ranges(consumer, {place: low for place, (low, _) in starts.items()}, ends):
            yield record
    finally:
        consumer.close()


def share_tail(marks: Mapping[Place, Range], records: int) -> dict[Place, Range]:
    """The last *records* offsets of all ranges together, shared out evenly; what a short range lacks, longer ones give.

    *marks* are (first offset, offset behind the last) by place.
    """
    kept: dict[Place, Range] = {}
    for place, (low, high) in sorted(marks.items(), key=lambda item: (item[1][1] - item[1][0], item[0])):
        share = min(-(-records // (len(marks) - len(kept))), high - low)
        kept[place] = high - share, high
        records -= share
    return kept


def _ranges_since(consumer: Consumer, marks: Mapping[Place, Range], since_ms: int) -> dict[Place, Range]:
    """The part of each range that was written since then."""
    asked = [TopicPartition(topic, p, since_ms) for topic, p in marks]
    try:
        found = consumer.offsets_for_times(asked, timeout=_ASK_SECONDS)
    except KafkaException as exc:
        raise ClientError(f"cannot look for records by time: {exc.args[0].str()}") from None
    # A partition with nothing that late answers with its end, which is written as a negative number.
    first = {
        (tp.topic, tp.partition): tp.offset if tp.offset >= 0 else marks[tp.topic, tp.partition][1] for tp in found
    }
    return {place: (max(low, first[place]), high) for place, (low, high) in marks.items()}


def fetch_end_offsets(kafka: Mapping[str, Any], topic: str) -> dict[int, int]:
    """By partition, the offset behind the last committed record: where the first open transaction begins, if any.

    Raises:
        ClientError: no such topic, or the cluster does not answer.
    """
    consumer, refusals = _make_consumer(kafka)
    try:
        return {p: high for p, (_low, high) in _fetch_watermarks(kafka, consumer, refusals, topic).items()}
    finally:
        consumer.close()


def _fetch_watermarks(
    kafka: Mapping[str, Any], consumer: Consumer, refusals: Refusals, topic: str
) -> dict[int, tuple[int, int]]:
    try:
        metadata = fetch_metadata(kafka, consumer, refusals, topic).topics[topic]
        if metadata.error is not None:
            raise ClientError(f"topic {topic}: {metadata.error.str()}")
        return {p: _ends_of(consumer, TopicPartition(topic, p)) for p in metadata.partitions}
    except KafkaException as exc:
        raise ClientError(f"cannot read topic {topic}: {exc.args[0].str()}") from None


def _ends_of(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """Both ends. A partition may have no leader for a moment: when its topic is new, or a broker restarts."""
    by = time.monotonic() + _ASK_SECONDS
    while True:
        try:
            return consumer.get_watermark_offsets(place, timeout=_ASK_SECONDS)
        except KafkaException as exc:
            if exc.args[0].code() not in _NO_LEADER or time.monotonic() > by:
                raise
        time.sleep(_AGAIN_SECONDS)


def _read_ranges(
    consumer: Consumer, starts: Mapping[Place, int], ends: Mapping[Place, int] | None = None
) -> Iterator[tuple[bytes | None, RawRecord]]:
    """From each start to the end of its partition, or to the one of *ends* if there are records behind it."""
    left = set(starts)
    consumer.assign([TopicPartition(topic, p, start) for (topic, p), start in starts.items()])
    quiet_since = time.monotonic()
    while left:
        # A short wait: consume() returns only when it has as many as asked for, or when time is up.
        messages = consumer.consume(5000, 0.1)
        if messages:
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since > _QUIET_SECONDS:
            raise ClientError(f"topic {min(left)[0]}: nothing came for {_QUIET_SECONDS:g} s")
        for m in cast("list[Message]", messages):
            place = m.topic(), m.partition()
            if (error := m.error()) is not None:
                if offset_error(m) is not None:
                    raise ClientError(f"topic {place[0]}: records were deleted while they were read; try again")
                if error.code() in OF_NO_GROUP:
                    continue
                if error.name() != "_PARTITION_EOF":
                    raise ClientError(f"cannot read topic {place[0]}: {error.str()}")
                left.discard(place)
            elif ends is not None and m.offset() >= ends[place]:
                left.discard(place)
            elif place in left:
                headers = tuple((name, value) for name, value in m.headers() or ())
                yield m.key(), RawRecord(*place, m.offset(), m.timestamp()[1], m.value(), headers)
