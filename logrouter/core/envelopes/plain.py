"""A record that is the line itself: what a shipper writes that wraps nothing around it."""

from __future__ import annotations

from typing import Final

from logrouter.core.text.colours import ESCAPE, without_colours
from logrouter.model import Envelope, Reason, Rejected, Stage

SHAPE: Final = "plain"


def decode(value: bytes) -> Envelope | Rejected:
    """The record's bytes as text, without the line end. There is no program, host or time in it, and no field."""
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        return Rejected(Stage.DECODE, Reason.INVALID_UTF8, f"at byte {error.start}")
    if ESCAPE in text:
        text = without_colours(text)
    return Envelope(SHAPE, text.rstrip("\r\n"))
