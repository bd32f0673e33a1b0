"""At the door: how a token is sent, how often one may ask, and what is written down about it."""

import asyncio
import logging
from dataclasses import replace

import pytest

from logrouter.access.policy import Policy
from logrouter.access.rates import Rate
from logrouter.access.scopes import Via, client_scope, make_caller
from logrouter.access.tokens import Token, Tokens, digest_of, hash_token, make_token
from logrouter.core.rollup.cells import Cell
from logrouter.http_server.answering import AUTHENTICATOR
from logrouter.telemetry.metrics import ACCESS_REFUSED

SHARED = "between us"


def events_of(caplog):
    """The fields of every audit event so far."""
    return [record.fields for record in caplog.records if record.getMessage() == "audit"]


def refused(reason):
    """How often requests were refused for that reason."""
    return ACCESS_REFUSED.labels(reason)._value.get()


@pytest.mark.parametrize(
    ("write", "status"),
    [
        (lambda token: f"Bearer {token}", 200),
        (lambda token: f"bearer {token}", 200),
        (lambda token: f"Bearer  {token}", 401),
        (lambda token: f"Token {token}", 401),
        (lambda token: token, 401),
        (lambda token: f"Bearer {token} {token}", 401),
        (lambda token: f"Bearer {token},{token}", 401),
        (lambda token: f"Bearer {token.upper()}", 401),
        (lambda token: f"Bearer {token[:-1]}", 401),
        (lambda token: f"Bearer {token * 100}", 401),
    ],
)
def test_a_token_is_sent_in_one_way(fleet, let_in, write, status):
    """The header is the standard's, and nothing near it will do."""
    policy, sent = let_in(all=["usage:read"])
    token = sent["all"]["Authorization"].split()[1]

    async def main():
        async with fleet(1, access=policy) as (worker,):
            assert (await worker.get("/v1/whoami", Authorization=write(token))).status == status

    asyncio.run(main())


@pytest.mark.parametrize("parameter", ["access_token", "token", "authorization", "Authorization"])
def test_a_token_in_the_query_is_none(fleet, let_in, parameter):
    """Queries end in logs and histories."""
    policy, sent = let_in(all=["usage:read"])
    token = sent["all"]["Authorization"].split()[1]

    async def main():
        async with fleet(1, access=policy) as (worker,):
            assert (await worker.get(f"/v1/whoami?{parameter}={token}")).status == 401
            assert (await worker.get("/v1/whoami", Cookie=f"{parameter}={token}")).status == 401

    asyncio.run(main())


