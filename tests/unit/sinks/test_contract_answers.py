"""What every sink makes of answers: of any answer, of none, and of those that no documentation names."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, get_args

from hypothesis import example, given
from hypothesis import strategies as st

from logrouter.sinks import contract
from logrouter.sinks.contract import (
    DELIVERED,
    Delivered,
    NoAnswer,
    Trouble,
)
from logrouter.sinks.http_messages import MAX_DETAIL, HttpAnswer
from tests.unit.sinks.loopback import serve
from tests.unit.sinks.stand_ins import STAND_INS, reply
from tests.unit.sinks.worlds import (
    JSON,
    every_http,
    mark,
    open_kind,
    pure_part,
    records,
    world,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.sinks.contract import Result

RESULTS = get_args(contract.Result)

answers = st.builds(
    HttpAnswer,
    st.integers(200, 599)
    | st.sampled_from([200, 201, 202, 204, 207, 400, 401, 403, 404, 409, 413, 429, 500, 503, 999]),
    st.dictionaries(st.sampled_from(["retry-after", "date", "content-type", "location"]), st.text(max_size=30)),
    st.binary(max_size=50)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries(
        {},
        optional={
            "errors": JSON,
            "items": st.lists(
                st.dictionaries(
                    st.sampled_from(["create", "index", "x"]),
                    st.dictionaries(st.sampled_from(["status", "error", "_id"]), JSON),
                ),
                max_size=4,
            ),
            "invalid": st.lists(st.dictionaries(st.sampled_from(["status", "event", "context"]), JSON), max_size=3),
            "error": st.lists(st.dictionaries(st.sampled_from(["status", "event", "context"]), JSON), max_size=3),
            "code": JSON,
            "text": JSON,
            "ackId": JSON,
            "invalid-event-number": JSON,
        },
    ).map(lambda value: json.dumps(value).encode()),
)


@every_http
@given(answers, st.integers(1, 4))
@example(HttpAnswer(200, {}, b"[" * 100_000), 1)
@example(HttpAnswer(200, {}, b'{"x":' + b"[" * 100_000), 1)
@example(HttpAnswer(400, {}, b'{"error":' + b'{"a":' * 100_000), 1)
@example(HttpAnswer(403, {}, b'{"error":{"type":"\xff"}}'), 1)
@example(HttpAnswer(400, {}, b'{"error":{"type":"a","reason":"\\ud800"},"text":"\\ud800"}'), 1)
@example(HttpAnswer(200, {}, b'{"items":[{"create":{"status":1e999}}]}'), 1)
@example(HttpAnswer(207, {}, b'{"invalid":[{"event":{"meta":{"id":[]}}}]}'), 1)
def test_any_answer_is_classified(kind, answer, number):
    """Nothing is raised; each event has one result; and none is delivered by an answer that is no success."""
    found = [*pure_part(kind).classify(answer, records(*range(number)))]
    assert len(found) == number
    assert all(isinstance(each, RESULTS) for each in found)
    details = [getattr(each, "detail", "") for each in found]
    assert all(len(each.encode()) <= 4 * MAX_DETAIL for each in details)  # they become part of dead letters
    assert answer.status < 300 or not any(isinstance(each, Delivered) for each in found)


GARBAGE = {
    "nothing": reply(200),
    "an empty object": reply(200, b"{}"),
    "an array": reply(200, b"[]"),
    "null": reply(200, b"null"),
    "a page": reply(200, b"<html>Welcome</html>", Content_Type="text/html"),
    "a part": reply(200, b'{"items":[{"create":'),
    "too few": reply(200, b'{"errors":false,"items":[{"create":{"status":201}}]}'),
    "no Unicode": reply(200, b"\xff\xfe\x00"),
    "nested for ever": reply(200, b"[" * 200_000),
    "nested inside": reply(200, b'{"items":[{"create":{"x":' + b"[" * 200_000),
    "no text": reply(200, b"1e999"),
}
BROKEN = {
    "no HTTP": b"\x00\xff\x00 nonsense\r\n\r\n",
    "too short": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nshort",
    "a chunk too few": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nshort\r\n",
    "a chunk of nonsense": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n",
    "compressed": reply(200, b"\x1f\x8b nonsense", Content_Encoding="gzip"),
    "redirect": reply(302, Location="http://127.0.0.1:1/"),
    **{str(status): reply(status) for status in (304, 401, 403, 404, 408, 418, 425, 429, 500, 502, 503, 504, 599)},
}


@every_http
def test_an_answer_of_no_use_loses_nothing(kind, caplog):
    """After it all events are sent again, unless any 2xx is the target's word for all. None of them is a surprise."""

    async def run():
        found, expected = {}, {}
        async with world(kind) as it:
            for name, answer in {**GARBAGE, **BROKEN}.items():
                it.forget()
                it.raw = [answer]
                settled = await it.deliver(records(1, 2))
                found[name] = settled, sorted(it.taken)  # order is promised between first attempts only
                taken = [mark(1), mark(2)]
                if name in GARBAGE and not STAND_INS[kind].reads_answers:
                    taken = [] if STAND_INS[kind].batches else taken[1:]
                expected[name] = [DELIVERED, DELIVERED], taken
        assert found == expected
        assert "internal_error" not in caplog.messages

    asyncio.run(run())


