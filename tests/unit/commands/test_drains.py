"""`logrouter drains`: what it asks of the API, what it prints, and what its exit codes say."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from click.testing import CliRunner

from logrouter.cli import cli
from logrouter.core.drains.owner import Owner, OwnerKind
from logrouter.core.formats.families.app_space import AppSpace
from logrouter.drains.api.contract import DrainRegistry
from tests.drains_api import MemoryRegistry, serve_api

URL = "syslog+tls://logs.example.org:6514"
FIRST = "00000000-0000-4000-8000-000000000000"


async def drains(server, *arguments, caller="shop", code=0, given=None):
    """Standard output and error of `logrouter drains`, which asks *server*."""
    env = {"LOGROUTER_TOKEN": server.tokens.get(caller), "LOGROUTER_URL": f"http://127.0.0.1:{server.port}"}
    done = await asyncio.to_thread(CliRunner().invoke, cli, ["drains", *arguments], env=env, input=given)
    assert done.exit_code == code, done.output
    return done.stdout, done.stderr


def test_a_drain_is_made_listed_tested_and_removed():
    """For people and for scripts."""

    async def main():
        async with serve_api(shop=["drains:write:app=shop/prod"]) as server:
            assert (await drains(server, "list", "app=shop/prod"))[0] == "no drains\n"
            made = orjson.loads((await drains(server, "add", "app=shop/prod", URL, "--sample", "0.5", "--json"))[0])
            assert (made["id"], made["url"], made["sample"]) == (FIRST, URL, 0.5)
            words = (await drains(server, "list", "app=shop-prod"))[0].split()
            assert words == ["id", "url", "form", "state", FIRST, URL, "syslog", "active"]
            listed = orjson.loads((await drains(server, "list", "app=shop/prod", "--json"))[0])
            assert listed == [made]
            assert (await drains(server, "test", "app=shop/prod", FIRST))[0] == "the receiver has the line\n"
            assert FIRST in (await drains(server, "rm", "app=shop/prod", FIRST))[0]
            assert server.registry.found == {}

    asyncio.run(main())


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        ("app=my-shop/prod", Owner(OwnerKind.APP, "my-shop-prod", AppSpace("my-shop", "prod"))),
        ("app=shop", Owner(OwnerKind.APP, "shop", AppSpace("shop", "default"))),
        ("site=Shop.example.org", Owner(OwnerKind.SITE, "shop.example.org")),
        ("api=pay/v1 é", Owner(OwnerKind.API, "pay/v1 é")),
        ("client=..", Owner(OwnerKind.CLIENT, "..")),
    ],
)
def test_the_owner_arrives_as_it_is_written(owner, expected):
    """Whatever is in its name."""

    async def main():
        async with serve_api(shop=["drains:write"]) as server:
            await drains(server, "add", owner, "-", given="https://u:planted@logs.example.org/in\n")
            (kept,) = server.registry.found.values()
            assert (kept.owner, kept.url) == (expected, "https://u:planted@logs.example.org/in")
            assert "planted" not in (await drains(server, "list", owner))[0]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("arguments", "caller", "code", "words"),
    [
        (("list", "shop/prod"), "shop", 2, "app=APP/SPACE"),
        (("list", "app=/prod"), "shop", 2, "app=shop/prod"),
        (("list", "app=shop/prod"), "nobody", 1, "send a token"),
        (("list", "app=other/prod"), "shop", 1, "no scope of the caller"),
        (("add", "app=shop/prod", "ftp://planted@logs.example.org"), "shop", 2, "/url must be a URL"),
        (("add", "app=shop/prod", URL, "--form", "ndjson"), "shop", 2, "/form does not go with"),
        (("rm", "app=shop/prod", "nothing-such"), "shop", 2, "no such drain"),
        (("test", "app=shop/prod", "nothing-such"), "shop", 2, "no such drain"),
    ],
)
def test_what_went_wrong_is_one_line(arguments, caller, code, words):
    """With 2 if another try would end the same way."""

    async def main():
        async with serve_api(shop=["drains:write:app=shop/prod"]) as server:
            said = (await drains(server, *arguments, caller=caller, code=code))[1]
            assert words in " ".join(said.split())
            assert "planted" not in said
            assert "Traceback" not in said

    asyncio.run(main())


def test_nobody_there_and_another_server_there():
    """A server that is no drains API is told from none."""

    async def main():
        async with serve_api(shop=["drains:write"]) as server:
            url = f"http://127.0.0.1:{server.port}"
            said = (await drains(server, "list", "api=a", "--url", f"{url}/?x=1", code=2))[1]
            assert "no URL" in said
            wrong = (await drains(server, "list", "api=a", "--url", f"{url}/elsewhere", code=2))[1]
            assert "nothing at this path" in wrong
            port = server.port
            await server.runner.cleanup()
            away = await asyncio.to_thread(
                CliRunner().invoke, cli, ["drains", "list", "api=a", "--url", f"http://127.0.0.1:{port}"]
            )
            assert (away.exit_code, "does not answer" in away.stderr) == (1, True)

    asyncio.run(main())


def test_the_registry_in_memory_is_one():
    """What the tests run on has all that the contract names."""
    wanted = {name for name in vars(DrainRegistry) if not name.startswith("_")}

    assert {name for name in wanted if not callable(getattr(MemoryRegistry, name, None))} == set()
