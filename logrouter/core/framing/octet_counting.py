"""The length of a message stands before it (RFC 6587, section 3.4.1; RFC 5425, section 4.3): it may hold anything."""

from __future__ import annotations

from typing import Final

_DIGITS: Final = frozenset(b"0123456789")


class FramingError(ValueError):
    """A stream that is not framed so, or a frame that is too long: nothing behind it can be read."""


def frame_counted(message: bytes) -> bytes:
    """One frame: the number of bytes in decimal, a space, the message, which has at least one byte."""
    return b"%d %b" % (len(message), message)


class CountedDecoder:
    """Messages out of a stream in pieces; holds at most one frame of *max_bytes* that is not complete."""

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._longest_head = len(str(max_bytes))
        self._rest = b""
        self._end: FramingError | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that *data* completes.

        Raises:
            FramingError: it can't be read on; the text says why and shows nothing of the stream. Messages that were
                complete before that are given first, and every later call raises.
        """
        if self._end is not None:
            raise self._end
        rest = self._rest + data
        at = 0
        found: list[bytes] = []
        try:
            while (length := self._length(rest, at)) is not None:
                begin = rest.index(b" ", at) + 1
                if len(rest) < begin + length:
                    break
                found.append(rest[begin : begin + length])
                at = begin + length
        except FramingError as error:
            self._end, self._rest = error, b""
            if not found:
                raise
            return found
        self._rest = rest[at:]
        return found

    def _length(self, rest: bytes, at: int) -> int | None:
        """The length that the frame at *at* says; None if it has not come yet."""
        end = rest.find(b" ", at, at + self._longest_head + 1)
        head = rest[at : at + self._longest_head + 1] if end < 0 else rest[at:end]
        if not _DIGITS.issuperset(head) or head[:1] == b"0" or (end >= 0 and not head):
            raise FramingError("a frame does not begin with its length")
        if len(head) > self._longest_head or (end >= 0 and int(head) > self._max):
            raise FramingError(f"a frame is longer than {self._max} bytes")
        return int(head) if end >= 0 else None
