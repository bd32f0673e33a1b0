"""Whose drains a caller reads and changes: every caller, every owner, every verb; and how it is let in."""

import asyncio
import logging
from random import Random

import pytest

from logrouter.access.policy import CLOSED, Policy

URL = "syslog+tls://logs.example.org:6514"
OWNERS = {
    "app=shop/prod": "/apps/shop/spaces/prod",
    "app=shop/test": "/apps/shop/spaces/test",
    "site=shop.example.org": "/sites/shop.example.org",
    "api=shop": "/apis/shop",
    "client=shop": "/clients/shop",
}
CALLERS = {
    "nobody": [],
    "usage": ["usage:read", "metrics:read"],
    "injector": ["logs:write"],
    "reader": ["drains:read"],
    "writer": ["drains:write"],
    "admin": ["admin"],
    **{f"reads_{number}": [f"drains:read:{owner}"] for number, owner in enumerate(OWNERS)},
    **{f"writes_{number}": [f"drains:write:{owner}"] for number, owner in enumerate(OWNERS)},
}
VERBS = (("GET", ""), ("GET", "/ID"), ("GET", "/ID/status"))
CHANGES = (("POST", ""), ("DELETE", "/ID"), ("POST", "/ID/test"), ("POST", "/ID/enable"))


def allowed(caller, owner):
    """Whether it may read and change drains of this owner: by the words above, not by the code."""
    number = list(OWNERS).index(owner)
    writes = caller in ("writer", "admin", f"writes_{number}")
    return writes or caller in ("reader", f"reads_{number}"), writes


@pytest.mark.parametrize("owner", OWNERS)
def test_every_caller_does_what_its_scopes_say_and_nothing_else(api, owner):
    """Ids do not help: a drain is found by its owner's path alone."""

    async def main():
        async with api(**CALLERS) as server:
            made = await server.ask("POST", f"{OWNERS[owner]}/log-drains", {"url": URL}, caller="writer")
            drain_id = made.json["id"]
            for caller in CALLERS:
                reads, writes = allowed(caller, owner)
                for verbs, may in ((VERBS, reads), (CHANGES, writes)):
                    for method, below in verbs:
                        target = f"{OWNERS[owner]}/log-drains{below.replace('ID', drain_id)}"
                        body = {"url": URL} if below == "" and method == "POST" else None
                        reply = await server.ask(method, target, body, caller=caller)
                        assert (reply.status == 200, reply.status == 403) == (may, not may), (caller, method, below)
                        if method == "DELETE" and may:
                            made = await server.ask(
                                "POST", f"{OWNERS[owner]}/log-drains", {"url": URL}, caller="writer"
                            )
                            drain_id = made.json["id"]
            for other in OWNERS.keys() - {owner}:
                for method, below in (*VERBS[1:], *CHANGES[1:]):
                    target = f"{OWNERS[other]}/log-drains{below.replace('ID', drain_id)}"
                    assert (await server.ask(method, target, caller="admin")).status == 404
            assert [drain.id for drain in server.registry.found.values()] == [drain_id]

    asyncio.run(main())


def test_a_token_may_stand_alone_in_the_header_and_the_body_under_any_type(api):
    """As logshuttle's clients, and curl, send them."""

    async def main():
        async with api(shop=["drains:write"]) as server:
            for authorization in (server.tokens["shop"], f"Bearer {server.tokens['shop']}"):
                for kind in ("application/x-www-form-urlencoded", "text/plain", "application/json"):
                    reply = await server.ask(
                        *("POST", "/apps/shop-prod/log-drains", {"url": URL}),
                        Authorization=authorization,
                        Content_Type=kind,
                    )
                    assert reply.status in (200, 201)

    asyncio.run(main())


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic c2hvcDo=", "lrt_x", "TOKEN x", "Bearer TOKEN x"]
)
def test_without_a_valid_token_nobody_is_let_in(api, header):
    """Whatever looks like one."""

    async def main():
        async with api(shop=["drains:write"]) as server:
            given = {} if header is None else {"Authorization": header.replace("TOKEN", server.tokens["shop"])}
            for method, target in (("GET", "/apps/shop-prod/log-drains"), ("POST", "/sites/example.org/log-drains")):
                reply = await server.ask(method, target, None, **given)
                assert reply.status == 401
                assert reply.headers["WWW-Authenticate"].startswith("Bearer ")
            assert server.registry.found == {}

    asyncio.run(main())


def test_without_access_configured_there_are_no_drains(api):
    """The default is to deny."""

    async def main():
        async with api(access=CLOSED, on_loopback=True) as server:
            assert (await server.ask("GET", "/apps/shop-prod/log-drains")).status == 401

    asyncio.run(main())


@pytest.mark.parametrize(
    ("on_loopback", "headers", "status"),
    [
        (True, {"Content_Type": "application/json"}, 201),
        (True, {"Content_Type": "application/json; charset=utf-8"}, 201),
        (True, {}, 415),
        (True, {"Content_Type": "text/plain"}, 415),
        (True, {"Content_Type": "application/x-www-form-urlencoded"}, 415),
        (True, {"Content_Type": "text/plain; application/json"}, 415),
        (True, {"Content_Type": "application/json", "Host": "rebound.example"}, 403),
        (True, {"Content_Type": "application/json", "X_Forwarded_For": "192.0.2.1"}, 403),
        (True, {"Content_Type": "application/json", "X_Logrouter_Hop": "1"}, 403),
        (False, {"Content_Type": "application/json"}, 403),
    ],
)
def test_where_access_is_open_only_the_machine_itself_makes_drains(api, on_loopback, headers, status):
    """A web page in a browser there can't: what it may send without asking is refused."""

    async def main():
        async with api(access=Policy(open=True, hosts=frozenset({"localhost"})), on_loopback=on_loopback) as server:
            reply = await server.ask("POST", "/apps/shop-prod/log-drains", {"url": URL}, **headers)
            assert reply.status == status
            assert len(server.registry.found) == (status == 201)
            assert not any(name.lower().startswith("access-control-") for name in reply.headers)

    asyncio.run(main())