def results_of(kind: str, answers: Mapping[object, bytes]) -> dict[object, list[Result]]:
    """What each answer means for one event."""

    async def run():
        found = {}
        async with world(kind) as it:
            for name, answer in answers.items():
                it.raw = [answer]
                got = await it.sink.send(it.sink.encode(records(1)).request)
                assert isinstance(got, HttpAnswer), name
                found[name] = [*it.sink.classify(got, records(1))]
        return found

    return asyncio.run(run())


@every_http
def test_what_somebody_has_to_mend_refuses_no_event(kind):
    """Credentials, permissions, a path: the events wait, and the answer's status is known."""
    statuses = [401, 403, 404, 407, 301, 307]
    found = results_of(kind, {status: reply(status, b"no") for status in statuses})
    assert {status: [(each.trouble, each.status) for each in results] for status, results in found.items()} == {
        status: [(Trouble.DENIED, status)] for status in statuses
    }


@every_http
def test_a_proxy_that_wants_a_certificate_refuses_no_event(kind):
    """With a 400, the status of events that are wrong."""
    page = b"<html>\r\n<head><title>400 No required SSL certificate was sent</title></head>\r\n<body>\r\n"
    found = results_of(kind, {400: reply(400, page)})
    assert [(each.trouble, each.status) for each in found[400]] == [(Trouble.DENIED, 400)]
    assert "No required SSL certificate was sent" in found[400][0].detail


@every_http
def test_a_target_says_for_how_long_it_wants_peace(kind):
    """By Retry-After, in seconds."""
    found = results_of(kind, {status: reply(status, Retry_After="17") for status in (429, 503)})
    assert {status: [(each.trouble, each.after_seconds) for each in results] for status, results in found.items()} == {
        status: [(Trouble.OVERLOADED, 17.0)] for status in (429, 503)
    }


@every_http
def test_a_target_that_does_not_answer(kind):
    """The request ends in time, and events are sent again."""

    async def run():
        async with world(kind, more=", timeout_seconds: 0.3") as it:
            it.raw = [None]
            answer = await it.sink.send(it.sink.encode(records(1)).request)
            assert isinstance(answer, NoAnswer)
            assert answer.trouble is Trouble.TIMEOUT

    asyncio.run(run())


@every_http
def test_a_target_that_hangs_up(kind):
    """Before an answer, after the request: events are sent again."""

    async def run():
        async with world(kind) as it:
            it.raw = [b"", b""]
            assert await it.deliver(records(1, 2)) == [DELIVERED, DELIVERED]
            assert it.taken == [mark(1), mark(2)]

    asyncio.run(run())


@every_http
def test_a_target_that_is_not_there(kind):
    """Nobody listens."""

    async def run():
        async with serve() as heard:
            pass
        sink = open_kind(kind, heard.port)
        answer = await sink.send(sink.encode(records(1)).request)
        await sink.close()
        assert isinstance(answer, NoAnswer)
        assert answer.trouble is Trouble.CONNECT

    asyncio.run(run())
