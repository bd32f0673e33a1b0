r"""The JSON that rsyslog writes to Kafka: four shapes, told apart by their keys.

    {"log": "<line>\n", "stream": "stdout", "time": …, "kubernetes": …}     docker       lines of the Docker runtime
    {"msg": "<time> stdout F <line>", "kubernetes": …}                      containerd   CRI lines
    {"ecs.version": "1.7.0", "message": "<line>", "service.type": …}        ecs          Elastic common schema, dotted
    {"message": "<line>", "program": …, "host": …}                          plain        text
    {"program": …, "host": …, <the application's own keys>}                 cee          JSON merged into the envelope

The application's keys come after rsyslog's and may repeat them, and the last one wins; so the copies named `rsyslog.*`
(`rsyslog_*` after Logstash) are believed before the bare names.
"""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from logrouter.core.envelopes.line_keys import other_line
from logrouter.core.envelopes.partial import CONTAINERD, DOCKER, cut_by_docker
from logrouter.core.text.colours import ESCAPE, without_colours
from logrouter.core.text.json_objects import decode_object, repair_flags
from logrouter.model import PARTIAL, Envelope, Reason, Rejected, Stage

_loads = orjson.loads

ECS: Final = "ecs"
PLAIN: Final = "plain"
CEE: Final = "cee"

REPEATED: Final = "repeated"
"""Flag and field of a line that rsyslog folded: the field says how often it was repeated."""

_PRESERVED = ("programname", "hostname", "severity", "facility", "timereported")
_TRANSPORT: Final = frozenset(
    {"timestamp", "logsource", "host", "program", "severity", "facility", "level", "message", "msg", "metadata"}
    | {"kubernetes", "docker", "stream", "time", "type", "tags", "@timestamp", "@version"}
    | {f"rsyslog.{name}" for name in _PRESERVED}
    | {f"rsyslog_{name}" for name in _PRESERVED}
)
_DOCKER: Final = _TRANSPORT | {"log", "attrs"}
_COOKIE: Final = "@cee:"
_FOLDED = re.compile(r"message repeated (\d{1,9}) times: \[ ?(.*?)\]?", re.DOTALL)
_COLOUR = re.compile(r"#033(?:\[[0-?]*+[ -/]*+[@-~]|\([0-9A-Z])", re.ASCII)
_STRING_OR_NEWLINE = re.compile(r'("(?:[^"\\]++|\\.)*+"?)|#012', re.DOTALL)


def decode(value: bytes) -> Envelope | Rejected:
    """The envelope in one record. Never raises; the caller has already refused what is too large."""
    fields: Any
    try:
        fields = _loads(value)
    except ValueError:
        fields = None
    flags: tuple[str, ...] = ()
    if type(fields) is not dict:
        fields = decode_object(value, Stage.DECODE)
        if isinstance(fields, Rejected):
            return fields
        flags = repair_flags(fields)
    log = fields.get("log")
    if type(log) is str and "stream" in fields:
        return _docker(fields, log, flags)
    if "ecs.version" in fields:
        return _ecs(fields, flags)
    message = fields.get("msg")
    if type(message) is str:
        cri = message.split(" ", 3)
        if len(cri) == 4 and cri[1] in ("stdout", "stderr") and "T" in cri[0]:
            return _containerd(fields, cri, flags)
    else:
        message = None
    return _syslog(fields, message, flags)


def _docker(fields: dict[str, Any], log: str, flags: tuple[str, ...]) -> Envelope:
    if log[-1:] == "\n":
        log = log[:-1]
    elif cut_by_docker(log):
        flags = (*flags, PARTIAL)
    if log[:1] != "{":
        log, flags = _clean(log, fields, flags)
    elif ESCAPE in log:
        log = without_colours(log)
    program = fields.get("rsyslog.programname") or fields.get("rsyslog_programname") or fields.get("program")
    host = fields.get("rsyslog.hostname") or fields.get("rsyslog_hostname") or fields.get("host")
    time = fields.get("time")
    return Envelope(
        DOCKER,
        log,
        None,
        program if type(program) is str and program != "-" else None,
        host if type(host) is str and host != "-" else None,
        time if type(time) is str else None,
        fields,
        flags,
    )


