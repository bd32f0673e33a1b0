"""Lists by the order of clients, put together from several workers: the same as by a scan, or marked as inexact."""

import asyncio
from functools import partial

import pytest

from logrouter.query.memory import MemoryReader
from logrouter.query.toplist import TopReport
from logrouter.web.lists import RECIPES

SHARED = "between us"
QUESTIONS = ["window=life", "window=24h&sort=bytes", "window=3h&compare=previous", "window=life&sort=errors"]


def prefer_order(monkeypatch, many):
    """However few clients there are."""
    report = partial(TopReport, "c", few=-1, many=many)
    monkeypatch.setitem(RECIPES, "clients", RECIPES["clients"]._replace(report=report))


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_list_by_order_is_the_list_by_scan(fleet, monkeypatch, question):
    """Page after page, through a worker that asks two others; only the number of clients is not told."""

    async def main():
        async with fleet(3) as workers:
            pages = []
            for room in (None, 8):
                for worker in workers:
                    worker.reader.room = room
                cursor, found = "", []
                while True:
                    body = (await workers[1].get(f"/v1/clients?{question}&limit=4{cursor}")).json
                    assert body["exact"] is True
                    assert body["max_unlisted"] is None
                    body["total"].pop("clients")
                    found.append(body)
                    if body["next"] is None:
                        break
                    cursor = f"&cursor={body['next']}"
                pages.append(found)
            assert pages[0] == pages[1]

    prefer_order(monkeypatch, 10**9)
    asyncio.run(main())


def test_an_inexact_list_says_what_it_may_lack(fleet, monkeypatch, requests):
    """With one name known per bucket, the list is short, its figures are right, and the rest is bounded."""

    async def main():
        async with fleet(2) as workers:
            for worker in workers:
                worker.reader.room = 1
            body = (await workers[0].get("/v1/clients?window=life&limit=10")).json
            assert body["exact"] is False
            true = {client: sum(r["client"] == client for r in requests) for client in {r["client"] for r in requests}}
            listed = {entry["client_id"]: entry["count"] for entry in body["clients"]}
            assert listed
            assert all(true[name] == count for name, count in listed.items())
            assert all(count <= body["max_unlisted"] for name, count in true.items() if name not in listed)
            assert body["total"]["count"] == len(requests)
            assert body["total"]["clients"] is None

    prefer_order(monkeypatch, -1)
    asyncio.run(main())


def test_who_may_see_some_clients_only_is_told_no_order(fleet, monkeypatch, let_in):
    """The rows of these clients are read, whatever is known of everybody."""
    policy, headers = let_in(one=["usage:read:client=client-1"])

    async def main():
        async with fleet(2, access=policy, secret=SHARED) as workers:
            for worker in workers:
                worker.reader.room = 3
            body = (await workers[0].get("/v1/clients?window=life", **headers["one"])).json
            assert [entry["client_id"] for entry in body["clients"]] == ["client-1"]
            assert body["total"]["count"] == body["clients"][0]["count"]

    prefer_order(monkeypatch, -1)
    monkeypatch.setattr(MemoryReader, "ranks", None)
    asyncio.run(main())


@pytest.mark.parametrize("tail", ["", "&sort=latency", "&include=client-*"])
def test_a_search_by_prefix_reads_its_own_names_only(fleet, tail):
    """What it finds is what a list of everybody has of them."""

    async def main():
        async with fleet(2) as workers:
            every = (await workers[0].get(f"/v1/clients?window=24h&limit=1000{tail.partition('&inc')[0]}")).json
            some = (await workers[1].get(f"/v1/clients?window=24h&limit=1000&prefix=client-1{tail}")).json
            expected = [entry for entry in every["clients"] if entry["client_id"].startswith("client-1")]
            assert some["clients"] == expected
            assert len(expected) == some["total"]["clients"] == 11

    asyncio.run(main())
