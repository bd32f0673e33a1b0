"""What every answer has in common, whichever application gives it: headers, problem documents, metric, audit event."""

from __future__ import annotations

import asyncio
import secrets
from time import perf_counter
from typing import TYPE_CHECKING, Final

from aiohttp import web

from logrouter.http_server import problems
from logrouter.http_server.audit import audit
from logrouter.http_server.authenticator import Authenticator
from logrouter.http_server.problems import INTERNAL, HttpProblem
from logrouter.telemetry.log import Log, log
from logrouter.telemetry.metrics import QUERY_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from logrouter.http_server.work_queue import Gate

AUTHENTICATOR: Final = web.AppKey("authenticator", Authenticator)
"""The authenticator of an application: tokens and keys can be replaced in it while it runs."""
_PROBES: Final = frozenset({"livez", "readyz", "octhc"})
"""Routes that wait for nobody."""
_CLIENT_LEFT: Final = 499
"""The status in the audit log of a request whose client did not wait for the answer."""
_HEADERS: Final = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("Server", "logrouter"),
    ("X-Content-Type-Options", "nosniff"),
)


def open_while_running(authenticator: Authenticator) -> Callable[[web.Application], AsyncIterator[None]]:
    """A cleanup context in which the authenticator, and its connections to other workers, are open."""

    async def context(_: web.Application) -> AsyncIterator[None]:
        await authenticator.peers.open()
        await authenticator.open()
        yield
        await authenticator.close()
        await authenticator.peers.close()

    return context


def finish_responses(authenticator: Authenticator, gate: Gate) -> Callable[..., Awaitable[web.StreamResponse]]:
    """The outermost middleware. Requests pass *gate*, all but those to probes."""

    @web.middleware
    async def middleware(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Turns errors into problem documents; adds headers, a metric and an audit event to every answer."""
        start = perf_counter()
        try:
            if request.match_info.route.name not in _PROBES:
                await gate.enter()
            response = await _catch_errors(request, handler)
        except asyncio.CancelledError:
            audit(authenticator.policy, request, _CLIENT_LEFT, perf_counter() - start)
            raise
        for name, value in _HEADERS:
            response.headers.setdefault(name, value)
        # The names of routes are the bounded set; requests that match none have none.
        endpoint = request.match_info.route.name or "none"
        seconds = perf_counter() - start
        QUERY_SECONDS.labels(endpoint, str(response.status)).observe(seconds)
        audit(authenticator.policy, request, response.status, seconds)
        return response

    return middleware


async def _catch_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except HttpProblem as problem:
        return problems.problem_response(problem, request)
    except web.HTTPException as error:
        return problems.http_error_response(error, request)
    except Exception as exc:  # noqa: BLE001 - the last line of defence: logged with the id that the caller gets
        incident = secrets.token_hex(8)
        log(Log.QUERY_FAILED, exc_info=exc, incident=incident)
        detail = "this is a fault of the server; its log has more under this id"
        return problems.problem_response(HttpProblem(INTERNAL, detail, id=incident), request)
