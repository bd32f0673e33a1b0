"""A line as a message of RFC 5424, and batches of them for streams and datagrams of syslog."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logrouter.sinks.contract import DELIVERED, Encoded
from logrouter.sinks.syslog.message import Header, Severity, render, render_data
from logrouter.sinks.syslog.protocol import EXAMPLE_ENTERPRISE, MAX_ID, MAX_REQUEST_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logrouter.core.drains.line import Line
    from logrouter.sinks.contract import Result
    from logrouter.sinks.syslog.protocol import AllTaken

_USER: Final = 1
"""The facility of messages of users (RFC 5424, section 6.2.1), as logshuttle has it."""
_SEVERITIES: Final = range(8)


def render_line(line: Line, max_bytes: int, enterprise: int = EXAMPLE_ENTERPRISE) -> bytes:
    """A message of at most *max_bytes*, its text cut if need be; its structured data say which line it is.

    PROCID and MSGID are "-". An id that is too long is left out: a part of it would be another line's.
    """
    severity = line.severity if line.severity in _SEVERITIES else Severity.INFO
    header = Header(_USER, severity, line.time_us, line.host, line.app_name, "", "")
    is_known = 0 < len(line.id) <= MAX_ID
    data = render_data(f"logrouter@{enterprise}", {"id": line.id}) if is_known else ""
    return render(header, data, line.text, max_bytes)


@dataclass(frozen=True, slots=True)
class LineMessages:
    """Messages for one drain. *frame* makes a frame of a message; None where each is a datagram."""

    frame: Callable[[bytes], bytes] | None
    max_message_bytes: int
    enterprise: int = EXAMPLE_ENTERPRISE
    max_request_bytes: int = MAX_REQUEST_BYTES

    def encode(self, events: Sequence[Line]) -> Encoded:
        """Frames or datagrams, a `bytes` for each line."""
        messages = [render_line(line, self.max_message_bytes, self.enterprise) for line in events]
        frames = messages if self.frame is None else [self.frame(message) for message in messages]
        return Encoded(frames or None, sum(map(len, frames)), [None] * len(events))

    def classify(self, answer: AllTaken, events: Sequence[Line]) -> Sequence[Result]:  # noqa: ARG002 - of the protocol
        """Syslog has no answers: what was taken is delivered."""
        return [DELIVERED] * len(events)
