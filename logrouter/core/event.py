"""From a parsed request to its event: what is known of it is put together, and then decided about.

A *draft* is the event with all that is added to the request; `complete` does what depends on the event as a whole: its
topics, the route's changes of fields, the schema, the key. Between the two a draft may wait for the other line of its
request (`core.pairing`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from logrouter.core.enrich import ENDINGS, NO_ENDING, allow_headers
from logrouter.core.redact import redact_uri
from logrouter.core.routing import OnInvalid
from logrouter.core.timestamps import epoch_ms, rfc3339, zoneless
from logrouter.model import Accepted, Held, Ignored, Reason, Rejected, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.core.routing import Extras, Route
    from logrouter.model import Envelope, Half, Outcome, Parsed, RawRecord

MAX_AHEAD_MS: Final = 5 * 60_000
"""An event time this far ahead of its record is a wrong clock: clamped to the record's time, and flagged."""

MAX_EVENT_BYTES: Final = 512 * 1024
"""Larger events would be refused by a broker with default settings, for ever: rejected here instead."""

INVALID: Final = "invalid"
"""The flag of an event that is published although its schema refuses it."""

_NOTHING: Final[dict[str, Any]] = {}


def finish(
    route: Route,
    envelope: Envelope,
    parsed: Parsed,
    record: RawRecord,
    now_ms: int,
    event_id: Callable[[int, int], str],
    index: int,
) -> Outcome:
    """Enrich and validate one parsed request: the straight path, for a route without extras."""
    event, time_ms = _draft(route, envelope, parsed, record, now_ms, event_id, index)
    return _complete(route, event, time_ms, route.tables)


def finish_with(
    route: Route,
    extras: Extras,
    envelope: Envelope,
    parsed: Parsed,
    record: RawRecord,
    now_ms: int,
    event_id: Callable[[int, int], str],
    index: int,
    place: int,
) -> Outcome:
    """`finish` for a route with options that most routes don't have."""
    # By the place and not by the index, which other routes move: all that have a line keep it or leave it.
    if extras.sample is not None and not extras.sample(event_id(record.offset, place)):
        return Ignored(Reason.SAMPLED, route.name)
    if extras.limit is not None and not extras.limit(record, now_ms):
        return Ignored(Reason.RATE_LIMITED, route.name)
    for enrich in extras.before:
        enrich(parsed.event)
    event, time_ms = _draft(route, envelope, parsed, record, now_ms, event_id, index)
    for enrich in extras.after:
        enrich(event)
    return _complete_with(route, extras, event, time_ms, route.tables, record)


def hold(
    route: Route,
    half: Half,
    envelope: Envelope,
    parsed: Parsed,
    record: RawRecord,
    now_ms: int,
    event_id: Callable[[int, int], str],
    index: int,
) -> Outcome:
    """The draft of one of the two lines of a request, for a route that pairs them.

    Sampling goes by what both lines have, so that both are kept or neither.
    """
    extras = route.extras
    if extras is not None:
        if extras.sample is not None and not extras.sample(half.key):
            return Ignored(Reason.SAMPLED, route.name)
        for enrich in extras.before:
            enrich(parsed.event)
    event, time_ms = _draft(route, envelope, parsed, record, now_ms, event_id, index)
    if extras is not None:
        for enrich in extras.after:
            enrich(event)
    value = orjson.dumps(event)
    if len(value) > MAX_EVENT_BYTES:
        return _too_large(route, value)
    return Held(route.name, half, route.pair_ms or 0, event, value, time_ms, route.tables)


def complete(route: Route, event: dict[str, Any], time_ms: int, tables: tuple[str, ...], record: RawRecord) -> Outcome:
    """What becomes of a draft that has waited; *record* is where its line was."""
    if route.extras is None:
        return _complete(route, event, time_ms, tables)
    return _complete_with(route, route.extras, event, time_ms, tables, record)


def _complete(route: Route, event: dict[str, Any], time_ms: int, tables: tuple[str, ...]) -> Outcome:
    if not route.validator.is_valid(event):
        return _refused(route, event)
    value = orjson.dumps(event)
    if len(value) > MAX_EVENT_BYTES:
        return _too_large(route, value)
    client = event.get("client_id")
    key = client.encode() if client is not None else None
    return Accepted(route.name, route.to, key, value, event, time_ms, tables)


