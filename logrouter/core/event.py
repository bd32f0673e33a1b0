"""From a parsed request to its event: draft, check, write.

A *draft* is the event with everything that is added to the request. `complete_draft` does what depends on the event as
a whole: its topics, the route's changes of fields, the schema, the key. Between the two a draft may wait for the other
line of its request (`core.join.pairs`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import orjson
from msgspec import Struct

from logrouter.core.enrich import allow_headers, replace_in_headers
from logrouter.core.enrich.sources import known_values
from logrouter.core.outcomes import ENDINGS, NO_ENDING
from logrouter.core.redact import REDACTED, redact_text, redact_uri
from logrouter.core.routing import OnInvalid
from logrouter.core.text.timestamps import epoch_ms, lacks_zone, rfc3339
from logrouter.model import Accepted, Held, Ignored, Reason, Rejected, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.core.redact.disclosure import Disclosure
    from logrouter.core.routing import OptionalSteps, Route
    from logrouter.model import Envelope, Outcome, PairKey, Parsed, RawRecord

MAX_AHEAD_MS: Final = 5 * 60_000
"""An event time this far ahead of its record is a wrong clock: clamped to the record's time, and flagged."""

MAX_EVENT_BYTES: Final = 512 * 1024
"""Larger events would be refused by a broker with default settings, for ever: rejected here instead."""

INVALID: Final = "invalid"
"""The flag of an event that is published although its schema refuses it."""

# Ids, also of traces and of AWS: too short for a token, or hexadecimal.
_ID: Final = re.compile(r"(?:[A-Z][a-z]{3}=|urn:uuid:)?[0-9a-fA-F-]{1,80}|[\w.:+/-]{1,15}={0,2}", re.ASCII)
_MAX_DOMAINS: Final = 8192
_MAX_DOMAIN: Final = 256

# A deployment serves few hosts; clients that make some up can only make this start over.
_known_domains: set[str] = set()

_NOTHING: Final[dict[str, Any]] = {}


class Draft(Struct):
    """An event before validation.

    *event* is the event so far, *time_ms* its time in epoch milliseconds, *tables* the tables that will count it and
    *topics* where it will go, the main topic first. *record* is the record that its line was in.
    """

    route: Route
    record: RawRecord
    event: dict[str, Any]
    time_ms: int
    tables: tuple[str, ...]
    topics: tuple[str, ...]


class PendingEvent(Draft):
    """A draft in the pipeline: it goes through `STAGES` in their order until it has an *outcome*.

    *index* is the place of that outcome among those of its record and part of the event's id; *place* is the place of
    the line in the record. Both count from 0. *event_id* makes an id of offset and index.
    """

    envelope: Envelope
    parsed: Parsed
    event_id: Callable[[int, int], str]
    index: int
    place: int
    outcome: Outcome | None = None


def draft_event(each: PendingEvent, now_ms: int) -> Outcome | None:
    """Make the event of everything that is known of the request; Ignored if sampling or a rate limit leaves it out."""
    extras = each.route.extras
    if extras is None:
        _fill_event(each, now_ms)
        return None
    pair_key = _pair_key_of(each)
    # Two lines of a request are both kept or neither, so it goes by what both have. Else by the place and not by the
    # index, which other routes move: all that have a line keep it or leave it.
    name = pair_key.key if pair_key is not None else each.event_id(each.record.offset, each.place)
    if extras.sample is not None and not extras.sample(name):
        return Ignored(Reason.SAMPLED, each.route.name)
    if pair_key is None and extras.limit is not None and not extras.limit(each.record, now_ms, each.index):
        return Ignored(Reason.RATE_LIMITED, each.route.name)
    for enrich in extras.before:
        enrich(each.event)
    _fill_event(each, now_ms)
    for enrich in extras.after:
        enrich(each.event)
    if pair_key is None:
        _apply_steps(each, extras)
    return None


