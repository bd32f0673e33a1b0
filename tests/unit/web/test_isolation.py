"""One client's token never reads another client, or anything made of all of them: by no path and no trick."""

import asyncio
import re
from urllib.parse import quote

import pytest

from logrouter.access.scopes import client_scope
from logrouter.query.memory import MemoryReader, MemoryTables
from logrouter.web import app

SHARED = "between us"
MINE, OTHER = "client-1", "client-2"

# What anybody may read. All else under /v1 is figures: those of one client below its own path, or of all.
OPEN = {"index", "page", "livez", "readyz", "openapi"}
OF_ONE = "/v1/clients/{client_id}"
METHODS = ("GET", "HEAD")


def routes():
    """Name and path of every route there is."""
    built = app.build_app(MemoryReader(MemoryTables(1)))
    return sorted({(route.name, route.resource.canonical) for route in built.router.routes()})


def filled(path, client):
    """A path of a route with the client or the API filled in."""
    return re.sub(r"\{\w+\}", quote(client, safe=""), path)


def expected(name, path, mine, other):
    """How a route is answered: open to all, hidden from all but workers, or by whether the caller may read it."""
    if name in OPEN:
        return 200
    if path.startswith(("/internal/", "/assets/")):
        return 404  # hidden, and no file of that name
    return mine if path.startswith(OF_ONE) or name in ("whoami", "clients") else other


def test_the_routes_are_found():
    """The tests below go through them, whatever will be added."""
    assert {"clients", "client", "client_series", "apis", "api", "part_clients", "metrics", "whoami"} <= {
        n for n, _ in routes()
    }


@pytest.mark.parametrize(("name", "path"), routes())
def test_a_caller_of_one_client_by_every_route(fleet, let_in, name, path):
    """Through the owner and through a stranger, existing or not: its own is answered, all else is refused."""
    policy, sent = let_in(mine=[client_scope(MINE)])

    async def main():
        async with fleet(2, access=policy, secret=SHARED) as workers:
            for worker in workers:
                for method in METHODS:
                    reply = await worker.get(filled(path, MINE), method, **sent["mine"])
                    assert reply.status == expected(name, path, mine=200, other=403)
                    for client in (OTHER, "nobody", "core", "-") if "{" in path else ():
                        reply = await worker.get(filled(path, client), method, **sent["mine"])
                        assert reply.status == expected(name, path, mine=403, other=403)
                        assert b"count" not in reply.body

    asyncio.run(main())


