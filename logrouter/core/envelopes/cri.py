r"""Lines as container runtimes write them to their files, shipped as they are.

2026-05-01T10:00:00.123456789Z stdout F <line>                     containerd   CRI; tag P if the line goes on
{"log": "<line>\n", "stream": "stdout", "time": "2026-…Z"}         docker       json-file; no newline if it goes on
"""

from __future__ import annotations

from typing import Any, Final

from logrouter.core.envelopes.partial import CONTAINERD, DOCKER, cri_line, cut_by_docker
from logrouter.core.text.colours import ESCAPE, without_colours
from logrouter.core.text.json_objects import decode_object, repair_flags
from logrouter.model import PARTIAL, Envelope, Reason, Rejected, Stage

_NO_LINE: Final = Rejected(Stage.DECODE, Reason.NO_MESSAGE, "no line of a container runtime")


def decode(value: bytes) -> Envelope | Rejected:
    """The line in one record. There is no program or host in it. Never raises."""
    if value[:1] == b"{":
        fields = decode_object(value, Stage.DECODE)
        return fields if isinstance(fields, Rejected) else _docker(fields)
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        return Rejected(Stage.DECODE, Reason.INVALID_UTF8, f"at byte {error.start}")
    if ESCAPE in text:
        text = without_colours(text)
    line = cri_line(text.rstrip("\r\n"))
    if line is None:
        return _NO_LINE
    read: dict[str, Any] = {"stream": line.stream, "logtag": line.tag}
    return Envelope(CONTAINERD, line.text, None, None, None, line.time, read, (PARTIAL,) if line.cut else ())


def _docker(fields: dict[str, Any]) -> Envelope | Rejected:
    log = fields.get("log")
    if type(log) is not str:
        return _NO_LINE
    flags = repair_flags(fields)
    if cut_by_docker(log):
        flags = (*flags, PARTIAL)
    time = fields.get("time")
    if ESCAPE in log:
        log = without_colours(log)
    text = log.removesuffix("\n").removesuffix("\r")
    return Envelope(DOCKER, text, None, None, None, time if type(time) is str else None, fields, flags)
