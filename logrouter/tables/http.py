"""Serving the table view from before recovery until after the last flush."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from aiohttp import web
from mode import Service

from logrouter.query.reader import Tier
from logrouter.web.app import build

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.access.policy import Policy
    from logrouter.query.reader import TableReader
    from logrouter.tables.retention import Retention


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Port 0 takes a free one, which is known from then on, before the group is joined with it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server((host, port), family=family, backlog=128)
    except OSError as exc:
        msg = f"cannot listen on {host}:{port}: {exc.strerror}"
        raise OSError(msg) from None
    bound.setblocking(False)
    return bound


def base_url(host: str, port: int) -> str:
    """The URL of an address; a wildcard address is no address, so this machine's name stands for it."""
    name = socket.gethostname() if host in ("", "0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


class ViewServer(Service):
    """The view, as a service that Faust starts first and stops last."""

    def __init__(
        self,
        reader: TableReader,
        bound: socket.socket,
        retention: Retention,
        clock: Callable[[], int],
        secret: str | None,
        access: Policy,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._reader = reader
        self._socket = bound
        self._kept = {Tier.MINUTE: retention.minutes, Tier.HOUR: retention.hours, Tier.DAY: retention.days}
        self._clock = clock
        self._secret = secret
        self._access = access
        self._runner: web.AppRunner | None = None

    async def on_start(self) -> None:
        """Begin to answer: not ready, until tables are recovered."""
        app = build(self._reader, secret=self._secret, clock=self._clock, kept=self._kept, access=self._access)
        # No access log: paths name clients.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0, handle_signals=False)
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket).start()

    async def on_stop(self) -> None:
        """Finish what is being answered and close."""
        if self._runner is not None:
            await self._runner.cleanup()
