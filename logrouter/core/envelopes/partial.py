"""Pieces of lines that a container runtime has cut: which line a piece belongs to, and whether it ends that line.

Runtimes cut at 16 KiB. CRI tags every piece `P` and the last one `F`; Docker ends the last one with a newline, and the
others with none; Docker's fluentd driver numbers them. Pure: who joins them keeps the state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from logrouter.core.text.json_objects import decode_object
from logrouter.model import PARTIAL, Rejected, Stage

if TYPE_CHECKING:
    from logrouter.model import Envelope

DOCKER: Final = "docker"
CONTAINERD: Final = "containerd"
KUBERNETES: Final = "kubernetes"

_RUNTIME_PIECE: Final = 16 * 1024
_TAGS: Final = ("logtag", "_p")
_NUMBERING: Final = ("partial_message", "partial_id", "partial_ordinal", "partial_last")
_LINES: Final = {DOCKER: ("log",), CONTAINERD: ("msg",), KUBERNETES: ("log", "message", "msg")}
"""Where the line is, by shape."""
_IDS: Final = ("container_id", "filename")
"""Names that identify a container, as keys of the record or as headers of it."""


class FragmentText(NamedTuple):
    """One piece of a line, perhaps the only one.

    Pieces of one line have the same *key* and come in order; *last* ends the line. *text* is what the application
    wrote, without the line's end and without anything that an envelope has mended in it.
    """

    key: tuple[str, ...]
    last: bool
    text: str


class CriLine(NamedTuple):
    """`<time> <stream> <tag> <text>`, as containerd and CRI-O write to their files."""

    time: str
    stream: str
    tag: str
    text: str

    @property
    def cut(self) -> bool:
        """Whether the line goes on in the next piece."""
        return self.tag.partition(":")[0] == "P"


def cri_line(text: str) -> CriLine | None:
    """The parts of a CRI line, None for any other text."""
    parts = text.split(" ", 3)
    if len(parts) < 3 or parts[1] not in ("stdout", "stderr") or "T" not in parts[0]:
        return None
    return CriLine(parts[0], parts[1], parts[2], parts[3] if len(parts) == 4 else "")


def cut_by_docker(log: str) -> bool:
    """Whether Docker has surely cut this line: long enough, no newline, and no end of an object.

    Only the length makes it sure, because shippers strip newlines.
    """
    if log[-1:] in ("\n", "}") or len(log) < _RUNTIME_PIECE // 4:
        return False
    return len(log.encode("utf-8", "replace")) >= _RUNTIME_PIECE


def cut_by_shipper(fields: dict[str, Any], log: str) -> bool:
    """Whether a record of a Kubernetes shipper goes on in another: by its tag, its numbering, or as Docker cuts."""
    tag = _tag(fields)
    if tag is not None:
        return tag.partition(":")[0] == "P"
    if _true(fields.get("partial_message")):
        return not _true(fields.get("partial_last"))
    return cut_by_docker(log)


def fragment_of(envelope: Envelope) -> FragmentText | None:
    """The piece that an envelope holds, None if no container runtime has written it.

    A Docker line without a newline goes on, whatever its length; a Kubernetes shipper's without tag only if it is as
    long as a piece, or an object cut in the middle, because such records have often lost their newlines. Where nothing
    in the record names the container, all pieces of one stream are taken for one container's.
    """
    fields = envelope.fields
    stream = fields.get("stream")
    name = stream if type(stream) is str else ""
    match envelope.shape:
        case "docker":
            log = fields.get("log")
            text = log if type(log) is str else envelope.text
            return FragmentText((*_container(envelope), name), text[-1:] == "\n", text.removesuffix("\n"))
        case "containerd":
            return FragmentText((*_container(envelope), name), PARTIAL not in envelope.flags, _written(envelope))
        case "kubernetes" if envelope.document is None or envelope.text:
            return _shipped(envelope, name)
    return None


def join_fragments(shape: str, value: bytes, text: str) -> bytes | None:
    """The record of a line's first piece as it would be with *text*, the whole line, in it.

    None if there is no such record, which cannot be if `fragment_of` has found a piece in it.
    """
    if value[:1] != b"{":
        line = cri_line(value.decode("utf-8", "replace"))
        return None if line is None else f"{line.time} {line.stream} F {text}".encode("utf-8", "replace")
    fields = decode_object(value, Stage.DECODE)
    name = (
        None if isinstance(fields, Rejected) else next(filter(lambda each: _holds(fields, each), _LINES[shape]), None)
    )
    if name is None or isinstance(fields, Rejected):
        return None
    line = cri_line(fields[name])
    fields[name] = f"{text}\n" if line is None else f"{line.time} {line.stream} F {text}"
    for tag in _TAGS:
        if _holds(fields, tag):
            fields[tag] = "F"
    for numbering in _NUMBERING:
        fields.pop(numbering, None)
    return orjson.dumps(fields)


def _holds(fields: dict[str, Any], name: str) -> bool:
    return type(fields.get(name)) is str


def _shipped(envelope: Envelope, stream: str) -> FragmentText:
    fields, text = envelope.fields, envelope.text
    cut = PARTIAL in envelope.flags
    if not cut and _tag(fields) is None and not _true(fields.get("partial_message")):
        log = fields.get("log")
        ended = type(log) is str and log[-1:] == "\n"
        cut = not ended and text[:1] == "{" and text[-1:] != "}"
    line = fields.get("partial_id")
    key = (line,) if type(line) is str and line else _container(envelope)
    return FragmentText((*key, stream), not cut, text)


def _written(envelope: Envelope) -> str:
    """The text of a CRI line as it stands in the record: rsyslog's own `msg`, else the envelope's text."""
    message = envelope.fields.get("msg")
    line = cri_line(message) if type(message) is str else None
    return line.text.removesuffix("\n") if line is not None else envelope.text


def _container(envelope: Envelope) -> tuple[str, ...]:
    """What tells one container from the others: its id, its file, its pod; of the record, else of its headers."""
    fields = envelope.fields
    for part in (fields.get("docker"), fields, fields.get("metadata"), fields.get("kubernetes")):
        if type(part) is dict:
            for name in _IDS:
                value = part.get(name)
                if type(value) is str and value:
                    return (value,)
    pod = fields.get("kubernetes")
    if type(pod) is dict:
        names = tuple(str(pod.get(name) or "") for name in ("namespace_name", "pod_name", "container_name"))
        if all(names[1:]):
            return names
    tag = fields.get("tag")
    if type(tag) is str and tag:
        return (tag,)
    for name, value in envelope.headers:
        if name in _IDS and value:
            return (value.decode("utf-8", "replace"),)
    return ("",)


def _tag(fields: dict[str, Any]) -> str | None:
    for name in _TAGS:
        tag = fields.get(name)
        if type(tag) is str and tag:
            return tag
    return None


def _true(value: object) -> bool:
    return value is True or value == "true"
