"""Connections of all drains of a process: so many for each place, whoever asks, and trust in each CA once."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from logrouter.sinks.connection_slots import ConnectionSlots
from logrouter.sinks.http_client import MAX_CONNECTIONS, HttpBounds, HttpClient

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver

    from logrouter.sinks.contract import NoAnswer
    from logrouter.sinks.http_messages import HttpAnswer, HttpRequest
    from logrouter.sinks.target_guard import TargetGuard

MAX_PER_HOST: Final = 40
"""What logshuttle allows a drain, by default."""
_MAX_ANSWER_BYTES: Final = 64 << 10
"""Of an answer only the status counts; thousands may come at a time."""


@dataclass(frozen=True, slots=True)
class DrainBounds:
    """*connections* for each host (of HTTP) or host and port (of syslog); a request may take *timeout_seconds*.

    A request that waits for a connection that others have is not among those that take time.
    """

    connections: int = MAX_PER_HOST
    timeout_seconds: float = 30.0


class DrainConnections:
    """Made outside of an event loop, used in one; whoever makes it closes it when no drain uses it any more."""

    def __init__(
        self, guard: TargetGuard, bounds: DrainBounds | None = None, *, resolver: AbstractResolver | None = None
    ) -> None:
        """*guard* says where any drain may lead. *resolver* finds the addresses of names, by default as the system."""
        self.guard = guard
        self.bounds = bounds or DrainBounds()
        self.resolver = resolver
        self.syslog_slots: ConnectionSlots[tuple[str, int]] = ConnectionSlots(self.bounds.connections)
        self._http_slots: ConnectionSlots[str] = ConnectionSlots(self.bounds.connections)
        self._contexts: WeakValueDictionary[str, ssl.SSLContext] = WeakValueDictionary()
        self._http = HttpClient(
            HttpBounds(self.bounds.timeout_seconds, _MAX_ANSWER_BYTES, MAX_CONNECTIONS, is_shared=True),
            guard=guard,
            resolver=resolver,
        )

    def trust(self, ca: str) -> ssl.SSLContext:
        """Whose certificates are accepted: those of *ca* (PEM), or those that the system trusts if it is empty.

        One context for each text, as one takes up to a megabyte.

        Raises:
            ValueError: there is no certificate in *ca*.
        """
        found = self._contexts.get(ca)
        if found is None:
            found = self._contexts[ca] = open_trust(ca)
        return found

    async def send(self, request: HttpRequest, host: str, tls: ssl.SSLContext | None) -> HttpAnswer | NoAnswer:
        """Send a request to *host* when there is a slot for it; the answer, or why there is none."""
        await self._http_slots.take(host)
        try:
            return await self._http.send(request, tls)
        finally:
            self._http_slots.free(host)

    async def close(self) -> None:
        """Close all connections over HTTP; those of syslog are closed by their drains."""
        await self._http.close()


def open_trust(ca: str) -> ssl.SSLContext:
    """A context of TLS that checks certificates and names.

    Raises:
        ValueError: *ca* is neither empty nor PEM with a certificate; the text repeats nothing of it.
    """
    if not ca:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cadata=ca.encode("ascii", "replace").decode())
    except ssl.SSLError:
        raise ValueError("is no certificate in PEM") from None


class DrainCarrier:
    """Takes the requests of one drain over connections that are not its own."""

    def __init__(self, connections: DrainConnections, host: str, tls: ssl.SSLContext | None) -> None:
        self._connections = connections
        self._host = host
        self._tls = tls

    async def send(self, request: HttpRequest) -> HttpAnswer | NoAnswer:
        """The answer, or why there is none."""
        return await self._connections.send(request, self._host, self._tls)

    async def close(self) -> None:
        """Nothing: connections are closed by whoever has made them."""
