"""An event as it lies in its topic, of whatever schema: its id, its time, and the object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from logrouter.core.text.timestamps import rfc3339_ms
from logrouter.sinks.contract import Refused

if TYPE_CHECKING:
    from logrouter.model import RawRecord

_MAX_ID_BYTES: Final = 512
"""A longer id makes the target refuse the whole request that it is in."""
LAST_MS: Final = 253_402_300_799_999
"""The end of the year 9999: later times are no dates."""


class SourceEvent(NamedTuple):
    """*id* is the same however often the event is read.

    *time_ms* is when the request began, *arrival_ms* when the event came to its topic, in epoch milliseconds: of two
    of which one is not known both are the other; 0 if neither is.
    """

    id: str
    time_ms: int
    arrival_ms: int
    event: dict[str, Any]


def read_event(record: RawRecord, value: bytes) -> SourceEvent | Refused:
    """The event of a record with this value.

    Ids and times are looked for where api_request and Wikimedia's schemas have them: `meta.id`, `meta.dt`, else `dt`.
    """
    try:
        event = orjson.loads(value)
    except orjson.JSONDecodeError:
        return Refused(detail="the event is no JSON")
    if not isinstance(event, dict):
        return Refused(detail="the event is no JSON object")
    meta = event.get("meta")
    if not isinstance(meta, dict):
        meta = {}
    time = _time_of(meta.get("dt"))
    if time is None:
        time = _time_of(event.get("dt"))
    arrival = min(record.timestamp_ms, LAST_MS) if record.timestamp_ms >= 0 else None
    if time is None:
        time = arrival or 0
    return SourceEvent(_usable(meta.get("id")) or place_of(record), time, time if arrival is None else arrival, event)


def id_of(record: RawRecord) -> str:
    """The id under which the event of a record is stored."""
    found = read_event(record, record.value or b"")
    return place_of(record) if isinstance(found, Refused) else found.id


def place_of(record: RawRecord) -> str:
    """An id for an event that has none: where it is.

    Its time is a part of it, as a topic that is made anew has the same places.
    """
    return f"{record.topic}:{record.partition}:{record.offset}:{record.timestamp_ms}"


def _time_of(value: object) -> int | None:
    ms = rfc3339_ms(value) if isinstance(value, str) else None
    return None if ms is None else min(max(ms, 0), LAST_MS)


def _usable(value: object) -> str | None:
    if isinstance(value, str) and 0 < len(value) <= _MAX_ID_BYTES:
        # Four bytes a character at most, so that short ones need not be encoded to know their length.
        return value if len(value) <= _MAX_ID_BYTES // 4 or len(value.encode()) <= _MAX_ID_BYTES else None
    return None
