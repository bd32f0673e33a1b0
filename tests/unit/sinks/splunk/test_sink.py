"""The sink of Splunk against a collector on loopback: what is indexed, what is sent again, what is asked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp.test_utils import TestServer

from logrouter.model import RawRecord
from logrouter.sinks.acknowledged_sink import AcknowledgedSink
from logrouter.sinks.contract import DELIVERED, NoAnswer, Refused, Trouble
from logrouter.sinks.delivery import Delivery
from logrouter.sinks.http_client import HttpBounds, HttpClient
from logrouter.sinks.http_sink import HttpSink
from logrouter.sinks.pacing import PaceLimits
from logrouter.sinks.splunk.protocol import SplunkProtocol

from .collector import Collector

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from logrouter.sinks.contract import Sink

CHANNEL = "11111111-2222-4333-8444-555555555555"


class Waiting:
    """Time that passes when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def plain_sink(url: str, token: str = "abc") -> Sink:  # noqa: S107 - of the stand-in
    """Events are done when the collector has taken them."""
    return HttpSink(SplunkProtocol(url, token, compress=True), HttpClient(HttpBounds()))


def acknowledged_sink(url: str, waiting: Waiting) -> Sink:
    """Events are done when they are acknowledged within 30 s."""
    protocol = SplunkProtocol(url, "abc", channel=CHANNEL, compress=True)
    client = HttpClient(HttpBounds())
    return AcknowledgedSink(protocol, client, patience_seconds=30, clock=lambda: waiting.now, sleep=waiting.sleep)


def events(*numbers: int) -> list[RawRecord]:
    """Numbered events."""
    return [RawRecord("clean", 0, number, 0, b'{"n":%d}' % number) for number in numbers]


def run(collector: Collector, test: Callable[[str], Awaitable[None]]) -> None:
    """A test with the address of the collector."""

    async def serve() -> None:
        async with asyncio.timeout(60), TestServer(collector.application()) as server:
            await test(str(server.make_url("/")))

    asyncio.run(serve())


def numbers(collector: Collector) -> list[int]:
    """The numbers of the events that the collector has."""
    return sorted(envelope["event"]["n"] for envelope in collector.indexed)


async def deliver(sink: Sink, *batches: list[RawRecord]) -> list[object]:
    """What becomes of batches that are sent at a time."""
    delivery = Delivery("splunk", sink, PaceLimits(4, 0, 0))
    settled = await asyncio.gather(*map(delivery.deliver, batches))
    await delivery.close()
    return [each for batch in settled for each in batch]


def test_events_are_indexed():
    """A collector that is busy, full or broken gets them again."""
    collector = Collector(answers=[9, 26, 8])

    async def test(url: str) -> None:
        assert await deliver(plain_sink(url), events(1, 2), events(3)) == [DELIVERED] * 3

    run(collector, test)
    assert numbers(collector) == [1, 2, 3]
    assert len(collector.requests) == 5


def test_an_event_that_splunk_does_not_take_holds_nothing_back():
    """It is refused with the collector's words, and the others go out without it."""
    collector = Collector()
    blank = RawRecord("clean", 0, 9, 0, b'""')

    async def test(url: str) -> None:
        settled = await deliver(plain_sink(url), [*events(1), blank, *events(2)])
        assert settled == [DELIVERED, Refused(400, "code 13: words"), DELIVERED]

    run(collector, test)
    assert numbers(collector) == [1, 2]
    assert len(collector.requests) == 2


def test_a_wrong_token_is_nobodys_dead_letter():
    """Somebody has to mend it; the events wait."""

    async def test(url: str) -> None:
        sink = plain_sink(url, "wrong")
        [result] = sink.classify(await sink.send(sink.encode(events(1)).request), events(1))
        await sink.close()
        assert (result.trouble, result.status, result.detail) == (Trouble.DENIED, 403, "code 4: words")

    run(Collector(), test)


def test_events_are_done_when_they_are_acknowledged():
    """First it is asked whether there are acknowledgements at all; then for the receipt until the third answer."""
    collector = Collector(acknowledges=True, questions_before_yes=3)
    waiting = Waiting()

    async def test(url: str) -> None:
        assert await deliver(acknowledged_sink(url, waiting), events(1, 2)) == [DELIVERED] * 2

    run(collector, test)
    assert numbers(collector) == [1, 2]
    assert collector.requests == ["ack", "event", "ack", "ack", "ack"]
    assert waiting.pauses == [0.25, 0.5, 1.0]


def test_events_that_were_taken_and_lost_are_sent_again():
    """The indexer went down with them: nobody acknowledges, and after the patience they go out once more."""
    collector = Collector(acknowledges=True, lost=1)
    waiting = Waiting()

    async def test(url: str) -> None:
        assert await deliver(acknowledged_sink(url, waiting), events(1, 2)) == [DELIVERED] * 2

    run(collector, test)
    assert numbers(collector) == [1, 2]
    assert collector.requests.count("event") == 2
    assert 30 <= waiting.now < 31


def test_an_acknowledgement_that_comes_too_late_doubles_events():
    """That is what at least once means: they were indexed, and nobody said so in time."""
    collector = Collector(acknowledges=True, questions_before_yes=1000)
    waiting = Waiting()

    async def test(url: str) -> None:
        sink = acknowledged_sink(url, waiting)
        request = sink.encode(events(1)).request
        assert await sink.send(request) == NoAnswer(Trouble.TIMEOUT, "taken, but not acknowledged within 30 s")
        collector.questions_before_yes = 1
        assert sink.classify(await sink.send(request), events(1)) == [DELIVERED]
        await sink.close()

    run(collector, test)
    assert numbers(collector) == [1, 1]


def test_a_token_without_acknowledgement_gets_no_events():
    """They would be taken, never acknowledged, and sent again without end."""
    collector = Collector(acknowledges=False)

    async def test(url: str) -> None:
        sink = acknowledged_sink(url, Waiting())
        answer = await sink.send(sink.encode(events(1)).request)
        assert answer == NoAnswer(Trouble.DENIED, "400 acknowledgement: code 14: words")
        collector.acknowledges = True  # somebody has mended it
        assert sink.classify(await sink.send(sink.encode(events(1)).request), events(1)) == [DELIVERED]
        await sink.close()

    run(collector, test)
    assert numbers(collector) == [1]


def test_requests_at_a_time_have_receipts_of_their_own():
    """Of eight batches one is lost: that one alone goes out again."""
    collector = Collector(acknowledges=True, lost=1)

    async def test(url: str) -> None:
        batches = [events(number) for number in range(8)]
        assert await deliver(acknowledged_sink(url, Waiting()), *batches) == [DELIVERED] * 8

    run(collector, test)
    assert numbers(collector) == [*range(8)]
    assert collector.requests.count("event") == 9
