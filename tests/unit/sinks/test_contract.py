"""What every sink has to do, whatever its target: one suite for all of them, on sockets, and for the one in memory."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from logrouter.config.options.sinks import SINK_TYPES
from logrouter.sinks.contract import (
    DELIVERED,
    NoAnswer,
    Refused,
    Sink,
    Skipped,
    SkipReason,
)
from logrouter.sinks.delivery import Delivery
from logrouter.sinks.pacing import PaceLimits
from tests.unit.sinks.loopback import serve
from tests.unit.sinks.stand_ins import STAND_INS, Verdict, read_request, reply
from tests.unit.sinks.syslog_stand_in import SYSLOG
from tests.unit.sinks.worlds import (
    MEMORY,
    SECRET,
    event,
    every_http,
    every_judged,
    every_sink,
    every_target,
    mark,
    open_kind,
    record,
    records,
    take_all,
    type_of,
    world,
)


def test_every_type_is_in_the_suite():
    """A type without a stand-in has promised nothing."""
    assert {type_of(kind) for kind in [*STAND_INS, *SYSLOG]} == set(SINK_TYPES)


@every_sink
def test_a_batch_of_none(kind):
    """There is no request without events."""

    async def run():
        async with world(kind) as it:
            encoded = it.sink.encode([])
            assert (encoded.request is None or not encoded.size, list(encoded.settled)) == (True, [])
            assert await it.deliver([]) == []
            assert it.requests == []

    asyncio.run(run())


@every_sink
def test_one_event(kind):
    """Arrives."""

    async def run():
        async with world(kind) as it:
            assert await it.deliver(records(7)) == [DELIVERED]
            assert (it.taken, it.requests) == ([mark(7)], [[mark(7)]])

    asyncio.run(run())


@every_sink
def test_many_events_arrive_in_their_order(kind):
    """Those of a batch in one request, where the target takes more than one."""

    async def run():
        async with world(kind) as it:
            assert await it.deliver(records(*range(100))) == [DELIVERED] * 100
            assert it.taken == [mark(number) for number in range(100)]
            assert len(it.requests) == (1 if it.batches else 100)

    asyncio.run(run())


@every_sink
def test_records_without_a_value_are_skipped(kind):
    """Alone they make no request; among others they hold nothing back."""

    async def run():
        async with world(kind) as it:
            assert await it.deliver([record(0, None)]) == [Skipped(SkipReason.TOMBSTONE)]
            assert it.requests == []
            settled = await it.deliver([*records(1), record(2, None), *records(3)])
            assert settled == [DELIVERED, Skipped(SkipReason.TOMBSTONE), DELIVERED]
            assert it.taken == [mark(1), mark(3)]

    asyncio.run(run())


@pytest.mark.parametrize("kind", [MEMORY, *STAND_INS, "syslog", "syslog newline"])  # datagrams are cut
def test_an_event_larger_than_the_target_takes(kind):
    """Is refused without a request, and all others arrive."""

    class Small:
        def __init__(self, sink):
            self.encode, self.send, self.classify, self.close = sink.encode, sink.send, sink.classify, sink.close
            self.max_request_bytes = 30_000

    async def run():
        async with world(kind, more=", compression: none") as it:
            it.sink = Small(it.sink)
            large = record(2, event(2, client_id="x" * 40_000))
            settled = await it.deliver([*records(0, 1), large, *records(*range(3, 20))])
            assert isinstance(settled.pop(2), Refused)
            assert settled == [DELIVERED] * 19
            assert sorted(it.taken) == [mark(number) for number in range(20) if number != 2]
            assert mark(2) not in [each for request in it.requests for each in request]

    asyncio.run(run())


@every_http
def test_a_request_that_there_is_no_room_for(kind):
    """Goes out in smaller ones, until all arrive but the event that there is none for in a request of its own."""
    large = mark(3)

    async def run():
        def judge(marks):
            return [Verdict.NO_ROOM if large in marks or len(marks) > 4 else Verdict.TAKE] * len(marks)

        async with world(kind, judge) as it:
            settled = await it.deliver(records(*range(10)))
            refused = settled.pop(3)
            assert isinstance(refused, Refused)
            assert refused.status in (413, 429)
            assert settled == [DELIVERED] * 9
            assert sorted(it.taken) == [mark(number) for number in range(10) if number != 3]

    asyncio.run(run())


@every_judged
def test_one_event_that_is_refused_holds_nothing_back(kind):
    """It alone is refused, with a status, and all others arrive once, whether or not an answer says which one."""
    bad = mark(5)

    async def run():
        async with world(kind, lambda marks: [Verdict.REFUSE if each == bad else Verdict.TAKE for each in marks]) as it:
            settled = await it.deliver(records(*range(12)))
            refused = settled.pop(5)
            assert isinstance(refused, Refused)
            assert refused.status  # the answer's
            assert settled == [DELIVERED] * 11
            assert sorted(it.taken) == [mark(number) for number in range(12) if number != 5]

    asyncio.run(run())


@every_judged
def test_a_busy_target_gets_events_again(kind):
    """Those that it has not taken, and no others."""
    busy = {mark(2), mark(4)}

    async def run():
        def judge(marks):
            found = [Verdict.BUSY if each in busy else Verdict.TAKE for each in marks]
            busy.difference_update(marks)
            return found

        async with world(kind, judge) as it:
            assert await it.deliver(records(*range(6))) == [DELIVERED] * 6
            assert sorted(it.taken) == [mark(number) for number in range(6)]

    asyncio.run(run())


@every_sink
def test_an_event_that_is_sent_again_is_the_same(kind):
    """So that a target which knows it can tell."""

    async def run():
        async with world(kind) as it:
            first, second = (it.sink.encode(records(1)) for _ in range(2))
            assert first == second

    asyncio.run(run())


@every_http
def test_as_many_requests_at_a_time_as_are_allowed(kind):
    """So many are on their way before the first one is answered, and never more."""
    at_a_time, most = 0, 0
    full = asyncio.Event()

    async def run():
        async def answer(head, body):
            nonlocal at_a_time, most
            marks = STAND_INS[kind].marks(read_request(head, body))
            if marks is None:
                return STAND_INS[kind].other(read_request(head, body))
            at_a_time += 1
            most = max(most, at_a_time)
            if at_a_time == 3:
                full.set()
            await full.wait()
            at_a_time -= 1
            return STAND_INS[kind].answer(read_request(head, body), take_all(marks))

        async with serve(answer) as heard:
            sink = open_kind(kind, heard.port, ", connections: 3")
            requests = [sink.encode(records(number)).request for number in range(9)]
            async with asyncio.timeout(20):
                found = await asyncio.gather(*map(sink.send, requests))
            results = [sink.classify(each, records(number)) for number, each in enumerate(found)]
            await sink.close()
            assert results == [[DELIVERED]] * 9
            assert (most, heard.connections) == (3, 3)

    asyncio.run(run())


@every_sink
def test_it_is_closed_twice(kind):
    """And before anything was sent."""

    async def run():
        async with world(kind) as it:
            await it.sink.close()
            await it.sink.close()
        async with world(kind) as it:
            await it.deliver(records(1))
            await it.sink.close()
            await it.sink.close()

    asyncio.run(run())


@every_target
@pytest.mark.parametrize("used", [False, True])
def test_what_is_closed_sends_nothing(kind, used):
    """It opens no connection that nobody would close."""

    async def run():
        async with world(kind) as it:
            if used:
                await it.deliver(records(1))
            before = len(it.requests)
            await it.sink.close()
            assert isinstance(await it.sink.send(it.sink.encode(records(2)).request), NoAnswer)
            assert len(it.requests) == before

    asyncio.run(run())


@every_http
@pytest.mark.parametrize("status", [200, 207, 400, 401, 500])
def test_secrets_are_in_no_text_of_ours(kind, status, caplog):
    """Not even where the target repeats what we have sent, as echo services and proxies in debug mode do."""
    caplog.set_level("DEBUG", "logrouter")

    secrets = {SECRET}

    def repeat(head, body):
        request = read_request(head, body)
        secrets.update(request.headers.get("authorization", SECRET).split(" ")[-1:])
        if STAND_INS[kind].marks(request) is None:
            return STAND_INS[kind].other(request)
        return reply(status, head.encode())

    async def run():
        async with serve(repeat) as heard:
            sink = open_kind(kind, heard.port)
            answer = await sink.send(sink.encode(records(1)).request)
            results = sink.classify(answer, records(1))
            delivery = Delivery("it", sink, PaceLimits(1, 0, 0), give_up_seconds=0)
            settled = await delivery.deliver(records(1))
            await delivery.close()
            shown = f"{sink!r} {sink._protocol!r} {results} {settled} {delivery.why_waiting}"
            return f"{shown} {[vars(each) for each in caplog.records]}"

    text = asyncio.run(run())
    assert [each for each in secrets if each in text] == []


def test_the_suite_asks_for_all_that_a_sink_has():
    """A method that the protocol gains needs a test here."""
    members = {name for name, _ in inspect.getmembers(Sink) if not name.startswith("_")}
    assert members == {"max_request_bytes", "encode", "send", "classify", "close"}
