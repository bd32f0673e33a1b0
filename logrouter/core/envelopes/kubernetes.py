r"""Records of fluentd and Fluent Bit with the metadata of Kubernetes.

    {"log": "<line>\n", "stream": "stdout", "time": "2026-…Z", "docker": {"container_id": …}, "topic": …, "tag": …,
     "kubernetes": {"namespace_name": "prod", "pod_name": …, "container_name": "shop--worker", "host": …, "labels": …}}

The line is in `log`, `message` or `msg`, or it is a JSON object that the shipper has parsed: under one of these names,
under a key of its own, or merged into the record, where a `message` or `msg` may be the application's. An object `log`
that says where a line was is Filebeat's, and no line. Where the shipper had no metadata, the tag says what the
container's file is called.
"""

from __future__ import annotations

from typing import Any, Final

from logrouter.core.envelopes.line_keys import other_line
from logrouter.core.envelopes.merged import merged_object, places_line
from logrouter.core.envelopes.partial import KUBERNETES, cri_line, cut_by_shipper
from logrouter.core.text.colours import ESCAPE, without_colours
from logrouter.core.text.json_objects import decode_object, repair_flags
from logrouter.model import PARTIAL, Envelope, Reason, Rejected, Stage

_LINE: Final = ("log", "message", "msg")
_TIMES: Final = ("time", "@timestamp", "timestamp", "date")
_TRANSPORT: Final = frozenset(
    {"log", "message", "msg", "stream", "time", "date", "timestamp", "@timestamp", "kubernetes", "docker", "topic"}
    | {"tag", "logtag", "_p", "container_id", "container_name", "source", "filename", "path", "host", "hostname"}
    | {"cluster", "partial_message", "partial_id", "partial_ordinal", "partial_last"}
)
_FOLDER: Final = "/var/log/containers/"
_IN_TAG: Final = "containers."


def decode(value: bytes, key: str = "") -> Envelope | Rejected:
    """The line in one record; *key* is what an object may be under besides the known names. Never raises."""
    fields = decode_object(value, Stage.DECODE)
    if isinstance(fields, Rejected):
        return fields
    flags = repair_flags(fields)
    metadata = _metadata(fields)
    host = metadata.get("host") or fields.get("host") or fields.get("hostname")
    container = metadata.get("container_name") or fields.get("container_name")
    envelope = Envelope(
        KUBERNETES,
        "",
        None,
        container if type(container) is str and container != "-" else None,
        host if type(host) is str and host != "-" else None,
        _time(fields),
        fields,
        flags,
    )
    return _with_line(envelope, key)


def _with_line(envelope: Envelope, key: str) -> Envelope | Rejected:
    """The envelope with its text, or with the object that the shipper has made of it."""
    fields = envelope.fields
    for name in _LINE:
        line = fields.get(name)
        if type(line) is str:
            if name != "log" and not fields.keys() <= _TRANSPORT:
                envelope.document = merged_object(fields, key, _TRANSPORT) or fields
            return _text(envelope, line)
        if type(line) is dict:
            if places_line(name, line):
                _tell_beat(envelope)
                continue
            envelope.document = line
            return envelope
    envelope.document = merged_object(fields, key, _TRANSPORT)
    if envelope.document is not None:
        return envelope
    if fields.keys() <= _TRANSPORT:
        return Rejected(Stage.DECODE, Reason.NO_MESSAGE, "no log, message or msg, and no key of an application")
    envelope.document = fields
    other = other_line(fields)
    return envelope if other is None else _text(envelope, other)


def _tell_beat(envelope: Envelope) -> None:
    """Program and host as Filebeat has them: in objects."""
    metadata = envelope.fields.get("kubernetes")
    container = metadata.get("container") if type(metadata) is dict else None
    for name, part in (("program", container), ("host", envelope.fields.get("host"))):
        found = part.get("name") if type(part) is dict else None
        if type(found) is str and getattr(envelope, name) is None:
            setattr(envelope, name, found)


def _text(envelope: Envelope, line: str) -> Envelope:
    if line[:1] != "{" and (raw := cri_line(line)) is not None:
        # The shipper has read the runtime's file without knowing its form.
        envelope.fields.update(stream=raw.stream, logtag=raw.tag)
        envelope.time, line = raw.time, raw.text
    if cut_by_shipper(envelope.fields, line):
        envelope.flags += (PARTIAL,)
    if ESCAPE in line:
        line = without_colours(line)
    envelope.text = line.removesuffix("\n").removesuffix("\r")
    return envelope


def _metadata(fields: dict[str, Any]) -> dict[str, Any]:
    """What the record says about the container; without metadata, what the name of its file says."""
    metadata = fields.get("kubernetes")
    if type(metadata) is dict and metadata.get("namespace_name") and metadata.get("container_name"):
        return metadata
    known: dict[str, Any] = metadata if type(metadata) is dict else {}
    tag = fields.get("tag")
    start = tag.find(_IN_TAG) if type(tag) is str else -1
    if type(tag) is str and start >= 0:
        name = tag[start + len(_IN_TAG) :]
        if name.count("_") == 2:
            fields["filename"] = _FOLDER + name
            container = name.removesuffix(".log").rpartition("_")[2].rpartition("-")[0]
            return {"container_name": container, **known}
    topic = fields.get("topic")
    if type(topic) is str and not known.get("namespace_name"):
        fields["kubernetes.namespace_name"] = topic
    return known


def _time(fields: dict[str, Any]) -> str | None:
    for name in _TIMES:
        time = fields.get(name)
        if type(time) is str:
            return time
        if type(time) in (int, float):
            return str(time)
    return None
