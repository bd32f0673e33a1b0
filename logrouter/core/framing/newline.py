"""A message ends with a line feed (RFC 6587, section 3.4.2): what most receivers take, and no message may hold one."""

from __future__ import annotations

from typing import Final

_MENDED: Final = bytes.maketrans(b"\r\n\x00", b"   ")
"""All that receivers take for the end of a message: some also split at CR or NUL."""


def frame_line(message: bytes) -> bytes:
    """One frame; CR, LF and NUL in *message* become spaces, so that it is one message whatever it holds."""
    return message.translate(_MENDED) + b"\n"


class LineDecoder:
    """Messages out of a stream in pieces; holds at most *max_bytes* of one that is not complete."""

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._rest = b""
        self._skips = False
        """Whether what comes up to the next end belongs to a message that was too long."""

    def feed(self, data: bytes) -> list[bytes | None]:
        """The messages that *data* completes, without their ends; None in the place of one that is too long."""
        *lines, rest = (self._rest + data).split(b"\n")
        found: list[bytes | None] = []
        for line in lines:
            if not self._skips:
                found.append(line if len(line) <= self._max else None)
            self._skips = False
        if len(rest) > self._max:
            if not self._skips:
                found.append(None)
            self._skips, rest = True, b""
        self._rest = b"" if self._skips else rest
        return found
