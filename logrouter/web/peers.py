"""The one hop from the worker that was asked to the worker that holds the data.

A hop carries nothing of the caller but the question.  A worker never passes a hop on, so there can be no loop.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp
from yarl import URL

from logrouter.web.problems import UNTRUSTED_HOP, Problem

if TYPE_CHECKING:
    from aiohttp import web

HOP: Final = "X-Logrouter-Hop"
SECRET: Final = "X-Logrouter-Hop-Secret"  # noqa: S105 - the name of a header, not a secret
MAX_REPLY_BYTES: Final = 16 * 1024 * 1024


class Reply(NamedTuple):
    """What another worker answered."""

    status: int
    content_type: str
    body: bytes


class PeerAwayError(Exception):
    """Another worker could not be asked. The text is short and says how it failed, not where."""


class Peers:
    """Asks other workers. Open only while the application runs."""

    def __init__(self, secret: str | None) -> None:
        self._secret = None if secret is None else secret.encode()
        self._headers = {HOP: "1", **({} if secret is None else {SECRET: secret})}
        self._http: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Called once, in the loop that serves."""
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=64, limit_per_host=16, ttl_dns_cache=10),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            trust_env=False,
        )

    async def close(self) -> None:
        """Drops the connections."""
        if self._http is not None:
            await self._http.close()

    def is_hop(self, request: web.Request) -> bool:
        """Whether another worker asks; a request that only claims so is refused where a secret is set."""
        if HOP not in request.headers:
            return False
        if self._secret is not None:
            given = request.headers.get(SECRET, "").encode(errors="surrogateescape")
            if not hmac.compare_digest(given, self._secret):
                raise Problem(UNTRUSTED_HOP, f"a request with {HOP} needs the secret that the workers share")
        return True

    async def get(self, base: str, target: str, timeout: float) -> Reply:  # noqa: ASYNC109 - ends the whole exchange
        """Asks the worker at *base* for *target* (path and query, encoded), once and within *timeout* seconds."""
        if self._http is None:
            raise PeerAwayError("this worker is stopping")
        url = URL(base.rstrip("/") + target, encoded=True)
        try:
            async with self._http.get(
                url, timeout=aiohttp.ClientTimeout(total=timeout), allow_redirects=False
            ) as response:
                return Reply(response.status, response.content_type, await _bounded(response))
        except TimeoutError as exc:
            raise PeerAwayError("no answer in time") from exc
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise PeerAwayError("not reachable") from exc


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > MAX_REPLY_BYTES:
            raise PeerAwayError("answer is too large")
    return b"".join(parts)
