"""One client or API: the same right answer from every worker, or an honest error."""

import asyncio
from urllib.parse import quote

import pytest
from aiohttp import web

from logrouter.core.text.timestamps import rfc3339
from logrouter.http_server import server
from logrouter.web.view import Limits
from tests.conftest import HANG_SECONDS

SHARED = "between us ü"


def path(client, suffix="", collection="clients"):
    """The path of a client, encoded as a careful caller would."""
    return f"/v1/{collection}/{quote(client, safe='').replace('.', '%2E')}{suffix}"


def count(requests, client, since=0):
    """How many requests of a client there were, recounted."""
    return sum(1 for r in requests if r["client"] == client and r["time_ms"] >= since)


@pytest.mark.parametrize("size", [1, 3])
def test_every_worker_gives_the_same_right_summary_of_every_client(fleet, requests, clients, now, size):
    """Whichever worker is asked, and whatever the client is called, counts equal a recount of the requests."""

    async def main():
        async with fleet(size) as workers:
            for client in clients:
                replies = [await worker.get(path(client)) for worker in workers]
                assert {reply.status for reply in replies} == {200}
                first = replies[0].json
                assert all(reply.json == first for reply in replies)
                assert first["client_id"] == client
                mine = [r for r in requests if r["client"] == client]
                life = first["lifetime"]
                assert life["count"] == len(mine)
                assert life["weighted"] == sum(r["weight"] for r in mine)
                assert life["bytes"] == {k: sum(r[f"bytes_{k}"] for r in mine) for k in ("in", "out")}
                assert life["errors"] == sum(r["outcome"] not in ("ok", "aborted") for r in mine)
                assert sum(life["status"].values()) == sum(life["apis"].values()) == len(mine)
                since = (now // 60_000 - 24 * 60 + 1) * 60_000
                assert first["last_24h"]["count"] == count(requests, client, since)

    asyncio.run(main())


def test_latency_mean_and_max_are_exact_and_percentiles_within_two_percent(fleet, requests):
    """Percentiles come from the sketch; the rest from sums."""

    async def main():
        async with fleet(2) as workers:
            latency = (await workers[0].get(path("client-7"))).json["lifetime"]["latency_ms"]
            true = sorted(
                r["latency_ms"] for r in requests if r["client"] == "client-7" and r["latency_ms"] is not None
            )
            assert latency["count"] == len(true)
            assert latency["max"] == true[-1]
            assert latency["mean"] == pytest.approx(sum(true) / len(true), abs=0.001)
            for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
                assert latency[name] == pytest.approx(true[int(q * (len(true) - 1))], rel=0.0201)

    asyncio.run(main())


@pytest.mark.parametrize("by", ["status", "outcome", "api"])
def test_a_series_adds_up_to_the_summary_through_every_worker(fleet, clients, by):
    """The points of a series over all days, and the split of each, sum to the lifetime; gaps are zeros."""

    async def main():
        async with fleet() as workers:
            for client in clients[::4]:
                life = (await workers[0].get(path(client))).json["lifetime"]
                query = f"/series?step=hour&from=2026-09-18T00:00:00Z&by={by}"
                replies = [await worker.get(path(client, query)) for worker in workers]
                assert all(reply.status == 200 and reply.json == replies[0].json for reply in replies)
                points = replies[0].json["points"]
                assert len(points) == 3 * 24 + 15
                assert sum(point["count"] for point in points) == life["count"]
                assert sum(sum(point["by"].values()) for point in points) == life["count"]
                assert {key for point in points for key in point["by"]} == set(replies[0].json["keys"])
                assert points[0]["count"] == 0
                assert points[0]["latency_ms"] is None

    asyncio.run(main())


def test_apis_are_answered_like_clients(fleet, requests):
    """The same code answers for APIs, without a split by API."""

    async def main():
        async with fleet() as workers:
            for worker in workers:
                reply = (await worker.get(path("feed/v1", collection="apis"))).json
                assert reply["api"] == "feed/v1"
                assert reply["lifetime"]["count"] == sum(r["api"] == "feed/v1" for r in requests)
                assert "apis" not in reply["lifetime"]
                series = await worker.get(path("core", "/series?step=day&by=outcome", collection="apis"))
                assert sum(p["count"] for p in series.json["points"]) == sum(r["api"] == "core" for r in requests)
                assert (await worker.get(path("core", "/series?by=api", collection="apis"))).status == 400

    asyncio.run(main())


def test_freshness_names_the_offset_and_the_worker_that_answered(fleet):
    """A relayed answer says whose it is and how far that worker has folded."""

    async def main():
        async with fleet() as workers:
            owner, other = workers.owner("cclient-3"), workers.stranger("cclient-3")
            (fresh,) = (await other.get(path("client-3"))).json["freshness"]["partitions"]
            partition = owner.reader.partition_of("cclient-3")
            offset = workers.tables.offsets[partition]
            assert fresh == {
                "partition": partition,
                "offset": offset,
                "end": offset + 1,
                "lag": 0,
                "watermark": rfc3339(workers.tables.watermarks[partition]),
                "answered_by": owner.reader.url,
                "role": "active",
            }

    asyncio.run(main())


def test_an_unknown_client_is_404_through_every_worker(fleet):
    """404 is only ever said by the worker that would know the client."""

    async def main():
        async with fleet() as workers:
            for worker in workers:
                for suffix in ("", "/series"):
                    reply = await worker.get(path("nobody", suffix))
                    assert reply.status == 404
                    assert reply.json["type"] == "urn:logrouter:problem:unknown-subject"

    asyncio.run(main())


def test_while_the_owner_recovers_known_and_unknown_clients_are_503(fleet):
    """A recovering table would look empty: neither 404 nor an empty answer may come from it."""

    async def main():
        async with fleet() as workers:
            for client in ("client-3", "nobody"):
                owner, other = workers.owner("c" + client), workers.stranger("c" + client)
                owner.reader.is_ready = False
                for worker in (owner, other):
                    reply = await worker.get(path(client))
                    assert reply.status == 503
                    assert int(reply.headers["Retry-After"]) > 0
                assert (await owner.get("/readyz")).status == 503
                owner.reader.is_ready = True
                assert (await owner.get("/readyz")).status == 200

    asyncio.run(main())


def test_a_worker_that_recovers_still_passes_questions_on(fleet):
    """What others hold does not depend on our own tables."""

    async def main():
        async with fleet() as workers:
            other = workers.stranger("cclient-3")
            other.reader.is_ready = False
            assert (await other.get(path("client-3"))).status == 200

    asyncio.run(main())


def test_an_owner_that_is_down_or_unknown_is_503_with_retry_after(fleet):
    """The data exists but cannot be asked for."""

    async def main():
        async with fleet() as workers:
            owner, other = workers.owner("cclient-3"), workers.stranger("cclient-3")
            await owner.stop()
            reply = await other.get(path("client-3"))
            assert reply.status == 503
            assert reply.json["type"] == "urn:logrouter:problem:owner-away"
            assert "Retry-After" in reply.headers
            other.reader.owners.clear()
            assert (await other.get(path("client-3"))).status == 503

    asyncio.run(main())


def test_an_owner_that_hangs_is_given_up_after_the_timeout(fleet):
    """A hop waits for a bounded time."""

    async def main():
        async def hang(_):
            await asyncio.sleep(1)

        async with fleet(limits=Limits(point_timeout=0.1)) as workers:
            async with asyncio.timeout(HANG_SECONDS):
                reply = await ask_through_impostor(workers, hang)
            assert reply.status == 503
            assert "in time" in reply.json["detail"]

    asyncio.run(main())


async def ask_through_impostor(workers, handler):
    """Asks a worker about a client whose owner's address now belongs to something else."""
    app = web.Application()
    app.router.add_get("/{tail:.*}", handler)
    runner = await server.start(app, "127.0.0.1", 0)
    try:
        other = workers.stranger("cclient-3")
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        other.reader.owners[other.reader.partition_of("cclient-3")] = url
        return await other.get(path("client-3"), Authorization="Bearer caller", Cookie="a=b")
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [
        (404, "text/plain", b"404: Not Found"),
        (404, "application/problem+json", b'{"type":"urn:logrouter:problem:unknown-path"}'),
        (404, "application/problem+json", b"not json"),
        (200, "text/html", b"<p>hello"),
        (302, "text/plain", b""),
        (401, "application/json", b"{}"),
        (500, "application/problem+json", b"{}"),
    ],
)
def test_what_is_no_owners_answer_is_not_relayed(fleet, status, content_type, body):
    """Something else on the owner's address does not decide whether a client exists."""

    async def main():
        async def handler(_):
            return web.Response(status=status, content_type=content_type, body=body)

        async with fleet() as workers:
            reply = await ask_through_impostor(workers, handler)
            assert reply.status == 503
            assert reply.json["type"] == "urn:logrouter:problem:owner-away"

    asyncio.run(main())


def test_a_hop_carries_nothing_of_the_caller(fleet):
    """The caller's headers stay with the worker that was asked."""
    seen = {}

    async def main():
        async def handler(request):
            seen.update(request.headers)
            return web.json_response({})

        async with fleet(secret=SHARED) as workers:
            await ask_through_impostor(workers, handler)

    asyncio.run(main())
    assert seen["X-Logrouter-Hop"] == "1"
    assert len(seen["X-Logrouter-Hop-Signature"]) == 64
    assert SHARED not in str(seen)
    assert "Authorization" not in seen
    assert "Cookie" not in seen


def test_a_hop_is_never_passed_on(fleet):
    """Two workers that each take the other for the owner end in an error, not in a loop."""

    async def main():
        async with fleet(2) as workers:
            one, two = workers
            one.reader.mine = two.reader.mine = frozenset()
            one.reader.owners = dict.fromkeys(range(6), two.reader.url)
            two.reader.owners = dict.fromkeys(range(6), one.reader.url)
            reply = await one.get(path("client-3"))
            assert reply.status == 503
            assert (await one.get(path("client-3"), X_Logrouter_Hop="1")).status == 421
            assert (await one.get("/v1/clients")).status == 503

    asyncio.run(main())


def test_a_hop_needs_the_secret_where_there_is_one(fleet):
    """Workers with the same secret understand each other; whoever only claims to be one is refused."""

    async def main():
        async with fleet(secret=SHARED) as workers:
            for worker in workers:
                assert (await worker.get(path("client-3"))).status == 200
                assert (await worker.get("/v1/clients")).status == 200
                for headers in ({}, {"X_Logrouter_Hop_Signature": "wrong"}):
                    reply = await worker.get(path("client-3"), X_Logrouter_Hop="1", **headers)
                    assert reply.status == 403
                    part = "/internal/v1/parts/clients?partitions=0&at=1790000000000"
                    assert (await worker.get(part, X_Logrouter_Hop="1", **headers)).status == 403

    asyncio.run(main())


