"""Between workers: signed, with the caller's scopes, and enforced again where the data is."""

import asyncio

import pytest

from logrouter.access import hops
from logrouter.access.scopes import Via, client_scope, make_caller
from logrouter.http_server import server
from logrouter.query.reports.declaration import ScatterGatherReport
from logrouter.query.reports.registry import REPORTS
from logrouter.web import app

SHARED = "between us"
MINE, OTHER = "client-1", "client-2"


def signed(target, scopes, now, secret=SHARED, method="GET"):
    """The headers of a hop in the name of a caller with these scopes."""
    return hops.sign_hop(secret.encode(), method, target, make_caller("x", Via.TOKEN, scopes), now)


def test_a_hop_gets_what_its_caller_may_read_and_no_more(fleet, let_in, now):
    """A worker that asks in the name of one client's caller is refused other clients, lists and APIs."""
    policy, _ = let_in()

    async def main():
        async with fleet(2, access=policy, secret=SHARED) as workers:
            cases = [
                (f"/v1/clients/{MINE}", [client_scope(MINE)], 200),
                (f"/v1/clients/{MINE}/series", [client_scope(MINE)], 200),
                (f"/v1/clients/{OTHER}", [client_scope(MINE)], 403),
                ("/v1/apis/core", [client_scope(MINE)], 403),
                (f"/v1/clients/{OTHER}", ["usage:read"], 200),
                (f"/v1/clients/{OTHER}", ["metrics:read"], 403),
                (f"/v1/clients/{OTHER}", [], 403),
            ]
            for target, scopes, status in cases:
                name = "a" + "core" if "apis" in target else "c" + target.split("/")[3]
                worker = workers.owner(name)
                assert (await worker.get(target, **signed(target, scopes, now))).status == status, (target, scopes)

    asyncio.run(main())


def test_a_share_of_a_report_is_for_callers_of_all_clients(fleet, let_in, now):
    """Only that of the list of clients is made for a caller of one, and then it is of this one."""
    policy, _ = let_in()

    async def main():
        async with fleet(1, access=policy, secret=SHARED) as (worker,):
            for report in [one.name for one in REPORTS if isinstance(one, ScatterGatherReport)]:
                target = f"/internal/v1/parts/{report}?partitions=0%2C1%2C2%2C3%2C4%2C5&at={now}"
                assert (await worker.get(target, **signed(target, ["usage:read"], now))).status == 200
                reply = await worker.get(target, **signed(target, [client_scope(MINE)], now))
                assert reply.status == (200 if report == "clients" else 403)
                assert OTHER.encode() not in reply.body
                assert (await worker.get(target, **signed(target, ["metrics:read"], now))).status == 403

    asyncio.run(main())


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Logrouter-Hop": "1"},
        {"x-logrouter-hop": ""},
        {"X-Logrouter-Hop-Caller": "e30="},
        {"X-Logrouter-Hop-Signature": "0" * 64},
        {"X-Logrouter-Hop-Secret": SHARED},
        {"X-Logrouter-Hop-Anything": "1"},
    ],
)
@pytest.mark.parametrize("target", ["/v1/clients/client-1", "/v1/clients", "/v1/whoami", "/livez", "/metrics"])
def test_a_caller_that_sends_hop_headers_is_refused(fleet, let_in, target, headers):
    """Also one with a token of its own that would do."""
    policy, sent = let_in(boss=["admin"])

    async def main():
        async with fleet(1, access=policy, secret=SHARED) as (worker,):
            reply = await worker.get(target, **headers, **sent["boss"])
            assert (reply.status, reply.json["type"]) == (403, "urn:logrouter:problem:untrusted-hop")

    asyncio.run(main())


def test_a_hop_is_good_for_its_request_and_its_time_only(fleet, let_in, now):
    """What somebody has overheard opens nothing else, and soon nothing at all."""
    policy, _ = let_in()
    target = f"/v1/clients/{MINE}"

    async def main():
        async with fleet(1, access=policy, secret=SHARED) as (worker,):
            assert (await worker.get(target, **signed(target, ["admin"], now - 29_000))).status == 200
            for headers, method in (
                (signed(f"/v1/clients/{OTHER}", ["admin"], now), "GET"),
                (signed(target, ["admin"], now), "HEAD"),
                (signed(target, ["admin"], now - 31_000), "GET"),
                (signed(target, ["admin"], now + 31_000), "GET"),
                (signed(target, ["admin"], now, OTHER), "GET"),
            ):
                assert (await worker.get(target, method, **headers)).status == 403

    asyncio.run(main())


def test_without_a_secret_workers_do_not_ask_each_other(fleet, let_in):
    """What this worker holds it answers; the rest is a problem that says what is missing."""
    policy, sent = let_in(all=["usage:read"])

    async def main():
        async with fleet(2, access=policy) as workers:
            target = f"/v1/clients/{MINE}"
            assert (await workers.owner("c" + MINE).get(target, **sent["all"])).status == 200
            for asked in (target, "/v1/clients"):
                reply = await workers.stranger("c" + MINE).get(asked, **sent["all"])
                assert reply.status == 503
                assert "LOGROUTER_PEER_SECRET" in reply.body.decode()
            reply = await workers[0].get(target, X_Logrouter_Hop="1")
            assert reply.status == 403
            assert "LOGROUTER_PEER_SECRET" in reply.json["detail"]

    asyncio.run(main())


def test_workers_with_different_secrets_do_not_believe_each_other(fleet, let_in):
    """The caller gets a 503, as for any owner that does not answer, and no figures."""
    policy, sent = let_in(all=["usage:read"])

    async def main():
        async with fleet(2, access=policy, secret=SHARED) as workers:
            one, two = workers
            await two.stop()
            other = app.build_app(two.reader, access=policy, secret=OTHER)
            two.runner = await server.start(other, "127.0.0.1", 0)
            two.reader.url = f"http://127.0.0.1:{two.runner.addresses[0][1]}"
            one.reader.owners |= dict.fromkeys(two.reader.mine, two.reader.url)
            client = next(f"client-{n}" for n in range(20) if workers.owner(f"cclient-{n}") is two)
            reply = await one.get(f"/v1/clients/{client}", **sent["all"])
            assert (reply.status, reply.json["type"]) == (503, "urn:logrouter:problem:owner-away")

    asyncio.run(main())


def test_with_mode_open_workers_need_no_secret(fleet):
    """Where everybody may read everything a hop proves nothing and gains nothing."""

    async def main():
        async with fleet(3) as workers:
            for worker in workers:
                assert (await worker.get(f"/v1/clients/{MINE}")).status == 200
                assert (await worker.get("/v1/clients")).status == 200

    asyncio.run(main())
