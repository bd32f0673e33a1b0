"""The one place with stage order: bytes -> envelope -> route -> parse -> enrich -> validate -> event.

Pure: the record's coordinates, the time and the id function come in as arguments, and nothing here raises on any
input.  What a record ends as is a value (`model.Outcome`); counting and publishing are the caller's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from logrouter.core.enrich import allow_headers, outcome_of, status_class
from logrouter.core.redact import redact_uri
from logrouter.core.timestamps import epoch_ms, rfc3339
from logrouter.model import Accepted, Envelope, Ignored, Outcome, Parsed, RawRecord, Reason, Rejected, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.core.routing import Route, Source

MAX_AHEAD_MS: Final = 5 * 60_000
"""An event time this far ahead of its record is a wrong clock: clamped to the record's time, and flagged."""

MAX_EVENT_BYTES: Final = 512 * 1024
"""Larger events would be refused by a broker with default settings, for ever: rejected here instead."""

_TOMBSTONE: Final = (Ignored(Reason.TOMBSTONE),)
_EMPTY: Final = (Ignored(Reason.EMPTY),)
_UNMATCHED: Final = (Ignored(Reason.UNMATCHED),)


def process(source: Source, record: RawRecord, now_ms: int, event_id: Callable[[int, int], str]) -> tuple[Outcome, ...]:
    """What becomes of one record: one outcome per event in it, one at least.

    *now_ms* is the wall clock; the record's own timestamp goes before it, so that replays give the same event.
    """
    value = record.value
    if value is None:
        return _TOMBSTONE
    if not value:
        return _EMPTY
    if source.may_match is not None and not source.may_match(value):
        return _UNMATCHED
    return process_matching(source, record, value, now_ms, event_id)


def process_matching(
    source: Source, record: RawRecord, value: bytes, now_ms: int, event_id: Callable[[int, int], str]
) -> tuple[Outcome, ...]:
    """`process` for a record that the pre-filter has let through."""
    if len(value) > source.max_bytes:
        return (Rejected(Stage.DECODE, Reason.TOO_LARGE, f"{len(value)} bytes, at most {source.max_bytes} are read"),)
    envelope = source.decode(value)
    if isinstance(envelope, Rejected):
        return (envelope,)
    not_request: Ignored | None = None
    for route in source.routes:
        if not route.select(envelope):
            continue
        parsed = route.parse(envelope)
        if isinstance(parsed, Parsed):
            return (_finish(route, envelope, parsed, record, now_ms, event_id),)
        if isinstance(parsed, Rejected):
            return (parsed._replace(route=route.name),)
        if not (route.request_only and parsed.reason is Reason.NOT_REQUEST):
            return (parsed._replace(route=route.name),)
        # `looks_like: request` is a condition too, only a dear one: a later route may still want the line.
        not_request = not_request or parsed._replace(route=route.name)
    return (not_request,) if not_request else _UNMATCHED


def _finish(
    route: Route,
    envelope: Envelope,
    parsed: Parsed,
    record: RawRecord,
    now_ms: int,
    event_id: Callable[[int, int], str],
) -> Outcome:
    """Enrich and validate one parsed request."""
    event = parsed.event
    flags = envelope.flags + parsed.flags if envelope.flags or parsed.flags else ()

    observed_ms = record.timestamp_ms
    if not 0 < observed_ms <= now_ms + MAX_AHEAD_MS:
        observed_ms = now_ms
    time_ms = epoch_ms(parsed.time) if parsed.time else None
    if time_ms is None:
        time_ms = epoch_ms(envelope.time) if envelope.time else None
        flags += ("time_from_envelope",)
        if time_ms is None:
            time_ms = observed_ms
            flags += ("time_from_record",)
    if time_ms > observed_ms + MAX_AHEAD_MS:
        time_ms = observed_ms
        flags += ("clock_clamped",)

    http: dict[str, Any] = event.get("http") or {}
    status = http.get("status_code")
    status = status if type(status) is int else None
    client = route.client_id(parsed)
    key: bytes | None = None
    if client is not None:
        event["client_id"] = client[0]
        key = client[0].encode()
        if client[1] is not None:
            event["client_type"] = client[1]
    api = route.api(parsed)
    if api is not None:
        event["api"] = api[0]
        if api[1] is not None:
            event["api_version"] = api[1]

    address = http.get("client_ip")
    if type(address) is str:
        kept = route.client_ip(address)
        if kept is None:
            del http["client_ip"]
        else:
            http["client_ip"] = kept
    headers = http.get("request_headers")
    if type(headers) is dict:
        allowed = allow_headers(headers, route.headers)
        if allowed:
            http["request_headers"] = allowed
        else:
            del http["request_headers"]

    meta: dict[str, Any] = event.get("meta") or {}
    uri = meta.get("uri")
    if type(uri) is str:
        meta["uri"] = redact_uri(uri, route.query)
    meta["stream"] = route.stream
    meta["dt"] = rfc3339(time_ms)
    meta["id"] = event_id(record.offset, 0)

    weight = route.weight(status)
    event["$schema"] = route.schema_uri
    event["meta"] = meta
    outcome = outcome_of(status)
    if outcome is not None:
        event["outcome"] = outcome
        event["status_class"] = status_class(status)
    event["weight"] = weight
    event["source"] = _source(envelope, record)
    if flags:
        event["flags"] = list(dict.fromkeys(flags))
    if not route.validator.is_valid(event):
        pointer, message = route.validator.explain(event)
        return Rejected(Stage.VALIDATE, Reason.SCHEMA, message, pointer, route.name)
    value = orjson.dumps(event)
    if len(value) > MAX_EVENT_BYTES:
        return Rejected(Stage.VALIDATE, Reason.TOO_LARGE, f"event of {len(value)} bytes", "", route.name)
    return Accepted(route.name, route.to, key, value, event, time_ms, bool(route.tables))


def _source(envelope: Envelope, record: RawRecord) -> dict[str, Any]:
    source: dict[str, Any] = {
        "format": envelope.shape,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "index": 0,
    }
    if envelope.host is not None:
        source["host"] = envelope.host
    if envelope.program is not None:
        source["program"] = envelope.program
    return source