def check_event(each: PendingEvent, _now_ms: int) -> Outcome | None:
    """Validate the event; the outcome if the schema refuses it.

    The draft of one of two lines is not complete and passes.
    """
    if _pair_key_of(each) is not None or each.route.validator.is_valid(each.event):
        return None
    return _handle_invalid(each)


def write_event(each: PendingEvent, _now_ms: int) -> Outcome:
    """The event as it is published, or held until the other line of its request comes."""
    pair_key = _pair_key_of(each)
    if pair_key is None:
        return _accept_event(each)
    value = orjson.dumps(each.event)
    if len(value) > MAX_EVENT_BYTES:
        return _reject_size(each.route, value, MAX_EVENT_BYTES)
    return Held(each.route.name, pair_key, each.route.pair_ms or 0, each.event, value, each.time_ms, each.tables)


STAGES: Final[tuple[Callable[[PendingEvent, int], Outcome | None], ...]] = (draft_event, check_event, write_event)
"""What a candidate goes through. A stage gives the outcome of those that end there."""


def complete_draft(
    route: Route, event: dict[str, Any], time_ms: int, tables: tuple[str, ...], record: RawRecord
) -> Outcome:
    """What becomes of a draft that has waited for the other line of its request.

    It passes through what was left out when it was held: the route's topics and changes of fields, and validation.
    *record* says where its line was; its value is not needed.
    """
    event["$schema"] = route.schema_uri  # a version before may have written the draft, with the schema of its time
    waited = Draft(route, record, event, time_ms, tables, route.topics)
    if route.extras is not None:
        _apply_steps(waited, route.extras)
    return (None if route.validator.is_valid(event) else _handle_invalid(waited)) or _accept_event(waited)


def _pair_key_of(each: PendingEvent) -> PairKey | None:
    """Which of the two lines of a request it is, where the route pairs them."""
    return each.parsed.pair_key if each.route.pair_ms is not None else None


def _apply_steps(each: Draft, extras: OptionalSteps) -> None:
    """Topics by what the event is, and the route's changes of its fields."""
    if extras.topics is not None:
        each.topics = extras.topics(each.event)
    if extras.follow:
        each.event["meta"]["stream"] = each.topics[0]
    if extras.change is not None:
        extras.change(each.event)


def _handle_invalid(each: Draft) -> Outcome | None:
    """What becomes of an event that the schema refuses; None if it is published all the same."""
    extras, event = each.route.extras, each.event
    if extras is None or extras.on_invalid is OnInvalid.DEAD_LETTER:
        return _reject_invalid(each.route, event)
    if extras.on_invalid is OnInvalid.DROP:
        return Ignored(Reason.INVALID, each.route.name)
    event["flags"] = [*event.get("flags", ()), INVALID]
    shown = each.route.disclosure.value(event)  # a text may stand where a figure was to be
    if shown is not event:
        event.update(shown)
    each.tables = ()  # its figures may be of any type
    return None


def _accept_event(each: Draft) -> Outcome:
    route, event = each.route, each.event
    value = orjson.dumps(event)
    if route.extras is not None:
        key = route.extras.key(event, each.record)
        if len(value) > route.sure_bytes and not _fits(route, value, key):
            return _reject_size(route, value, route.max_record_bytes)
        return Accepted(route.name, each.topics[0], key, value, event, each.time_ms, each.tables, each.topics[1:])
    client = event.get("client_id")
    key = client.encode() if client is not None else None
    if len(value) > route.sure_bytes and not _fits(route, value, key):
        return _reject_size(route, value, route.max_record_bytes)
    return Accepted(route.name, route.to, key, value, event, each.time_ms, each.tables)


def _reject_invalid(route: Route, event: dict[str, Any]) -> Rejected:
    pointer, message = route.validator.explain(event)
    return Rejected(Stage.VALIDATE, Reason.SCHEMA, message, pointer, route.name)


def _fits(route: Route, value: bytes, key: bytes | None) -> bool:
    """Whether an event of more than `Route.sure_bytes` may be published all the same."""
    return len(value) <= MAX_EVENT_BYTES and len(value) + len(key or b"") <= route.max_record_bytes


