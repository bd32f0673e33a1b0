"""For each type of sink a target that answers as told, and the events that a request of that sink holds."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logrouter.sinks.http_messages import HttpRequest


class Verdict(Enum):
    """What the target makes of an event."""

    TAKE = "take"
    REFUSE = "refuse"
    BUSY = "busy"
    NO_ROOM = "no room"
    """There is no room for the whole request, ever; of one event this is so for all of a request."""


class Request(NamedTuple):
    """A request as the target sees it; names of *headers* are in lower case, the *body* is not compressed any more."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class StandIn:
    """A target of one type.

    *options* go into topics.yaml. *marks* gives `meta.id` of each event in a request, in order, None for other requests
    than those with events. *answer* renders what becomes of them, and *other* answers all other requests.
    """

    options: str
    marks: Callable[[Request], list[str] | None]
    answer: Callable[[Request, Sequence[Verdict]], bytes]
    other: Callable[[Request], bytes] = lambda _request: reply(200, b"{}")
    per_item: bool = False
    """Whether an answer tells events apart."""
    reads_answers: bool = True
    """Whether a 2xx counts only with what its documentation says."""
    batches: bool = True
    """Whether a request holds more than one event."""


def reply(status: int, body: bytes | list[Any] | dict[str, Any] = b"", **headers: str) -> bytes:
    """The bytes of an answer; what is no bytes becomes JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"Content-Length": str(len(data)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status} Words\r\n{head}\r\n".encode() + data


def read_request(head: str, body: bytes) -> Request:
    """The request with this head and body, as they were sent."""
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _version = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Request(method, urlsplit(target).path, headers, _plain(headers, body))


def as_request(request: HttpRequest) -> Request:
    """A request that is not sent yet."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Request(request.method, urlsplit(request.url).path, headers, _plain(headers, request.body))


def _plain(headers: dict[str, str], body: bytes) -> bytes:
    return gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body


def _mark(event: Any) -> str:
    """The mark of an event, "" if it has none."""
    meta = event.get("meta") if isinstance(event, dict) else None
    mark = meta.get("id") if isinstance(meta, dict) else None
    return mark if isinstance(mark, str) else ""


def _all_or_nothing(_request: Request, verdicts: Sequence[Verdict]) -> bytes:
    if Verdict.NO_ROOM in verdicts:
        return reply(413)
    if Verdict.REFUSE in verdicts:
        return reply(400, b"one of them is bad")
    return reply(503, b"busy") if Verdict.BUSY in verdicts else reply(200)


def _eventgate(request: Request, verdicts: Sequence[Verdict]) -> bytes:
    if Verdict.NO_ROOM in verdicts:
        return reply(413)
    kinds = {Verdict.REFUSE: "invalid", Verdict.BUSY: "error"}
    lists: dict[str, list[Any]] = {"invalid": [], "error": []}
    for event, verdict in zip(json.loads(request.body), verdicts, strict=True):
        if verdict is not Verdict.TAKE:
            lists[kinds[verdict]].append({"status": kinds[verdict], "event": event, "context": {"message": "no"}})
    if not any(lists.values()):
        return reply(201)
    if Verdict.TAKE in verdicts:
        return reply(207, lists)
    return reply(500 if lists["error"] else 400, lists)


def _ids_of_bulk(request: Request) -> list[str] | None:
    if not request.path.endswith("/_bulk"):
        return None
    lines = [json.loads(line) for line in request.body.removesuffix(b"\n").split(b"\n")]
    assert all(isinstance(document, dict) for document in lines[1::2])
    return [action["create"]["_id"] for action in lines[::2]]


