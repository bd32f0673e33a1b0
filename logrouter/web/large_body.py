"""Bodies of answers that are sent in pieces, as encrypting or copying a large one at once would hold the event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp.payload import Payload

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter

PIECE: Final = 128 * 1024
"""Bytes that are written at a time: some tenths of a millisecond with TLS."""
TAKEN_SECONDS: Final = 60.0
"""Who has not taken a large answer after so long is cut off: it would be kept in memory for as long as they like."""


def body_of(data: bytes) -> bytes | BodyPieces:
    """*data* as the body of a response: as it is if it is small."""
    return data if len(data) <= PIECE else BodyPieces(data)


class BodyPieces(Payload):
    """Bytes that are written a piece at a time, each in a pass of the loop of its own."""

    _value: bytes
    _autoclose = True

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._size = len(data)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The bytes as text."""
        return self._value.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write all bytes."""
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Write the first *content_length* bytes, all of them if it is None; `ConnectionError` if nobody takes them."""
        data = memoryview(self._value)[:content_length]
        try:
            async with asyncio.timeout(TAKEN_SECONDS):
                for start in range(0, len(data), PIECE):
                    await writer.write(data[start : start + PIECE])
                    await asyncio.sleep(0)
        except TimeoutError:
            if (transport := getattr(writer, "transport", None)) is not None:
                transport.abort()
            raise ConnectionResetError("the answer was not taken in time") from None