@pytest.mark.parametrize(("name", "path"), routes())
def test_nobody_by_every_route(fleet, let_in, name, path):
    """Without a token, or with one that is not valid, there is 401 wherever anything is shown."""
    policy, _ = let_in(mine=[client_scope(MINE)])
    bad = [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic bWluZTo="}, {"Authorization": "Bearer"}]

    async def main():
        async with fleet(1, access=policy, secret=SHARED) as (worker,):
            for headers in bad:
                reply = await worker.get(filled(path, MINE), **headers)
                assert reply.status == expected(name, path, mine=401, other=401)

    asyncio.run(main())


TRICKS = [
    "/v1/clients/client%2D2",
    "/v1/clients/%63lient-2",
    "/v1/clients/client-2/series",
    "/v1/clients/client-2/series?client_id=client-1",
    "/v1/clients/client-2?client_id=client-1",
    "/v1/clients/client-2/",
    "/v1/clients/client-2//series",
    "/v1/clients//client-2",
    "//v1/clients/client-2",
    "/v1//clients/client-2",
    "/v1/clients/client-1/../client-2",
    "/v1/clients/client-1/%2e%2e/client-2",
    "/v1/clients/client-1%2F..%2Fclient-2",
    "/v1/clients/client-1%252F..%252Fclient-2",
    "/v1/clients/./client-2",
    "/v1/clients/client-1%00client-2",
    "/v1/clients/client-1%00",
    "/v1/clients/client-1%20",
    "/v1/clients/client-1.",
    "/v1/clients/client-1%2Fseries",
    "/v1/clients/Client-1",
    "/v1/clients/CLIENT-1",
    "/v1/clients/client%EF%BC%8D1",
    "/v1/clients/client-1;client-2",
    "/v1/clients/client-1,client-2",
    "/v1/clients/*",
    "/v1/clients/client-%3F",
    "/v1/clients/client-2?format=csv",
    "/V1/clients/client-2",
    "/v1/clients/client-2%3Fx",
    "/v1/clients/client-2#client-1",
    "/v1/apis/client-1",
    "/internal/v1/parts/clients?partitions=0,1,2,3,4,5&at=1790000000000",
    "/v1/clients?client_id=client-2",
    "/v1/clients?cursor=abc",
    "/internal/../v1/clients/client-2",
]


@pytest.mark.parametrize("target", TRICKS)
def test_no_way_of_writing_the_path_leads_to_another_client(fleet, let_in, target):
    """The name that is allowed and the name that is answered are the same one, read once from the path as sent."""
    policy, sent = let_in(mine=[client_scope(MINE)])

    async def main():
        async with fleet(2, access=policy, secret=SHARED) as workers:
            for worker in workers:
                for method in ("GET", "HEAD", "POST", "OPTIONS"):
                    reply = await worker.get(target, method, **sent["mine"])
                    assert reply.status in (403, 404, 405, 400)
                    assert b"lifetime" not in reply.body
                    assert b"points" not in reply.body

    asyncio.run(main())


def test_another_client_looks_the_same_whether_it_exists_or_not(fleet, let_in):
    """A refusal tells nothing: status, headers and body differ only by the path that was sent."""
    policy, sent = let_in(mine=[client_scope(MINE)])

    async def main():
        async with fleet(2, access=policy, secret=SHARED) as workers:
            for worker in workers:
                seen = []
                for client in (OTHER, "nobody"):
                    reply = await worker.get(f"/v1/clients/{client}", **sent["mine"])
                    body = reply.json | {"instance": "-"}
                    seen.append((reply.status, body, sorted(set(reply.headers) - {"Date"})))
                assert seen[0] == seen[1]

    asyncio.run(main())


@pytest.mark.parametrize("client", ["a/b", "..", "ü €", "%2F", "\n", "-", "x?y#z", "nobody"])
def test_a_client_of_any_name_reads_itself(fleet, let_in, client):
    """Through every worker; one that was never counted is 404 to itself, and that is its own affair."""
    policy, sent = let_in(mine=[client_scope(client)])
    path = "/v1/clients/" + quote(client, safe="").replace(".", "%2E")

    async def main():
        async with fleet(3, access=policy, secret=SHARED) as workers:
            for worker in workers:
                reply = await worker.get(path, **sent["mine"])
                assert reply.status == (404 if client == "nobody" else 200)
                assert reply.json.get("client_id", client) == client

    asyncio.run(main())


def test_several_clients_may_be_named(fleet, let_in):
    """Each of them is read, and no other."""
    policy, sent = let_in(both=[client_scope(MINE), client_scope(OTHER)])

    async def main():
        async with fleet(2, access=policy, secret=SHARED) as workers:
            found = [(await workers[0].get(f"/v1/clients/client-{n}", **sent["both"])).status for n in (1, 2, 3)]
            assert found == [200, 200, 403]

    asyncio.run(main())


@pytest.mark.parametrize("scope", ["usage:read", "admin"])
def test_a_caller_of_all_clients_reads_everything(fleet, let_in, scope):
    """Whatever route there is for figures, through every worker."""
    policy, sent = let_in(all=[scope])

    async def main():
        async with fleet(2, access=policy, secret=SHARED) as workers:
            for worker in workers:
                for name, path in routes():
                    if name != "metrics":
                        subject = "core" if path.startswith("/v1/apis") else MINE
                        reply = await worker.get(filled(path, subject), **sent["all"])
                        assert reply.status == expected(name, path, mine=200, other=200), path

    asyncio.run(main())


def test_metrics_need_their_own_scope(fleet, let_in):
    """A scraper needs no right to read usage, and whoever reads usage no metrics."""
    policy, sent = let_in(scraper=["metrics:read"], analyst=["usage:read"], boss=["admin"])

    async def main():
        async with fleet(1, access=policy) as (worker,):
            found = {name: (await worker.get("/metrics", **headers)).status for name, headers in sent.items()}
            assert found == {"scraper": 200, "analyst": 403, "boss": 200}
            assert (await worker.get("/v1/clients", **sent["scraper"])).status == 403

    asyncio.run(main())


LISTS = [
    "",
    "?window=life",
    "?window=life&limit=1",
    "?window=7d&sort=latency",
    "?window=life&prefix=client",
    "?window=life&include=*",
    "?window=life&exclude=zzz",
    "?window=24h&compare=previous",
    "?window=life&partial=allow",
]


@pytest.mark.parametrize("query", LISTS)
def test_a_list_holds_the_callers_own_clients_and_nothing_of_others(fleet, let_in, requests, query):
    """Entries, total and number of clients, in JSON and CSV: as if there were no others."""
    policy, sent = let_in(both=[client_scope(MINE), client_scope("a/b"), client_scope("nobody")], all=["usage:read"])

    async def main():
        async with fleet(3, access=policy, secret=SHARED) as workers:
            for worker in workers:
                reply = await worker.get(f"/v1/clients{query}", **sent["both"])
                assert reply.status == 200
                body = reply.json
                assert {entry["client_id"] for entry in body["clients"]} <= {MINE, "a/b"}
                assert body["total"]["clients"] <= 2
                if "limit" not in query:
                    assert body["total"]["count"] == sum(entry["count"] for entry in body["clients"])
                whole = await worker.get(f"/v1/clients{query.replace('limit=1', 'limit=1000')}", **sent["all"])
                assert all(entry in whole.json["clients"] for entry in body["clients"])
                partitions = {worker.reader.partition_of(f"c{name}") for name in (MINE, "a/b", "nobody")}
                assert {entry["partition"] for entry in body["freshness"]["partitions"]} == partitions
                csv = await worker.get(f"/v1/clients{query or '?window=24h'}&format=csv", **sent["both"])
                lines = csv.body.decode().splitlines()
                assert {line.split(",")[0] for line in lines[1:]} <= {MINE, "a/b"}

    asyncio.run(main())


def test_pages_of_a_list_stay_with_the_callers_own_clients(fleet, let_in):
    """A cursor leads on, also one that somebody else was given, and never to others."""
    policy, sent = let_in(both=[client_scope(MINE), client_scope(OTHER)], all=["usage:read"])

    async def main():
        async with fleet(2, access=policy, secret=SHARED) as workers:
            target = "/v1/clients?window=life&limit=1"
            first = (await workers[0].get(target, **sent["both"])).json
            second = (await workers[0].get(f"{target}&cursor={quote(first['next'])}", **sent["both"])).json
            assert sorted(page["clients"][0]["client_id"] for page in (first, second)) == [MINE, OTHER]
            assert second["next"] is None
            foreign = (await workers[0].get(target, **sent["all"])).json["next"]
            found = (await workers[0].get(f"{target}&cursor={quote(foreign)}", **sent["both"])).json
            assert {entry["client_id"] for entry in found["clients"]} <= {MINE, OTHER}

    asyncio.run(main())


def test_a_list_of_own_clients_does_not_wait_for_workers_that_hold_none_of_them(fleet, let_in):
    """Nor does it read, count or touch what is not its own."""
    policy, sent = let_in(mine=[client_scope(MINE)])

    async def main():
        async with fleet(3, access=policy, secret=SHARED) as workers:
            owner = workers.owner(f"c{MINE}")
            for worker in workers:
                worker.reader.scan = None
                if worker is not owner:
                    await worker.stop()
            reply = await owner.get("/v1/clients?window=life", **sent["mine"])
            assert [entry["client_id"] for entry in reply.json["clients"]] == [MINE]

    asyncio.run(main())


def test_a_caller_without_any_client_has_no_list(fleet, let_in):
    """Rather than an empty one, which would say that nobody used anything."""
    policy, sent = let_in(scraper=["metrics:read"])

    async def main():
        async with fleet(1, access=policy) as (worker,):
            assert (await worker.get("/v1/clients", **sent["scraper"])).status == 403

    asyncio.run(main())
