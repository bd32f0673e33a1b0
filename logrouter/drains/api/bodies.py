"""Bodies of requests: JSON of bounded size, under whatever content type, within a bounded time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import orjson
from aiohttp import ClientError, ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError

from logrouter.drains.api.problem_types import LARGE_BODY, NO_JSON, SLOW_BODY
from logrouter.http_server.problems import HttpProblem

if TYPE_CHECKING:
    from aiohttp import StreamReader

MAX_BODY: Final = 64 * 1024
BODY_SECONDS: Final = 10.0


async def read_json(request: web.Request, seconds: float = BODY_SECONDS) -> Any:
    """The decoded body.

    `HttpProblem` 400 if it is no JSON, 408 if it is not there after *seconds*, 413 if it is longer than 64 KiB, also
    once it is decompressed.
    """
    if request.content_length is not None and request.content_length > MAX_BODY:
        raise _too_large()
    try:
        async with asyncio.timeout(seconds):
            data = await _read_bounded(request.content)
    except TimeoutError:
        raise HttpProblem(SLOW_BODY, f"it must be there within {seconds:g} seconds") from None
    except (ClientError, ClientPayloadError, HttpProcessingError):  # chunks or compression that can't be read
        raise HttpProblem(NO_JSON, "the body can't be read as its headers say") from None
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        raise HttpProblem(
            NO_JSON, 'send a JSON object, such as {"url": "syslog+tls://logs.example.org:6514"}'
        ) from None


async def _read_bounded(content: StreamReader) -> bytes:
    data = bytearray()
    while part := await content.readany():
        data += part
        if len(data) > MAX_BODY:
            raise _too_large()
    return bytes(data)


def _too_large() -> HttpProblem:
    return HttpProblem(LARGE_BODY, f"it may have {MAX_BODY} bytes")