def _reject_size(route: Route, value: bytes, most: int) -> Rejected:
    detail = f"event of {len(value)} bytes, at most {min(most, MAX_EVENT_BYTES)} are published"
    return Rejected(Stage.VALIDATE, Reason.TOO_LARGE, detail, "", route.name)


def _fill_event(each: PendingEvent, now_ms: int) -> None:
    """Make the parsed request, which it is made of, the canonical event, and tell its time."""
    route, parsed, envelope, event, record = each.route, each.parsed, each.envelope, each.event, each.record
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
        _protect_client(route, http)

    time_ms, clock_flags = _event_time(envelope, parsed, record.timestamp_ms, now_ms)
    meta = event.get("meta")
    if meta is None:
        meta = event["meta"] = {}
    else:
        uri = meta.get("uri")
        if type(uri) is str:
            meta["uri"] = redact_uri(uri, route.query) or "/"
        if uri is None or len(meta) > 1:
            _protect_names(meta, route.disclosure)
    meta["stream"] = route.stream
    meta["dt"] = rfc3339(time_ms)
    meta["id"] = each.event_id(record.offset, each.index)

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
        "index": each.index,
        "host": envelope.host,
        "program": envelope.program,
    }
    if envelope.host is None:
        del source["host"]
    if envelope.program is None:
        del source["program"]
    if envelope.flags or parsed.flags or clock_flags:
        event["flags"] = list(dict.fromkeys((*envelope.flags, *parsed.flags, *clock_flags)))
    each.time_ms = time_ms


def _protect_names(meta: dict[str, Any], disclosure: Disclosure) -> None:
    """Ids and the host name, which clients may write: what is none by its form may hold anything."""
    for name in ("request_id", "correlation_id"):
        text = meta.get(name)
        if type(text) is str and _ID.fullmatch(text) is None:
            meta[name] = disclosure.text(text)
    domain = meta.get("domain")
    if type(domain) is str and domain not in _known_domains:
        meta["domain"] = _clean_domain(domain)


def _clean_domain(domain: str) -> str:
    if domain.startswith("eyj"):  # a JSON web token in lower case
        return REDACTED
    clean = redact_text(redact_uri(domain)) or "/"
    if clean == domain and len(domain) <= _MAX_DOMAIN:
        if len(_known_domains) >= _MAX_DOMAINS:
            _known_domains.clear()
        _known_domains.add(domain)
    return clean


def _protect_client(route: Route, http: dict[str, Any]) -> None:
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
        try:
            if headers and headers.keys() <= route.headers and known_values.issuperset(headers.values()):
                return
        except TypeError:  # a value that is no text; the schema has the last word on it
            pass
        allowed = allow_headers(headers, route.headers, route.query)
        if route.address_headers and route.disclosure.address is not None:
            replace_in_headers(allowed, route.address_headers, route.disclosure.address)
        if allowed:
            http["request_headers"] = allowed
        else:
            del http["request_headers"]


def _event_time(envelope: Envelope, parsed: Parsed, record_ms: int, now_ms: int) -> tuple[int, tuple[str, ...]]:
    """When the request began: as the line says, else as the transport says, else when Kafka had it; and flags.

    What is too far ahead is told by the record's own timestamp, however far ahead that is itself: a comparison with the
    wall clock would end otherwise with every replay. The clock serves a line without any time, in a record without one.
    """
    flags: tuple[str, ...] = ()
    text = parsed.time
    time_ms = epoch_ms(text) if text else None
    if time_ms is None:
        flags = ("time_from_envelope",)
        text = envelope.time
        time_ms = epoch_ms(text) if text else None
        if time_ms is None:
            return record_ms if record_ms > 0 else now_ms, ("time_from_record",)
    if text is not None and text[-1:] != "Z" and lacks_zone(text):
        flags = (*flags, "time_without_zone")
    if time_ms > record_ms + MAX_AHEAD_MS and record_ms > 0:
        return record_ms, (*flags, "clock_clamped")
    return time_ms, flags
