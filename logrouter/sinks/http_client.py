"""One HTTP request and its answer, within bounds of time and memory. No retry, no redirect, no proxy, no cookie."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from logrouter.sinks.contract import NoAnswer, Trouble
from logrouter.sinks.http_messages import HttpAnswer
from logrouter.sinks.target_guard import GuardedAddressError, GuardedResolver
from logrouter.sinks.tls_trouble import describe_tls_trouble, find_tls_error

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from aiohttp.abc import AbstractResolver
    from yarl import URL

    from logrouter.sinks.http_messages import HttpRequest
    from logrouter.sinks.target_guard import TargetGuard

MAX_CONNECTIONS: Final = 40
_CONNECT_SECONDS: Final = 10.0
_IDLE_SECONDS: Final = 30.0
_MAX_ERROR: Final = 200


@dataclass(frozen=True, slots=True)
class HttpBounds:
    """*timeout_seconds* from the first byte of a request to the last of its answer, whose body may be so large."""

    timeout_seconds: float = 30.0
    max_answer_bytes: int = 16 << 20
    connections: int = 8
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of every request."""
    user_agent: str | None = "logrouter"
    """None for targets that take what a request says of its sender for something about its events."""


class HttpClient:
    """Connections to one target. Made outside of an event loop, used in one; whoever makes it closes it."""

    def __init__(
        self,
        bounds: HttpBounds,
        *,
        tls: ssl.SSLContext | None = None,
        guard: TargetGuard | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        """*tls* says whose certificates are accepted, by default those that the system trusts.

        *guard* says where we may connect to at all, by default anywhere. *resolver* finds the addresses of names, by
        default as the system does.
        """
        self._bounds = bounds
        self._tls = tls
        self._guard = guard
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def send(self, request: HttpRequest) -> HttpAnswer | NoAnswer:
        """The answer, or why there is none."""
        if self._closed:
            return NoAnswer(Trouble.BROKEN, "closed")
        try:
            url = request.url if self._guard is None else self._guard.vet_url(request.url)
            async with asyncio.timeout(self._bounds.timeout_seconds):
                return await self._exchange(request, url)
        except TimeoutError:
            return NoAnswer(Trouble.TIMEOUT, f"no answer within {self._bounds.timeout_seconds:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _classify_error(error)

    async def _exchange(self, request: HttpRequest, url: str | URL) -> HttpAnswer | NoAnswer:
        session = self._session or self._open()
        headers = {"Accept-Encoding": "identity", **self._bounds.headers, **request.headers}
        if self._bounds.user_agent is not None:
            headers.setdefault("User-Agent", self._bounds.user_agent)
        async with session.request(
            request.method,
            url,
            data=request.body,
            headers=headers,
            allow_redirects=False,
            ssl=self._tls or True,
        ) as answer:
            if answer.headers.get("Content-Encoding", "identity") != "identity":
                return NoAnswer(Trouble.NONSENSE, "the answer is compressed, which was not asked for")
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > self._bounds.max_answer_bytes:
                    return NoAnswer(
                        Trouble.NONSENSE, f"{answer.status} with more than {self._bounds.max_answer_bytes} bytes"
                    )
            named = {name.lower(): value for name, value in answer.headers.items()}
            return HttpAnswer(answer.status, named, bytes(body))

    def _open(self) -> aiohttp.ClientSession:
        guarded: dict[str, Any] = {}
        if self._guard is not None:
            resolver = GuardedResolver(self._guard, self._resolver or aiohttp.DefaultResolver())
            guarded = {"socket_factory": self._guard.open_socket, "resolver": resolver}
        elif self._resolver is not None:
            guarded = {"resolver": self._resolver}
        connector = aiohttp.TCPConnector(
            limit=min(self._bounds.connections, MAX_CONNECTIONS),
            use_dns_cache=False,  # a name is looked up anew, and its address vetted anew, at each connection
            keepalive_timeout=_IDLE_SECONDS,
            **guarded,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            skip_auto_headers=("User-Agent",),
            trust_env=False,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self._session

    async def close(self) -> None:
        """Close all connections; there will be no others."""
        self._closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None


def _classify_error(error: Exception) -> NoAnswer:
    """Why there is no answer.

    The library wraps what has gone wrong. A target that wants another certificate of ours says so during the handshake
    or, in TLS 1.3, after it: then that is the cause of a connection that has ended.
    """
    os_error = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(os_error, GuardedAddressError):
        return NoAnswer(Trouble.GUARDED, str(os_error))
    if (tls_error := find_tls_error(os_error)) is not None:
        return NoAnswer(Trouble.TLS, describe_tls_trouble(tls_error))
    if isinstance(os_error, ConnectionResetError) and not os_error.args:  # so asyncio says it, and only then
        return NoAnswer(Trouble.TLS, "the target ended the connection during the handshake")
    if isinstance(error, aiohttp.ClientConnectorError):
        return NoAnswer(Trouble.CONNECT, _say(os_error))
    if isinstance(error, (aiohttp.ClientResponseError, aiohttp.ClientPayloadError, ValueError)):
        return NoAnswer(Trouble.NONSENSE, _say(error))
    return NoAnswer(Trouble.BROKEN, _say(error))


def _say(error: BaseException) -> str:
    return (str(error) or type(error).__name__)[:_MAX_ERROR]
