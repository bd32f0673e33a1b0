"""The records that `logrouter explain` is asked about: lines, one by its place in Kafka, one by the id of an event."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from logrouter.core import ids
from logrouter.model import RawRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from logrouter.config import Settings
    from logrouter.core.ids import Coordinates
    from logrouter.kafka.reader import ClusterInfo

LINES_CLUSTER: Final = "lines"
"""The cluster's name in the ids of events that were made from lines: never that of a real cluster."""

_ASK_SECONDS: Final = 10.0
_PLACE = re.compile(r"([A-Za-z0-9._-]{1,249}):(\d{1,10}):(\d{1,18})")


class RecordSourceError(Exception):
    """There is no such record, or Kafka does not answer. Its text is one line for the terminal."""


class Place(NamedTuple):
    """Where a record is in Kafka."""

    topic: str
    partition: int
    offset: int


def now_ms() -> int:
    """The wall clock, as Kafka stamps records."""
    return time.time_ns() // 1_000_000


def parse_place(text: str) -> Place | None:
    """`TOPIC:PARTITION:OFFSET`, or None where *text* is something else."""
    match = _PLACE.fullmatch(text)
    return Place(match[1], int(match[2]), int(match[3])) if match is not None else None


def read_lines(stream: BinaryIO, topic: str) -> Iterator[RawRecord]:
    """Each line of *stream* as a record of *topic*, partition 0, as soon as it is read. Line feeds end lines."""
    for number, line in enumerate(stream):
        yield RawRecord(topic, 0, number, now_ms(), line.removesuffix(b"\n"))


def read_file(path: Path, topic: str) -> Iterator[RawRecord]:
    """Each line of the file at *path* as a record, as by `read_lines`."""
    with path.open("rb") as stream:
        yield from read_lines(stream, topic)


class FoundRecord(NamedTuple):
    """A record, and what the ids of its events are made of: see `core.ids.origin`."""

    cluster: str
    topic_id: str
    record: RawRecord


def find_record(settings: Settings, wanted: Place | Coordinates) -> FoundRecord:
    """The record at a place, or the one that an event's id leads to.

    Raises:
        RecordSourceError: the cluster doesn't answer, or has no such record.
    """
    from logrouter.kafka import reader
    from logrouter.kafka.errors import ClientError

    try:
        cluster = reader.describe_cluster(settings.kafka)
        if isinstance(wanted, Place):
            topic_ids = _recreated_topics(settings, cluster, [wanted.topic])
            place = wanted
        else:
            known = sorted(topic for topic in cluster.topics if settings.table.source_of(topic) is not None)
            topic_ids = _recreated_topics(settings, cluster, known)
            place = _place_of_event(cluster, wanted, {topic: topic_ids.get(topic, "") for topic in known})
        record = reader.read_at(settings.kafka, place.topic, place.partition, place.offset)
        return FoundRecord(cluster.id, topic_ids.get(place.topic, ""), record)
    except ClientError as exc:
        raise RecordSourceError(str(exc)) from None


def _place_of_event(cluster: ClusterInfo, event: Coordinates, topic_ids: Mapping[str, str]) -> Place:
    """An id holds a hash of its topic, so the topics of our sources are tried, with their ids if made anew."""
    for topic, topic_id in topic_ids.items():
        if ids.origin(cluster.id, topic, topic_id) == event.origin:
            return Place(topic, event.partition, event.offset)
        if ids.origin(cluster.id, topic) == event.origin:
            raise RecordSourceError(f"the record is gone: {topic} was deleted and made anew since")
    raise RecordSourceError("the event's id leads to no topic of the sources in this cluster")


def _recreated_topics(settings: Settings, cluster: ClusterInfo, topics: Sequence[str]) -> dict[str, str]:
    """The ids of those of *topics* that were deleted and made anew since they were first read."""
    from logrouter.core.source_ledger import SourceLedger
    from logrouter.kafka.reader import read_committed
    from logrouter.kafka.topic_ids import TopicIds

    if settings.outputs.ledger.topic not in cluster.topics:
        return {}
    ledger = SourceLedger()
    for key, record in read_committed(settings.kafka, settings.outputs.ledger.topic):
        ledger.take(key, record.value, record.offset)
    found = TopicIds(settings.kafka).fetch(topics, _ASK_SECONDS)
    return {topic: topic_id for topic, topic_id in found.items() if ledger.first_id(topic) not in (None, topic_id)}
