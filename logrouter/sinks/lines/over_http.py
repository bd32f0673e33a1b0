"""Lines in the body of an HTTP request: Heroku's logplex contract, or a line of JSON for each (NDJSON).

Either may be signed, as Standard Webhooks says. What the receiver answers is told by its status alone: its words may
repeat lines.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol

import orjson

from logrouter.core.framing.octet_counting import frame_counted
from logrouter.sinks.contract import Delivered, Encoded, Skipped
from logrouter.sinks.http_messages import HttpRequest
from logrouter.sinks.lines.messages import render_line
from logrouter.sinks.syslog.message import cut_text, render_time
from logrouter.sinks.syslog.protocol import EXAMPLE_ENTERPRISE, MAX_IN_STREAM
from logrouter.sinks.webhook.signature import judge_answer, sign_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from logrouter.core.drains.line import Line
    from logrouter.sinks.contract import Result
    from logrouter.sinks.http_messages import HttpAnswer

_MAX_BODY: Final = 1 << 20
"""What nginx takes unless it is told otherwise."""
_LINE_ENDS: Final = re.compile("[\x7f-\x9f\u2028\u2029]")
"""Those that a string of JSON may hold as they are, and some readers take for the end of a line."""


class LineBodies(Protocol):
    """How lines lie in a body."""

    def join(self, lines: Sequence[Line]) -> bytes:
        """All of them, in order; the same bytes for the same lines."""
        ...

    def describe(self, count: int, digest: str) -> Mapping[str, str]:
        """The headers that say what is in a body of *count* lines, which has this *digest*."""
        ...


@dataclass(frozen=True, slots=True)
class LogplexBodies:
    """Logplex' format 1: messages of RFC 5424 behind their lengths (doc/README.http_drains.md of heroku/logplex).

    A message ends with a line feed that its length counts, as Heroku's do. Heroku's have no structured data; with
    them, a line that comes again can be known by its id.
    """

    token: str = field(repr=False)
    max_message_bytes: int = MAX_IN_STREAM
    enterprise: int = EXAMPLE_ENTERPRISE

    def join(self, lines: Sequence[Line]) -> bytes:
        """One frame for each."""
        longest = self.max_message_bytes - 1
        return b"".join(frame_counted(render_line(line, longest, self.enterprise) + b"\n") for line in lines)

    def describe(self, count: int, digest: str) -> Mapping[str, str]:
        """The frame's id is the same when the same batch is sent again, and no other batch's."""
        return {
            "Content-Type": "application/logplex-1",
            "Logplex-Msg-Count": str(count),
            "Logplex-Frame-Id": digest.upper(),
            "Logplex-Drain-Token": self.token,
        }


@dataclass(frozen=True, slots=True)
class JsonBodies:
    """An object for each line: id, time (RFC 3339, or null), host, app, severity (a code of RFC 5424), message."""

    max_message_bytes: int = MAX_IN_STREAM

    def join(self, lines: Sequence[Line]) -> bytes:
        """One object in each line."""
        return b"".join(map(self._render, lines))

    def _render(self, line: Line) -> bytes:
        document = {
            "id": _valid(line.id),
            "time": None if line.time_us is None else render_time(line.time_us),
            "host": _valid(line.host),
            "app": _valid(line.app_name),
            "severity": line.severity,
            "message": cut_text(line.text, self.max_message_bytes).decode("utf-8", "replace"),
        }
        text = orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE).decode()
        return _LINE_ENDS.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()

    def describe(self, count: int, digest: str) -> Mapping[str, str]:  # noqa: ARG002 - of the protocol
        """The content type; the id of the request is in `webhook-id`."""
        return {"Content-Type": "application/x-ndjson"}


def _valid(text: str) -> str:
    """*text* without halves of pairs, which JSON in UTF-8 can't hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class LineRequests:
    """Requests to one drain. *authorization* is the header of that name, "" for none; all *keys* sign each request."""

    url: str = field(repr=False)
    bodies: LineBodies
    authorization: str = field(default="", repr=False)
    keys: Sequence[bytes] = field(default=(), repr=False)
    max_request_bytes: int = _MAX_BODY

    def encode(self, events: Sequence[Line]) -> Encoded:
        """One request with all lines, in order."""
        if not events:
            return Encoded(None, 0, [])
        body = self.bodies.join(events)
        digest = hashlib.sha256(body).hexdigest()[:32]
        headers: dict[str, str] = {**self.bodies.describe(len(events), digest), "webhook-id": digest}
        if self.authorization:
            headers["Authorization"] = self.authorization
        return Encoded(HttpRequest(self.url, body, headers), len(body), [None] * len(events))

    def authorise(self, request: HttpRequest, now: float) -> HttpRequest:
        """The request with its time and signatures, if there are keys."""
        return sign_request(request, self.keys, now) if self.keys else request

    def classify(self, answer: HttpAnswer, events: Sequence[Line]) -> Sequence[Result]:
        """2xx is delivered; the rest by its status."""
        return [_without_words(judge_answer(answer))] * len(events)


def _without_words(result: Result) -> Result:
    return result if isinstance(result, Delivered | Skipped) else replace(result, detail="")
