"""Nobody sees anything unless somebody said so."""

import asyncio

import pytest
from aiohttp import web

from logrouter.access.policy import CLOSED, Policy
from logrouter.http_server import server
from logrouter.web import app

OPEN_PATHS = ["/", "/reference", "/livez", "/readyz"]
CLOSED_PATHS = ["/v1/whoami", "/v1/clients", "/v1/clients/-", "/v1/clients/nobody/series", "/v1/apis/core", "/metrics"]


@pytest.mark.parametrize("target", CLOSED_PATHS)
def test_without_access_configured_every_figure_is_401_and_says_what_to_configure(fleet, target):
    """The default is to deny, and the operator reads in the answer what to do."""

    async def main():
        async with fleet(1, access=CLOSED) as (worker,):
            reply = await worker.get(target)
            assert reply.status == 401
            assert reply.json["type"] == "urn:logrouter:problem:not-authenticated"
            assert "`access: {mode: open}`" in reply.json["detail"]
            assert reply.headers["WWW-Authenticate"].startswith("Bearer ")
            assert (await worker.get(target, "HEAD")).status == 401

    asyncio.run(main())


@pytest.mark.parametrize("target", OPEN_PATHS)
def test_probes_and_the_page_are_open(fleet, target):
    """They show nobody's figures, and probes have no tokens."""

    async def main():
        async with fleet(1, access=CLOSED) as (worker,):
            assert (await worker.get(target)).status == 200

    asyncio.run(main())


def test_metrics_may_be_open_while_figures_are_not(fleet):
    """A scraper without a token is a choice of its own."""

    async def main():
        async with fleet(1, access=Policy(metrics_open=True)) as (worker,):
            assert (await worker.get("/metrics")).status == 200
            assert (await worker.get("/v1/clients")).status == 401

    asyncio.run(main())


def test_with_mode_open_anyone_reads_usage_and_nobody_is_an_admin(fleet):
    """Who asks is told as whom."""

    async def main():
        async with fleet(1) as (worker,):
            reply = await worker.get("/v1/whoami")
            assert reply.json == {"name": "anyone", "scopes": ["metrics:read", "usage:read"], "open": True}

    asyncio.run(main())


def test_a_route_that_does_not_say_what_it_needs_is_refused(fleet):
    """A new route can't be open by mistake: not even where everything else is."""

    async def main():
        async with fleet(1) as (worker,):
            built = app.build_app(worker.reader, access=Policy(open=True))

            async def leak(_):
                return web.Response(text="figures")

            built.router.add_get("/v1/new", leak, name="new")
            built.router.add_get("/v1/nameless", leak)
            runner = await server.start(built, "127.0.0.1", 0)
            worker.reader.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            for target in ("/v1/new", "/v1/nameless"):
                reply = await worker.get(target)
                assert (reply.status, reply.json["type"]) == (403, "urn:logrouter:problem:not-allowed")
            await runner.cleanup()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(("localhost", 200), ("LOCALHOST:6066", 200), ("127.0.0.1", 200), ("127.0.0.1:80", 200), ("[::1]:6066", 200)),
        *(("192.0.2.7:6066", 200), ("usage.example.org", 200)),
        *(("attacker.example", 403), ("attacker.example:6066", 403), ("localhost.attacker.example", 403), ("", 403)),
        *(("127.0.0.1.attacker.example", 403), ("localhost@attacker.example", 403), ("[::1].attacker.example", 403)),
    ],
)
def test_a_web_page_does_not_read_usage_by_way_of_a_browser_on_the_machine(fleet, host, status):
    """A name that is pointed to loopback is not ours; addresses and names that were configured are."""
    policy = Policy(open=True, metrics_open=True, hosts=frozenset({"localhost", "usage.example.org"}))

    async def main():
        async with fleet(1, access=policy) as (worker,):
            for headers in ({}, {"X_Logrouter_Hop": "1"}):
                reply = await worker.get("/v1/clients/client-1", Host=host, **headers)
                assert reply.status == status
            assert (await worker.get("/metrics", Host=host)).status == status
            assert (await worker.get("/livez", Host=host)).status == 200

    asyncio.run(main())
