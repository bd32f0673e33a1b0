"""The drains API on a real local port, over registrations in memory, for tests of it and of what asks it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson
from prometheus_client import CollectorRegistry
from yarl import URL

from logrouter.access.policy import Policy
from logrouter.access.scopes import Via, make_caller
from logrouter.access.tokens import Token, digest_of, hash_token, make_token
from logrouter.core.drains.owner import spells
from logrouter.drains.api.app import build_drains_app
from logrouter.drains.registry_errors import DrainLimitError, RegistryUnavailableError
from logrouter.http_server import server
from tests.http_answer import Answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NOW = 1_790_000_000_000
LIMIT = 3


class MemoryRegistry:
    """Registrations of one process; *away* is a cluster that takes no change, *goes_on* holds one up."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self.pairs: list[Any] = []
        self.away = False
        self.asked, self.goes_on, self.kept = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.goes_on.set()

    async def add(self, new):
        """Keep it, unless it is there."""
        self.asked.set()
        await self.goes_on.wait()
        self._reach()
        mine = self.drains_of(new.owner)
        for drain in mine:
            if drain.url == new.url:
                return drain
        if len(mine) >= LIMIT:
            raise DrainLimitError(LIMIT)
        self.found[new.id] = new
        self.kept.set()
        return new

    async def remove(self, owner, drain_id):
        """Forget it."""
        self._reach()
        mine = self.found.get(drain_id)
        return mine is not None and mine.owner == owner and bool(self.found.pop(drain_id))

    async def change(self, drain_id, edit):
        """Replace it."""
        self._reach()
        if drain_id in self.found:
            self.found[drain_id] = edit(self.found[drain_id])
        return self.found.get(drain_id)

    def drains_of(self, owner):
        """Those of exactly this owner."""
        return tuple(drain for drain in self.found.values() if drain.owner == owner)

    def drain(self, drain_id):
        """The one."""
        return self.found.get(drain_id)

    def known_pairs(self, name):
        """Those that lines have had."""
        return [pair for pair in self.pairs if spells(pair, name)]

    def _reach(self) -> None:
        if self.away:
            raise RegistryUnavailableError("away")


class MemoryReporter:
    """Says the same of every drain."""

    def status(self, _drain):
        """Its figures."""
        return {"delivered": 7}

    async def send_test(self, _drain):
        """All is well."""
        return {"delivered": True}


@dataclass
class Api:
    """A running API; *tokens* by the names of their callers."""

    registry: MemoryRegistry
    runner: Any
    http: aiohttp.ClientSession
    tokens: dict[str, str]
    faults: list[Any]
    waits_for: list[str]

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.runner.addresses[0][1]

    async def handlers_end(self) -> None:
        """Wait until no connection is served any more."""
        while self.runner.server.connections:  # noqa: ASYNC110 - the library tells nobody
            await asyncio.sleep(0)

    async def ask(self, method, target, body=None, *, caller=None, **headers) -> Answer:
        """Send *target* exactly as written, *body* as JSON unless it is bytes, with the token of *caller*."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if caller is not None:
            sent = {"Authorization": f"Bearer {self.tokens[caller]}", **sent}
        data = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        url = URL(f"http://127.0.0.1:{self.port}{target}", encoded=True)
        skip = ["Content-Type"]
        async with self.http.request(
            method, url, data=data, headers=sent, allow_redirects=False, skip_auto_headers=skip
        ) as response:
            return Answer(response.status, response.headers, await response.read())


@asynccontextmanager
async def serve_api(*, access=None, on_loopback=False, **scopes) -> AsyncIterator[Api]:
    """Run the API for callers by name, each with its scopes, and end it."""
    tokens = {name: make_token(name.encode().ljust(32)) for name in scopes}
    kept = tuple(
        Token(make_caller(name, Via.TOKEN, given), digest_of(hash_token(tokens[name])))
        for name, given in scopes.items()
    )
    registry, faults, waits_for, count = MemoryRegistry(), [], [], iter(range(1000))

    async def vet(_wanted):
        return tuple(faults)

    def new_ids():
        number = next(count)
        return f"00000000-0000-4000-8000-{number:012}", f"d.{number}"

    app = build_drains_app(
        *(registry, vet, MemoryReporter()),
        clock=lambda: NOW,
        access=access or Policy(tokens=kept),
        on_loopback=on_loopback,
        waits_for=lambda: "".join(waits_for),
        metrics=CollectorRegistry(),
        new_ids=new_ids,
    )
    runner = await server.start(app, "127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession() as http:
            yield Api(registry, runner, http, tokens, faults, waits_for)
    finally:
        await runner.cleanup()
