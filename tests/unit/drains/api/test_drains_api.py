"""Making, looking at and removing drains over HTTP: every status, in the words of logshuttle's clients."""

import asyncio
import re
import zlib

import pytest

from logrouter.core.drains.owner import Owner, OwnerKind
from logrouter.core.drains.registration import DrainState
from logrouter.core.drains.wanted import WantedFault
from logrouter.core.formats.families.app_space import AppSpace
from logrouter.drains.api.bodies import read_json
from logrouter.http_server.problems import HttpProblem
from tests.conftest import HANG_SECONDS

URL = "syslog+tls://logs.example.org:6514"
FIRST = "00000000-0000-4000-8000-000000000000"
DRAINS = "/apps/shop-prod/log-drains"
PROBLEM = "urn:logrouter:problem:"


def test_a_drain_is_made_found_and_removed(api):
    """As logshuttle's clients do it: the same fields, 201 and 200."""

    async def main():
        async with api(shop=["drains:write:app=shop/prod"]) as server:
            made = await server.ask("POST", DRAINS, {"url": URL, "addon": {"id": "a1", "name": "logs"}}, caller="shop")
            shown = {name: made.json[name] for name in ("addon", "created_at", "id", "token", "updated_at", "url")}
            assert (made.status, made.headers["Location"]) == (201, f"{DRAINS}/{FIRST}")
            assert shown == {
                "addon": {"id": "a1", "name": "logs"},
                "created_at": "2026-09-21T14:13:20.000Z",
                "id": FIRST,
                "token": "d.0",
                "updated_at": "2026-09-21T14:13:20.000Z",
                "url": URL,
            }
            listed = await server.ask("GET", DRAINS, caller="shop")
            assert (listed.status, listed.json) == (200, [made.json])
            assert (await server.ask("GET", f"{DRAINS}/{FIRST}", caller="shop")).json == made.json
            again = await server.ask("POST", DRAINS, {"url": URL}, caller="shop")
            assert (again.status, again.json) == (200, made.json)
            gone = await server.ask("DELETE", f"{DRAINS}/{FIRST}", caller="shop")
            assert (gone.status, gone.json) == (200, made.json)
            assert (await server.ask("GET", DRAINS, caller="shop")).json == []

    asyncio.run(main())


def test_what_is_kept_says_whose_it_is_and_who_asked(api):
    """The name of the path is pinned to the pair of the caller's scope."""

    async def main():
        async with api(shop=["drains:write:app=shop/prod"]) as server:
            await server.ask("POST", DRAINS, {"url": URL, "challenge": False, "sample": 0.5}, caller="shop")
            (kept,) = server.registry.found.values()
            assert kept.owner == Owner(OwnerKind.APP, "shop-prod", AppSpace("shop", "prod"))
            assert (kept.created_by, kept.url, kept.sample, kept.state) == ("shop", URL, 0.5, DrainState.ACTIVE)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        (b"", 400, "no-json"),
        (b"url=syslog%3A%2F%2Fx", 400, "no-json"),
        (b'{"url": "\xff"}', 400, "no-json"),
        (b"[" * 60_000, 400, "no-json"),
        (b"[]", 422, "unusable-drain"),
        (b'{"url": "ftp://logs.example.org"}', 422, "unusable-drain"),
        (b'{"url": "https://logs.example.org", "more": 1}', 422, "unusable-drain"),
        (b"{}", 422, "unusable-drain"),
        (b" " * 65_537, 413, "large-body"),
        (b" " * 65_536, 400, "no-json"),
    ],
)
def test_a_body_that_is_no_drain(api, body, status, slug):
    """Each kind of trouble has a status of its own, and nothing is kept."""

    async def main():
        async with api(shop=["drains:write"]) as server:
            reply = await server.ask("POST", DRAINS, body, caller="shop")
            assert (reply.status, reply.json["type"]) == (status, PROBLEM + slug)
            assert server.registry.found == {}

    asyncio.run(main())


