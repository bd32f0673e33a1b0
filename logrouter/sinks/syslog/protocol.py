"""What an event becomes in syslog: one message of RFC 5424, framed for its transport."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from logrouter.core.text.timestamps import rfc3339_ms
from logrouter.sinks.contract import DELIVERED, Encoded, Refused
from logrouter.sinks.json_events import read_json_events
from logrouter.sinks.syslog.message import Header, Severity, render, render_data

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logrouter.model import RawRecord
    from logrouter.sinks.contract import Result

EXAMPLE_ENTERPRISE: Final = 32473
"""IANA's private enterprise number for examples (RFC 5612): nobody's, so nobody's elements are taken for ours.

Names in structured data are told apart by the number of whoever defines them (RFC 5424, section 6.3.2). An organisation
that has one of its own gives it; one is free of charge at IANA.
"""
MAX_IN_STREAM: Final = 99_990
"""Bytes of a message, by default."""
MAX_IN_DATAGRAM: Final = 1_024
MAX_REQUEST_BYTES: Final = 32 << 20
MAX_ID: Final = 128
_MSGID: Final = "request"
_NOT_JSON: Final = Refused(0, "not JSON, and the text of a message is JSON")
_CONTROLS: Final = re.compile(rb"\x7f|\xc2[\x80-\x9f]")


@dataclass(frozen=True, slots=True)
class AllTaken:
    """All bytes of a request have gone to where the transport tells of them."""


ALL_TAKEN: Final = AllTaken()


@dataclass(frozen=True, slots=True)
class SyslogProtocol:
    """Messages for one target. *frame* makes a frame of a message; None where each is a datagram."""

    frame: Callable[[bytes], bytes] | None
    max_message_bytes: int
    host: str = "logrouter"
    app_name: str = ""
    """Empty for the event's API."""
    facility: int = 1
    enterprise: int = EXAMPLE_ENTERPRISE
    max_request_bytes: int = MAX_REQUEST_BYTES

    def encode(self, events: Sequence[RawRecord]) -> Encoded:
        """Frames or datagrams, a `bytes` for each event that is JSON."""
        found, settled = read_json_events(events, _NOT_JSON)
        messages = [self._render(record, value, document) for record, value, document in found]
        frames = messages if self.frame is None else [self.frame(message) for message in messages]
        return Encoded(frames or None, sum(map(len, frames)), settled)

    def _render(self, event: RawRecord, value: bytes, document: Any) -> bytes:
        meta = _text_keys(document).get("meta")
        found = _text_keys(meta).get("id")
        known = isinstance(found, str) and len(found.encode()) <= MAX_ID  # a part of one would be another event's
        api = _text_keys(document).get("api")
        header = Header(
            self.facility,
            _severity(_text_keys(_text_keys(document).get("http")).get("status_code")),
            _time_of(event, _text_keys(meta).get("dt")),
            self.host,
            self.app_name or (api if isinstance(api, str) else ""),
            "",
            _MSGID,
        )
        data = render_data(f"logrouter@{self.enterprise}", {"id": str(found)}) if known else ""
        return render(header, data, _CONTROLS.sub(_escape, value), self.max_message_bytes)

    def classify(self, answer: AllTaken, events: Sequence[RawRecord]) -> Sequence[Result]:  # noqa: ARG002 - of the protocol
        """Syslog has no answers: what was taken is delivered."""
        return [DELIVERED] * len(events)


def _text_keys(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _escape(found: re.Match[bytes]) -> bytes:
    """A control character that stands in a text of JSON as it is, which may be written otherwise and mean the same."""
    return b"\\u%04x" % ord(found[0].decode())


def _severity(status: Any) -> Severity:
    if not isinstance(status, int):
        return Severity.INFO
    if 500 <= status < 600:
        return Severity.ERROR
    return Severity.WARNING if 400 <= status < 500 else Severity.INFO


def _time_of(event: RawRecord, text: Any) -> int | None:
    """When the event's request was, else when the event came to its topic; in microseconds."""
    ms = rfc3339_ms(text) if isinstance(text, str) else None
    if ms is None:
        ms = event.timestamp_ms if event.timestamp_ms >= 0 else None
    return None if ms is None else ms * 1000
