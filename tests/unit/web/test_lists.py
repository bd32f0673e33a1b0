"""Top lists: whole and right through every worker, or an error that names what is missing."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from aiohttp import web

from logrouter.http_server import server
from logrouter.query.tiers import Segment, Tier
from logrouter.web import app
from logrouter.web.view import Limits
from tests.conftest import HANG_SECONDS

SORTS = {
    "count": len,
    "errors": lambda rows: sum(r["outcome"] not in ("ok", "aborted") for r in rows),
    "bytes": lambda rows: sum(r["bytes_in"] + r["bytes_out"] for r in rows),
    "latency": lambda rows: (
        sum(known) / len(known) if (known := [r["latency_ms"] for r in rows if r["latency_ms"] is not None]) else -1
    ),
}


def brute_force(requests, field, sort, since):
    """The list as one would make it from the requests themselves."""
    groups = {}
    for request in requests:
        if request["time_ms"] >= since:
            groups.setdefault(request[field], []).append(request)
    return sorted(groups, key=lambda name: (-SORTS[sort](groups[name]), name)), groups


def since(window, now):
    """Where a window begins: at a minute as long as those are kept, else at an hour."""
    minute = now // 60_000 + 1
    starts = {"1h": minute - 60, "24h": minute - 1440, "7d": (minute - 7 * 1440) // 60 * 60, "life": 0}
    return starts[window] * 60_000


@pytest.mark.parametrize("window", ["1h", "24h", "7d", "life"])
@pytest.mark.parametrize("size", [1, 3])
def test_top_lists_equal_brute_force_through_every_worker(fleet, requests, now, window, size):
    """Every order and length, clients and APIs: names and counts are those of a recount."""

    async def main():
        async with fleet(size) as workers:
            for sort in SORTS:
                for collection, field in (("clients", "client"), ("apis", "api")):
                    names, groups = brute_force(requests, field, sort, since(window, now))
                    for limit in (1, 5, 1000):
                        target = f"/v1/{collection}?window={window}&sort={sort}&limit={limit}"
                        replies = [await worker.get(target) for worker in workers]
                        assert {reply.status for reply in replies} == {200}
                        answer = replies[0].json
                        assert all(reply.json == answer for reply in replies)
                        listed = answer[collection]
                        key = "client_id" if collection == "clients" else "api"
                        assert [entry[key] for entry in listed] == names[:limit]
                        assert [entry["count"] for entry in listed] == [len(groups[name]) for name in names[:limit]]
                        assert answer["total"][collection] == len(groups)
                        assert answer["total"]["count"] == sum(map(len, groups.values()))
                        assert [f["partition"] for f in answer["freshness"]["partitions"]] == list(range(6))

    asyncio.run(main())


def test_a_list_and_a_summary_say_the_same_about_a_client(fleet):
    """The window of 24 hours is the same stretch of time everywhere."""

    async def main():
        async with fleet() as workers:
            listed = (await workers[0].get("/v1/clients?window=24h")).json
            for entry in listed["clients"][:5]:
                client = entry["client_id"]
                if client.isalnum() or client.startswith("client-"):
                    day = (await workers[1].get(f"/v1/clients/{client}")).json["last_24h"]
                    assert (day["from"], day["to"]) == (listed["from"], listed["to"])
                    for field in ("count", "weighted", "errors", "bytes", "first_seen", "last_seen"):
                        assert day[field] == entry[field]

    asyncio.run(main())


def test_a_list_without_some_partitions_is_a_problem_that_names_them(fleet):
    """Down, recovering, moved or unknown: whatever an owner's matter is, the list is refused, never cut."""

    async def main():
        async with fleet() as workers:
            one, two, three = workers
            two.reader.is_ready = False
            await expect_missing(one, {1, 4})
            two.reader.is_ready = True
            two.reader.mine = frozenset({1})
            await expect_missing(one, {4})
            two.reader.mine = frozenset({1, 4})
            one.reader.owners[4] = None
            await expect_missing(one, {4})
            one.reader.owners[4] = two.reader.url
            await three.stop()
            await expect_missing(one, {2, 5})
            one.reader.is_ready = False
            await expect_missing(one, {0, 2, 3, 5})

    async def expect_missing(worker, partitions):
        for collection in ("clients", "apis"):
            reply = await worker.get(f"/v1/{collection}")
            assert reply.status == 503
            assert reply.json["type"] == "urn:logrouter:problem:partitions-missing"
            assert {entry["partition"] for entry in reply.json["missing"]} == partitions
            assert "Retry-After" in reply.headers

    asyncio.run(main())


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"entries":[],"subjects":0,"total":[],"positions":[]}'])
def test_a_part_that_is_not_what_was_asked_for_is_missing(fleet, body):
    """Something else on a worker's address, or one that answers for other partitions, does not thin the list out."""

    async def main():
        async def handler(_):
            return web.Response(body=body, content_type="application/json")

        app = web.Application()
        app.router.add_get("/{tail:.*}", handler)
        runner = await server.start(app, "127.0.0.1", 0)
        async with fleet() as workers:
            worker = workers[0]
            for partition in (1, 4):
                worker.reader.owners[partition] = f"http://127.0.0.1:{runner.addresses[0][1]}"
            reply = await worker.get("/v1/clients")
            assert reply.status == 503
            assert {entry["partition"] for entry in reply.json["missing"]} == {1, 4}
        await runner.cleanup()

    asyncio.run(main())


