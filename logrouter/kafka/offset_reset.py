"""Where to go on in a partition of a source topic: a decision from facts, without I/O.

librdkafka has one setting for all cases in which an offset can't be read (`auto.offset.reset`), and any answer to it is
wrong in some of them: it doubles a topic, or skips records in silence. So the lane sets it to `error` and decides here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

UNKNOWN_ID: Final = ""
"""Of a topic on a broker without topic ids, or of a commit that does not say which topic it was about."""


class Begin(StrEnum):
    """Where to begin in a partition for which the group has no committed offset: the option `from` of a source."""

    EARLIEST = "earliest"
    LATEST = "latest"


class Cause(StrEnum):
    """Why reading goes on where it does."""

    COMMITTED = "committed"
    """At the offset that the group has committed, or where this process had read to."""
    NO_COMMIT = "no_commit"
    RETENTION = "retention"
    """Records were deleted before they were read."""
    RECREATED = "recreated"
    """Another topic has the name now."""
    BEYOND_END = "beyond_end"
    """The log is shorter than it was, or its end was replaced: records that the group has read are gone."""
    UNREADABLE = "unreadable"
    """The bytes of a batch are damaged, and the file says to pass over it. `decide` does not know of that."""


class LostRange(NamedTuple):
    """Records that were never read: from *first* up to, without, *end*; None where nobody knows how many there were."""

    first: int
    end: int | None


class Decision(NamedTuple):
    """Go on at *start*, None if an operator has to decide; what is *lost* by that, None for nothing."""

    cause: Cause
    start: int | None
    lost: LostRange | None = None


class ReadPosition(NamedTuple):
    """How far a partition is read: *offset* in the topic with *topic_id*; offset None: the group has not begun."""

    offset: int | None
    topic_id: str = UNKNOWN_ID


class LogRange(NamedTuple):
    """The offsets that can be read in a partition: from *low* up to, without, *high*."""

    low: int
    high: int


def needs_range(place: ReadPosition, present_id: str, begin: Begin) -> bool:
    """Whether `decide` needs to know the range of the partition, for one that librdkafka has not complained about."""
    if place.offset is None:
        return begin is Begin.LATEST
    return _is_other_topic(place, present_id)


def decide(place: ReadPosition, log: LogRange, present_id: str, begin: Begin, *, truncated: bool = False) -> Decision:
    """Where to go on in a partition that is read to *place*, of a topic that has *present_id* now.

    *truncated*: librdkafka has found that records before *place* were replaced by others, although it is in range.
    """
    offset = place.offset
    if offset is None:
        return Decision(Cause.NO_COMMIT, log.high if begin is Begin.LATEST else log.low)
    if _is_other_topic(place, present_id):
        return Decision(Cause.RECREATED, log.low, LostRange(offset, None))
    if offset < log.low:
        return Decision(Cause.RETENTION, log.low, LostRange(offset, log.low))
    if offset > log.high or truncated:
        return Decision(Cause.BEYOND_END, None)
    return Decision(Cause.COMMITTED, offset)


def _is_other_topic(place: ReadPosition, present_id: str) -> bool:
    return UNKNOWN_ID not in (place.topic_id, present_id) and place.topic_id != present_id
