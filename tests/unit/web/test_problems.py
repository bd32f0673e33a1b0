"""Every error is problem+json, says what is wrong, and gives nothing away."""

import asyncio
import json
import logging
from urllib.parse import quote

import pytest

from logrouter.http_server import problems, server
from tests.conftest import HANG_SECONDS

BAD = [
    "/v1/clients/client-1?x=1",
    "/v1/clients/client-1?client_id=client-2",
    "/v1/clients/client-1/series?step=second",
    "/v1/clients/client-1/series?by=client",
    "/v1/clients/client-1/series?from=yesterday",
    "/v1/clients/client-1/series?from=2026-09-21T00:00:00",
    "/v1/clients/client-1/series?from=2026-09-21T00:00:00+02:00",
    "/v1/clients/client-1/series?from=2026-02-30T00:00:00Z",
    "/v1/clients/client-1/series?from=2030-01-01T00:00:00Z",
    "/v1/clients/client-1/series?from=2026-09-21T12:00:00Z&to=2026-09-21T11:00:00Z",
    "/v1/clients/client-1/series?from=2026-09-01T12:00:00Z&step=minute",
    "/v1/clients/client-1/series?from=1970-01-01T00:00:00Z&step=day",
    "/v1/clients/client-1/series?step=day&step=hour",
    "/v1/clients/%FF",
    "/v1/clients/%ED%A0%80",
    "/v1/clients/" + "a" * 513,
    "/v1/clients?limit=0",
    "/v1/clients?limit=1001",
    "/v1/clients?limit=-1",
    "/v1/clients?limit=1e2",
    "/v1/clients?limit=%D9%A1",
    "/v1/clients?limit=" + "9" * 5000,
    "/v1/clients?window=0h",
    "/v1/clients?window=401d",
    "/v1/clients?window=999999999999999999h",
    "/v1/clients?window=",
    "/v1/clients?sort=name",
    "/v1/clients?cursor=abc",
    "/v1/apis/core/series?by=api",
    "/livez?x=1",
    "/readyz?x=1",
    "/?x=1",
]
MISSING = [
    "/nope",
    "/v1",
    "/v1/",
    "/v1/clients/",
    "/v1/clients/a/b",
    "/v1/clients/a/series/",
    "//",
    "/v1/clients//series",
]


def check(reply, status):
    """The shape that every error has."""
    assert reply.status == status
    assert reply.headers["Content-Type"] == "application/problem+json"
    body = reply.json
    assert {"type", "title", "status", "detail", "instance"} <= body.keys()
    assert body["status"] == status
    assert body["instance"].startswith("/")
    assert len(body["instance"]) <= 200
    known = {kind.uri: kind for kind in problems.PROBLEM_TYPES}
    assert (known[body["type"]].status, known[body["type"]].title) == (status, body["title"])
    assert len(reply.body) < 4000
    assert b"Traceback" not in reply.body
    if status == 503:
        assert int(reply.headers["Retry-After"]) > 0


@pytest.mark.parametrize("target", BAD)
def test_a_bad_parameter_is_400_with_the_fault_named(fleet, target):
    """Unknown, repeated, malformed, out of bounds: each is refused with a sentence about the parameter."""

    async def main():
        async with fleet(1) as (worker,):
            reply = await worker.get(target)
            check(reply, 400)
            assert reply.json["errors"]
            assert all(error["parameter"] and error["detail"] for error in reply.json["errors"])

    asyncio.run(main())


@pytest.mark.parametrize("target", MISSING)
def test_an_unknown_path_is_404(fleet, target):
    """Also paths that look like those there are."""

    async def main():
        async with fleet(1) as (worker,):
            reply = await worker.get(target)
            check(reply, 404)
            assert reply.json["type"] == "urn:logrouter:problem:unknown-path"

    asyncio.run(main())


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"])
def test_other_methods_are_405_with_what_is_allowed(fleet, method):
    """Nothing here can be written."""

    async def main():
        async with fleet(1) as (worker,):
            for target in ("/v1/clients", "/v1/clients/client-1", "/livez", "/metrics", "/"):
                reply = await worker.get(target, method)
                check(reply, 405)
                assert reply.headers["Allow"] == "GET, HEAD"

    asyncio.run(main())


def test_all_faults_of_a_request_are_listed_at_once(fleet):
    """Nobody has to mend a query one error at a time."""

    async def main():
        async with fleet(1) as (worker,):
            reply = await worker.get("/v1/clients?limit=x&sort=x&window=x&x=x")
            check(reply, 400)
            assert [error["parameter"] for error in reply.json["errors"]] == ["limit", "sort", "window", "'x'"]
            reply = await worker.get("/v1/clients?" + "&".join(f"p{n}=" for n in range(600)))
            check(reply, 400)
            assert len(reply.json["errors"]) == 20

    asyncio.run(main())


def test_a_plus_that_was_not_encoded_is_explained(fleet):
    """The usual mistake with offsets in query strings gets a hint."""

    async def main():
        async with fleet(1) as (worker,):
            reply = await worker.get("/v1/clients/client-1/series?from=2026-09-21T00:00:00+02:00")
            assert "%2B" in reply.json["detail"]
            assert (await worker.get("/v1/clients/client-1/series?from=2026-09-21T00:00:00%2B02:00")).status == 200

    asyncio.run(main())


