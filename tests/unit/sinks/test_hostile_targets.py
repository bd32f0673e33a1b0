"""Targets that behave badly, on real sockets: each ends in bounded time and memory, and costs no event."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from logrouter import config
from logrouter.deliver.targets import open_sink
from logrouter.model import RawRecord
from logrouter.sinks import http_client
from logrouter.sinks.contract import DELIVERED, NoAnswer, Trouble
from logrouter.sinks.delivery import Delivery
from logrouter.sinks.http_client import HttpBounds, HttpClient
from logrouter.sinks.http_messages import HttpAnswer, HttpRequest
from logrouter.sinks.http_sink import HttpSink
from logrouter.sinks.pacing import PaceLimits
from logrouter.sinks.webhook.protocol import WebhookBody, WebhookProtocol

from .hostile import OK, PIECE, answer_well, hostile_target

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .hostile import Behaviour, Conversation

HURRIED = HttpBounds(timeout_seconds=2, max_answer_bytes=100_000)
PATIENT = HttpBounds(timeout_seconds=60, max_answer_bytes=100_000)
"""For behaviours that must end by themselves."""
HEAD = b"HTTP/1.1 200 OK\r\n"
SECRET_URL = b"""
version: 1
sources: {logs: {topics: [logs], envelope: rsyslog}}
routes: [{name: a, from: logs, format: envoy, to: out}]
sinks: {hook: {type: webhook, from: out, url: "${HOOK_URL}"}}
"""
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def say(data: bytes, then: str = "close") -> Behaviour:
    """Some bytes, and then the connection is closed, reset, kept, or nothing happens."""

    async def behave(conversation: Conversation) -> None:
        await conversation.send(data)
        if then == "hang":
            await conversation.hang()
        elif then != "keep":
            getattr(conversation, then)()

    return behave


def repeat(first: bytes, again: bytes, pause: float | None = None) -> Behaviour:
    """Some bytes, and then others without end."""

    async def behave(conversation: Conversation) -> None:
        await conversation.send(first)
        await conversation.repeat(again, pause)

    return behave


def run(test: Callable[[], Awaitable[None]]) -> None:
    """A test in an event loop; what hangs fails."""
    asyncio.run(asyncio.wait_for(test(), 60))


async def send_twice(behaviour: Behaviour, bounds: HttpBounds) -> tuple[object, int]:
    """The answer of a target that behaves like this, and how many bytes it has sent; then it answers well."""
    client = HttpClient(bounds)
    async with hostile_target(behaviour) as target:
        answer = await client.send(HttpRequest(target.url, b"[]", {}))
        sent = target.sent
        client._bounds = PATIENT
        after = await client.send(HttpRequest(target.url, b"[]", {}))
        await client.close()
    assert after == HttpAnswer(200, {"content-length": "2"}, b"ok")
    return answer, sent


HANGING: dict[str, Behaviour] = {
    "nothing": say(b"", "hang"),
    "half a status line": say(b"HTTP/1.1 2", "hang"),
    "half of the headers": say(HEAD + b"Content-Le", "hang"),
    "headers, no body": say(HEAD + b"Content-Length: 5\r\n\r\n", "hang"),
    "half of a body": say(HEAD + b"Content-Length: 5\r\n\r\nab", "hang"),
    "half of a chunk": say(CHUNKED + b"5\r\nab", "hang"),
    "no last chunk": say(CHUNKED + b"2\r\nab\r\n", "hang"),
    "100 and nothing more": say(b"HTTP/1.1 100 Continue\r\n\r\n", "hang"),
    "headers byte by byte": repeat(HEAD, b"a", 0.02),
    "a body byte by byte": repeat(HEAD + b"Content-Length: 1000000\r\n\r\n", b"a", 0.02),
    "chunks byte by byte": repeat(CHUNKED, b"1\r\na\r\n", 0.02),
    "informational answers without end": repeat(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100),
    "an extension of a chunk without end": repeat(CHUNKED + b"1;", PIECE),
    "199": say(b"HTTP/1.1 199 Odd\r\nContent-Length: 0\r\n\r\n", "hang"),
    "a body without an end of its own": say(HEAD + b"\r\nab", "hang"),
}


def test_targets_that_do_not_come_to_an_end_are_left():
    """When the time for one request is over, whatever it is that comes or does not come; here all at a time."""

    async def test() -> None:
        tracemalloc.start()
        ends = await asyncio.gather(*(send_twice(behaviour, HURRIED) for behaviour in HANGING.values()))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        answers = dict(zip(HANGING, [answer for answer, _ in ends], strict=True))
        assert answers == dict.fromkeys(HANGING, NoAnswer(Trouble.TIMEOUT, "no answer within 2 s"))
        assert peak < 64 << 20

    run(test)


def test_an_address_that_takes_no_connection_is_not_said_to_owe_an_answer(monkeypatch):
    """A firewall drops what comes; here it is a queue of connections that is full."""
    monkeypatch.setattr(http_client, "_CONNECT_SECONDS", 0.1)

    async def test() -> None:
        with socket.socket() as full, contextlib.ExitStack() as stack:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for _ in range(3):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
            client = HttpClient(PATIENT)
            answer = await client.send(HttpRequest(f"http://127.0.0.1:{full.getsockname()[1]}/", b"[]", {}))
            await client.close()
            assert answer == NoAnswer(Trouble.CONNECT, "no connection within 0.1 s")

    run(test)


BROKEN: dict[str, tuple[Behaviour, Trouble]] = {
    "closed at once": (say(b""), Trouble.BROKEN),
    "reset at once": (say(b"", "reset"), Trouble.BROKEN),
    "closed in the status line": (say(b"HTTP/1.1 2"), Trouble.BROKEN),
    "closed in the headers": (say(HEAD + b"Content-"), Trouble.BROKEN),
    "reset behind the headers": (say(HEAD + b"Content-Length: 5\r\n\r\n", "reset"), Trouble.BROKEN),
    "closed in the body": (say(HEAD + b"Content-Length: 5\r\n\r\nab"), Trouble.BROKEN),
    "closed in a chunk": (say(CHUNKED + b"5\r\nab"), Trouble.BROKEN),
    "closed before the last chunk": (say(CHUNKED + b"2\r\nab\r\n"), Trouble.BROKEN),
    "no HTTP": (say(b"220 mail.test ESMTP ready\r\n"), Trouble.NONSENSE),
    "HTTP/0.9": (say(b"<html>hello</html>"), Trouble.NONSENSE),
    "TLS": (say(b"\x15\x03\x01\x00\x02\x02\x46"), Trouble.NONSENSE),
    "zeros": (say(bytes(100_000)), Trouble.NONSENSE),
    "no status": (say(b"HTTP/1.1 OK\r\n\r\n"), Trouble.NONSENSE),
    "two lengths": (say(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc"), Trouble.NONSENSE),
    "a length that is none": (say(HEAD + b"Content-Length: -2\r\n\r\nab"), Trouble.NONSENSE),
    "a length beyond all": (say(HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n"), Trouble.NONSENSE),
    "a length and chunks": (
        say(HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        Trouble.NONSENSE,
    ),
    "a chunk without a length": (say(CHUNKED + b"zz\r\nab\r\n"), Trouble.NONSENSE),
    "a header without a name": (say(HEAD + b": x\r\n\r\n"), Trouble.NONSENSE),
    "a zero in a header": (say(HEAD + b"a: b\0c\r\n\r\n"), Trouble.NONSENSE),
    "a huge status line": (repeat(b"HTTP/1.1 200 ", PIECE), Trouble.NONSENSE),
    "a huge header": (repeat(HEAD + b"a: ", PIECE), Trouble.NONSENSE),
    "a huge name of a header": (repeat(HEAD, PIECE), Trouble.NONSENSE),
    "headers without end": (repeat(HEAD, b"a: b\r\n" * 1000), Trouble.NONSENSE),
    "trailers without end": (repeat(CHUNKED + b"0\r\n", b"a: b\r\n" * 1000), Trouble.NONSENSE),
    "gigabytes with their length": (repeat(HEAD + b"Content-Length: 5000000000\r\n\r\n", PIECE), Trouble.NONSENSE),
    "gigabytes in chunks": (repeat(CHUNKED, b"10000\r\n" + PIECE + b"\r\n"), Trouble.NONSENSE),
    "gigabytes until the end": (repeat(HEAD + b"\r\n", PIECE), Trouble.NONSENSE),
    "a compressed body": (
        say(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 1000\r\n\r\n" + gzip.compress(bytes(10**7))[:1000]),
        Trouble.NONSENSE,
    ),
}


@pytest.mark.parametrize(("behaviour", "trouble"), BROKEN.values(), ids=BROKEN)
def test_an_answer_that_is_none_is_trouble(behaviour, trouble):
    """At once, and after a few megabytes at most."""

    async def test() -> None:
        answer, sent = await send_twice(behaviour, PATIENT)
        assert isinstance(answer, NoAnswer), answer
        assert answer.trouble == trouble
        assert answer.detail.isprintable()
        assert 0 < len(answer.detail) <= 200
        assert sent < 16 << 20

    run(test)


ODD: dict[str, tuple[bytes, int, bytes]] = {
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "205": (b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", 205, b""),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n", 304, b""),
    "a redirect": (b"HTTP/1.1 307 Moved\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n", 307, b""),
    "a status beyond all": (b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", 999, b""),
    "an empty reason": (b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", 200, b""),
    "some early hints": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3 + OK, 200, b"ok"),
    "no UTF-8": (HEAD + b"X-Name: \xff\xfe\r\nContent-Length: 2\r\n\r\n\xff\xfe", 200, b"\xff\xfe"),
    "one length twice": (HEAD + b"Set-Cookie: a=b\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
    "a second answer": (OK + b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", 200, b"ok"),
    "a charset of its own": (HEAD + b"Content-Type: text/plain; charset=x-y\r\nContent-Length: 1\r\n\r\na", 200, b"a"),
}


@pytest.mark.parametrize(("data", "status", "body"), ODD.values(), ids=ODD)
@pytest.mark.parametrize("then", ["close", "keep"])
def test_an_answer_that_is_odd_is_an_answer(data, status, body, then):
    """It is read as HTTP says, and the next request has its own."""

    async def test() -> None:
        answer, _ = await send_twice(say(data, then), PATIENT)
        assert isinstance(answer, HttpAnswer), answer
        assert (answer.status, answer.body) == (status, body)

    run(test)


async def close_unsaid(conversation: Conversation) -> None:
    """A good answer, and the end of the connection, which it does not announce."""
    await conversation.send(OK)
    conversation.close()


async def reset_unsaid(conversation: Conversation) -> None:
    """Likewise, without order."""
    await conversation.send(OK)
    await asyncio.sleep(0.05)  # or what was sent would be lost as well
    conversation.reset()


@pytest.mark.parametrize("behaviour", [close_unsaid, reset_unsaid])
def test_connections_that_were_closed_while_idle_cost_nothing(behaviour):
    """As targets do after some seconds: the next requests go out on new ones, and none of them fails."""

    async def test() -> None:
        client = HttpClient(PATIENT)
        async with hostile_target(*[behaviour] * 4) as target:
            request = HttpRequest(target.url, b"[]", {})
            first = await asyncio.gather(*(client.send(request) for _ in range(4)))
            again = await asyncio.gather(*(client.send(request) for _ in range(4)))
            await client.close()
            assert [answer.status for answer in first + again] == [200] * 8
            assert len(target.requests) == 8

    run(test)


def test_a_request_that_ends_every_connection_is_told_as_such():
    """Connections that were used before do not hide it: after a few attempts there is none."""

    async def test() -> None:
        client = HttpClient(PATIENT)
        async with hostile_target(*[answer_well] * 3, *[say(b"")] * 50) as target:
            request = HttpRequest(target.url, b"[]", {})
            await asyncio.gather(*(client.send(request) for _ in range(3)))
            answer = await client.send(request)
            await client.close()
            assert answer == NoAnswer(Trouble.BROKEN, "the target ended the connection before its answer")
            assert len(target.requests) <= 3 + 4

    run(test)


@pytest.mark.parametrize(
    "unasked", [b"HTTP/1.1 400 No\r\nContent-Length: 4\r\n\r\nlate", OK, b"HTTP/1.1 408 Slow\r\n\r\n"]
)
def test_an_answer_that_nobody_asked_for_is_no_answer(unasked):
    """Else the next event would be refused or delivered by it, and each one after that by the answer before its own."""

    async def test() -> None:
        said, idle = asyncio.Event(), asyncio.Event()

        async def answer_and_go_on(conversation: Conversation) -> None:
            await conversation.send(OK)
            await idle.wait()
            await conversation.send(unasked)
            said.set()
            await conversation.hang()

        async with hostile_target(answer_and_go_on, answer_well) as target:
            client = HttpClient(replace(PATIENT, connections=1))
            first = await client.send(HttpRequest(target.url, b"1", {}))
            idle.set()
            await said.wait()
            await asyncio.sleep(0)  # turns of the loop, in which the client reads what has come
            await asyncio.sleep(0)
            second = await client.send(HttpRequest(target.url, b"2", {}))
            await client.close()
            assert (first.status, second.status, second.body) == (200, 200, b"ok")
            assert target.requests == [b"1", b"2"]

    run(test)


async def refuse_early(conversation: Conversation) -> None:
    """413 before the body was read, which is then read and thrown away for a while, as servers do."""
    await conversation.send(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    await conversation.hang()


def test_a_target_may_answer_before_it_has_read_the_body():
    """It is told that the body is too large: a connection that broke would be tried again for ever."""

    async def test() -> None:
        client = HttpClient(PATIENT)
        async with hostile_target(refuse_early, reads_bodies=False) as target:
            answer = await client.send(HttpRequest(target.url, bytes(30 << 20), {}))
            await client.close()
        assert isinstance(answer, HttpAnswer), answer
        assert answer.status == 413

    run(test)


def test_a_target_that_does_not_read_is_left():
    """Whatever fits nowhere on the way waits with the request, and goes with it."""

    async def stand_still(_conversation: Conversation) -> None:
        await asyncio.Event().wait()

    async def test() -> None:
        client = HttpClient(HURRIED)
        async with hostile_target(stand_still, reads_bodies=False) as target:
            answer = await client.send(HttpRequest(target.url, bytes(30 << 20), {}))
            await client.close()
        assert answer == NoAnswer(Trouble.TIMEOUT, "no answer within 2 s")

    run(test)


def test_large_bodies_are_sent():
    """Larger than what the library takes for small."""

    async def test() -> None:
        body = bytes(5 << 20)
        client = HttpClient(PATIENT)
        async with hostile_target() as target:
            answer = await client.send(HttpRequest(target.url, body, {}))
            await client.close()
            assert answer == HttpAnswer(200, {"content-length": "2"}, b"ok")
            assert target.requests == [body]

    run(test)


def test_no_event_is_lost_whatever_a_target_does():
    """One batch meets all of it: it is sent again until the target has it, whole and in order."""

    async def test() -> None:
        troubles = [behaviour for behaviour, _ in BROKEN.values()]
        refusals = [
            say(b"HTTP/1.1 %d Odd\r\nContent-Length: 0\r\n\r\n" % status, "keep")
            for status in (101, 300, 301, 307, 401, 403, 404, 409, 418, 429, 500, 501, 503, 599, 600, 999)
        ]
        async with hostile_target(*troubles, *refusals) as target:
            protocol = WebhookProtocol(target.url, WebhookBody.ARRAY)
            delivery = Delivery("hook", HttpSink(protocol, HttpClient(PATIENT)), PaceLimits(2, 0, 0))
            events = [RawRecord("clean", 0, number, 0, b"%d" % number) for number in range(100)]
            settled = await delivery.deliver(events)
            await delivery.close()
            assert settled == [DELIVERED] * 100
            assert set(target.requests) == {b"[" + b",".join(b"%d" % number for number in range(100)) + b"]"}

    run(test)


@pytest.mark.parametrize(
    ("header", "value", "text"),
    [
        ("Authorization", "Splunk 0123-4567-89ab", "Splunk 0123-4567-89ab"),
        ("authorization", "Splunk 0123-4567-89ab", "invalid token 0123-4567-89ab"),
        ("X-Amz-Security-Token", "0123-4567-89ab", '{"token": "0123-4567-89ab"}'),
        ("X-Api-Key", "0123-4567-89ab", "X-Api-Key: 0123-4567-89ab"),
    ],
)
def test_a_target_that_repeats_our_secret_gives_it_away_nowhere(header, value, text):
    """Pages for developers show the headers of a request; answers are told in logs, dead letters and on `/readyz`."""

    async def test() -> None:
        page = text.encode()
        head = b"HTTP/1.1 403 No\r\nContent-Length: %d\r\n\r\n" % len(page)
        client = HttpClient(replace(PATIENT, secret_headers=frozenset({"x-api-key"})))
        async with hostile_target(say(head + page)) as target:
            answer = await client.send(HttpRequest(target.url, b"[]", {header: value}))
            await client.close()
        assert isinstance(answer, HttpAnswer)
        assert b"********" in answer.body
        assert b"0123-4567" not in answer.body

    run(test)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/T0/B0/very-private-word", "Cannot POST /T0/B0/very-private-word"),
        ("/T0/B0/very-private-word", "no hook very-private-word"),
        ("/T0/B0/very-private-word", "POST http://h/T0/B0/very-private-word"),
        ("/in/a8f3c2", "Cannot POST /in/a8f3c2"),
    ],
)
def test_a_page_that_repeats_a_secret_path_gives_it_away_nowhere(path, text, caplog):
    """Chat services put the secret into the URL, and frameworks say of what path they know nothing."""

    async def test() -> None:
        page = text.encode()
        async with hostile_target(say(b"HTTP/1.1 404 No\r\nContent-Length: %d\r\n\r\n" % len(page) + page)) as target:
            env = {"HOOK_URL": f"http://{urlsplit(target.url).netloc}{path}"}
            sink = open_sink(config.parse(SECRET_URL, env).sinks["hook"])
            delivery = Delivery("hook", sink, PaceLimits(1, 0, 0), give_up_seconds=0)
            settled = await delivery.deliver([RawRecord("clean", 0, 0, 0, b"{}")])
            await delivery.close()
        told = f"{settled} {delivery.why_waiting} {[vars(each) for each in caplog.records]}"
        assert "404" in told
        assert "********" in told
        assert path.rpartition("/")[2] not in told

    caplog.set_level("DEBUG", "logrouter")
    run(test)


@pytest.mark.parametrize("value", ["", "no", "Bearer", "Basic a"])
def test_a_weak_secret_is_no_reason_to_read_another_answer(value):
    """Words of the target that are as short as it are left alone."""

    async def test() -> None:
        async with hostile_target(say(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nno such index")) as target:
            client = HttpClient(PATIENT)
            answer = await client.send(HttpRequest(target.url, b"[]", {"Authorization": value}))
            await client.close()
        assert answer.body == b"no such index"

    run(test)
