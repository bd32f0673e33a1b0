"""Workers on real local ports, over tables in memory."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from yarl import URL

from logrouter.access.policy import OPEN, Policy
from logrouter.access.scopes import Via, make_caller
from logrouter.access.tokens import Token, digest_of, hash_token, make_token
from logrouter.core.rollup.accumulator import Accumulator
from logrouter.http_server import server
from logrouter.query.memory import MemoryReader, MemoryTables
from logrouter.web import app
from logrouter.web.view import Limits
from tests.conftest import HANG_SECONDS
from tests.http_answer import Answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from logrouter.core.rollup.records import Subjects

PATIENT = Limits(point_timeout=HANG_SECONDS, last_timeout=HANG_SECONDS, list_timeout=HANG_SECONDS)
"""On a busy machine another worker may answer late: only a test of the time-outs themselves gives shorter ones."""
NOW = 1_790_000_000_000  # 2026-09-21T14:13:20Z, not on an hour
MINUTE = 60_000
CLIENTS = [
    *(f"client-{n}" for n in range(20)),
    "-",
    "a/b",
    "ü €",
    "%2F",
    "a%2Fb",
    "..",
    ".",
    "{x}",
    "a+b c",
    "x?y#z",
    "\n",
]
APIS = ["core", "feed/v1", "-"]
PATHS = ["/core/v1/page", "/feed/v1", "/x/<script>", "/=cmd", None]


@dataclass
class Worker:
    """One running table view."""

    reader: MemoryReader
    runner: Any
    http: aiohttp.ClientSession

    async def get(self, target: str, method: str = "GET", **headers: str) -> Answer:
        """Sends *target* exactly as written."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        url = URL(self.reader.url + target, encoded=True)
        async with self.http.request(method, url, headers=names, allow_redirects=False) as response:
            return Answer(response.status, response.headers, await response.read())

    def left(self, caller: str) -> float | None:
        """How many rows a caller has left here; None if it was never charged."""
        known = self.runner.app[app.METER]._rows._left.get(caller)
        return None if known is None else known[0]

    async def raw(self, request: bytes) -> bytes:
        """Sends bytes and reads until the worker closes."""
        host, port = self.runner.addresses[0][:2]
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(request)
        got = await reader.read()
        writer.close()
        await writer.wait_closed()
        return got

    async def stop(self) -> None:
        """As if the process had died."""
        await self.runner.cleanup()


class Fleet(list[Worker]):
    """All workers of a group."""

    tables: MemoryTables

    def owner(self, subject: str) -> Worker:
        """The worker that holds a subject."""
        partition = self[0].reader.partition_of(subject)
        return next(worker for worker in self if partition in worker.reader.mine)

    def stranger(self, subject: str) -> Worker:
        """A worker that does not."""
        partition = self[0].reader.partition_of(subject)
        return next(worker for worker in self if partition not in worker.reader.mine)


def events(seed: int = 1, count: int = 2000) -> list[dict[str, Any]]:
    """Requests of the last 40 hours, most of them recent."""
    draw = Random(seed)
    return [
        {
            "client": draw.choice(CLIENTS),
            "api": draw.choice(APIS),
            "time_ms": NOW - int(40 * 3600_000 * draw.random() ** 3),
            "status": draw.choice([200, 200, 200, 404, 500, 0]),
            "outcome": draw.choice(["ok", "ok", "not_found", "backend_error", "aborted"]),
            "weight": draw.choice([1.0, 10.0]),
            "bytes_in": draw.randrange(1000),
            "bytes_out": draw.randrange(100_000),
            "latency_ms": draw.choice([None, draw.randrange(3000)]),
            "path": draw.choice(PATHS),
            "error": draw.choice([None, None, {"code": "101503", "message": "Connection refused"}]),
            "request_id": f"request-{number}",
        }
        for number in range(count)
    ]


def tables_of(requests: list[dict[str, Any]], partitions: int = 6) -> MemoryTables:
    """Tables that have counted requests in several records."""
    tables = MemoryTables(partitions)
    sums = Accumulator()
    for number, request in enumerate(requests):
        sums.add(**request)
        if number % 500 == 499:
            tables.fold(sums.take())
    tables.fold(sums.take())
    return tables


class Copy(MemoryTables):
    """Tables with the rows of others: rows may be taken out of them and others put in, but nothing folded into them."""

    def __init__(self, of: MemoryTables) -> None:
        super().__init__(of.partitions)
        self.rows = {tier: dict(rows) for tier, rows in of.rows.items()}
        self.offsets, self.watermarks = dict(of.offsets), dict(of.watermarks)

    def fold(self, subjects: Subjects) -> None:  # noqa: ARG002
        raise AssertionError("other tests read these rows: fold into tables that `make_tables` has made")


@cache
def default_tables() -> MemoryTables:
    """Tables that have counted `events`; to count them takes longer than most tests do."""
    return tables_of(events())


@asynccontextmanager
async def serve_fleet(size: int = 3, tables: MemoryTables | None = None, **options: Any) -> AsyncIterator[Fleet]:
    """Runs workers that share partitions evenly, and ends them."""
    tables = tables or Copy(default_tables())
    options = {"clock": lambda: NOW, "registry": CollectorRegistry(), "access": OPEN, "limits": PATIENT, **options}
    fleet = Fleet()
    fleet.tables = tables
    async with aiohttp.ClientSession() as http:
        try:
            for number in range(size):
                mine = frozenset(range(number, tables.partitions, size))
                reader = MemoryReader(tables, mine=mine)
                runner = await server.start(app.build_app(reader, **options), "127.0.0.1", 0)
                reader.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
                fleet.append(Worker(reader, runner, http))
            owners = {p: w.reader.url for w in fleet for p in w.reader.mine}
            for worker in fleet:
                worker.reader.owners = dict(owners)
            yield fleet
        finally:
            for worker in fleet:
                await worker.stop()


@pytest.fixture(scope="session")
def fleet():
    """The context manager that runs a group of workers."""
    return serve_fleet


@pytest.fixture(scope="session")
def let_in():
    """Makes a policy that lets in callers by name, each with scopes, and the headers that each of them sends."""

    def make(**scopes):
        sent = {name: make_token(name.encode().ljust(32)) for name in scopes}
        tokens = tuple(
            Token(make_caller(name, Via.TOKEN, given), digest_of(hash_token(sent[name])))
            for name, given in scopes.items()
        )
        return Policy(tokens=tokens), {name: {"Authorization": f"Bearer {token}"} for name, token in sent.items()}

    return make


@pytest.fixture
def requests():
    """The requests that the default tables have counted."""
    return events()


@pytest.fixture
def now():
    """The workers' time."""
    return NOW


@pytest.fixture
def clients():
    """Every client id in the default tables, hostile ones included."""
    return CLIENTS


@pytest.fixture
def tables():
    """The default tables, of which a fleet without others has a copy, too."""
    return Copy(default_tables())


@pytest.fixture(scope="session")
def make_tables():
    """Tables that have counted the requests given."""
    return tables_of
