"""The hop: a request from the worker that was asked to a worker that holds the data.

A hop carries the query and the caller's scopes, signed with the secret that the workers share, and nothing else that
the caller sent. The worker that gets it enforces the scopes again. A worker never passes a hop on, so there can be
no loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp
from aiohttp import web
from yarl import URL

from logrouter.access import hops
from logrouter.access.scopes import ANYONE
from logrouter.http_server.problems import UNTRUSTED_HOP, HttpProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from ssl import SSLContext

    from logrouter.access.scopes import Caller

_HOP: Final = web.RequestKey("hop", bool)
MAX_REPLY_BYTES: Final = 16 * 1024 * 1024


class Reply(NamedTuple):
    """The answer of another worker: status, media type, body and headers."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str]


class PeerAwayError(Exception):
    """Another worker gave no usable answer. The message is short and says how it failed, not where."""


class Peers:
    """Sends hops to other workers and verifies those that arrive. Open only while the application runs.

    Without *secret* no hop is sent and none is accepted, unless *trusting*: where everybody may read everything,
    a hop proves nothing and gains nothing. *tls* is for workers that are reached by https.
    """

    def __init__(
        self,
        secret: str | None,
        clock: Callable[[], int],
        *,
        trusting: bool = False,
        tls: SSLContext | None = None,
    ) -> None:
        self._secret = None if secret is None else secret.encode()
        self._clock = clock
        self._trusting = trusting
        self._tls = tls
        self._http: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Open the connection pool. Called once, in the loop that serves."""
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=64, limit_per_host=16, ttl_dns_cache=10, ssl=self._tls or True),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.close()

    def forwarded_caller(self, request: web.Request) -> Caller | None:
        """The caller in whose name another worker asks; None if the request is no hop.

        `HttpProblem` 403 for a request that claims to be a hop and is not signed as one.
        """
        if not any(name.lower().startswith(hops.PREFIX.lower()) for name in request.headers):
            return None
        found = self._verified_caller(request)
        if found is None:
            raise HttpProblem(UNTRUSTED_HOP, self._distrust())
        request[_HOP] = True
        return found

    def _verified_caller(self, request: web.Request) -> Caller | None:
        if self._secret is not None:
            return hops.verify_hop(self._secret, request.method, request.raw_path, request.headers, self._clock())
        return ANYONE if self._trusting else None

    def _distrust(self) -> str:
        if self._secret is None:
            return "this worker has no secret (LOGROUTER_PEER_SECRET), so it believes no request of another worker"
        return "a request in the name of a worker must be signed, just now, with the secret that the workers share"

    @staticmethod
    def is_hop(request: web.Request) -> bool:
        """Whether a request is a hop, once `forwarded_caller` has verified it."""
        hop: bool = request.get(_HOP, False)
        return hop

    async def get(self, base: str, target: str, timeout: float, caller: Caller) -> Reply:  # noqa: ASYNC109 - ends the whole exchange
        """Asks the worker at *base* for *target* (path and query, encoded) in the name of *caller*, once.

        Raises:
            PeerAwayError: it did not answer within *timeout* seconds, or can't be asked.
        """
        if self._http is None:
            raise PeerAwayError("this worker is stopping")
        url = URL(base.rstrip("/") + target, encoded=True)
        headers = self._headers(url.raw_path_qs, caller)
        try:
            async with self._http.get(
                url, headers=headers, timeout=aiohttp.ClientTimeout(total=timeout), allow_redirects=False
            ) as response:
                body = await _bounded(response)
                return Reply(response.status, response.content_type, body, response.headers)
        except TimeoutError as exc:
            raise PeerAwayError("no answer in time") from exc
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise PeerAwayError("not reachable") from exc

    def _headers(self, target: str, caller: Caller) -> dict[str, str]:
        if self._secret is not None:
            return hops.sign_hop(self._secret, "GET", target, caller, self._clock())
        if self._trusting:
            return {hops.HOP: "1"}
        raise PeerAwayError("this worker has no secret (LOGROUTER_PEER_SECRET) to ask others with")


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > MAX_REPLY_BYTES:
            raise PeerAwayError("answer is too large")
    return b"".join(parts)
