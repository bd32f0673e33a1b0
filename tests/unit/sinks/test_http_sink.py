"""A sink over HTTP: what goes first, and what is signed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from logrouter.sinks.contract import NoAnswer, Retry, Trouble
from logrouter.sinks.http_messages import HttpAnswer, HttpRequest
from logrouter.sinks.http_sink import HttpSink
from logrouter.sinks.webhook.protocol import WebhookProtocol

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH = HttpRequest("http://h/events", b"[]", {})


@dataclass
class ScriptedClient:
    """Answers in order, and keeps the addresses of requests."""

    answers: Sequence[HttpAnswer | NoAnswer]
    sent: list[str] = field(default_factory=list)

    async def send(self, request: HttpRequest) -> HttpAnswer | NoAnswer:
        """The next answer."""
        assert "webhook-timestamp" in request.headers  # by `authorise` of the protocol
        self.sent.append(request.url)
        await asyncio.sleep(0)
        return self.answers[len(self.sent) - 1]

    async def close(self) -> None:
        """Nothing is open."""


class TwoSteps:
    """Two requests that have to be answered with 200."""

    def begin(self) -> HttpRequest:
        """The first."""
        return HttpRequest("http://h/first", b"", {})

    def go_on(self, request: HttpRequest, answer: HttpAnswer) -> HttpRequest | Retry | None:
        """The second, or trouble."""
        if answer.status != 200:
            return Retry(Trouble.DENIED, answer.status, "no right")
        return HttpRequest("http://h/second", b"", {}) if request.url.endswith("first") else None


class Endless(TwoSteps):
    """One that asks and asks."""

    def go_on(self, request: HttpRequest, answer: HttpAnswer) -> HttpRequest | Retry | None:
        """The same again."""
        assert answer.status == 200
        return request


OK = HttpAnswer(200, {}, b"")


def send(client: ScriptedClient, preparation: Any, times: int = 1, *, together: bool = False) -> list[Any]:
    """The answers to so many batches."""

    async def run() -> list[Any]:
        sink = HttpSink(WebhookProtocol("http://h/events"), client, preparation=preparation)  # type: ignore[arg-type]
        if together:
            return list(await asyncio.gather(*(sink.send(BATCH) for _ in range(times))))
        return [await sink.send(BATCH) for _ in range(times)]

    return asyncio.run(run())


def test_the_target_is_prepared_once_before_the_first_batch():
    """Whether batches come one by one or together."""
    for together in (False, True):
        client = ScriptedClient([OK] * 5)

        assert send(client, TwoSteps(), 3, together=together) == [OK] * 3
        assert client.sent == ["http://h/first", "http://h/second", *["http://h/events"] * 3]


def test_without_a_preparation_the_batch_is_all_that_is_sent():
    """As for most targets."""
    client = ScriptedClient([OK])

    assert send(client, None) == [OK]
    assert client.sent == ["http://h/events"]


def test_a_preparation_that_fails_sends_no_batch_and_begins_anew():
    """The batch is sent again like any other that had no answer."""
    down = NoAnswer(Trouble.CONNECT, "refused")
    client = ScriptedClient([down, OK, HttpAnswer(403, {}, b""), OK, OK, OK])

    assert send(client, TwoSteps(), 3) == [down, NoAnswer(Trouble.DENIED, "403 no right"), OK]
    assert client.sent == [
        "http://h/first",
        *("http://h/first", "http://h/second"),
        *("http://h/first", "http://h/second", "http://h/events"),
    ]


def test_a_preparation_without_an_end_is_trouble():
    """A mistake of ours holds nothing up in silence."""
    [answer] = send(ScriptedClient([OK] * 100), Endless())

    assert answer.trouble is Trouble.NONSENSE
