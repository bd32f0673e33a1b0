"""The one place with stage order: bytes -> envelope -> route -> parse -> enrich -> validate -> event.

A record has one outcome for each route that has it: with `routing: first-match`, which is usual, one in all. An
outcome's place in the tuple is its *index*, which makes its event's id differ from those of its siblings.

Pure: the record's coordinates, the time and the id function come in as arguments, and nothing here raises on any
input.  What a record ends as is a value (`model.Outcome`); counting and publishing are the caller's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from logrouter.core.enrich import allow_headers, outcome_of, status_class
from logrouter.core.ids import MAX_INDEX
from logrouter.core.redact import redact_uri
from logrouter.core.requestfields import Request
from logrouter.core.routing import OnInvalid
from logrouter.core.timestamps import epoch_ms, rfc3339, zoneless
from logrouter.model import (
    ENCODED,
    PARTIAL,
    Accepted,
    Envelope,
    Ignored,
    Outcome,
    Parsed,
    RawRecord,
    Reason,
    Rejected,
    Stage,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logrouter.core.routing import Extras, Route, Source

MAX_AHEAD_MS: Final = 5 * 60_000
"""An event time this far ahead of its record is a wrong clock: clamped to the record's time, and flagged."""

MAX_EVENT_BYTES: Final = 512 * 1024
"""Larger events would be refused by a broker with default settings, for ever: rejected here instead."""

INVALID: Final = "invalid"
"""The flag of an event that is published although its schema refuses it."""

_NOTHING: Final[dict[str, Any]] = {}
_TOMBSTONE: Final = (Ignored(Reason.TOMBSTONE),)
_EMPTY: Final = (Ignored(Reason.EMPTY),)
_UNMATCHED: Final = (Ignored(Reason.UNMATCHED),)


def process(source: Source, record: RawRecord, now_ms: int, event_id: Callable[[int, int], str]) -> tuple[Outcome, ...]:
    """What becomes of one record: one outcome per event in it and route that has it, one at least.

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
        if source.might_be_ours is not None and not source.might_be_ours(value):
            return _UNMATCHED
        detail = f"{len(value)} bytes, at most {source.max_bytes} are read"
        return (Rejected(Stage.DECODE, Reason.TOO_LARGE, detail, raw=None if source.verbatim else ENCODED),)
    found = source.decode(value)
    if isinstance(found, Envelope):
        outcomes = _of_line(source, found, record, now_ms, event_id)
        return outcomes if source.verbatim else _of_place(outcomes, 0, found.text)
    if isinstance(found, Rejected):
        ours = source.might_be_ours
        return _UNMATCHED if ours is not None and not ours(value) else (found,)
    if isinstance(found, Ignored):
        return (found,)
    return _of_lines(source, found, record, now_ms, event_id)


def _of_lines(
    source: Source,
    lines: Sequence[Envelope | Ignored | Rejected],
    record: RawRecord,
    now_ms: int,
    event_id: Callable[[int, int], str],
) -> tuple[Outcome, ...]:
    """The outcomes of every line that a record packs, in their order; a record that packs none is empty."""
    if len(lines) * (max(len(source.routes), 1) if source.all_matches else 1) > MAX_INDEX:
        detail = f"{len(lines)} lines in one record"
        return (Rejected(Stage.DECODE, Reason.TOO_MANY, detail, raw=None if source.verbatim else ENCODED),)
    outcomes: list[Outcome] = []
    for place, line in enumerate(lines):
        if isinstance(line, Envelope):
            found = _of_line(source, line, record, now_ms, event_id, len(outcomes), place)
            outcomes.extend(_of_place(found, place, line.text))
        else:
            outcomes.append(line._replace(line=place))
    return tuple(outcomes) or _EMPTY


def _of_place(outcomes: tuple[Outcome, ...], place: int, text: str) -> tuple[Outcome, ...]:
    """The outcomes of one line as those of the line at *place*: a dead letter shows its text, not the whole record."""
    return tuple(
        each._replace(line=place, raw=text) if isinstance(each, Rejected) else each._replace(line=place)
        for each in outcomes
    )


def _of_line(
    source: Source,
    envelope: Envelope,
    record: RawRecord,
    now_ms: int,
    event_id: Callable[[int, int], str],
    index: int = 0,
    place: int = 0,
) -> tuple[Outcome, ...]:
    """The outcomes of the line at *place* in its record; *index* is that of the first of them among the record's."""
    envelope.headers = record.headers
    if source.all_matches:
        return _every_match(source, envelope, record, now_ms, event_id, index, place)
    left: Ignored | None = None
    for route in source.routes:
        if not route.select(envelope):
            continue
        if envelope.flags and PARTIAL in envelope.flags:
            return (Rejected(Stage.DECODE, Reason.PARTIAL, "one piece of a line cut by the runtime", "", route.name),)
        parsed = route.parse(envelope)
        if isinstance(parsed, Parsed):
            if parsed.half is not None and parsed.half.opens:
                return (Ignored(Reason.NOT_COUNTED, route.name),)
            if route.request is not None and not route.request.test(Request(parsed, route)):
                left = left or Ignored(Reason.UNWANTED, route.name)
                continue
            if route.extras is not None:
                return (_finish_with(route, route.extras, envelope, parsed, record, now_ms, event_id, index, place),)
            return (_finish(route, envelope, parsed, record, now_ms, event_id, index),)
        if isinstance(parsed, Rejected):
            return (parsed._replace(route=route.name),)
        if not (route.request_only and parsed.reason is Reason.NOT_REQUEST):
            return (Ignored(parsed.reason, route.name),)
        # `looks_like: request` is a condition too, only a dear one: a later route may still want the line.
        left = left or Ignored(parsed.reason, route.name)
    return (left,) if left is not None else _UNMATCHED


