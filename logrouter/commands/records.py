"""The records that `logrouter explain` is asked about: lines, one by its place in Kafka, one by the id of an event."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from logrouter.core import ids
from logrouter.model import RawRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from logrouter.config import Settings
    from logrouter.core.ids import Coordinates
    from logrouter.kafka.reader import ClusterInfo

LINES_CLUSTER: Final = "lines"
"""The cluster's name in the ids of events that were made from lines: never that of a real cluster."""

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


def find_record(settings: Settings, wanted: Place | Coordinates) -> tuple[str, RawRecord]:
    """The cluster's id and the record at a place, or the one that an event's id leads to.

    Raises:
        RecordSourceError: the cluster doesn't answer, or has no such record.
    """
    from logrouter.kafka import reader
    from logrouter.kafka.errors import ClientError

    try:
        cluster = reader.describe_cluster(settings.kafka)
        place = wanted if isinstance(wanted, Place) else _place_of_event(settings, cluster, wanted)
        return cluster.id, reader.read_at(settings.kafka, place.topic, place.partition, place.offset)
    except ClientError as exc:
        raise RecordSourceError(str(exc)) from None


def _place_of_event(settings: Settings, cluster: ClusterInfo, event: Coordinates) -> Place:
    """An id holds a hash of its topic, so the topics of our sources are tried."""
    for topic in sorted(cluster.topics):
        if ids.origin(cluster.id, topic) == event.origin and settings.table.source_of(topic) is not None:
            return Place(topic, event.partition, event.offset)
    raise RecordSourceError("the event's id leads to no topic of the sources in this cluster")
