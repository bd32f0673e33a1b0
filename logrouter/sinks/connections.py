"""Connections that a client keeps open, of which none has an answer to a question that was not asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import aiohttp

if TYPE_CHECKING:
    from aiohttp import ClientTimeout
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace


class CleanConnector(aiohttp.TCPConnector):
    """Gives out no connection on which something came while it was idle.

    It would be read as the answer to the next request: an event would count as delivered, or as refused, for what the
    target said of another one or of none.
    """

    def __init__(self, **options: Any) -> None:
        """*options* are those of the library's connector."""
        super().__init__(**options)
        self._used: WeakSet[object] = WeakSet()

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> Connection:  # noqa: ASYNC109 - the library's
        """One from the pool, or a new one."""
        while True:  # ends: each turn takes one from the pool
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if protocol is None or protocol not in self._used or not protocol.should_close:
                self._used.add(protocol)
                return connection
            connection.close()
