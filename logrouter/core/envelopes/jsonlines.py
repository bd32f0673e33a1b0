"""Records that are JSON themselves, with no transport around them, and those that pack several such objects.

{"status": 200, …}                                                          one line
{"message": "<line>", …}                                                    one line, with what else is known of it
[{…}, {…}]                                                                  as many lines
{"records": [{…}, {…}]}                                                     likewise, as Azure's diagnostics are
{"identifier": {…}, "http_logs": {"log_entry": [{…}, {…}]}}                 Envoy's access log service, also as
`httpLogs`, `logEntry`
anything that does not begin as an object or a list does                    one line of text

`[Pipeline] stage`, `{ port: 8080 }` and `[10:00:00] done` are text, too: no JSON begins so. What begins as JSON
does and is none was cut or damaged: it may hold a request, and is rejected.
"""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from logrouter.core.envelopes import plain
from logrouter.core.envelopes.line_keys import other_line
from logrouter.core.envelopes.merged import merged_object, places_line
from logrouter.core.ids import MAX_INDEX
from logrouter.core.text.colours import ESCAPE, without_colours
from logrouter.core.text.json_objects import BEFORE, decode_object, repair_flags
from logrouter.model import NO_REQUEST, Decoded, Envelope, Reason, Rejected, Stage

SHAPE: Final = "json"

_loads = orjson.loads
_TEXT: Final = ("message", "log", "msg")
_TRANSPORT: Final = frozenset(
    {"time", "timestamp", "@timestamp", "date", "stream", "tag", "logtag", "source", "kubernetes", "docker", "topic"}
    | {"host", "hostname", "program", "cluster", "container_id", "container_name", "filename", "path", "_p"}
)
_TIMES: Final = ("time", "timestamp", "@timestamp")
_BEFORE: Final = BEFORE.encode()
_BATCHES: Final = (("http_logs", "log_entry"), ("httpLogs", "logEntry"))
_RECORDS: Final = "records"
_CONNECTIONS: Final = ("tcp_logs", "tcpLogs")
# A key or the end of an object; values of a list up to what parts or ends them; or nothing, where the end is missing.
_VALUE: Final = rb"(?:-?+[0-9][0-9.eE+-]*+|true|false|null|NaN|-?+Infinity)\s*+(?:,|\]\s*+\Z|\Z)"
_BEGINS_AS_JSON = re.compile(rb'\s*+(?:\{\s*+(?:["}]|\Z)|\[[\[\s]*+(?:["{\]]|\Z|' + _VALUE + rb"))")


def decode(value: bytes, key: str = "") -> Decoded:
    """Every line in one record; *key* is what an object may be under besides the known names. Never raises."""
    if value[:1] not in (b"{", b"["):
        start = value.lstrip(_BEFORE)[:1]
        if start not in (b"{", b"["):
            return plain.decode(value)
    try:
        found: Any = _loads(value)
    except ValueError:
        found = decode_object(value, Stage.DECODE)
    if isinstance(found, Rejected):
        text = found.reason is Reason.INVALID_JSON and _BEGINS_AS_JSON.match(value) is None
        return plain.decode(value) if text else found
    if isinstance(found, list):
        return _several(found, {}, key)
    for outer, inner in _BATCHES:
        batch = found.get(outer)
        if type(batch) is dict and type(entries := batch.get(inner)) is list:
            return _several(entries, {"identifier": found.get("identifier")}, key)
    if any(name in found for name in _CONNECTIONS):
        return NO_REQUEST
    if len(found) == 1 and type(entries := found.get(_RECORDS)) is list:
        return _several(entries, {}, key)
    return _line(found, found, key, value)


def _several(entries: list[Any], of_all: dict[str, Any], key: str) -> Decoded:
    if len(entries) > MAX_INDEX:
        return Rejected(Stage.DECODE, Reason.TOO_MANY, f"{len(entries)} lines in one record")
    return tuple(_entry(entry, of_all, key) for entry in entries)


def _entry(entry: object, of_all: dict[str, Any], key: str) -> Envelope | Rejected:
    if isinstance(entry, dict):
        return _line(entry, {**entry, **of_all}, key)
    if isinstance(entry, str):
        text = without_colours(entry) if ESCAPE in entry else entry
        return Envelope(plain.SHAPE, text.rstrip("\r\n"), fields=of_all)
    return Rejected(Stage.DECODE, Reason.NOT_OBJECT, f"JSON {type(entry).__name__}, not an object")


def _line(document: dict[str, Any], fields: dict[str, Any], key: str, written: bytes = b"") -> Envelope:
    """One object as a line: its text is its message, else the object as it is written, if it is alone in its record.

    Where a shipper has put an object under a key of its own, that is the line's object.
    """
    text = _first(document, _TEXT) or other_line(document)
    merged = _merged(document, key) if key or "kubernetes" in document else None
    if text is None:
        text = "" if merged is not None else written.decode("utf-8", "replace").strip(BEFORE)
    elif ESCAPE in text:
        text = without_colours(text)
    return Envelope(
        SHAPE,
        text.rstrip("\r\n"),
        document if merged is None else merged,
        _first(document, ("program",)),
        _first(document, ("host", "hostname")),
        _first(document, _TIMES),
        fields,
        repair_flags(document),
    )


def _merged(document: dict[str, Any], key: str) -> dict[str, Any] | None:
    for name in _TEXT:
        found = document.get(name)
        if type(found) is dict and not places_line(name, found):
            return found
    return merged_object(document, key, _TRANSPORT)


def _first(document: dict[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = document.get(name)
        if type(value) is str and value not in ("", "-"):
            return value
    return None
