"""Serving the application in a running event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from ssl import SSLContext


async def start(app: web.Application, host: str, port: int, *, tls: SSLContext | None = None) -> web.AppRunner:
    """Serves *app* until the runner that is returned is cleaned up. Port 0 takes a free one (`runner.addresses`).

    Requests that are being answered get two seconds to end; there is no access log, as paths name clients.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner
