"""The two lines of one request: as records of the pairing topic, and as one event once both are there.

A record is a JSON array: version, whether it opens, route, window, time, tables, and the draft of the event. It holds
all that is needed later: no line is parsed twice, and a line that was held under an older topics.yaml can be paired.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zlib import crc32

import msgspec
import orjson

from logrouter.core.join.versions import refuse_newer, refuse_newer_array

if TYPE_CHECKING:
    from logrouter.model import Held, PairKey

VERSION: Final = 1
MAX_FLAGS: Final = 16

NEGATIVE_LATENCY: Final = "negative_latency"
"""The flag of an event whose closing line says an earlier time than the opening one: its latency counts as 0."""
FAILURE: Final = {"class": "never_completed", "message": "never completed"}
"""The `error` of a request that no line has closed."""

_NESTED: Final = frozenset({"http", "meta"})
_OF_ONE_LINE: Final = frozenset({"$schema", "source", "weight", "outcome", "status_class", "error", "flags"})
"""What is about one of the lines, or about the end of the request: nothing of that comes from the opening line."""
_LED_BY: Final = {
    "client_type": "client_id",
    "client": "client_id",
    "api_version": "api",
    "api_provider": "api",
}
"""Fields that are about another one: they come along only if that is the same in both lines."""
_LED_BY_REQUEST: Final = {"geo": "client_ip", "path_template": "path"}
"""Fields that are about one in `http`, likewise."""


class PairResult(StrEnum):
    """What became of a held line. A closed set: metric labels of `logrouter_pairing_results`, and some are event flags.

    Two lines that became one event count as one result.
    """

    PAIRED = "paired"
    UNPAIRED = "unpaired"
    NEVER_COMPLETED = "never_completed"
    LATE = "late"
    EVICTED = "evicted"
    DUPLICATE = "duplicate"
    NO_ROUTE = "no_route"
    TOO_LARGE = "too_large"
    FORGOTTEN = "forgotten"
    REJECTED = "rejected"
    DROPPED = "dropped"


class HeldLine(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One of two lines as a record of the pairing topic; *event* is the draft as JSON, the rest as in `model.Held`."""

    version: int
    opens: bool
    route: str
    window_ms: int
    time_ms: int
    tables: tuple[str, ...]
    event: msgspec.Raw


class Event(NamedTuple):
    """The draft of an event that waits no longer: the arguments of `core.event.complete_draft`."""

    event: dict[str, Any]
    time_ms: int
    tables: tuple[str, ...]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(HeldLine).decode


def record_key(route: str, pair_key: PairKey) -> bytes:
    """The key of a held line: 16 bytes, the same for both lines of a request, others for any other request or route."""
    # The length keeps ("a", "bc") and ("ab", "c") apart.
    return blake2b(f"{len(route)}:{route}{pair_key.key}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def pairing_partition(key: bytes, partitions: int) -> int:
    """The partition of the pairing topic for a `record_key`."""
    return crc32(key) % partitions


def encode(held: Held) -> bytes:
    """The value of a held line's record."""
    return _encode(
        HeldLine(
            VERSION,
            held.pair_key.opens,
            held.route,
            held.window_ms,
            held.time_ms,
            held.tables,
            msgspec.Raw(held.value),
        )
    )


def decode(value: bytes) -> HeldLine | None:
    """The line in a record's value, None if it is none. The draft in it is not looked at.

    Raises:
        NewerStateError: a newer version has written it.
    """
    try:
        line = _decode(value)
    except msgspec.DecodeError:
        refuse_newer_array(value, 0, VERSION)
        return None
    if line.version == VERSION and line.window_ms > 0:
        return line
    refuse_newer(line.version, VERSION)
    return None


def build_event(how: PairResult, opening: bytes | None, closing: bytes | None) -> Event:
    """The draft of the event of one or both lines, as `encode` has written them; *how* says what became of them.

    Raises:
        ValueError: neither line is given, or one is not what `encode` writes.
    """
    first = _load_line(opening)
    second = _load_line(closing)
    if second is None:
        if first is None:
            raise ValueError("neither line of the request")
        return _build_uncompleted(*first)
    line, event = second
    if first is None:
        _flag(event, PairResult.UNPAIRED)
        if how is PairResult.EVICTED:
            _flag(event, PairResult.EVICTED)
        return Event(event, line.time_ms, line.tables)
    begin, draft = first
    latency = line.time_ms - begin.time_ms
    if "total_time_ms" not in event:
        event["total_time_ms"] = max(latency, 0)
        if latency < 0:
            _flag(event, NEGATIVE_LATENCY)
    add_opening(event, draft)
    if how is PairResult.LATE:
        # The tables have counted the request already, as one that was never completed.
        _flag(event, PairResult.LATE)
        return Event(event, begin.time_ms, ())
    return Event(event, begin.time_ms, line.tables)


def add_opening(event: dict[str, Any], opening: dict[str, Any]) -> None:
    """Add to the closing line's draft what only the opening one has, and the time of that: the request's beginning."""
    for name, value in opening.items():
        if name in _NESTED:
            continue
        leader = _LED_BY.get(name)
        if name not in event and name not in _OF_ONE_LINE and (leader is None or _agree(event, opening, leader)):
            leader = _LED_BY_REQUEST.get(name)
            if leader is not None and not _agree(event.get("http", {}), opening.get("http", {}), leader):
                continue
            event[name] = value
    for name in _NESTED:
        if name in opening:
            _fill(event.setdefault(name, {}), opening[name])
    event["meta"]["dt"] = opening["meta"]["dt"]
    for flag in opening.get("flags", ()):
        _flag(event, flag)


def _agree(one: dict[str, Any], other: dict[str, Any], name: str) -> bool:
    return name not in one or one[name] == other.get(name)


def _fill(into: dict[str, Any], other: dict[str, Any]) -> None:
    for name, value in other.items():
        if name not in into:
            into[name] = value
        elif isinstance(value, dict) and isinstance(into[name], dict):
            into[name] = value | into[name]


def _build_uncompleted(line: HeldLine, event: dict[str, Any]) -> Event:
    """A request that no line has closed: its status is not known, but it failed somewhere behind the gateway."""
    event["outcome"] = "gateway_error"
    event["error"] = dict(FAILURE)
    _flag(event, PairResult.NEVER_COMPLETED)
    return Event(event, line.time_ms, line.tables)


def _flag(event: dict[str, Any], flag: str) -> None:
    flags = event.get("flags", [])
    if flag not in flags and len(flags) < MAX_FLAGS:
        event["flags"] = [*flags, flag]


def _load_line(value: bytes | None) -> tuple[HeldLine, dict[str, Any]] | None:
    if value is None:
        return None
    line = decode(value)
    event = orjson.loads(memoryview(line.event)) if line is not None else None
    if line is None or not isinstance(event, dict):
        raise ValueError("no held line")
    return line, event
