"""Serving the application in a running event loop."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

if TYPE_CHECKING:
    from ssl import SSLContext

_LOGGER: Final = logging.getLogger("logrouter.http")


def _ours(record: logging.LogRecord) -> bool:
    """Whether a log record of the HTTP library is about us: what is not HTTP is its sender's fault, and no news."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_LOGGER.addFilter(_ours)


async def start(app: web.Application, host: str, port: int, *, tls: SSLContext | None = None) -> web.AppRunner:
    """Serves *app* until the runner that is returned is cleaned up. Port 0 takes a free one (`runner.addresses`).

    Requests that are being answered get two seconds to end; there is no access log, as paths name clients.
    """
    runner = web.AppRunner(app, logger=_LOGGER, access_log=None, shutdown_timeout=2.0, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner
