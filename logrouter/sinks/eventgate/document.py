"""Documents of `api-gateway/request/1.0.0`, made of events.

An event that has this schema already, as a route with `schema: wikimedia/api-gateway/request/1.0.0` writes it, is sent
as it is. Of a canonical event the fields that the schema names are sent, and no others: who reads the stream expects
these, and addresses of backends, users or places are not for it.

eventgate sets what it misses: an id that is another at each attempt, and an id of the request that is the one of our
own POST, the same for all of its events. So both are there always: the id is made of the record's place, and stands
for the request's where nobody knows that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID, uuid5

import orjson

from logrouter.sinks.contract import Refused
from logrouter.sinks.eventgate.uris import to_reference

if TYPE_CHECKING:
    from logrouter.model import RawRecord

SCHEMA: Final = "/api-gateway/request/1.0.0"
MAX_EVENT_BYTES: Final = 4 << 20
"""What eventgate's Kafka takes as one message."""

_CANONICAL: Final = "/logrouter/api_request/1."
_META: Final = ("dt", "id", "request_id", "domain")
_HTTP: Final = ("method", "protocol", "status_code", "client_ip", "has_cookies", "request_headers", "response_headers")
_REST: Final = ("client_id", "route", "total_time_ms", "backend_time_ms")
_IDS: Final = UUID("c1a4f6f8-52c5-5d0f-9d1e-6d0f3a1f7b52")
"""A namespace of its own, so that an id made here is no other's."""


class StreamEvent(NamedTuple):
    """What is sent for an event: *fields*, and the *value* that they are written as."""

    fields: dict[str, Any]
    value: bytes

    @property
    def id(self) -> str:
        """Its `meta.id`, by which answers name it."""
        return str(self.fields["meta"]["id"])


def make_document(event: RawRecord, stream: str) -> StreamEvent | Refused:
    """The document of an event, whose value is there; *stream* is where documents of canonical events belong."""
    try:
        fields = orjson.loads(event.value or b"")
    except orjson.JSONDecodeError:
        return Refused(detail="no JSON")
    schema = fields.get("$schema") if isinstance(fields, dict) else None
    if not isinstance(schema, str) or not isinstance(fields.get("meta"), dict):
        return Refused(detail="no event: it has no $schema or no meta")
    if schema == SCHEMA:
        is_changed = False
    elif schema.startswith(_CANONICAL):
        fields = _convert(fields, stream)
        is_changed = True
    else:
        return Refused(detail=f"an event of {schema[:100]}, which is neither of {SCHEMA} nor a canonical one")
    # eventgate takes texts only, but its answer would hold up the batch. It names events by their ids, as JavaScript
    # writes them: 1.0 as 1, and members of objects in another order. A stream that it can't know is an error to it,
    # which may pass.
    for name in ("id", "stream"):
        if not isinstance(fields["meta"].get(name), str | None):
            return Refused(detail=f"meta.{name} is no text")
    is_changed |= _fill(fields["meta"], event, stream)
    try:
        value = orjson.dumps(fields) if is_changed else event.value or b""
    except orjson.JSONEncodeError:
        return Refused(detail="nested too deep")
    if len(value) > MAX_EVENT_BYTES:
        return Refused(detail=f"{len(value)} bytes, more than the {MAX_EVENT_BYTES} of a message in Kafka")
    return StreamEvent(fields, value)


def _convert(event: dict[str, Any], stream: str) -> dict[str, Any]:
    """The fields of a canonical event that the schema has."""
    meta = event["meta"]
    found = event.get("http")
    http: dict[str, Any] = found if isinstance(found, dict) else {}
    fields: dict[str, Any] = {
        "$schema": SCHEMA,
        "meta": {"stream": stream, **{name: meta[name] for name in _META if name in meta}},
    }
    uri = meta.get("uri", http.get("path"))
    if uri is not None:
        fields["meta"]["uri"] = uri
    if told := {name: http[name] for name in _HTTP if name in http}:
        fields["http"] = told
    fields.update((name, event[name]) for name in _REST if name in event)
    return fields


def _fill(meta: dict[str, Any], event: RawRecord, stream: str) -> bool:
    """Set what eventgate would set to something worse, and write the URI as it may be; whether anything changed."""
    is_changed = False
    if not meta.get("id"):
        # With its time, as a topic that is made anew has the same places.
        place = f"{event.topic}/{event.partition}/{event.offset}/{event.timestamp_ms}"
        meta["id"] = str(uuid5(_IDS, place))
        is_changed = True
    for name, value in (("request_id", meta["id"]), ("stream", stream)):
        if meta.get(name) in (None, ""):
            meta[name] = value
            is_changed = True
    uri = meta.get("uri")
    if isinstance(uri, str):
        reference = to_reference(uri)
        if reference is None:
            del meta["uri"]
        else:
            meta["uri"] = reference
        is_changed |= reference != uri
    return is_changed
