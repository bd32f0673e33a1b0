"""Serves the table view from before recovery until after the last flush."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from typing import TYPE_CHECKING, Any, Final

from mode import Service

from logrouter.config.options.endpoint import authority
from logrouter.http_server.answering import AUTHENTICATOR
from logrouter.http_server.credentials import CredentialFollower
from logrouter.http_server.server import app_runner, listen
from logrouter.query.tiers import Tier
from logrouter.telemetry.log import Log, log
from logrouter.web.app import build_app

if TYPE_CHECKING:
    from collections.abc import Callable
    from ssl import SSLContext

    from aiohttp import web

    from logrouter.tables.reader import StoreReader
    from logrouter.tables.settings import TablesSettings

PATIENCE_SECONDS: Final = 15.0
_LOOK_SECONDS: Final = 0.02


def bind_socket(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet, so that the port is known before the consumer group is joined.

    *host* is an address or a name; of a name with addresses of both kinds the IPv4 one is taken. `::` takes IPv4, too:
    the other workers come by this machine's name, which may be of either kind. Port 0 takes a free one. Raises
    `OSError`, in one line, if the address cannot be had.
    """
    try:
        found = socket.getaddrinfo(host.strip("[]") or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, address = min(found, key=lambda info: info[0] is not socket.AF_INET)
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            if family is socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            _bind(bound, address)
        except OSError:
            bound.close()
            raise
    except OSError as exc:
        raise _taken(host, port, exc) from None
    bound.setblocking(False)
    return bound


def _bind(unbound: socket.socket, address: Any) -> None:
    """Bind a port for this process alone, or else, after another that has just ended, as the system allows it then.

    With SO_REUSEADDR two processes may bind a port until one of them listens, and the other fails when it begins to.
    """
    try:
        unbound.bind(address)
    except OSError as exc:
        if exc.errno != errno.EADDRINUSE:
            raise
        unbound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        unbound.bind(address)


async def open_port(runner: web.AppRunner, bound: socket.socket, tls: SSLContext | None, host: str) -> None:
    """Listen on a socket of `bind_socket`. `OSError`, in one line, if another program listens there by now."""
    port: int = bound.getsockname()[1]
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # its connections must not keep the next one out
        await listen(runner, bound, tls)
    except OSError as exc:
        raise _taken(host, port, exc) from None


def _taken(host: str, port: int, exc: OSError) -> OSError:
    return OSError(f"cannot listen on {authority(host, port)}: {exc.strerror}")


def base_url(host: str, port: int, *, encrypted: bool = False) -> str:
    """The base URL of an address, with this machine's name in place of a wildcard such as 0.0.0.0."""
    name = socket.gethostname() if host in ("", "0.0.0.0", "::", "[::]") else host  # noqa: S104 - compared, not bound
    scheme = "https" if encrypted else "http"
    return f"{scheme}://{authority(name, port)}"


class ViewServer(Service):
    """The table view as a service that Faust starts first and stops last.

    Its port opens when this worker knows the other members of the group, to which it forwards what it does not hold.
    If it waits for the cluster (*waits*), or anything takes longer than `PATIENCE_SECONDS`, the port opens at once and
    the view answers 503, and its readiness says what is waited for (*waits_for*). It closes after everything else;
    until then the view answers from the rows as they are.
    *clock* returns epoch milliseconds.
    """

    def __init__(
        self,
        reader: StoreReader,
        bound: socket.socket,
        settings: TablesSettings,
        clock: Callable[[], int],
        waits: Callable[[], bool],
        waits_for: Callable[[], str],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._waits = waits
        self._waits_for = waits_for
        self._reader = reader
        self._socket = bound
        self._settings = settings
        self._clock = clock
        # Made before anything starts, so that files which can't be used are one clear line.
        self._tls = settings.tls.server() if settings.tls is not None else None
        self._peer_tls = settings.tls.client() if settings.tls is not None else None
        self._runner: web.AppRunner | None = None
        self._follower: CredentialFollower | None = None

    async def on_start(self) -> None:
        """Prepare everything but the port."""
        settings, kept = self._settings, self._settings.retention
        app = build_app(
            self._reader,
            secret=settings.secret,
            clock=self._clock,
            kept={Tier.MINUTE: kept.minutes, Tier.HOUR: kept.hours, Tier.DAY: kept.days},
            access=settings.access,
            peer_tls=self._peer_tls,
            waits_for=self._waits_for,
        )
        authenticator = app[AUTHENTICATOR]
        if settings.access.open:
            log(Log.ACCESS_OPEN, host=settings.host)
        elif authenticator.unconfigured:
            log(Log.ACCESS_CLOSED)
        self._runner = app_runner(app, encrypted=self._tls is not None)
        await self._runner.setup()
        self._follower = CredentialFollower(authenticator, settings.access_files, settings.tls, self._tls)
        self._follower.start(asyncio.get_running_loop())

    @Service.task
    async def _open(self) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while not (self._reader.knows_group() or self._waits() or time.monotonic() > until or self.should_stop):
            await self.sleep(_LOOK_SECONDS)
        if not self.should_stop and self._runner is not None:
            await open_port(self._runner, self._socket, self._tls, self._settings.host)

    async def on_stop(self) -> None:
        """Finish what is being answered and close."""
        if self._follower is not None:
            self._follower.stop()
        if self._runner is not None:
            await self._runner.cleanup()
        self._socket.close()