def _complete_with(
    route: Route,
    extras: Extras,
    event: dict[str, Any],
    time_ms: int,
    tables: tuple[str, ...],
    record: RawRecord,
) -> Outcome:
    topics = route.topics if extras.topics is None else extras.topics(event)
    if extras.follow:
        event["meta"]["stream"] = topics[0]
    if extras.change is not None:
        extras.change(event)
    if not route.validator.is_valid(event):
        if extras.on_invalid is OnInvalid.DROP:
            return Ignored(Reason.INVALID, route.name)
        if extras.on_invalid is OnInvalid.DEAD_LETTER:
            return _refused(route, event)
        event["flags"] = [*event.get("flags", ()), INVALID]
        tables = ()  # its figures may be of any type
    value = orjson.dumps(event)
    if len(value) > MAX_EVENT_BYTES:
        return _too_large(route, value)
    return Accepted(route.name, topics[0], extras.key(event, record), value, event, time_ms, tables, topics[1:])


def _refused(route: Route, event: dict[str, Any]) -> Rejected:
    pointer, message = route.validator.explain(event)
    return Rejected(Stage.VALIDATE, Reason.SCHEMA, message, pointer, route.name)


def _too_large(route: Route, value: bytes) -> Rejected:
    return Rejected(Stage.VALIDATE, Reason.TOO_LARGE, f"event of {len(value)} bytes", "", route.name)


def _draft(
    route: Route,
    envelope: Envelope,
    parsed: Parsed,
    record: RawRecord,
    now_ms: int,
    event_id: Callable[[int, int], str],
    index: int,
) -> tuple[dict[str, Any], int]:
    """The canonical event of one parsed request, which it is made of, and its time."""
    event = parsed.event
    http = event.get("http", _NOTHING)
    status = http.get("status_code")
    if type(status) is not int:
        status = None
    client = route.client_id(parsed)
    if client is not None:
        event["client_id"], client_type = client
        if client_type is not None:
            event["client_type"] = client_type
    api = route.api(parsed)
    if api is not None:
        event["api"], version = api
        if version is not None:
            event["api_version"] = version
    if http:
        _protect(route, http)

    time_ms, clock_flags = _event_time(envelope, parsed, record.timestamp_ms, now_ms)
    meta = event.get("meta")
    if meta is None:
        meta = event["meta"] = {}
    else:
        uri = meta.get("uri")
        if type(uri) is str:
            meta["uri"] = redact_uri(uri, route.query) or "/"
    meta["stream"] = route.stream
    meta["dt"] = rfc3339(time_ms)
    meta["id"] = event_id(record.offset, index)

    event["$schema"] = route.schema_uri
    outcome, kind = ENDINGS.get(status, NO_ENDING)
    if parsed.outcome:
        outcome = parsed.outcome
    if outcome is not None:
        event["outcome"] = outcome
    if kind is not None:
        event["status_class"] = kind
    event["weight"] = route.weight(status)
    source = event["source"] = {
        "format": parsed.format or route.format,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "index": index,
        "host": envelope.host,
        "program": envelope.program,
    }
    if envelope.host is None:
        del source["host"]
    if envelope.program is None:
        del source["program"]
    if envelope.flags or parsed.flags or clock_flags:
        event["flags"] = list(dict.fromkeys((*envelope.flags, *parsed.flags, *clock_flags)))
    return event, time_ms


def _protect(route: Route, http: dict[str, Any]) -> None:
    """The client's address by the route's policy, and no header that the route does not allow."""
    address = http.get("client_ip")
    if type(address) is str:
        kept = route.client_ip(address)
        if kept is None:
            del http["client_ip"]
        else:
            http["client_ip"] = kept
    headers = http.get("request_headers")
    if type(headers) is dict:
        if headers and headers.keys() <= route.headers and "referer" not in headers:
            return
        allowed = allow_headers(headers, route.headers)
        if allowed:
            http["request_headers"] = allowed
        else:
            del http["request_headers"]


def _event_time(envelope: Envelope, parsed: Parsed, record_ms: int, now_ms: int) -> tuple[int, tuple[str, ...]]:
    """When the request began: as the line says, else as the transport says, else when Kafka had it; and flags.

    The record's own timestamp goes before the wall clock, so that replays give the same event.
    """
    observed_ms = record_ms if 0 < record_ms <= now_ms + MAX_AHEAD_MS else now_ms
    flags: tuple[str, ...] = ()
    text = parsed.time
    time_ms = epoch_ms(text) if text else None
    if time_ms is None:
        flags = ("time_from_envelope",)
        text = envelope.time
        time_ms = epoch_ms(text) if text else None
        if time_ms is None:
            return observed_ms, ("time_from_record",)
    if text is not None and text[-1:] != "Z" and zoneless(text):
        flags = (*flags, "time_without_zone")
    if time_ms > observed_ms + MAX_AHEAD_MS:
        return observed_ms, (*flags, "clock_clamped")
    return time_ms, flags
