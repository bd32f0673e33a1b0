"""Lists by the order of clients, put together from several workers."""

import asyncio
import json

import pytest

from logrouter.query.memory import MemoryReader
from logrouter.query.reports import top_list

SHARED = "between us"


def test_a_list_that_is_not_exact_bounds_what_it_lacks(fleet, requests):
    """With two names known per partition: right figures, a bound for the rest, no totals, and a file that says so."""

    async def main():
        async with fleet(2) as workers:
            for worker in workers:
                worker.reader.room = 1
            body = (await workers[0].get("/v1/clients?window=life&limit=100")).json
            clients = {r["client"] for r in requests}
            true = {client: sum(r["client"] == client for r in requests) for client in clients}
            listed = {entry["client_id"]: entry["count"] for entry in body["clients"]}
            assert 0 < len(listed) < len(true)
            assert all(true[name] == count for name, count in listed.items())
            assert all(count <= body["max_unlisted"] for name, count in true.items() if name not in listed)
            assert (body["exact"], body["total"], body["next"]) == (False, None, None)
            file = await workers[1].get("/v1/clients?window=life&limit=100&format=csv")
            assert file.headers["Content-Disposition"] == 'attachment; filename="clients-inexact.csv"'
            assert json.loads(file.headers["Logrouter-Freshness"])["max_unlisted"] == body["max_unlisted"]

    asyncio.run(main())


@pytest.mark.parametrize("question", ["window=life", "window=24h&sort=bytes", "window=3h&compare=previous"])
def test_a_list_by_order_is_that_of_a_scan(fleet, monkeypatch, question):
    """The same lines, put together from three workers; only what all of them add up to is not told."""
    monkeypatch.setattr(top_list, "FEW", -1)

    async def main():
        async with fleet(3) as workers:
            answers = []
            for room in (None, 1000):
                for worker in workers:
                    worker.reader.room = room
                answers.append((await workers[1].get(f"/v1/clients?{question}&limit=3")).json)
            scanned, ordered = answers
            assert scanned["exact"]
            assert ordered["exact"]
            assert scanned["total"]
            assert ordered["total"] is None
            assert ordered["clients"] == scanned["clients"]

    asyncio.run(main())


def test_who_may_see_some_clients_only_is_told_no_order(fleet, monkeypatch, let_in):
    """The rows of these clients are read, whatever is known of everybody."""
    policy, headers = let_in(one=["usage:read:client=client-1"])

    async def main():
        async with fleet(2, access=policy, secret=SHARED) as workers:
            body = (await workers[0].get("/v1/clients?window=life", **headers["one"])).json
            assert [entry["client_id"] for entry in body["clients"]] == ["client-1"]
            assert (body["exact"], body["total"]["count"]) == (True, body["clients"][0]["count"])

    monkeypatch.setattr(MemoryReader, "order", None)
    asyncio.run(main())
