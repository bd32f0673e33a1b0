"""Serving the application in a running event loop."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

if TYPE_CHECKING:
    from ssl import SSLContext

IDLE_SECONDS: Final = 75.0
"""After so long without a whole request a connection is closed, lest strangers hold all that a process may have."""
_LOGGER: Final = logging.getLogger("logrouter.http")


def _ours(record: logging.LogRecord) -> bool:
    """Whether a log record of the HTTP library is about us: malformed requests are their sender's fault."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_LOGGER.addFilter(_ours)


def app_runner(app: web.Application) -> web.AppRunner:
    """The aiohttp runner of an application; the caller makes the sites that listen.

    Requests that are being answered get two seconds to end; one whose client has gone away is answered no further, as a
    list is much work. There is no access log, as paths name clients.
    """
    return web.AppRunner(
        app,
        logger=_LOGGER,
        access_log=None,
        shutdown_timeout=2.0,
        keepalive_timeout=IDLE_SECONDS,
        handler_cancellation=True,
        handle_signals=False,
    )


async def start(app: web.Application, host: str, port: int, *, tls: SSLContext | None = None) -> web.AppRunner:
    """Serves *app* until the runner that is returned is cleaned up. Port 0 takes a free one (`runner.addresses`)."""
    runner = app_runner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner
