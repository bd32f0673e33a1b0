"""The HTTP client of the table view, for the commands that show its answers."""

from __future__ import annotations

import asyncio
import os
import ssl
from typing import Any, Final, Self
from urllib.parse import quote, urlencode

import aiohttp
import orjson
from yarl import URL

from logrouter.commands.exit_codes import EXIT_FAILED, EXIT_UNKNOWN, EXIT_USAGE
from logrouter.commands.view_options import Answer, ViewAddress, ViewError

MAX_ANSWER: Final = 64 << 20
"""Bytes of a body. The longest list that can be asked for is shorter."""
TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=5)


class ViewClient:
    """Connections to one table view. An asynchronous context manager: `get` works inside it only."""

    def __init__(self, view: ViewAddress) -> None:
        self._view = view
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        headers = {"Accept": "application/json"}
        if self._view.token:
            headers["Authorization"] = f"Bearer {self._view.token}"
        self._http = aiohttp.ClientSession(headers=headers, timeout=TIMEOUT)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http is not None:
            await self._http.close()

    async def get(self, *path: str, **parameters: str | int | None) -> Answer:
        """GET ``/v1/`` and *path*, with *parameters* as its query, those that are None left out.

        Parts of the path are names as they are: they get encoded here. Returns the JSON object of a 200; raises
        `ViewError` for everything else, after 30 seconds at most.
        """
        if self._http is None:
            raise RuntimeError("not opened")
        given = {name: value for name, value in parameters.items() if value is not None}
        search = f"?{urlencode(given)}" if given else ""
        target = f"{self._view.url}/v1/{'/'.join(map(encode_segment, path))}{search}"
        try:
            # Never redirected: the token is for this address alone.
            async with self._http.get(URL(target, encoded=True), allow_redirects=False) as response:
                body = await read_body(response)
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError, ssl.SSLError) as exc:
            raise ViewError(f"{self._view.url} does not answer: {why_unreachable(exc)}") from exc
        return _parse_answer(status, body, self._view.url)


_OF_SUMMARY: Final = ("client_id", "lifetime", "window", "previous", "counted_since")


async def ask_usage(view: ViewAddress, client: str, window: str) -> dict[str, Any]:
    """Summary, APIs and errors of one client in the same window, as one object.

    *window* is as in the table view's `window`, for example "24h" or "life". Raises `ViewError`.
    """
    compare = None if window == "life" else "previous"
    async with ViewClient(view) as connection:
        # The summary first: a client that is unknown or not allowed is one error, not three.
        summary = await connection.get("clients", client, window=window, compare=compare)
        apis, errors = await asyncio.gather(
            connection.get("clients", client, "apis", window=window),
            connection.get("clients", client, "errors", window=window),
        )
    return {
        **{name: summary[name] for name in _OF_SUMMARY if name in summary},
        "apis": apis["apis"],
        "errors": errors["errors"],
        "recent": errors.get("recent", []),
        "freshness": summary["freshness"],
    }


async def ask_callers(view: ViewAddress, parameters: dict[str, str | int | None]) -> Answer:
    """Who called a URL: the answer of ``/v1/callers`` to *parameters*. Raises `ViewError`."""
    async with ViewClient(view) as connection:
        return await connection.get("callers", **parameters)


def why_unreachable(exc: Exception) -> str:
    """Why there is no answer, in words of the operating system rather than of the library."""
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        found = getattr(exc.certificate_error, "verify_message", "") or "not verified"
        return f"its certificate is not trusted ({found}); SSL_CERT_FILE can name the file of who signed it"
    if isinstance(exc, aiohttp.ClientConnectorError):
        number, said = exc.os_error.errno, exc.os_error.strerror
        # The library's text repeats the address; only a name that is not found has no number of its own.
        return os.strerror(number) if number is not None and number > 0 else said or "not reachable"
    if isinstance(exc, TimeoutError):
        return "no answer in time"
    return str(exc) or type(exc).__name__


def encode_segment(name: str) -> str:
    """A name as one segment of a path, whatever it holds."""
    # Dots alone would be taken for folders; encoded they are a name.
    return quote(name, safe="") if name.strip(".") else name.replace(".", "%2E")


async def read_body(response: aiohttp.ClientResponse) -> bytes:
    """The whole body; `ViewError` if it is longer than `MAX_ANSWER`."""
    parts, size = [], 0
    async for part in response.content.iter_chunked(1 << 16):
        size += len(part)
        if size > MAX_ANSWER:
            raise ViewError("the answer is longer than any answer can be")
        parts.append(part)
    return b"".join(parts)


def _parse_answer(status: int, body: bytes, url: str) -> Answer:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict):
        raise ViewError(f"{url} is no table view: it answered {status}, and no JSON object", status=status)
    if status == 200:
        return answer
    detail = str(answer.get("detail") or answer.get("title") or f"status {status}")[:500]
    unknown = status == 404 and answer.get("type") == "urn:logrouter:problem:unknown-subject"
    code = EXIT_UNKNOWN if unknown else EXIT_USAGE if status == 400 else EXIT_FAILED
    raise ViewError(detail, code=code, status=status)