def test_what_a_caller_sends_is_shown_cut_short_and_without_control_characters(fleet):
    """An error page is no mirror for somebody else's text."""

    async def main():
        async with fleet(1) as (worker,):
            reply = await worker.get("/v1/clients?sort=" + quote("<script>\r\n\x1b[31m" + "A" * 500))
            check(reply, 400)
            assert b"A" * 50 not in reply.body
            assert "\x1b" not in reply.json["detail"]
            reply = await worker.get("/v1/clients/" + quote("ü" * 400))
            check(reply, 404)

    asyncio.run(main())


def test_an_unexpected_error_is_500_with_an_id_that_is_in_the_log(fleet, caplog, monkeypatch):
    """The caller learns nothing but the id under which the operator finds the traceback."""

    async def main():
        async with fleet(1) as (worker,):

            def broken(*_):
                raise KeyError("secret detail")

            monkeypatch.setattr(type(worker.reader), "moment", broken)
            monkeypatch.setattr(type(worker.reader), "partitions", broken)
            reply = await worker.get("/v1/clients")
            check(reply, 500)
            assert b"secret detail" not in reply.body
            (record,) = [r for r in caplog.records if r.getMessage() == "query_failed"]
            assert record.fields["incident"] == reply.json["id"]
            assert record.exc_info

    with caplog.at_level(logging.ERROR, logger="logrouter"):
        asyncio.run(main())


def test_head_is_get_without_the_body(fleet):
    """Also for errors and for answers that another worker gives."""

    async def main():
        async with fleet(2) as workers:
            for worker in workers:
                for target in ("/v1/clients/client-1", "/v1/clients/nobody", "/v1/clients", "/livez", "/nope"):
                    get, head = await worker.get(target), await worker.get(target, "HEAD")
                    assert (head.status, head.body) == (get.status, b"")
                    assert head.headers["Content-Length"] == get.headers["Content-Length"]

    asyncio.run(main())


def test_every_answer_has_the_security_headers(fleet):
    """Good answers, errors, metrics and the page alike."""

    async def main():
        async with fleet(2) as workers:
            for target in (
                "/reference",
                "/livez",
                "/metrics",
                "/v1/clients",
                "/v1/clients/client-1",
                "/nope",
                "/v1/clients?x",
            ):
                headers = (await workers[0].get(target)).headers
                assert headers["Cache-Control"] == "no-store"
                assert headers["X-Content-Type-Options"] == "nosniff"
                assert headers["Content-Security-Policy"].startswith("default-src 'none';")
                assert headers["Server"] == "logrouter"

    asyncio.run(main())


def test_an_unknown_expectation_does_not_escape_the_rules(fleet):
    """Bodies are never read, so expectations about them are without effect."""

    async def main():
        async with fleet(1) as (worker,):
            assert (await worker.get("/livez", Expect="something")).status == 200
            check(await worker.get("/nope", Expect="100-continue"), 404)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("target", "status"),
    [(b"/v1/clients/..", 200), (b"/v1/clients/../../etc/passwd", 404), (b"/v1/clients/%2e%2e", 200)],
)
def test_dots_in_a_path_are_a_name_and_lead_nowhere(fleet, target, status):
    """A client may be called "..": the path is not normalised."""

    async def main():
        async with fleet(1) as (worker,):
            got = await worker.raw(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert got.startswith(b"HTTP/1.1 %d " % status)

    asyncio.run(main())


@pytest.mark.parametrize(
    "request_line", [b"GARBAGE", b"GET /" + b"a" * 9000 + b" HTTP/1.1", b"GET * HTTP/1.1", b"BREW / HTTP/1.1"]
)
def test_what_is_not_http_is_refused_without_harm(fleet, request_line, caplog):
    """The HTTP library answers these itself, in plain text; the worker goes on and its log stays as it is."""

    async def main():
        async with fleet(1) as (worker,):
            got = await worker.raw(request_line + b"\r\nConnection: close\r\n\r\n")
            assert got.split(b" ")[1].startswith((b"4", b"5"))
            assert (await worker.get("/livez")).status == 200
            assert not caplog.records

    asyncio.run(main())


@pytest.mark.parametrize(
    "begun", [b"", b"GET /livez HTTP/1.1\r\nHost: x\r\n", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET"]
)
def test_a_connection_without_a_whole_request_is_closed(fleet, monkeypatch, begun):
    """Strangers can't hold what a process may have open: no token is asked for before there is a request."""
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.2)

    async def main():
        async with fleet(1) as (worker,), asyncio.timeout(HANG_SECONDS):
            await worker.raw(begun)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("sent", "instance"),
    [
        ("/nope/%C3%BC", "/nope/%C3%BC"),
        ('/nope/<a>"{}|^`', "/nope/%3Ca%3E%22%7B%7D%7C%5E%60"),
        ("/" + "x" * 198 + "%C3%BC", "/" + "x" * 198),
        ("/" + "x" * 197 + "%C3%BC", "/" + "x" * 197),
        ("/" + "x" * 196 + "%C3%BC", "/" + "x" * 196 + "%C3"),
    ],
)
def test_the_instance_of_a_problem_is_a_uri(fleet, sent, instance):
    """What a path may not hold is escaped, and no escape is cut in two."""

    async def main():
        async with fleet(1) as (worker,):
            got = await worker.raw(f"GET {sent} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            assert json.loads(got.partition(b"\r\n\r\n")[2])["instance"] == instance

    asyncio.run(main())