def test_a_partition_lost_in_mid_scan_ends_the_list(fleet, monkeypatch):
    """A list that was begun on partitions that then move is not finished with the rest."""

    async def main():
        async with fleet(1, limits=Limits(slice=0.0)) as (worker,):
            scan = type(worker.reader).scan

            def losing(reader, *args, **options):
                for number, row in enumerate(scan(reader, *args, **options)):
                    if number == 100:
                        reader.mine = frozenset({0})
                    yield row

            monkeypatch.setattr(type(worker.reader), "scan", losing)
            reply = await worker.get("/v1/clients")
            assert reply.status == 503
            assert reply.json["type"] == "urn:logrouter:problem:partitions-missing"

    asyncio.run(main())


def test_too_many_lists_at_once_are_told_to_come_back(fleet):
    """The number of lists in work and waiting is bounded; the rest get 503 at once, and later ones are served."""

    async def main():
        async with fleet(1, limits=Limits(scans=1, scans_waiting=2, slice=0.0)) as (worker,):
            replies = await asyncio.gather(*(worker.get("/v1/clients") for _ in range(12)))
            seen = Counter(reply.status for reply in replies)
            assert seen[200] >= 3
            assert seen[503] >= 1
            assert seen[200] + seen[503] == 12
            busy = next(reply for reply in replies if reply.status == 503)
            assert busy.json["type"] == "urn:logrouter:problem:busy"
            assert (await worker.get("/v1/clients")).status == 200

    asyncio.run(main())


def test_a_list_that_takes_too_long_is_given_up(fleet):
    """The time of a scan is bounded."""

    async def main():
        async with fleet(1, limits=Limits(list_timeout=0.0, slice=0.0)) as (worker,):
            reply = await worker.get("/v1/clients")
            assert reply.status == 503
            assert reply.json["type"] == "urn:logrouter:problem:too-slow"

    asyncio.run(main())


def test_a_long_scan_lets_other_requests_through(fleet, monkeypatch):
    """While a list is computed, another request is answered in between: here the scan ends only because it was."""

    async def main():
        async with fleet(1, limits=Limits(slice=0.0)) as (worker,):
            answered = asyncio.Event()
            rows = list(worker.reader.scan(range(6), "a", Segment(Tier.LIFE, 0, 1)))

            def endless(*_, **__):
                while not answered.is_set():
                    yield from rows

            monkeypatch.setattr(type(worker.reader), "scan", endless)
            slow = asyncio.create_task(worker.get("/v1/apis?window=life"))
            await asyncio.sleep(0.05)
            assert (await worker.get("/livez")).status == 200
            answered.set()
            assert (await slow).status == 200

    asyncio.run(main())


def test_a_long_file_lets_other_requests_through(fleet, monkeypatch):
    """While CSV is written, another request is answered in between: here it ends only because it was."""

    async def main():
        begun, answered = asyncio.Event(), asyncio.Event()

        def endless(_):
            begun.set()
            while not answered.is_set():
                yield ""
            yield "end"

        monkeypatch.setattr(app, "ENDPOINTS", [replace(one, csv=one.csv and endless) for one in app.ENDPOINTS])
        async with fleet(1) as (worker,):
            slow = asyncio.create_task(worker.get("/v1/reports/calls?format=csv"))
            await begun.wait()
            assert (await worker.get("/livez")).status == 200
            answered.set()
            assert (await slow).body == b"end"

    asyncio.run(main())


def test_a_list_that_nobody_waits_for_is_computed_no_further(fleet, monkeypatch):
    """Not by the worker that was asked, nor by those that it has asked: the next list gets its turn."""

    async def main():
        limits = Limits(scans=1, slice=0.0, list_timeout=3 * HANG_SECONDS)
        async with fleet(2, limits=limits) as workers:
            begun, scan = asyncio.Event(), type(workers[0].reader).scan

            def endless(*arguments, **options):
                rows = list(scan(*arguments, **options))
                begun.set()
                while True:
                    yield from rows

            monkeypatch.setattr(type(workers[0].reader), "scan", endless)
            left = asyncio.create_task(workers[0].get("/v1/totals?window=life"))
            await begun.wait()
            monkeypatch.undo()
            left.cancel()
            async with asyncio.timeout(HANG_SECONDS):
                for worker in workers:
                    assert (await worker.get("/v1/totals")).status == 200

    asyncio.run(main())


@pytest.mark.parametrize(
    "query",
    [
        "",
        "at=1790000000000",
        "partitions=&at=1790000000000",
        "partitions=0,x&at=1790000000000",
        "partitions=99999999&at=1790000000000",
        "partitions=0&at=-1",
        "partitions=0&at=1790000000000&more=1",
        "partitions=0&at=1790000000000&limit=0",
    ],
)
def test_a_malformed_question_between_workers_is_400(fleet, query):
    """The internal path trusts its callers no more than the public ones do."""

    async def main():
        async with fleet(1) as (worker,):
            assert (await worker.get(f"/internal/v1/parts/clients?{query}", X_Logrouter_Hop="1")).status == 400

    asyncio.run(main())


def test_the_internal_path_is_not_there_for_callers(fleet):
    """Only hops see it, and only about partitions that are held."""

    async def main():
        async with fleet(2) as workers:
            target = "/internal/v1/parts/clients?partitions=1&at=1790000000000"
            assert (await workers[0].get(target)).status == 404
            assert (await workers[0].get(target, X_Logrouter_Hop="1")).status == 421
            assert (await workers[0].get("/internal/v1/parts/x?at=1", X_Logrouter_Hop="1")).status == 404

    asyncio.run(main())
