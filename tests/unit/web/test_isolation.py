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
OPEN = {"index", "livez", "readyz", "openapi"}
OF_ONE = "/v1/clients/{client_id}"
METHODS = ("GET", "HEAD")


def routes():
    """Name and path of every route there is."""
    built = app.build(MemoryReader(MemoryTables(1)))
    return sorted({(route.name, route.resource.canonical) for route in built.router.routes()})


def filled(path, client):
    """A path of a route with the client or the API filled in."""
    return re.sub(r"\{\w+\}", quote(client, safe=""), path)


def expected(name, path, mine, other):
    """How a route is answered: open to all, hidden from all but workers, or by whether the caller may read it."""
    if name in OPEN:
        return 200
    if path.startswith("/internal/"):
        return 404
    return mine if path.startswith(OF_ONE) or name == "whoami" else other


def test_the_routes_are_found():
    """The tests below go through them, whatever will be added."""
    assert {"clients", "client", "client_series", "apis", "api", "part", "metrics", "whoami"} <= {
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
    "/v1/clients?window=life",
    "/v1/clients?prefix=client-1",
    "/v1/clients?include=client-1",
    "/v1/clients?cursor=abc",
    "/v1/clients?format=csv",
    "/v1/clients/client-2?format=csv",
    "/V1/clients/client-2",
    "/v1/clients/client-2%3Fx",
    "/v1/clients/client-2#client-1",
    "/v1/apis/client-1",
    "/internal/v1/parts/clients?partitions=0,1,2,3,4,5&at=1790000000000",
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
