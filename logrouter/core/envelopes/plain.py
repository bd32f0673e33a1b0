"""A record that is the line itself: what a shipper writes that wraps nothing around it, but a header of syslog."""

from __future__ import annotations

from typing import Final

from logrouter.core.envelopes.fields import SYSLOG_HEADER
from logrouter.core.envelopes.syslog_header import FIRST, split_header
from logrouter.core.text.colours import ESCAPE, without_colours
from logrouter.model import Envelope, Reason, Rejected, Stage

SHAPE: Final = "plain"


def decode(value: bytes) -> Envelope | Rejected:
    """The record's bytes as text, without the line end. Program, host and time are those of a header of syslog."""
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        return Rejected(Stage.DECODE, Reason.INVALID_UTF8, f"at byte {error.start}")
    if ESCAPE in text:
        text = without_colours(text)
    text = text.rstrip("\r\n")
    if text[:2] in FIRST and (header := split_header(text)) is not None:
        return Envelope(
            SHAPE, header.line, None, header.program, header.host, header.time, {SYSLOG_HEADER: header.text}
        )
    return Envelope(SHAPE, text)
