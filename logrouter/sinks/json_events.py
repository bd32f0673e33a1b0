"""Which events of a batch are JSON, for sinks that send them as they lie in their topic. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from logrouter.sinks.contract import Refused, Skipped, SkipReason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logrouter.model import RawRecord

_TOMBSTONE: Final = Skipped(SkipReason.TOMBSTONE)


class JsonEvent(NamedTuple):
    """A record whose *value*, as it is, is the JSON text of *document*."""

    record: RawRecord
    value: bytes
    document: Any


def read_json_events(
    events: Sequence[RawRecord], not_json: Refused
) -> tuple[list[JsonEvent], list[Refused | Skipped | None]]:
    """Those of *events* that are JSON, in order, and an entry for each event as in `Encoded.settled`.

    *not_json* is what becomes of an event that is none.
    """
    found: list[JsonEvent] = []
    settled: list[Refused | Skipped | None] = []
    for event in events:
        if event.value is None:
            settled.append(_TOMBSTONE)
            continue
        try:
            document = orjson.loads(event.value)
        except orjson.JSONDecodeError:
            settled.append(not_json)
            continue
        settled.append(None)
        found.append(JsonEvent(event, event.value, document))
    return found, settled