def test_every_field_at_fault_has_its_pointer(api):
    """All at once; what the guard of targets says is said alike."""

    async def main():
        async with api(shop=["drains:write"]) as server:
            reply = await server.ask("POST", DRAINS, {"url": "x", "sample": 2, "a/b": 1}, caller="shop")
            assert [fault["pointer"] for fault in reply.json["errors"]] == ["/a~1b", "/url", "/sample"]
            server.faults.append(WantedFault("/url", "leads to an address that may not be used"))
            reply = await server.ask("POST", DRAINS, {"url": URL}, caller="shop")
            assert (reply.status, reply.json["errors"]) == (422, [server.faults[0]._asdict()])
            assert server.registry.found == {}

    asyncio.run(main())


def test_an_owner_has_a_bounded_number_of_drains(api, limit):
    """The next one is 429; the same URL again is not one more."""

    async def main():
        async with api(shop=["drains:write"]) as server:
            for number in range(limit):
                assert (await server.ask("POST", DRAINS, {"url": f"{URL[:-1]}{number}"}, caller="shop")).status == 201
            reply = await server.ask("POST", DRAINS, {"url": URL[:-1] + "9"}, caller="shop")
            assert (reply.status, reply.json["type"]) == (429, PROBLEM + "too-many-drains")
            assert (await server.ask("POST", DRAINS, {"url": URL[:-1] + "0"}, caller="shop")).status == 200

    asyncio.run(main())


def test_while_the_cluster_is_away_changes_are_503_and_looking_is_not(api):
    """With a time to ask again."""

    async def main():
        async with api(shop=["drains:write"]) as server:
            await server.ask("POST", DRAINS, {"url": URL}, caller="shop")
            server.registry.away = True
            for method, target, body in (
                ("POST", DRAINS, {"url": URL[:-1] + "5"}),
                ("DELETE", f"{DRAINS}/{FIRST}", None),
                ("POST", f"{DRAINS}/{FIRST}/enable", None),
            ):
                reply = await server.ask(method, target, body, caller="shop")
                assert (reply.status, reply.json["type"]) == (503, PROBLEM + "registry-away")
                assert int(reply.headers["Retry-After"]) > 0
            assert (await server.ask("GET", f"{DRAINS}/{FIRST}", caller="shop")).status == 200

    asyncio.run(main())


def test_a_process_that_does_not_know_all_drains_says_so(api):
    """An empty list would be a lie; so would health."""

    async def main():
        async with api(shop=["drains:write"]) as server:
            assert (await server.ask("GET", "/octhc")).body == b"overall_status=good"
            assert (await server.ask("GET", "/readyz")).status == 200
            server.waits_for.append("logrouter.drains is being read")
            listed = await server.ask("GET", DRAINS, caller="shop")
            assert (listed.status, listed.json["detail"]) == (503, "logrouter.drains is being read")
            assert (await server.ask("GET", "/readyz")).status == 503
            health = await server.ask("GET", "/octhc")
            assert (health.status, health.body) == (503, b"overall_status=bad")
            assert (await server.ask("GET", "/livez")).status == 200

    asyncio.run(main())


def test_status_test_and_enable(api):
    """What the process knows of a drain, and what may be asked of it."""

    async def main():
        async with api(shop=["drains:write"]) as server:
            await server.ask("POST", DRAINS, {"url": URL}, caller="shop")
            (kept,) = server.registry.found.values()
            await server.registry.change(kept.id, lambda old: old.__class__(**{**_members(old), **DISABLED}))
            status = await server.ask("GET", f"{DRAINS}/{FIRST}/status", caller="shop")
            assert status.json == {"id": FIRST, "state": "disabled", "delivered": 7}
            tested = await server.ask("POST", f"{DRAINS}/{FIRST}/test", caller="shop")
            assert (tested.status, tested.json) == (200, {"id": FIRST, "delivered": True})
            enabled = await server.ask("POST", f"{DRAINS}/{FIRST}/enable", caller="shop")
            assert (enabled.json["state"], enabled.json["reason"]) == ("active", "")

    asyncio.run(main())


DISABLED = {"state": DrainState.DISABLED, "reason": "gone"}


