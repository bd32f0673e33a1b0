"""Serving the application in a running event loop."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

if TYPE_CHECKING:
    import socket
    from ssl import SSLContext

IDLE_SECONDS: Final = 75.0
"""After so long without a whole request a connection is closed, lest strangers hold all that a process may have."""
HTTPS_ONLY_SECONDS: Final = 7 * 24 * 3600
"""How long a browser asks this host by https only (RFC 6797) after an answer by https. That is for all its ports, so a
worker which goes back to http, or has a neighbour that speaks http, is out of a browser's reach for a week at most."""
ACCEPTED: Final = 8
"""Connections that are accepted in a pass of the event loop: with TLS each costs up to a millisecond."""
BACKLOG: Final = 128
"""Connections that may wait to be accepted."""
_PASSES_TO_BEGIN: Final = 4
"""Passes of the event loop until a connection that was accepted waits for its first request."""
_LOGGER: Final = logging.getLogger("logrouter.http")


def _ours(record: logging.LogRecord) -> bool:
    """Whether a log record of the HTTP library is about us: malformed requests are their sender's fault."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_LOGGER.addFilter(_ours)


async def _demand_https(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.setdefault("Strict-Transport-Security", f"max-age={HTTPS_ONLY_SECONDS}")


class ConnectionClosingRunner(web.AppRunner):
    """Closes connections as well that were accepted just before the port was closed.

    By itself a connection that was accepted, but has not begun when its server is closed, is neither served nor closed
    (CPython issue 109564).
    """

    async def cleanup(self) -> None:
        """Accept nothing more, let what was accepted begin, and close all of it."""
        loop = asyncio.get_running_loop()
        for site in self.sites:
            listener: asyncio.Server | None = getattr(site, "_server", None)  # the library gives only its addresses
            for bound in () if listener is None else listener.sockets:
                loop.remove_reader(bound.fileno())
        for _ in range(_PASSES_TO_BEGIN):
            await asyncio.sleep(0)
        await super().cleanup()
        await asyncio.sleep(0)  # a socket is closed in the pass after its connection


def app_runner(app: web.Application, *, encrypted: bool = False) -> web.AppRunner:
    """The runner of an application; the caller makes the sites that listen, by https if it is *encrypted*.

    Requests that are being answered get two seconds to end; one whose client has gone away is answered no further, as a
    list is much work. There is no access log, as paths name clients.
    """
    if encrypted:
        app.on_response_prepare.append(_demand_https)
    return ConnectionClosingRunner(
        app,
        logger=_LOGGER,
        access_log=None,
        shutdown_timeout=2.0,
        keepalive_timeout=IDLE_SECONDS,
        handler_cancellation=True,
        handle_signals=False,
    )


async def listen(runner: web.AppRunner, bound: socket.socket, tls: SSLContext | None = None) -> None:
    """Begin to serve on a bound socket, until the runner is cleaned up.

    Clients that connect at the same time wait in the kernel: all that the event loop accepts in one pass would begin
    their handshakes in one pass as well.
    """
    await web.SockSite(runner, bound, ssl_context=tls, backlog=ACCEPTED).start()
    bound.listen(BACKLOG)  # asyncio takes one number for how many wait, and for how many it accepts at a time


async def start(app: web.Application, host: str, port: int, *, tls: SSLContext | None = None) -> web.AppRunner:
    """Serves *app* until the runner that is returned is cleaned up. Port 0 takes a free one (`runner.addresses`)."""
    runner = app_runner(app, encrypted=tls is not None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner
