"""Every figure of a breakdown lies within the bounds that are stated with it, whatever was dropped, merged or replayed.

The requests go the whole way: partial sums of batches, records, folds that die and begin again, rows of all tiers,
workers that are asked. What they answer is compared with a recount.
"""

import asyncio
from collections import Counter
from random import Random

import pytest

from logrouter.core.rollup.accumulator import Accumulator
from logrouter.core.rollup.records import decode_record, pack_records
from logrouter.query.memory import MemoryTables
from logrouter.tables import rows
from logrouter.tables.fold import PartitionFold
from logrouter.tables.retention import BucketsKept

PARTITIONS, BATCH, HOUR = 4, 300, 3_600_000
STATUSES = {"ok": (200, 304), "not_found": (404,), "backend_error": (500, 504)}
WINDOWS = {"1h": HOUR, "24h": 24 * HOUR, "4d": 96 * HOUR, "life": None}


def traffic(now, skew, seed):
    """752 URLs of which some fail more than others, and 300 clients; a few of both have most of the requests."""
    draw = Random(f"{skew} {seed}")
    urls = [f"/{draw.choice(['feed', 'core', 'media'])}/u{n}" for n in range(752)]
    clients = [f"client-{n}" for n in range(300)]
    by_rank = {count: [1 / (rank + 1) ** skew for rank in range(count)] for count in (752, 300)}
    chosen = zip(draw.choices(urls, by_rank[752], k=8_000), draw.choices(clients, by_rank[300], k=8_000), strict=True)
    for path, client in chosen:
        outcome = draw.choice(["ok", "ok", "not_found", "backend_error"] if hash_of(path) % 3 else ["ok"])
        yield {
            "client": "busy" if draw.random() < 0.3 else client,
            "api": draw.choice(["core", "core", "feed"]),
            "time_ms": now - int(draw.choice([HOUR, 24 * HOUR, 90 * HOUR]) * draw.random()),
            "status": draw.choice(STATUSES[outcome]),
            "outcome": outcome,
            "path": path,
            "backend": f"192.0.2.{draw.randrange(9)}:80",
            "version": draw.choice(["v1", "v2", None]),
        }


def hash_of(text):
    """The same in every process."""
    return sum(text.encode())


def fold(requests, now, seed):
    """The tables after a worker has folded all records and has died now and then before it had committed."""
    draw, sums, records = Random(seed), Accumulator(), {partition: [] for partition in range(PARTITIONS)}
    for start in range(0, len(requests), BATCH):
        for request in requests[start : start + BATCH]:
            sums.add(**request)
        for partition, value in pack_records(sums.take(), PARTITIONS):
            records[partition].append(value)
    tables, cutoffs = MemoryTables(PARTITIONS), BucketsKept().cutoffs(now // 60_000)
    for partition, values in records.items():
        stored, at = {}, 0
        while at < len(values):
            high = max(map(rows.watermark, stored.values()), default=-1)
            worker = PartitionFold(lambda keys, stored=stored: list(map(stored.get, keys)), high=high)
            at = max(at - draw.randrange(4), 0)  # what was committed last
            for _ in range(draw.randrange(1, 12)):
                if at < len(values):
                    worker.add(at, decode_record(values[at]), cutoffs)
                    at += 1
            worker.begin_flush()
            while (chunk := worker.take(200, cutoffs)) is not None:
                stored.update(chunk.rows)
        for key, value in stored.items():
            tier, bucket, subject = rows.parse_key(key)
            tables.rows[tier][bucket, subject] = rows.decode_cell(value)
        tables.offsets[partition] = len(values) - 1
        tables.watermarks[partition] = now
    return tables


def check(rows_listed, named, truth, max_unlisted, about):
    """The truth of each row lies within its bounds, and that of all others below the bound of what is not listed."""
    listed = {named(row): row for row in rows_listed}
    for name, row in listed.items():
        assert row["at_least"] <= truth[name] <= row["at_most"], (about, name, truth[name], row)
        assert row["at_least"] <= row["count"] <= row["at_most"], (about, row)
        assert 2 * row["count"] >= truth[name], (about, name, truth[name], row)
    for name, n in truth.items():
        assert name in listed or n <= max_unlisted, (about, name, n, max_unlisted)
    return listed


class Questions:
    """Asks a worker about one window, and knows what was requested in it."""

    def __init__(self, worker, window, requests, now):
        begin = 0 if WINDOWS[window] is None else (now // 60_000 + 1) * 60_000 - WINDOWS[window]
        self.requests = [r for r in requests if r["time_ms"] >= begin]
        self._worker, self._window = worker, window

    async def get(self, path, **parameters):
        """The answer, of everything that is not None."""
        asked = {"window": self._window, **parameters}
        query = "&".join(f"{name}={value}" for name, value in asked.items() if value is not None)
        reply = await self._worker.get(f"/v1/{path}?{query}")
        assert reply.status == 200, (path, query, reply.body)
        return reply.json

    async def urls(self, kind, field, name):
        """The URLs of one client or API, of all statuses and of some; those with 2 % are listed, and all add up."""
        mine = [r for r in self.requests if r[field] == name]
        for status in (None, "5xx", "404", "200"):
            truth = Counter(r["path"] for r in mine if fits(r, status))
            answer = await self.get(f"{kind}/{name}/urls", status=status, limit=1000)
            listed = check(answer["urls"], lambda row: row["url"], truth, answer["max_unlisted"], (name, status))
            if status is None:
                assert {url for url, n in truth.items() if n >= 0.02 * len(mine)} <= listed.keys()
                assert sum(row["at_least"] for row in answer["urls"]) + answer["other"] == answer["count"] == len(mine)

    async def clients(self, api):
        """The clients of an API."""
        mine = [r for r in self.requests if r["api"] == api]
        truth = Counter(r["client"] for r in mine)
        answer = await self.get(f"apis/{api}/clients", limit=1000)
        listed = check(answer["clients"], lambda row: row["client_id"], truth, answer["max_unlisted"], "clients")
        assert {client for client, n in truth.items() if n >= 0.02 * len(mine)} <= listed.keys()

    async def callers(self, fragment):
        """Who called the URLs with a fragment, with any status and with some."""
        for status in ("5xx", "200", None):
            fitting = [r for r in self.requests if fragment.lower() in r["path"] and fits(r, status)]
            truth = Counter((r["client"], r["path"]) for r in fitting)
            answer = await self.get("callers", contains=fragment, status=status, limit=1000)
            check(answer["callers"], lambda r: (r["client_id"], r["url"]), truth, answer["max_unlisted"], status)

    async def parts(self, api):
        """Backends and versions are few, and exact."""
        for many, field in (("backends", "backend"), ("versions", "version")):
            truth = Counter(r[field] for r in self.requests if r["api"] == api and r[field] is not None)
            answer = await self.get(f"apis/{api}/{many}")
            assert {row[field]: row["count"] for row in answer[many]} == truth


def fits(request, status):
    """Whether a request has a status, or one of a class."""
    return status in (None, f"{request['status']}", f"{request['status'] // 100}xx")


@pytest.mark.parametrize("skew", [1.0, *(pytest.param(skew, marks=pytest.mark.long) for skew in (0.0, 0.4, 1.5))])
def test_figures_lie_within_their_bounds(fleet, now, skew, seed):
    """URLs of a client and of an API, clients of an API, callers of a URL, over minutes, hours, days and for ever."""
    requests = list(traffic(now, skew, seed))
    tables = fold(requests, now, seed)

    async def main():
        async with fleet(2, tables=tables) as workers:
            for window in WINDOWS:
                ask = Questions(workers[0], window, requests, now)
                await ask.urls("clients", "client", "busy")
                await ask.urls("clients", "client", "client-0")
                await ask.urls("apis", "api", "core")
                await ask.clients("core")
                await ask.callers("FEED")
                await ask.parts("core")

    asyncio.run(main())
