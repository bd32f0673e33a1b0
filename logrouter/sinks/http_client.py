"""One HTTP request and its answer, within bounds of time and memory. No redirect, no proxy, no cookie.

Nothing is sent again but what went out on a connection that the target had closed while it was idle.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from logrouter.sinks.connections import CleanConnector
from logrouter.sinks.contract import NoAnswer, Trouble
from logrouter.sinks.echoes import hide_texts
from logrouter.sinks.error_line import describe_error, one_line
from logrouter.sinks.http_messages import HttpAnswer
from logrouter.sinks.target_guard import GuardedAddressError, GuardedResolver
from logrouter.sinks.tls_trouble import describe_tls_trouble, find_tls_error

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from types import SimpleNamespace

    from aiohttp.abc import AbstractResolver

    from logrouter.sinks.http_messages import HttpRequest
    from logrouter.sinks.target_guard import TargetGuard

MAX_CONNECTIONS: Final = 40
_CONNECT_SECONDS: Final = 10.0
_IDLE_SECONDS: Final = 30.0
_LARGE_BODY: Final = 1 << 20
_SECRET_HEADERS: Final = frozenset({"authorization", "x-amz-security-token"})
_QUOTED: Final = re.compile(r":?\s*(?:bytearray\()?b?['\"]")
"""Where bytes of the target begin in what the library says."""
_CUT_SHORT: Final = "Not enough data"
"""What the library says of a body that ends before its length or its last chunk."""


@dataclass(frozen=True, slots=True)
class HttpBounds:
    """*timeout_seconds* from the first byte of a request to the last of its answer, whose body may be so large."""

    timeout_seconds: float = 30.0
    max_answer_bytes: int = 16 << 20
    connections: int = 8
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of every request."""
    secret_headers: frozenset[str] = frozenset()
    """Headers, in lower case, whose values are hidden in answers that repeat them, besides those known for secrets."""
    secret_texts: tuple[str, ...] = ()
    """Further texts that are hidden there, such as a path that gives access."""
    is_shared: bool = False
    """For many targets: nothing is bounded by *connections*, and URLs go out as they are written."""
    user_agent: str | None = "logrouter"
    """None for targets that take what a request says of its sender for something about its events."""


@dataclass(slots=True)
class _Reuse:
    """Whether a request goes out on a connection that had others before, and whether an answer to it has begun."""

    is_reused: bool = False
    is_answered: bool = False


async def _note_reuse(_session: aiohttp.ClientSession, context: SimpleNamespace, _parameters: object) -> None:
    context.trace_request_ctx.is_reused = True


async def _note_new(_session: aiohttp.ClientSession, context: SimpleNamespace, _parameters: object) -> None:
    context.trace_request_ctx.is_reused = False


class HttpClient:
    """Connections to one target, or to many. Made outside of an event loop, used in one; whoever makes it closes it."""

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
        self._connections = min(bounds.connections, MAX_CONNECTIONS)
        self._guard = guard
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def send(self, request: HttpRequest, tls: ssl.SSLContext | None = None) -> HttpAnswer | NoAnswer:
        """The answer, or why there is none. *tls* is in the place of the client's, for this request."""
        if self._closed:
            return NoAnswer(Trouble.BROKEN, "closed")
        try:
            url: str | URL = URL(request.url, encoded=True) if self._bounds.is_shared else request.url
            if self._guard is not None:
                url = self._guard.vet_url(url)
            async with asyncio.timeout(self._bounds.timeout_seconds):
                for _ in range(self._connections):
                    reuse = _Reuse()
                    try:
                        return await self._exchange(request, url, reuse, tls)
                    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                        # The target has closed a connection while it was idle, and has not read the request. The others
                        # that are idle may be closed as well; a new one is not.
                        if not reuse.is_reused or reuse.is_answered:
                            raise
                return await self._exchange(request, url, _Reuse(), tls)
        except aiohttp.ConnectionTimeoutError:
            return NoAnswer(Trouble.CONNECT, f"no connection within {_CONNECT_SECONDS:g} s")
        except TimeoutError:
            return NoAnswer(Trouble.TIMEOUT, f"no answer within {self._bounds.timeout_seconds:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _classify_error(error)

    async def _exchange(
        self, request: HttpRequest, url: str | URL, reuse: _Reuse, tls: ssl.SSLContext | None
    ) -> HttpAnswer | NoAnswer:
        session = self._session or self._open()
        async with session.request(
            request.method,
            url,
            data=request.body if len(request.body) <= _LARGE_BODY else BytesIO(request.body),  # written in pieces
            headers=request.headers,
            allow_redirects=False,
            ssl=tls or self._tls or True,
            trace_request_ctx=reuse,
        ) as answer:
            reuse.is_answered = True
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
            return HttpAnswer(answer.status, named, self._hide_secrets(bytes(body), request))

    def _hide_secrets(self, body: bytes, request: HttpRequest) -> bytes:
        """A body without the secrets of its request, which targets repeat that show what they were sent."""
        if not body:
            return body
        texts = [*self._bounds.secret_texts]
        for name, value in request.headers.items():
            if name.lower() in _SECRET_HEADERS or name.lower() in self._bounds.secret_headers:
                texts += value, value.rpartition(" ")[2]  # with and without the scheme
        return hide_texts(body, texts)

    def _open(self) -> aiohttp.ClientSession:
        guarded: dict[str, Any] = {}
        if self._guard is not None:
            resolver = GuardedResolver(self._guard, self._resolver or aiohttp.DefaultResolver())
            guarded = {"socket_factory": self._guard.open_socket, "resolver": resolver}
        elif self._resolver is not None:
            guarded = {"resolver": self._resolver}
        connector = CleanConnector(
            limit=0 if self._bounds.is_shared else self._connections,
            use_dns_cache=False,  # a name is looked up anew, and its address vetted anew, at each connection
            keepalive_timeout=_IDLE_SECONDS,
            **guarded,
        )
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_reuseconn.append(_note_reuse)
        tracing.on_connection_create_start.append(_note_new)
        headers = {"Accept-Encoding": "identity", **self._bounds.headers}
        if self._bounds.user_agent is not None:
            headers["User-Agent"] = self._bounds.user_agent
        self._session = aiohttp.ClientSession(
            connector=connector,
            trace_configs=[tracing],
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            headers=headers,  # those of a request take their place, however they are spelled
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
        return NoAnswer(Trouble.CONNECT, describe_error(os_error))
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return NoAnswer(Trouble.BROKEN, "the target ended the connection before its answer")
    if isinstance(error, aiohttp.ClientPayloadError) and _CUT_SHORT in str(error):
        return NoAnswer(Trouble.BROKEN, "the connection ended in the middle of the answer")
    if isinstance(error, aiohttp.ClientResponseError):
        return NoAnswer(Trouble.NONSENSE, f"no HTTP: {_say_unquoted(error.message)}")
    if isinstance(error, (aiohttp.InvalidURL, UnicodeError)):  # the first says the URL, whose path may be a secret
        return NoAnswer(Trouble.NONSENSE, "the URL can't be read")
    if isinstance(error, (aiohttp.ClientPayloadError, ValueError)):
        cause = error.__cause__
        said = cause.message if isinstance(cause, HttpProcessingError) else str(error) or type(error).__name__
        return NoAnswer(Trouble.NONSENSE, _say_unquoted(said))
    return NoAnswer(Trouble.BROKEN, describe_error(error))


def _say_unquoted(text: str) -> str:
    """The library's own words, without what it quotes: a target may have repeated a secret of the request there."""
    return one_line(_QUOTED.split(text, maxsplit=1)[0])