def _every_match(
    source: Source,
    envelope: Envelope,
    record: RawRecord,
    now_ms: int,
    event_id: Callable[[int, int], str],
    first: int,
    place: int,
) -> tuple[Outcome, ...]:
    """The outcome of every route that has the record. A table counts it once, for the first route that names it."""
    outcomes: list[Outcome] = []
    counted: set[str] = set()
    left: Ignored | None = None
    for route in source.routes:
        if not route.select(envelope):
            continue
        if envelope.flags and PARTIAL in envelope.flags:  # so it is for every route: one dead letter is enough
            return (Rejected(Stage.DECODE, Reason.PARTIAL, "one piece of a line cut by the runtime", "", route.name),)
        parsed = route.parse(envelope)
        if isinstance(parsed, Rejected):
            outcomes.append(parsed._replace(route=route.name))
        elif isinstance(parsed, Ignored):
            if route.request_only and parsed.reason is Reason.NOT_REQUEST:
                left = left or Ignored(parsed.reason, route.name)
            else:
                outcomes.append(Ignored(parsed.reason, route.name))
        elif parsed.half is not None and parsed.half.opens:
            outcomes.append(Ignored(Reason.NOT_COUNTED, route.name))
        elif route.request is not None and not route.request.test(Request(parsed, route)):
            left = left or Ignored(Reason.UNWANTED, route.name)
        else:
            index = first + len(outcomes)
            if route.extras is None:
                outcome = _finish(route, envelope, parsed, record, now_ms, event_id, index)
            else:
                outcome = _finish_with(route, route.extras, envelope, parsed, record, now_ms, event_id, index, place)
            outcomes.append(_counted_once(route, outcome, counted))
    if outcomes:
        return tuple(outcomes)
    return (left,) if left is not None else _UNMATCHED


def _counted_once(route: Route, outcome: Outcome, counted: set[str]) -> Outcome:
    """The outcome without the tables that count the record already; *counted* grows by those that do from now on."""
    if isinstance(outcome, Accepted):
        tables = tuple(table for table in outcome.tables if table not in counted and table != "urls")
        counted.update(tables)
        # URLs are no table of their own: they are counted within those that count this one.
        return outcome._replace(tables=(*tables, "urls") if tables and "urls" in outcome.tables else tables)
    if isinstance(outcome, Ignored) and outcome.reason is Reason.SAMPLED:
        # The weight of those that stay stands for this one: counted by another route it would be there twice.
        counted.update(route.tables)
    return outcome


def _finish(
    route: Route,
    envelope: Envelope,
    parsed: Parsed,
    record: RawRecord,
    now_ms: int,
    event_id: Callable[[int, int], str],
    index: int,
) -> Outcome:
    """Enrich and validate one parsed request: the straight path."""
    event, time_ms = _draft(route, envelope, parsed, record, now_ms, event_id, index)
    if not route.validator.is_valid(event):
        pointer, message = route.validator.explain(event)
        return Rejected(Stage.VALIDATE, Reason.SCHEMA, message, pointer, route.name)
    value = orjson.dumps(event)
    if len(value) > MAX_EVENT_BYTES:
        return Rejected(Stage.VALIDATE, Reason.TOO_LARGE, f"event of {len(value)} bytes", "", route.name)
    client = event.get("client_id")
    key = client.encode() if client is not None else None
    return Accepted(route.name, route.to, key, value, event, time_ms, route.tables)


def _finish_with(
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
    """`_finish` for a route with options that most routes don't have."""
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
    topics = route.topics if extras.topics is None else extras.topics(event)
    if extras.follow:
        event["meta"]["stream"] = topics[0]
    if extras.change is not None:
        extras.change(event)
    tables = route.tables
    if not route.validator.is_valid(event):
        if extras.on_invalid is OnInvalid.DROP:
            return Ignored(Reason.INVALID, route.name)
        if extras.on_invalid is OnInvalid.DEAD_LETTER:
            pointer, message = route.validator.explain(event)
            return Rejected(Stage.VALIDATE, Reason.SCHEMA, message, pointer, route.name)
        event["flags"] = [*event.get("flags", ()), INVALID]
        tables = ()  # its figures may be of any type
    value = orjson.dumps(event)
    if len(value) > MAX_EVENT_BYTES:
        return Rejected(Stage.VALIDATE, Reason.TOO_LARGE, f"event of {len(value)} bytes", "", route.name)
    return Accepted(route.name, topics[0], extras.key(event, record), value, event, time_ms, tables, topics[1:])


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
            meta["uri"] = redact_uri(uri, route.query)
    meta["stream"] = route.stream
    meta["dt"] = rfc3339(time_ms)
    meta["id"] = event_id(record.offset, index)

    event["$schema"] = route.schema_uri
    outcome = parsed.outcome or outcome_of(status)
    if outcome is not None:
        event["outcome"] = outcome
    kind = status_class(status)
    if kind is not None:
        event["status_class"] = kind
    event["weight"] = route.weight(status)
    source = event["source"] = {
        "format": parsed.format or route.format,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "index": index,
    }
    if envelope.host is not None:
        source["host"] = envelope.host
    if envelope.program is not None:
        source["program"] = envelope.program
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
