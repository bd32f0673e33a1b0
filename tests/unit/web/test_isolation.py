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

# The routes that a caller of one client may use: with no client named, or with its own. Every other route is refused.
OWN = {"whoami", "client", "client_series"}
OPEN = {"index", "livez", "readyz"}
INTERNAL = {"part"}


def routes():
    """Name and path of every route there is."""
    built = app.build(MemoryReader(MemoryTables(1)))
    return sorted({(route.name, route.resource.canonical) for route in built.router.routes()})


def filled(path, client):
    """A path of a route with the client or the API filled in."""
    return re.sub(r"\{\w+\}", quote(client, safe=""), path)


def test_every_route_is_one_of_these():
    """A route that is added must be placed above, and then the tests below are about it as well."""
    known = OWN | OPEN | INTERNAL | {"metrics", "clients", "apis", "api", "api_series"}
    assert {name for name, _ in routes()} == known


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("name", "path"), routes())
def test_a_caller_of_one_client_by_every_route(fleet, let_in, name, path, method):
    """Through the owner and through a stranger, existing or not: its own is answered, the rest is refused."""
    policy, sent = let_in(mine=[client_scope(MINE)])

    async def main():
        async with fleet(2, access=policy, secret=SHARED) as workers:
            for worker in workers:
                for client in (OTHER, "nobody", "core", "-"):
                    reply = await worker.get(filled(path, client), method, **sent["mine"])
                    allowed = name in OPEN or ("{" not in path and name in OWN)
                    assert reply.status == (404 if name in INTERNAL else 200 if allowed else 403)
                    if not allowed and method == "GET":
                        assert b"count" not in reply.body
                if name in OWN:
                    assert (await worker.get(filled(path, MINE), method, **sent["mine"])).status == 200

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
                assert reply.status == (200 if name in OPEN else 404 if name in INTERNAL else 401)

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
    "/internal/v1/top?kind=c&partitions=0,1,2,3,4,5&at=1790000000000",
    "/internal/../v1/clients/client-2",
]


@pytest.mark.parametrize("target", TRICKS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_no_way_of_writing_the_path_leads_to_another_client(fleet, let_in, target, method):
    """The name that is allowed and the name that is answered are the same one, read once from the path as sent."""
    policy, sent = let_in(mine=[client_scope(MINE)])

    async def main():
        async with fleet(2, access=policy, secret=SHARED) as workers:
            for worker in workers:
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
                    if name not in INTERNAL | {"metrics"}:
                        subject = "core" if name.startswith("api") else MINE
                        assert (await worker.get(filled(path, subject), **sent["all"])).status == 200

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