@pytest.mark.parametrize("on_loopback", [True, False])
def test_where_access_is_open_only_the_machine_itself_sees_and_removes_drains(api, on_loopback):
    """What a browser does not send to us without asking needs no content type; no answer lets it."""

    async def main():
        async with api(access=Policy(open=True, hosts=frozenset({"localhost"})), on_loopback=on_loopback) as server:
            target = "/apps/shop-prod/log-drains"
            assert (await server.ask("GET", target)).status == (200 if on_loopback else 403)
            assert (await server.ask("DELETE", f"{target}/x")).status == (404 if on_loopback else 403)
            asked = await server.ask("OPTIONS", target, Origin="https://evil.example")
            assert asked.status == 405
            assert not any(name.lower().startswith("access-control-") for name in asked.headers)

    asyncio.run(main())


def test_no_path_makes_the_server_fail(api):
    """Any bytes, in any segment."""
    draw = Random(15)

    async def main():
        async with api(root=["admin"]) as server:
            for folder in ("apps", "sites", "apis", "clients") * 12:
                name, drain_id = (
                    "".join(f"%{byte:02x}" for byte in draw.choices([*b"./%-~*", *range(256)], k=draw.randint(1, 6)))
                    for _ in range(2)
                )
                reply = await server.ask("GET", f"/{folder}/{name}/log-drains/{drain_id}", caller="root")
                assert reply.status in (400, 404)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/apps/shop%2Dprod/log-drains", 200),
        ("/%61pps/shop-prod/log-drains", 200),
        ("/apps/shop-prod%2Flog-drains/log-drains", 400),
        ("/apps/shop%2Fspaces%2Fprod/log-drains", 400),
        ("/apps/shop-prod%00/log-drains", 400),
        ("/apps/%FF/log-drains", 400),
        ("/apps/%2E%2E/log-drains", 400),
        ("/apps/" + "a" * 254 + "/log-drains", 400),
        ("/apps/Shop-prod/log-drains", 400),
        ("/apps/shop-prod/../other-prod/log-drains", 404),
        ("/apps/other-prod/log-drains", 403),
        ("/apps/shop/spaces/test/log-drains", 403),
        ("/apps/shop-prod/log-drains/", 404),
        ("/apps//log-drains", 404),
        ("/apps/shop-prod/log-drains?x=1", 400),
    ],
)
def test_a_path_means_one_owner_however_it_is_written(api, target, status):
    """The guard and the handlers read the same name from it."""

    async def main():
        async with api(shop=["drains:write:app=shop/prod"]) as server:
            reply = await server.ask("GET", target, caller="shop")
            assert reply.status == status

    asyncio.run(main())


def test_no_secret_is_in_any_answer_or_line_of_the_log(api, caplog):
    """Planted wherever one may stand: in the URL, the keys, the token of the caller."""
    secret = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"  # noqa: S105 - planted
    wanted = {"url": f"https://{secret}:{secret}@logs.example.org/in?key={secret}", "signing_keys": [f"whsec_{secret}"]}

    async def main():
        async with api(shop=["drains:write"]) as server:
            target = "/apps/shop-prod/log-drains"
            replies = [await server.ask("POST", target, wanted, caller="shop")]
            drain_id = replies[0].json["id"]
            for method, below, body in (
                ("POST", "", wanted),
                ("POST", "", {**wanted, "url": wanted["url"] + "#x"}),
                ("POST", "", {**wanted, "signing_keys": [secret]}),
                ("POST", "", {**wanted, "ca": secret, "form": secret, "match": secret, "addon": [secret]}),
                *(("GET", below, None) for below in ("", f"/{drain_id}", f"/{drain_id}/status")),
                *(("POST", f"/{drain_id}{verb}", None) for verb in ("/test", "/enable")),
                ("DELETE", f"/{drain_id}", None),
            ):
                replies.append(await server.ask(method, target + below, body, caller="shop"))
            assert {reply.status for reply in replies} == {200, 201, 422}
            seen = b"".join(reply.body + str(reply.headers).encode() for reply in replies)
            for hidden in (secret, server.tokens["shop"]):
                assert hidden.encode() not in seen
                assert hidden not in caplog.text
                assert hidden not in str([vars(record) for record in caplog.records])

    with caplog.at_level(logging.DEBUG):
        asyncio.run(main())


def test_every_verb_is_in_the_audit_log_with_the_owner(api, caplog):
    """Who did what with whose drains, and whether it was let."""

    async def main():
        async with api(shop=["drains:write:app=shop/prod"]) as server:
            await server.ask("POST", "/apps/shop-prod/log-drains", {"url": URL}, caller="shop")
            await server.ask("GET", "/apps/shop/spaces/prod/log-drains", caller="shop")
            await server.ask("DELETE", "/sites/example.org/log-drains/x", caller="shop")

    with caplog.at_level(logging.INFO):
        asyncio.run(main())
    said = [record.fields for record in caplog.records if record.getMessage() == "audit"]
    assert [tuple(line[name] for name in ("who", "route", "subject", "status")) for line in said] == [
        ("shop", "drains_add_app", "app=shop-prod", 201),
        ("shop", "drains_list_app_pair", "app=shop/prod", 200),
        ("shop", "drains_remove_site", "site=example.org", 403),
    ]
