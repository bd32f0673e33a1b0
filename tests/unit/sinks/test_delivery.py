"""Delivery: what is sent again, what is halved, what ends; on a sink in memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.model import RawRecord
from logrouter.sinks.contract import (
    DELIVERED,
    Encoded,
    NoAnswer,
    Refused,
    RefusedBeside,
    RefusedTogether,
    Retry,
    Skipped,
    SkipReason,
    Trouble,
)
from logrouter.sinks.delivery import Delivery
from logrouter.sinks.memory import MemorySink
from logrouter.sinks.pacing import PaceLimits
from logrouter.telemetry.metrics import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logrouter.sinks.contract import Result
    from logrouter.sinks.sink_observer import RequestEnd

AGAIN = Retry(Trouble.OVERLOADED, 429)
TOGETHER = RefusedTogether(400, "no")
IN_HALVES = Retry(Trouble.OVERLOADED, 429, "too many bytes", in_halves=True)
AT_ONCE = PaceLimits(max_requests=4, first_pause=0, longest_pause=0)


def events(*values: bytes | None) -> list[RawRecord]:
    """Records with these values, at offsets from 0 on."""
    return [RawRecord("events", 0, offset, 0, value) for offset, value in enumerate(values)]


def deliver(sink: MemorySink, batch: list[RawRecord], **options: object) -> list[object]:
    """What becomes of *batch*, tried again at once."""

    async def run() -> list[object]:
        async with asyncio.timeout(30):
            return list(await Delivery("memory", sink, AT_ONCE, **options).deliver(batch))

    return asyncio.run(run())


def test_only_what_may_be_tried_again_is_sent_again():
    """Of four events one is delivered, one refused, two come again, one of them twice."""
    sink = MemorySink([[DELIVERED, Refused(400, "bad"), AGAIN, AGAIN], [DELIVERED, AGAIN]])

    settled = deliver(sink, events(b"a", b"b", b"c", b"d"))

    assert settled == [DELIVERED, Refused(400, "bad"), DELIVERED, DELIVERED]
    assert sink.requests == [[b"a", b"b", b"c", b"d"], [b"c", b"d"], [b"d"]]


@pytest.mark.parametrize("trouble", Trouble)
def test_a_target_that_fails_gets_everything_again(trouble):
    """Whatever kept a request from an answer, its events are sent again."""
    sink = MemorySink([NoAnswer(trouble), NoAnswer(trouble)])

    assert deliver(sink, events(b"a", b"b")) == [DELIVERED, DELIVERED]
    assert sink.taken == [b"a", b"b"]


def test_a_request_that_is_refused_as_a_whole_is_halved_until_one_event_is_alone():
    """Only the one that is not taken alone is refused; all others arrive."""

    class Picky(MemorySink):
        def classify(self, answer: tuple[list[bytes], object], events: Sequence[RawRecord]) -> Sequence[Result]:
            request, _ = answer
            told = [TOGETHER] * len(events) if b"bad" in request else None
            return super().classify((request, told), events)

    sink = Picky()
    settled = deliver(sink, events(b"a", b"b", b"bad", b"d", b"e"))

    assert settled == [DELIVERED, DELIVERED, Refused(400, "no"), DELIVERED, DELIVERED]
    assert sink.taken == [b"a", b"b", b"d", b"e"]


class Narrow(MemorySink):
    """Has room for two events at a time, and says so."""

    def classify(self, answer: tuple[list[bytes], object], events: Sequence[RawRecord]) -> Sequence[Result]:
        request, told = answer
        told = [IN_HALVES] * len(events) if len(request) > 2 else told
        return super().classify((request, told), events)


@pytest.mark.parametrize("give_up", [0, 3600])
def test_a_request_that_a_target_has_no_room_for_is_halved_until_it_has(give_up):
    """Nothing is refused, and nothing given up, that was not tried in a request that could be taken."""
    sink = Narrow()

    assert deliver(sink, events(b"a", b"b", b"c", b"d", b"e", b"f"), give_up_seconds=give_up) == [DELIVERED] * 6
    assert [b"".join(request) for request in sink.requests] == [b"abcdef", b"abc", b"a", b"bc", b"def", b"d", b"ef"]


def test_an_event_alone_that_a_target_has_no_room_for_is_sent_again():
    """As nobody says that there will be none: it is given up when its time is over, as any other."""
    sink = MemorySink([[IN_HALVES], [IN_HALVES]])

    assert deliver(sink, events(b"a")) == [DELIVERED]
    assert sink.requests == [[b"a"]] * 3
    assert deliver(MemorySink([[IN_HALVES]]), events(b"a"), give_up_seconds=0) == [
        Refused(429, "given up: too many bytes")
    ]


class Full(MemorySink):
    """Has room for nothing, and says so; each answer takes a minute, as pauses do."""

    now = 0.0

    def classify(self, answer: tuple[list[bytes], object], events: Sequence[RawRecord]) -> Sequence[Result]:
        self.now += 60
        request, _ = answer
        return super().classify((request, [IN_HALVES] * len(events)), events)


@pytest.mark.parametrize("minutes", [0, 3, 20])
def test_events_are_given_up_in_time_by_a_target_that_has_no_room_for_one_alone(minutes):
    """It says so for one that is alone, and is not asked for each of the others: a batch may have thousands."""
    sink = Full()
    settled = deliver(sink, events(*[b"x"] * 512), give_up_seconds=60 * minutes, clock=lambda: sink.now)

    assert settled == [Refused(429, "given up: too many bytes")] * 512
    assert len(sink.requests) <= 2 * (minutes + 10)


def test_an_event_that_there_is_no_room_for_takes_no_other_with_it():
    """When its time is over as well, those beside it are tried in requests that fit, as soon as one gets through."""

    class Picky(Narrow):
        def classify(self, answer: tuple[list[bytes], object], events: Sequence[RawRecord]) -> Sequence[Result]:
            request, told = answer
            return super().classify((request, [IN_HALVES] * len(events) if b"big" in request else told), events)

    settled = deliver(Picky(), events(b"big", *[b"x"] * 31), give_up_seconds=0)

    assert settled == [Refused(429, "given up: too many bytes"), *[DELIVERED] * 31]


def test_only_those_events_are_halved_that_there_was_no_room_for():
    """Others of the request are delivered, or sent again together."""
    sink = MemorySink([[IN_HALVES, AGAIN, DELIVERED, IN_HALVES, AGAIN]])

    assert deliver(sink, events(b"a", b"b", b"c", b"d", b"e")) == [DELIVERED] * 5
    assert sink.requests == [[b"a", b"b", b"c", b"d", b"e"], [b"a"], [b"d"], [b"b", b"e"]]


def test_a_target_without_room_is_left_alone_for_a_while():
    """The halves wait as long as after any other sign of too much."""

    async def run() -> None:
        sink = Narrow()
        delivery = Delivery("narrow", sink, PaceLimits(max_requests=4, first_pause=3600, longest_pause=3600))
        batch = asyncio.ensure_future(delivery.deliver(events(b"a", b"b", b"c")))
        await sink.wait_for_requests(1)
        while not delivery.why_waiting:  # noqa: ASYNC110  nothing else says that the answer was read
            await asyncio.sleep(0)
        assert delivery.why_waiting.startswith("sink narrow: overloaded 429: too many bytes")
        delivery.retire()
        assert await batch == [None] * 3
        assert sink.requests == [[b"a", b"b", b"c"]]

    asyncio.run(asyncio.wait_for(run(), 30))


def test_events_beside_one_that_the_target_names_are_sent_again_without_it():
    """Two of five are named, one after the other; no event is sent alone to find them, and none is refused for them."""

    class Naming(MemorySink):
        def classify(self, answer: tuple[list[bytes], object], events: Sequence[RawRecord]) -> Sequence[Result]:
            request, _ = answer
            told: list[Result] | None = None
            if bad := [index for index, value in enumerate(request) if value.startswith(b"bad")]:
                told = [RefusedBeside(400)] * len(events)
                told[bad[0]] = Refused(400, "named")
            return super().classify((request, told), events)

    sink = Naming()
    settled = deliver(sink, events(b"a", b"bad", b"c", b"bad too", b"e"))

    assert settled == [DELIVERED, Refused(400, "named"), DELIVERED, Refused(400, "named"), DELIVERED]
    assert sink.requests == [[b"a", b"bad", b"c", b"bad too", b"e"], [b"a", b"c", b"bad too", b"e"], [b"a", b"c", b"e"]]


def test_a_target_that_blames_an_event_that_was_not_there_ends_as_well():
    """All events are said to be innocent: then nobody knows, and they are halved."""
    sink = MemorySink([[RefusedBeside(400)] * 2, [RefusedBeside(400)]])

    assert deliver(sink, events(b"a", b"b")) == [
        Refused(0, "refused for another event, which was not named"),
        DELIVERED,
    ]


def test_a_body_that_is_too_large_is_halved_before_it_is_sent():
    """Eleven bytes where five are taken: one event alone is too large, and is never sent."""
    sink = MemorySink(max_request_bytes=5)

    settled = deliver(sink, events(b"abc", b"too large", b"de", b"f"))

    assert settled == [DELIVERED, Refused(0, "9 bytes, more than the 5 taken"), DELIVERED, DELIVERED]
    assert sink.requests == [[b"abc"], [b"de", b"f"]]


def test_what_is_skipped_is_not_sent():
    """A batch of nothing but tombstones makes no request."""
    sink = MemorySink()

    assert deliver(sink, events(None, None)) == [Skipped(SkipReason.TOMBSTONE)] * 2
    assert deliver(sink, []) == []
    assert sink.requests == []


def test_events_are_given_up_after_the_time_that_is_allowed():
    """None is allowed: the first failure is the last, and the dead letter will say what it was."""
    sink = MemorySink([NoAnswer(Trouble.CONNECT, "connection refused")] * 2)

    assert deliver(sink, events(b"a"), give_up_seconds=0) == [Refused(0, "given up: connection refused")]


def test_an_event_that_breaks_the_encoder_holds_nobody_back():
    """A programming error is loud, and costs one event."""

    class Broken(MemorySink):
        def encode(self, events: Sequence[RawRecord]) -> object:
            assert all(event.value != b"bad" for event in events)
            return super().encode(events)

    sink = Broken()
    assert deliver(sink, events(b"a", b"bad", b"c")) == [DELIVERED, Refused(0, "can't be encoded"), DELIVERED]


def test_batches_end_after_their_request_when_the_delivery_is_retired():
    """Of two batches one has a request on its way and one waits: neither begins another."""

    async def run() -> None:
        permits = asyncio.Semaphore(0)
        sink = MemorySink([NoAnswer(Trouble.BROKEN)], permits=permits)
        delivery = Delivery("memory", sink, PaceLimits(max_requests=1, first_pause=0, longest_pause=0))
        batches = [asyncio.ensure_future(delivery.deliver(events(value))) for value in (b"a", b"b")]
        await sink.wait_for_requests(1)
        delivery.retire()
        permits.release()
        assert await asyncio.gather(*batches) == [[None], [None]]
        assert sink.requests == [[b"a"]]

    asyncio.run(asyncio.wait_for(run(), 30))


@pytest.mark.parametrize("told", [[], [DELIVERED] * 3, None])
def test_a_bug_in_a_sink_is_said_and_the_events_are_sent_again(told, caplog):
    """A wrong number of results, or an exception: the process goes on, and whether the target is down is seen."""

    class Buggy(MemorySink):
        def classify(self, answer: tuple[list[bytes], object], events: Sequence[RawRecord]) -> Sequence[Result]:
            if len(self.requests) > 1:
                return super().classify((answer[0], None), events)
            if told is None:
                raise KeyError("items")
            return told

    sink = Buggy()
    assert deliver(sink, events(b"a", b"b")) == [DELIVERED, DELIVERED]
    assert sink.requests == [[b"a", b"b"]] * 2
    assert [record.getMessage() for record in caplog.records] == ["internal_error", "sink_down"]


def test_a_request_that_nobody_has_cancelled_does_not_end_its_batch():
    """A library may let the end of something of its own look like ours: the batch would be waited for for ever."""

    class Leaking(MemorySink):
        async def send(self, request: list[bytes]) -> object:
            answer = await super().send(request)
            if len(self.requests) == 1:
                raise asyncio.CancelledError
            return answer

    assert deliver(Leaking(), events(b"a", b"b")) == [DELIVERED, DELIVERED]


def test_a_batch_that_is_cancelled_lets_others_go_on():
    """The one request that may be on its way was its own."""

    async def run() -> None:
        permits = asyncio.Semaphore(0)
        sink = MemorySink(permits=permits)
        delivery = Delivery("memory", sink, PaceLimits(max_requests=1, first_pause=0, longest_pause=0))
        given_up, other = [asyncio.ensure_future(delivery.deliver(events(value))) for value in (b"a", b"b")]
        await sink.wait_for_requests(1)
        await asyncio.sleep(0)
        given_up.cancel()
        permits.release()
        assert await other == [DELIVERED]

    asyncio.run(asyncio.wait_for(run(), 5))


def test_a_target_that_nobody_asks_any_more_is_not_said_to_be_down():
    """Its partitions have left: the process would not be ready, and raise an alarm, until an event comes again."""

    async def run() -> None:
        sink = MemorySink([NoAnswer(Trouble.CONNECT)])
        delivery = Delivery("left", sink, PaceLimits(max_requests=1, first_pause=3600, longest_pause=3600))
        batches = [asyncio.ensure_future(delivery.deliver(events(value))) for value in (b"a", b"b")]
        await sink.wait_for_requests(1)
        while not delivery.why_waiting:  # noqa: ASYNC110  nothing else says that the answer was read
            await asyncio.sleep(0)
        for still, batch in zip((True, False), batches, strict=True):
            batch.cancel()
            await asyncio.wait([batch])
            assert (delivery.why_waiting != "") is still
            assert REGISTRY.get_sample_value("logrouter_sink_up", {"sink": "left"}) == (0 if still else None)

    asyncio.run(asyncio.wait_for(run(), 30))


@pytest.mark.parametrize("steps", range(10))
def test_a_batch_that_is_cancelled_ends_whenever_that_is(steps):
    """Also in the moment in which it hears that a request of another one has ended."""

    async def run() -> None:
        permits = asyncio.Semaphore(0)
        sink = MemorySink(permits=permits)
        delivery = Delivery("memory", sink, PaceLimits(2, first_pause=0, longest_pause=0, rate=0.001))
        first, given_up = [asyncio.ensure_future(delivery.deliver(events(value))) for value in (b"a", b"b")]
        await sink.wait_for_requests(1)
        for _ in range(3):  # the other one waits for its turn by then
            await asyncio.sleep(0)
        permits.release()
        for _ in range(steps):
            await asyncio.sleep(0)
        given_up.cancel()
        _, left = await asyncio.wait([first, given_up], timeout=5)
        assert not left

    asyncio.run(run())


def test_a_delivery_that_is_retired_gives_up_nothing():
    """Its time is over, but another target may take the event at once."""

    async def run() -> None:
        now = 100.0
        permits = asyncio.Semaphore(0)
        sink = MemorySink([NoAnswer(Trouble.BROKEN)], permits=permits)
        delivery = Delivery("memory", sink, AT_ONCE, give_up_seconds=10, clock=lambda: now)
        batch = asyncio.ensure_future(delivery.deliver(events(b"a")))
        await sink.wait_for_requests(1)
        now += 20
        delivery.retire()
        permits.release()
        assert await batch == [None]

    asyncio.run(asyncio.wait_for(run(), 30))


def test_the_state_of_a_target_is_told_in_one_line():
    """While it fails; not before and not after."""

    async def run() -> None:
        now = 100.0
        permits = asyncio.Semaphore(1)
        sink = MemorySink([NoAnswer(Trouble.CONNECT, "connection refused")], permits=permits)
        delivery = Delivery("memory", sink, AT_ONCE, clock=lambda: now)
        assert delivery.why_waiting == ""
        batch = asyncio.ensure_future(delivery.deliver(events(b"a")))
        await sink.wait_for_requests(2)
        now = 107.0
        assert delivery.why_waiting == "sink memory: connect: connection refused, for 7 s"
        permits.release()
        await batch
        assert delivery.why_waiting == ""

    asyncio.run(asyncio.wait_for(run(), 30))


@pytest.mark.parametrize("trouble", Trouble)
def test_a_reason_that_somebody_has_to_mend_is_said_when_it_comes(trouble, caplog):
    """A target was away and is back with a certificate that has expired: that it was away is no longer why."""
    caplog.set_level("INFO", "logrouter")
    away = NoAnswer(Trouble.CONNECT, "refused")

    deliver(MemorySink([away, away, NoAnswer(trouble, "why")]), events(b"a"))

    lines = [record.fields["trouble"] for record in caplog.records if record.getMessage() == "sink_down"]
    assert lines == [Trouble.CONNECT, *([trouble] if trouble in {"denied", "tls", "guarded"} else [])]


def test_what_is_refused_is_counted_from_zero_on():
    """The first event that is refused is an increase then, which alerts ask for."""
    Delivery("new", MemorySink(), AT_ONCE)

    for result in ("delivered", "refused"):
        assert REGISTRY.get_sample_value("logrouter_sink_events_total", {"sink": "new", "result": result}) == 0


def test_a_target_that_comes_and_goes_is_no_line_for_each_time(caplog):
    """As one that has too much to do, request by request. What lasts for a minute, or is to be mended, is said."""
    now = 0.0
    denied = NoAnswer(Trouble.DENIED, "who are you?")

    async def run() -> None:
        nonlocal now
        sink = MemorySink()
        delivery = Delivery("memory", sink, AT_ONCE, clock=lambda: now, draw=lambda: 0)
        answers = [[[AGAIN]], [[AGAIN], [DELIVERED]] * 20, [denied] * 3, [[AGAIN]] * 2]
        for started, told in zip((1.0, 2.0, 30.0, 100.0), answers, strict=True):
            now = started
            sink.answers.extend(told)
            for _ in range(1 + told.count([DELIVERED])):
                await delivery.deliver(events(b"a"))

    caplog.set_level("INFO")
    asyncio.run(asyncio.wait_for(run(), 30))
    lines = [(record.getMessage(), record.fields.get("trouble")) for record in caplog.records]
    outage = [("sink_down", "overloaded"), ("sink_up", None)]
    assert lines == [*outage, ("sink_down", "denied"), ("sink_up", None), *outage]


RESULTS = st.sampled_from([DELIVERED, Refused(400), AGAIN, IN_HALVES, TOGETHER, RefusedBeside(400)])


@given(st.data(), st.integers(0, 12))
def test_every_event_is_settled_once_and_in_its_place(data, size):
    """Whatever a target answers, an event that counts as delivered was taken once, and no other was taken."""

    class Random(MemorySink):
        def classify(self, answer: tuple[list[bytes], object], events: Sequence[RawRecord]) -> Sequence[Result]:
            told = data.draw(st.lists(RESULTS, min_size=len(events), max_size=len(events)))
            return super().classify((answer[0], told), events)

    sink = Random()
    values = [b"%d" % number for number in range(size)]
    settled = deliver(sink, events(*values))

    assert sorted(sink.taken) == sorted(v for v, each in zip(values, settled, strict=True) if each == DELIVERED)
    assert all(isinstance(each, Refused) or each == DELIVERED for each in settled)


def test_who_may_not_be_sent_is_decided_once_and_before_anything_is_sent():
    """Of three events one is skipped; the others are tried twice, and nobody is asked again."""
    asked = []

    def admit(batch):
        asked.append([event.value for event in batch])
        return [None, Skipped(SkipReason.THROTTLED), None]

    sink = MemorySink([[AGAIN, AGAIN]])

    settled = deliver(sink, events(b"a", b"b", b"c"), admit=admit)

    assert settled == [DELIVERED, Skipped(SkipReason.THROTTLED), DELIVERED]
    assert sink.requests == [[b"a", b"c"], [b"a", b"c"]]
    assert asked == [[b"a", b"b", b"c"]]


def test_without_an_event_that_may_be_sent_nothing_is_sent():
    """All are skipped."""
    sink = MemorySink()

    settled = deliver(sink, events(b"a"), admit=lambda batch: [Skipped(SkipReason.BLOCKED)] * len(batch))

    assert settled == [Skipped(SkipReason.BLOCKED)]
    assert sink.requests == []


def test_batches_in_order_wait_for_those_before_them_with_all_of_their_attempts():
    """Without that the second one goes out while the first one waits for its next attempt."""

    async def run(*, in_order):
        permits = asyncio.Semaphore(0)
        sink = MemorySink([NoAnswer(Trouble.BROKEN)] * 2, permits=permits)
        delivery = Delivery("it", sink, PaceLimits(1, 0, 0), in_order=in_order)
        batches = [[RawRecord("out", 0, n, 0, b"%d" % n)] for n in range(3)]
        waiting = [asyncio.create_task(delivery.deliver(batch)) for batch in batches]
        for number in range(1, 6):
            await sink.wait_for_requests(number)
            permits.release()
        await asyncio.gather(*waiting)
        return sink.taken

    assert asyncio.run(run(in_order=True)) == [b"0", b"1", b"2"]
    assert asyncio.run(run(in_order=False)) != [b"0", b"1", b"2"]


def test_parts_of_a_batch_in_order_wait_for_those_before_them():
    """A batch that is too large for one request is no reason to overtake, either."""

    def taken(*, in_order):
        sink = MemorySink([NoAnswer(Trouble.BROKEN)] * 2, max_request_bytes=2)
        assert deliver(sink, events(b"a", b"b", b"c", b"d", b"e"), in_order=in_order) == [DELIVERED] * 5
        return sink.taken

    assert taken(in_order=True) == [b"a", b"b", b"c", b"d", b"e"]
    assert taken(in_order=False) != [b"a", b"b", b"c", b"d", b"e"]


def test_batches_that_wait_for_their_order_end_when_the_delivery_is_retired():
    """Nobody knows of them yet."""

    async def run():
        permits = asyncio.Semaphore(0)
        sink = MemorySink(permits=permits)
        delivery = Delivery("it", sink, PaceLimits(1, 0, 0), in_order=True)
        waiting = [asyncio.create_task(delivery.deliver([RawRecord("out", 0, n, 0, b"x")])) for n in range(3)]
        await sink.wait_for_requests(1)
        delivery.retire()
        permits.release()
        return await asyncio.gather(*waiting)

    assert asyncio.run(run()) == [[DELIVERED], [None], [None]]


class Heard:
    """An observer that writes down what it hears."""

    subject = "drain 7"

    def __init__(self) -> None:
        self.said: list[object] = []

    def note_request(self, end: RequestEnd) -> None:
        self.said.append((end.trouble, end.retries))

    def note_failure(self, cause: Retry, now: float) -> None:
        self.said.append(("failure", cause.trouble, cause.status, cause.detail, now))

    def note_success(self, now: float) -> None:
        self.said.append(("success", now))

    def forget(self) -> None:
        self.said.append("forgotten")

    def note_bug(self, error: BaseException) -> None:
        self.said.append(("bug", type(error)))


def test_an_observer_hears_each_failure_and_each_success_and_no_sink_is_named(caplog):
    """Of what may be any kind of item: here numbers. The target's words come masked; no metric has the name."""

    class Numbers(MemorySink):
        def encode(self, events: Sequence[int]) -> Encoded:
            return Encoded([b"%d" % each for each in events], 1, [None] * len(events))

    heard = Heard()
    sink = Numbers([NoAnswer(Trouble.BROKEN, "secret"), [AGAIN, DELIVERED], [Retry(Trouble.DENIED, 410, "secret")]])

    settled = deliver(sink, [1, 2], observer=heard, mask=lambda text: "*" * len(text), clock=lambda: 9.0)

    assert settled == [DELIVERED] * 2
    assert heard.said == [
        *((Trouble.BROKEN, 2), ("failure", Trouble.BROKEN, 0, "******", 9.0)),
        *((Trouble.OVERLOADED, 1), ("success", 9.0)),
        *((Trouble.DENIED, 1), ("failure", Trouble.DENIED, 410, "******", 9.0)),
        *((None, 0), ("success", 9.0)),
    ]
    assert caplog.records == []


def test_an_observer_hears_of_bugs_and_that_nobody_asks_any_more():
    """The second request is cancelled while the first one's failure is known."""

    class Broken(MemorySink):
        def encode(self, events: Sequence[RawRecord]) -> object:
            raise KeyError(events)

    heard = Heard()
    assert deliver(Broken(), events(b"a"), observer=heard) == [Refused(0, "can't be encoded")]
    assert heard.said == [("bug", KeyError)]

    async def run() -> None:
        sink = MemorySink([NoAnswer(Trouble.CONNECT, "refused")])
        delivery = Delivery("x", sink, PaceLimits(1, first_pause=3600, longest_pause=3600), observer=heard)
        batch = asyncio.ensure_future(delivery.deliver(events(b"a")))
        while not delivery.why_waiting:  # noqa: ASYNC110  nothing else says that the answer was read
            await asyncio.sleep(0)
        assert delivery.why_waiting.startswith("drain 7: connect: refused, for ")
        batch.cancel()
        await asyncio.wait([batch])

    asyncio.run(asyncio.wait_for(run(), 30))
    assert heard.said[-1] == "forgotten"
