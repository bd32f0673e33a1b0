"""A table view over tables in memory, served beside the browser that looks at it; and the browser."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from logrouter.access.policy import OPEN
from logrouter.access.tokens import Tokens
from logrouter.core.rollup.accumulator import Accumulator
from logrouter.http_server import server
from logrouter.http_server.answering import AUTHENTICATOR
from logrouter.query.memory import MemoryReader, MemoryTables
from logrouter.web import app
from tests.conftest import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ssl import SSLContext

    from logrouter.access.tokens import Token

NOW = 1_790_000_000_000  # 2026-09-21T14:13:20Z, not on an hour
MINUTE, HOUR = 60_000, 3_600_000
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]


def request(client: str = "client-1", api: str = "core", ago: int = MINUTE, status: int = 200, **more: Any) -> dict:
    """One request, *ago* milliseconds before now."""
    outcome = {2: "ok", 3: "ok", 4: "client_error", 5: "backend_error", 0: "aborted"}[status // 100]
    given = {"latency_ms": 12, "bytes_in": 100, "bytes_out": 2000, "path": f"/{api}/things", "outcome": outcome}
    return {"client": client, "api": api, "time_ms": NOW - ago, "status": status, **given, **more}


class Site:
    """A worker in a thread of its own. *address* is where it is."""

    def __init__(self, tables: MemoryTables, tls: SSLContext | None = None, **options: Any) -> None:
        self.tables = tables
        self._tls = tls
        self.asked: list[str] = []
        self.address = ""
        self.reader = MemoryReader(tables, mine=frozenset(range(tables.partitions)))
        self._options = {"clock": lambda: NOW, "registry": CollectorRegistry(), "access": OPEN, **options}
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def fold(self, *requests: dict[str, Any]) -> None:
        """Counts requests, as one record of each partition, between two answers."""
        sums = Accumulator()
        for each in requests:
            sums.add(**each)

        async def add() -> None:
            self.tables.fold(sums.take())

        asyncio.run_coroutine_threadsafe(add(), self._loop).result(HANG_SECONDS)

    def replace_tokens(self, *tokens: Token) -> None:
        """Lets in by these from now on."""
        self._loop.call_soon_threadsafe(self._app[AUTHENTICATOR].replace_tokens, Tokens(tokens))

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        reader = self.reader
        self._app = app.build_app(reader, **self._options)
        runner = await server.start(self._app, "127.0.0.1", 0, tls=self._tls)
        scheme = "http" if self._tls is None else "https"
        self.address = reader.url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}"
        reader.owners = dict.fromkeys(reader.mine, reader.url)
        self._ready.set()
        await self._end.wait()
        await runner.cleanup()

    def start(self) -> Site:
        self._thread.start()
        assert self._ready.wait(HANG_SECONDS)
        return self

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(HANG_SECONDS)


@contextmanager
def site(*requests: dict[str, Any], **options: Any) -> Iterator[Site]:
    """A table view that has counted these requests."""
    tables = MemoryTables(4)
    sums = Accumulator()
    for each in requests:
        sums.add(**each)
    tables.fold(sums.take())
    made = Site(tables, **options).start()
    try:
        yield made
    finally:
        made.stop()


def ordinary() -> list[dict[str, Any]]:
    """Requests of two clients over two days, of which some failed; client-1 is known exactly.

    In the last 24 hours client-1 has 12 requests, three of them failed; in the 24 hours before it had 6.
    """
    last = [request(ago=n * HOUR + MINUTE) for n in range(8)]
    last.append(request(ago=2 * HOUR, status=304))
    last += [
        request(ago=3 * HOUR, api="feed/v1", status=404, path="/feed/v1/gone", request_id="r-404"),
        request(ago=4 * HOUR, status=500, error={"code": "E7", "message": "no backend"}, latency_ms=900),
        request(ago=5 * HOUR, status=503, latency_ms=700),
    ]
    before = [request(ago=(30 + n) * HOUR) for n in range(6)]
    # So that the 24 hours before were counted as a whole.
    before.append(request("earlier", api="feed/v1", ago=90 * 24 * HOUR))
    others = [request("client-2", "feed/v1", ago=n * HOUR + 2 * MINUTE) for n in range(3)]
    return [*last, *before, *others, request("-", "-", status=404, path="/wp-login.php", ago=HOUR)]