def _containerd(fields: dict[str, Any], cri: list[str], flags: tuple[str, ...]) -> Envelope:
    time, stream, tag, text = cri
    if tag.partition(":")[0] == "P":
        flags = (*flags, PARTIAL)
    fields["stream"] = stream
    text = text.removesuffix("\n")
    if text[:1] != "{":
        text, flags = _clean(text, fields, flags)
    elif ESCAPE in text:
        text = without_colours(text)
    return Envelope(CONTAINERD, text, None, _program(fields), _host(fields), time, fields, flags)


def _ecs(fields: dict[str, Any], flags: tuple[str, ...]) -> Envelope:
    text = fields.get("message") or fields.get("log.original") or ""
    text, flags = _clean(text, fields, flags) if isinstance(text, str) else ("", flags)
    program = fields.get("service.type")
    host = fields.get("host.name")
    return Envelope(
        ECS,
        text,
        fields,
        program if isinstance(program, str) and program else _program(fields),
        host if isinstance(host, str) and host else _host(fields),
        _read_time(fields),
        fields,
        flags,
    )


def _syslog(fields: dict[str, Any], message: str | None, flags: tuple[str, ...]) -> Envelope | Rejected:
    """Plain text, or an application's object merged into the envelope: then its keys are among *fields*."""
    if message is None:
        message = fields.get("message")
        if not isinstance(message, str):
            message = None
            log = fields.get("log")
            if type(log) is str:  # of Docker, without its stream; or the application has a key of that name
                if fields.keys() <= _DOCKER:
                    return _docker(fields, log, flags)
                message = log
    merged = not fields.keys() <= _TRANSPORT
    if message is None:
        if not merged:
            return Rejected(Stage.DECODE, Reason.NO_MESSAGE, "no log, msg or message, and no key of an application")
        message = other_line(fields)
    text, flags = _clean(message or "", fields, flags)
    return Envelope(
        CEE if merged else PLAIN,
        text,
        fields if merged else None,
        _program(fields),
        _host(fields),
        _read_time(fields),
        fields,
        flags,
    )


def _program(fields: dict[str, Any]) -> str | None:
    name = fields.get("rsyslog.programname") or fields.get("rsyslog_programname") or fields.get("program")
    return name if type(name) is str and name not in ("", "-") else None


def _host(fields: dict[str, Any]) -> str | None:
    name = fields.get("rsyslog.hostname") or fields.get("rsyslog_hostname") or fields.get("host")
    return name if type(name) is str and name not in ("", "-") else None


def _read_time(fields: dict[str, Any]) -> str | None:
    time = (
        fields.get("rsyslog.timereported")
        or fields.get("rsyslog_timereported")
        or fields.get("timestamp")
        or fields.get("@timestamp")
    )
    return time if isinstance(time, str) else None


def _clean(text: str, fields: dict[str, Any], flags: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """What the application wrote, without what syslog did to it. Notes a fold in *fields* and the flags."""
    if text[:1] == " ":
        text = text[1:]
    if text.startswith("message repeated ") and (folded := _FOLDED.fullmatch(text)):
        fields[REPEATED] = int(folded[1])
        flags += (REPEATED,)
        text = folded[2]
    if text.startswith(_COOKIE):
        text = text[len(_COOKIE) :].lstrip()
    # One character is found an order of magnitude faster than several, and most lines have neither.
    if ESCAPE in text:
        text = without_colours(text)
    if "#" in text and "#033[" in text:
        text = _COLOUR.sub("", text)
    if "#" in text and "#012" in text:
        text = _newlines(text)
    return text.removesuffix("\n"), flags


def _newlines(text: str) -> str:
    """Undo rsyslog's `#012`. A JSON string can't have held a newline, so in there it is the writer's own text."""
    if text[:1] == "{":
        return _STRING_OR_NEWLINE.sub(lambda match: match[1] or "\n", text)
    return text.replace("#012", "\n")
