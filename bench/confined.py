"""One caller who may read a few clients, at its full rate, against a worker that is watched.

Used by `serve.py`.  The caller asks what costs most: its day by minutes split by anything, its longest windows, lists
of its clients with hostile patterns, CSV, and somebody who does not exist.  It opens with its whole burst at once, and
keeps asking at the rate that its budget has, whatever it is told.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections import Counter
from typing import NamedTuple

import aiohttp
from yarl import URL

from logrouter.access.scopes import client_scope
from logrouter.access.tokens import hash_token, make_token

RATE, BURST = 100, 200
"""What `access.rate` allows by default."""
_HOSTILE = "&".join(
    [f"include=*a{'?' * 110}b{n}*" for n in range(20)] + [f"exclude={'*'.join('client' * 10)}{n}" for n in range(20)]
)


class Confined(NamedTuple):
    """A caller of *clients*, the first of which is the busiest; *quiet* is another caller, of everything."""

    clients: list[str]
    token: str
    quiet: str

    def tokens(self) -> str:
        """Both, as the worker takes them."""
        scopes = ",".join(map(client_scope, self.clients))
        return f"confined={hash_token(self.token)}={scopes} quiet={hash_token(self.quiet)}=usage:read"

    def questions(self) -> dict[str, str]:
        """What it asks, by a title."""
        busy, nobody = f"/v1/clients/{self.clients[0]}", f"/v1/clients/{self.clients[-1]}"
        return {
            "day by minutes, by API": f"{busy}/series?window=24h&step=minute&by=api",
            "day by minutes, by error": f"{busy}/series?window=24h&step=minute&by=error",
            "day by minutes, CSV": f"{busy}/series?window=24h&step=minute&by=status&format=csv",
            "nobody by minutes": f"{nobody}/series?window=24h&step=minute&by=api",
            "longest window": f"{busy}?window=199d&compare=previous",
            "APIs, patterns": f"{busy}/apis?window=400d&{_HOSTILE}",
            "URLs": f"{busy}/urls?window=400d&contains=zzz&limit=1000",
            "errors": f"{busy}/errors?window=400d",
            "list, longest window": "/v1/clients?window=199d&compare=previous&sort=latency&limit=1000",
            "list, patterns, CSV": f"/v1/clients?window=400d&format=csv&{_HOSTILE}",
        }


def make_confined(clients: list[str]) -> Confined:
    """The caller of some clients, with tokens that are the same in every run."""
    return Confined(clients, make_token(b"confined".ljust(32)), make_token(b"quiet".ljust(32)))


def measure_confined(port: int, caller: Confined, seconds: float, connections: int) -> None:
    """Print what holds the loop: nothing, each question alone, and the caller at its full rate."""
    asyncio.run(_measure(port, caller, seconds, connections))


async def _measure(port: int, caller: Confined, seconds: float, connections: int) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections + 8)) as http:
        bench = _Bench(http, port, caller)
        await bench.held()
        await asyncio.sleep(min(seconds, 5))
        print(f"{'nobody asks':<40} | {await bench.held()}", flush=True)
        for title, target in caller.questions().items():
            await bench.ask(target, caller.token)
            await bench.held()
            took, size = [], 0
            for _ in range(5):
                milliseconds, size = await bench.ask(target, caller.token)
                took.append(milliseconds)
                await asyncio.sleep(0.5)
            print(
                f"{title:<40} | {await bench.held()} | p50 {statistics.median(took):6.0f} ms, {size / 1024:8,.0f} KiB",
                flush=True,
            )
        await asyncio.sleep(BURST / RATE)
        await bench.full_rate(seconds, connections)


class _Bench:
    """Asks a worker, and tells for how long its loop was held."""

    def __init__(self, http: aiohttp.ClientSession, port: int, caller: Confined) -> None:
        self._http, self._base, self._caller = http, f"http://127.0.0.1:{port}", caller
        self.statuses = Counter[int]()

    async def ask(self, target: str, token: str) -> tuple[float, int]:
        """Milliseconds and bytes of an answer."""
        start = time.perf_counter()
        headers = {"Authorization": f"Bearer {token}"}
        async with self._http.get(URL(self._base + target, encoded=True), headers=headers) as response:
            size = len(await response.read())
            self.statuses[response.status] += 1
        return (time.perf_counter() - start) * 1000, size

    async def held(self) -> str:
        """The longest that the loop was held, and the longest collection in that time, since this was asked."""
        async with self._http.get(self._base + "/metrics") as response:
            lines = (await response.text()).splitlines()
        late, cpu, garbage = (
            float(next(line for line in lines if line.startswith(name)).split()[1]) * 1000
            for name in ("bench_loop_late_seconds ", "bench_loop_cpu_seconds ", "bench_gc_seconds ")
        )
        return f"loop held {late:6.1f} ms at most (CPU {cpu:5.1f} ms), garbage collection {garbage:5.1f} ms"

    async def full_rate(self, seconds: float, connections: int) -> None:
        """The caller's burst at once and then its rate, on so many connections; somebody else asks now and then."""
        self.statuses.clear()
        await self.held()
        targets, pace = itertools.cycle(self._caller.questions().values()), asyncio.Semaphore(BURST)
        until, others = time.monotonic() + seconds, list[float]()

        async def refill() -> None:
            while time.monotonic() < until:
                await asyncio.sleep(1 / RATE)
                pace.release()

        async def asker() -> None:
            while time.monotonic() < until:
                await pace.acquire()
                await self.ask(next(targets), self._caller.token)

        async def somebody_else() -> None:
            while time.monotonic() < until:
                others.append((await self.ask(f"/v1/clients/{self._caller.clients[0]}", self._caller.quiet))[0])
                await asyncio.sleep(0.05)

        await asyncio.wait(
            [asyncio.create_task(one) for one in (refill(), somebody_else(), *(asker() for _ in range(connections)))],
            timeout=seconds + 30,
        )
        cuts = statistics.quantiles(others, n=100, method="inclusive")
        print(
            f"{f'full rate, {connections} connections, {seconds:.0f} s':<40} | {await self.held()} | "
            f"answers {dict(sorted(self.statuses.items()))} | somebody else's summary p50 {cuts[49]:.0f} ms, "
            f"p99 {cuts[98]:.0f} ms",
            flush=True,
        )