_ITEMS = {
    Verdict.TAKE: {"status": 201},
    Verdict.REFUSE: {"status": 400, "error": {"type": "mapper_parsing_exception", "reason": "no"}},
    Verdict.BUSY: {"status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "full"}},
}


_NO_ROOM = {
    "type": "rejected_execution_exception",
    "reason": "rejected execution of coordinating operation [coordinating_and_primary_bytes=0, replica_bytes=0, "
    "all_bytes=0, coordinating_operation_bytes=388064, max_coordinating_and_primary_bytes=204800]",
}


def _bulk(request: Request, verdicts: Sequence[Verdict]) -> bytes:
    if Verdict.NO_ROOM in verdicts:
        return reply(429, {"error": {"root_cause": [_NO_ROOM], **_NO_ROOM}, "status": 429})
    marks = _ids_of_bulk(request) or []
    return reply(
        200, {"items": [{"create": {"_id": mark, **_ITEMS[each]}} for mark, each in zip(marks, verdicts, strict=True)]}
    )


def _without_template(request: Request) -> bytes:
    return reply(404) if request.method == "GET" else reply(200, {"acknowledged": True})


def _marks_of_envelopes(request: Request) -> list[str] | None:
    if not request.path.endswith("/collector/event"):
        return None
    text, found, at = request.body.decode(), [], 0
    while at < len(text):
        envelope, at = json.JSONDecoder().raw_decode(text, at)
        found.append(_mark(envelope["event"]))
        at += len(text[at:]) - len(text[at:].lstrip())
    return found


def _collector(_request: Request, verdicts: Sequence[Verdict]) -> bytes:
    if Verdict.NO_ROOM in verdicts:
        return reply(413)
    if Verdict.REFUSE in verdicts:
        bad = verdicts.index(Verdict.REFUSE)
        return reply(400, {"text": "Invalid data format", "code": 6, "invalid-event-number": bad})
    if Verdict.BUSY in verdicts:
        return reply(503, {"text": "Server is busy", "code": 9})
    return reply(200, {"text": "Success", "code": 0, "ackId": 1})


_WEBHOOK = "authorization: '${TOKEN}', signing_keys: '${KEY}', body: "
_SEARCH = "basic_auth: {user: logrouter, password: '${PASSWORD}'}"
_SPLUNK = "token: '${TOKEN}'"

STAND_INS: dict[str, StandIn] = {
    "webhook": StandIn(
        f"{_WEBHOOK} event",
        lambda request: [_mark(json.loads(request.body))],
        _all_or_nothing,
        reads_answers=False,
        batches=False,
    ),
    "webhook array": StandIn(
        f"{_WEBHOOK} array",
        lambda request: [_mark(event) for event in json.loads(request.body)],
        _all_or_nothing,
        reads_answers=False,
    ),
    "webhook lines": StandIn(
        f"{_WEBHOOK} lines",
        lambda request: [_mark(json.loads(line)) for line in request.body.removesuffix(b"\n").split(b"\n")],
        _all_or_nothing,
        reads_answers=False,
    ),
    "eventgate": StandIn(
        "stream: api.request",
        lambda request: [_mark(event) for event in json.loads(request.body)],
        _eventgate,
        per_item=True,
    ),
    "opensearch": StandIn(_SEARCH, _ids_of_bulk, _bulk, _without_template, per_item=True),
    "opensearch firehose": StandIn(
        f"document: firehose, index: {{name: a, rotation: week_us}}, {_SEARCH}",
        _ids_of_bulk,
        _bulk,
        _without_template,
        per_item=True,
    ),
    "opensearch stream": StandIn(
        "data_stream: requests, template: false, api_key: '${TOKEN}'", _ids_of_bulk, _bulk, per_item=True
    ),
    "splunk": StandIn(_SPLUNK, _marks_of_envelopes, _collector),
    "splunk acknowledged": StandIn(
        f"acknowledge: true, {_SPLUNK}",
        _marks_of_envelopes,
        _collector,
        lambda request: reply(200, {"acks": {str(each): True for each in json.loads(request.body)["acks"]}}),
    ),
}
"""By type, and by further words that tell variants of one type apart."""