def test_a_partition_lost_while_reading_is_503(fleet):
    """A reader that no longer holds the rows says so, and that is not an error of ours."""

    async def main():
        async with fleet(1) as (worker,):
            rows = worker.reader.tables.rows

            class Vanishing(dict):
                def get(self, *_):
                    worker.reader.mine = frozenset()
                    raise LookupError("gone")

            for tier in rows:
                rows[tier] = Vanishing(rows[tier])
            assert (await worker.get(path("client-3"))).status == 503

    asyncio.run(main())


def test_a_partition_that_changes_hands_while_it_is_read_is_read_again(fleet):
    """An owner becomes a replica in a rebalance: what it has is no longer of one moment, and no error either."""

    async def main():
        async with fleet(1) as (worker,):
            reader = worker.reader
            rows, taken = reader.tables.rows, []

            class Moving(dict):
                def get(self, *place):
                    if reader.mine:
                        taken.append(place)
                        reader.held, reader.mine = reader.mine, frozenset()
                        raise LookupError("the partition moved away")
                    return super().get(*place)

            for tier in rows:
                rows[tier] = Moving(rows[tier])
            reply = await worker.get(path("client-3"))
            assert taken
            assert (reply.status, reply.json["freshness"]["stale"]) == (200, True)

    asyncio.run(main())


def test_before_the_first_assignment_every_answer_is_503(fleet):
    """A worker that does not know the number of partitions knows no owner."""

    async def main():
        async with fleet(1) as (worker,):
            worker.reader.tables.partitions = 0
            for target in (path("client-3"), "/v1/clients", "/v1/apis"):
                assert (await worker.get(target)).status == 503

    asyncio.run(main())