def test_two_headers_are_no_choice(fleet, let_in):
    """A proxy that adds its own and a caller that sends one must not disagree about who is meant."""
    policy, sent = let_in(all=["usage:read"])
    line = f"Authorization: {sent['all']['Authorization']}\r\n".encode()

    async def main():
        async with fleet(1, access=policy) as (worker,):
            for lines, status in ((line, b"200"), (line * 2, b"401")):
                got = await worker.raw(b"GET /v1/whoami HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + lines + b"\r\n")
                assert got.split(b" ")[1] == status

    asyncio.run(main())


def test_a_token_expires_while_the_worker_runs_and_can_be_replaced(fleet):
    """Nothing has to be started anew."""
    now = [1_790_000_000_000]
    old, new = make_token(bytes(32)), make_token(b"n" * 32)
    who = make_caller("reports", Via.TOKEN, ["usage:read"])
    first = Token(who, digest_of(hash_token(old)), expires_ms=now[0] + 1000)

    async def main():
        async with fleet(1, access=Policy(tokens=(first,)), clock=lambda: now[0]) as (worker,):
            assert (await worker.get("/v1/whoami", Authorization=f"Bearer {old}")).status == 200
            now[0] += 1000
            reply = await worker.get("/v1/whoami", Authorization=f"Bearer {old}")
            assert (reply.status, reply.json["detail"]) == (401, "the token has expired")
            assert 'error="invalid_token"' in reply.headers["WWW-Authenticate"]
            assert (await worker.get("/v1/whoami", Authorization=f"Bearer {new}")).status == 401
            worker.runner.app[AUTHENTICATOR].replace_tokens(Tokens([Token(who, digest_of(hash_token(new)))]))
            assert (await worker.get("/v1/whoami", Authorization=f"Bearer {new}")).status == 200

    asyncio.run(main())


def test_a_caller_that_asks_too_often_waits_and_others_do_not(fleet, let_in):
    """Counted by caller: whichever connection or worker's route it uses."""
    policy, sent = let_in(busy=["usage:read"], calm=["usage:read"])
    policy = replace(policy, rate=Rate(0.001, 3))

    async def main():
        async with fleet(1, access=policy) as (worker,):
            targets = ["/v1/whoami", "/v1/clients", "/v1/clients/client-1", "/v1/whoami"]
            found = [await worker.get(target, **sent["busy"]) for target in targets]
            assert [reply.status for reply in found] == [200, 200, 200, 429]
            assert found[3].json["type"] == "urn:logrouter:problem:too-many-requests"
            assert 900 <= int(found[3].headers["Retry-After"]) <= 1000
            assert (await worker.get("/v1/whoami", **sent["calm"])).status == 200
            assert (await worker.get("/livez", **sent["busy"])).status == 200

    asyncio.run(main())


def test_refused_requests_of_an_address_are_bounded_and_keep_nobody_else_out(fleet, let_in):
    """A guesser gets 429; a caller with a token behind the same address does not notice."""
    policy, sent = let_in(all=["usage:read"])
    policy = replace(policy, strangers=Rate(0.001, 2))

    async def main():
        async with fleet(1, access=policy) as (worker,):
            found = [(await worker.get("/v1/clients", Authorization="Bearer x")).status for _ in range(4)]
            assert found == [401, 401, 429, 429]
            assert (await worker.get("/v1/clients", **sent["all"])).status == 200
            assert (await worker.get("/v1/clients")).status == 429
            assert (await worker.get("/readyz")).status == 200

    asyncio.run(main())


def test_what_is_refused_is_counted_by_reason(fleet, let_in):
    """An operator sees attacks and mistakes without reading logs."""
    policy, sent = let_in(mine=[client_scope("client-1")])
    reasons = ("no_token", "invalid_token", "scope", "hop")
    before = [refused(reason) for reason in reasons]

    async def main():
        async with fleet(1, access=policy) as (worker,):
            await worker.get("/v1/clients")
            await worker.get("/v1/clients", Authorization="Bearer x")
            await worker.get("/v1/apis", **sent["mine"])
            await worker.get("/v1/apis", X_Logrouter_Hop="1", **sent["mine"])

    asyncio.run(main())
    assert [refused(reason) - was for reason, was in zip(reasons, before, strict=True)] == [1, 1, 1, 1]


def test_every_question_is_written_down_with_who_what_and_how_it_ended(fleet, let_in, caplog):
    """One event for each request, on the worker that was asked, and one where the data was."""
    policy, sent = let_in(reports=["usage:read"], mine=[client_scope("client-1")])

    async def main():
        async with fleet(2, access=policy, secret=SHARED) as workers:
            await workers.stranger("cclient-1").get("/v1/clients/client-1/series?step=day", **sent["mine"])
            await workers.owner("cclient-2").get("/v1/clients/client-2", **sent["mine"])
            await workers[0].get("/v1/clients/client-2")
            await workers.owner("acore").get("/v1/apis/core", "HEAD", **sent["reports"])
            await workers[0].get("/livez", **sent["reports"])
            await workers[0].get("/nope", **sent["reports"])

    with caplog.at_level(logging.INFO, logger="logrouter"):
        asyncio.run(main())
    names = ("who", "via", "method", "route", "subject", "status")
    assert [tuple(event[name] for name in names) for event in events_of(caplog)] == [
        ("mine", "hop", "GET", "client_series", "client-1", 200),
        ("mine", "token", "GET", "client_series", "client-1", 200),
        ("mine", "token", "GET", "client", "client-2", 403),
        ("-", "-", "GET", "client", "client-2", 401),
        ("reports", "token", "HEAD", "api", "core", 200),
    ]
    assert events_of(caplog)[1]["q_step"] == "day"
    assert all(event["ms"] >= 0 for event in events_of(caplog))


def test_what_is_written_down_is_short_plain_and_without_secrets(fleet, let_in, caplog):
    """Neither tokens nor parameters that may hold names, and nothing that could forge another line."""
    policy, sent = let_in(reports=["usage:read"])
    token = sent["reports"]["Authorization"].split()[1]

    async def main():
        async with fleet(1, access=policy) as (worker,):
            await worker.get("/v1/clients/%0Aaudit%20who=root%E2%80%AE" + "x" * 400, **sent["reports"])
            await worker.get(f"/v1/clients?prefix=private&access_token={token}&window={'9' * 500}", **sent["reports"])
            await worker.get("/v1/clients/%FF", **sent["reports"])

    with caplog.at_level(logging.INFO, logger="logrouter"):
        asyncio.run(main())
    first, second, third = events_of(caplog)
    assert first["subject"].startswith(r"\naudit who=root\u202exxx")
    assert len(first["subject"]) < 200
    assert second.keys() == {"who", "via", "method", "route", "subject", "status", "ms", "q_window"}
    assert second["q_window"] == "9" * 40
    assert third["subject"] == "?"
    assert token not in caplog.text
    assert "private" not in caplog.text


@pytest.mark.parametrize(
    ("path", "subject"),
    [
        ("/v1/%63lients/client-2", "client-2"),
        ("/%761/clien%74s/client%2D2/series", "client-2"),
        ("/v1/%61pis/feed%2Fv1/%75rls", "feed/v1"),
    ],
)
def test_no_way_of_writing_the_path_keeps_the_subject_out_of_the_log(fleet, let_in, caplog, path, subject):
    """Whom the figures are about is written down as it was answered."""
    policy, sent = let_in(reports=["usage:read"])

    async def main():
        async with fleet(2, access=policy, secret=SHARED) as workers:
            assert (await workers[0].get(path, **sent["reports"])).status == 200

    with caplog.at_level(logging.INFO, logger="logrouter"):
        asyncio.run(main())
    assert {event["subject"] for event in events_of(caplog)} == {subject}


def test_who_does_not_wait_for_the_answer_is_written_down(fleet, let_in, caplog, monkeypatch):
    """With a status of its own: nothing was answered, but it was asked."""
    policy, sent = let_in(reports=["usage:read"])

    async def main():
        async with fleet(1, access=policy) as (worker,):
            begun = asyncio.Event()

            def endless(*_, **__):
                begun.set()
                while True:
                    yield "x", 0, Cell(0)

            monkeypatch.setattr(type(worker.reader), "scan", endless)
            left = asyncio.create_task(worker.get("/v1/totals", **sent["reports"]))
            await begun.wait()
            left.cancel()

    with caplog.at_level(logging.INFO, logger="logrouter"):
        asyncio.run(main())
    (event,) = events_of(caplog)
    assert (event["who"], event["route"], event["status"]) == ("reports", "totals", 499)


def test_a_flood_of_refused_requests_does_not_fill_the_log(fleet, let_in, caplog):
    """What comes too fast from an address is counted and not written down."""
    policy, _ = let_in(all=["usage:read"])
    policy = replace(policy, strangers=Rate(0.001, 5))

    async def main():
        async with fleet(1, access=policy) as (worker,):
            for _ in range(50):
                await worker.get("/v1/clients")

    with caplog.at_level(logging.INFO, logger="logrouter"):
        asyncio.run(main())
    assert [event["status"] for event in events_of(caplog)] == [401] * 5


@pytest.mark.parametrize("policy", [Policy(open=True), Policy(audit=False)])
def test_it_can_be_switched_off_and_names_nobody_where_all_are_let_in(fleet, caplog, policy):
    """Then there is no line at all."""

    async def main():
        async with fleet(1, access=policy) as (worker,):
            await worker.get("/v1/clients")

    with caplog.at_level(logging.INFO, logger="logrouter"):
        asyncio.run(main())
    assert events_of(caplog) == []


@pytest.mark.parametrize(
    "path", ["/table", "/table/usage", "/table/usage/client-1", "/router", "/graph", "/stats", "/send/x"]
)
def test_the_pages_of_the_stream_library_are_not_there(fleet, path):
    """They would show the tables to anybody."""

    async def main():
        async with fleet(1) as (worker,):
            reply = await worker.get(path)
            assert (reply.status, reply.json["type"]) == (404, "urn:logrouter:problem:unknown-path")

    asyncio.run(main())