def _members(drain):
    return {name: getattr(drain, name) for name in drain.__struct_fields__}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_what_is_not_there(api, method):
    """Unknown paths, ids and methods are problems as well."""

    async def main():
        async with api(shop=["drains:write"]) as server:
            for target in (f"{DRAINS}/{FIRST}", f"{DRAINS}/..", f"{DRAINS}/%2F", f"{DRAINS}/{'x' * 3000}", "/apps/x"):
                reply = await server.ask(method, target, caller="shop")
                assert reply.status in (404, 405)
                assert reply.headers["Content-Type"] == "application/problem+json"

    asyncio.run(main())


def test_a_name_that_means_two_apps_is_409_until_a_path_tells_them_apart(api):
    """The answer has both paths; a caller who may name one of them only is not asked."""

    async def main():
        async with api(all=["drains:write"], mine=["drains:write:app=my/shop-prod"]) as server:
            server.registry.pairs = [AppSpace("my-shop", "prod"), AppSpace("my", "shop-prod")]
            target = "/apps/my-shop-prod/log-drains"
            for method, body in (("GET", None), ("POST", {"url": URL})):
                reply = await server.ask(method, target, body, caller="all")
                assert (reply.status, reply.json["type"]) == (409, PROBLEM + "ambiguous-name")
                paths = "/apps/my/spaces/shop-prod/log-drains or /apps/my-shop/spaces/prod/log-drains"
                assert paths in reply.json["detail"]
            assert (await server.ask("POST", target, {"url": URL}, caller="mine")).status == 201
            (kept,) = server.registry.found.values()
            assert kept.owner.pair == ("my", "shop-prod")
            told = [
                len((await server.ask("GET", f"/apps/{app}/spaces/{space}/log-drains", caller="all")).json)
                for app, space in (("my", "shop-prod"), ("my-shop", "prod"))
            ]
            assert told == [1, 0]

    asyncio.run(main())


def test_a_slow_body_is_waited_for_no_longer_than_said():
    """A client that promises more than it sends holds nothing for long."""

    class SilentRequest:
        content_length = None

        class content:  # noqa: N801 - as the library has it
            @staticmethod
            async def readany():
                await asyncio.Event().wait()

    async def main():
        with pytest.raises(HttpProblem) as caught:
            await read_json(SilentRequest, seconds=0)
        assert caught.value.kind.status == 408

    asyncio.run(main())


def test_a_body_that_grows_when_it_is_unpacked_is_refused(api):
    """Bounds count what is there once it is unpacked."""

    async def main():
        async with api(shop=["drains:write"]) as server:
            packed = zlib.compress(b" " * 10_000_000)
            reply = await server.ask("POST", DRAINS, packed, caller="shop", Content_Encoding="deflate")
            assert (len(packed) < 65_536, reply.status) == (True, 413)

    asyncio.run(main())


def test_a_change_is_made_to_its_end_when_the_client_goes_away(api):
    """Half a transaction would leave others to find out what it was."""

    async def main():
        async with api(shop=["drains:write"]) as server:
            server.registry.goes_on.clear()
            asking = asyncio.ensure_future(server.ask("POST", DRAINS, {"url": URL}, caller="shop"))
            await server.registry.asked.wait()
            asking.cancel()
            await asyncio.wait([asking])
            await server.handlers_end()
            server.registry.goes_on.set()
            await server.registry.kept.wait()
            assert [drain.url for drain in server.registry.found.values()] == [URL]

    asyncio.run(asyncio.wait_for(main(), HANG_SECONDS))


def test_the_openapi_document_has_every_route(api):
    """And each route of it is served."""

    async def main():
        async with api(shop=["drains:write"]) as server:
            described = (await server.ask("GET", "/openapi.json")).json["paths"]
            routes = {
                (re.sub(r"\{(\w+):[^}]*\}", r"{\1}", route.resource.canonical), route.method.lower())
                for route in server.runner.app.router.routes()
                if route.method != "HEAD" and route.name.startswith("drains_")
            }
            assert {(path, method) for path, methods in described.items() for method in methods} == routes

    asyncio.run(main())
