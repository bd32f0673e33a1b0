r"""Access logs of Amazon API Gateway in its variant of the common log format.

    192.0.2.7 - - [04/May/2026:10:00:00 +0000] "GET /orders/{id} HTTP/1.1" 200 512 <request id> <extended request id>
    192.0.2.7 - - [04/May/2026:10:00:00 +0000] "GET GET /orders/{id} HTTP/1.1" 200 512 <request id>
    192.0.2.7 - - [04/May/2026:10:00:00 +0000] "MESSAGE sendOrder <connection id>" 200 <request id>

    address SP caller SP user SP "[" time "]" SP DQUOTE method SP (path / route key) SP protocol DQUOTE SP status SP
    length SP request-id [SP extended-request-id]

REST APIs write the path of the resource, HTTP APIs the route key, which has a method of its own or is `$default`.
WebSocket APIs write the kind of event and the route key; the Serverless Framework leaves out their status.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from logrouter.core.formats.families.aws import (
    TAKES,
    compile_reader,
    is_execution_log,
    is_status,
    unreadable,
)
from logrouter.core.formats.format import Format
from logrouter.model import NO_REQUEST, Reason

if TYPE_CHECKING:
    from logrouter.core.formats.format import FormatSettings
    from logrouter.model import Envelope, Ignored, Parsed, Parser, Rejected

_CLIENT: Final = ("sourceIp", "caller", "user")
_END: Final = ("status", "responseLength", "requestId", "extendedRequestId")
_TIME_LENGTH: Final = 26
_EVENTS: Final = ("CONNECT", "MESSAGE", "DISCONNECT")
_TIMED = re.compile(r"\S{1,255} \S{1,255} \S{1,255} \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]", re.ASCII)
_TOOK = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
"""What web servers write there: how long a request took. No request id is such."""


def _compile(settings: FormatSettings) -> Parser:
    read = compile_reader(settings)

    def parse(envelope: Envelope) -> Parsed | Ignored | Rejected:
        text = envelope.text.strip()
        if is_execution_log(envelope):
            return NO_REQUEST
        if not _signature(envelope):
            return NO_REQUEST if _TIMED.match(text) is None else unreadable("no request in quotes behind the time")
        client, _, rest = text.partition(" [")
        time, _, rest = rest.partition('] "')
        request, _, end = rest.rpartition('" ')
        who, result = client.split(" "), end.split(" ")
        method, _, asked = request.partition(" ")
        asked, _, protocol = asked.rpartition(" ")
        ended = '" ' in rest
        if method in _EVENTS and len(who) == 3 and ended and not protocol.startswith("HTTP/"):
            line = _of_socket(method, asked, end)
            if line is not None:
                return read(dict(zip(_CLIENT, who, strict=True)) | {"requestTime": time} | line, envelope, ())
        if len(who) != 3 or len(time) != _TIME_LENGTH or (ended and not asked):
            return unreadable("not the fields of this format")
        if not ended or len(result) < 3:
            return unreadable("the end of the line is missing", Reason.TRUNCATED)
        if len(result) > 4 or '"' in end or not is_status(result[0]) or _TOOK.fullmatch(result[2]):
            return unreadable("not the fields of this format")
        line = dict(zip(_CLIENT, who, strict=True)) | dict(zip(_END, result, strict=False))
        kind = "resourcePath" if asked[:1] in ("/", "-") else "routeKey"
        line |= {"requestTime": time, "httpMethod": method, kind: asked, "protocol": protocol}
        return read(line, envelope, ())

    return parse


def _of_socket(event: str, route: str, end: str) -> dict[str, str] | None:
    """The values of a WebSocket API's line behind its time; None if it has others."""
    *status, request_id = end.split()
    if len(status) > 1 or not all(map(is_status, status)):
        return None
    return {"eventType": event, "routeKey": route, "status": status[0] if status else "-", "requestId": request_id}


def _signature(envelope: Envelope) -> bool:
    """Whether a time in brackets is followed by a quote."""
    before, bracket, rest = envelope.text[:1024].partition(" [")
    return bool(bracket) and before.count(" ") >= 2 and rest[:64].find('] "') > 0


FORMAT: Final = Format(_compile, TAKES, _signature, users=("user", "caller"))
