"""Webhooks from a real topic: a receiver that is busy, hangs or is killed, a sink that is killed; nothing is lost."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from confluent_kafka import Producer

from logrouter.devkafka.ports import claim_port
from tests.conftest import HANG_SECONDS
from tests.integration.sinks.stack import ask_process
from tests.integration.sinks.webhook_receiver import KEY, WebhookReceiver
from tests.integration.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.stack import Process

pytestmark = pytest.mark.broker

RECEIVER = ("-m", "tests.integration.sinks.webhook_receiver")


class Hook:
    """A stack with numbered events in its topic, and a sink of type webhook; the receiver is the test's."""

    def __init__(self, stack: Stack, url: str = "", **options: Any) -> None:
        self.stack, self.port = stack, claim_port()
        self.store, self.mode = stack.folder / "kept.jsonl", stack.folder / "mode.txt"
        self.published = 0
        sink = {
            "type": "webhook",
            "from": stack.clean,
            "group": f"{stack.name}-sink",
            "url": url or f"http://127.0.0.1:{self.port}/in",
            "signing_keys": "${HOOK_KEY}",
            "timeout_seconds": 1,
            "batch": {"max_records": 10, "max_wait_ms": 20},
            "retry": {"first_pause_ms": 20, "longest_pause_ms": 200},
            "waiting": {"max_records": 200},
            **options,
        }
        # A process that is killed is followed by the next one of its name at once.
        text = stack.config.read_text().replace("route_lane:", "route_lane:\n  static_membership: true")
        stack.config.write_text(f"{text}\nsinks: {json.dumps({'hook': sink})}\n")
        self._producer = Producer(stack.kafka)

    def answer(self, mode: str) -> None:
        """From now on, as `WebhookReceiver` says."""
        self.mode.write_text(mode)

    def start_sink(self, port: int = 0) -> Process:
        """A process of the sink."""
        return self.stack.start("sink", "hook", "--instance", "sink-0", "--metrics-port", str(port))

    def start_receiver(self) -> Process:
        """A process of the receiver."""
        arguments = ("--port", str(self.port), "--store", str(self.store), "--mode", str(self.mode))
        return self.stack.start(*arguments, program=RECEIVER)

    def publish(self, number: int) -> None:
        """So many more events."""
        for each in range(self.published, self.published + number):
            self._producer.produce(self.stack.clean, b'{"meta":{"id":"e-%d"}}' % each, partition=each % 4)
        self.published += number
        assert self._producer.flush(HANG_SECONDS) == 0

    @property
    def expected(self) -> set[str]:
        """The ids of all events."""
        return {f"e-{each}" for each in range(self.published)}

    def messages(self) -> list[dict[str, str]]:
        """Every request that was stored, also those that are there twice."""
        return [orjson.loads(line) for line in self.store.read_bytes().splitlines()] if self.store.exists() else []

    def events(self) -> Counter[str]:
        """How often each event was stored."""
        lines = (line for message in self.messages() for line in message["body"].splitlines())
        return Counter(orjson.loads(line)["meta"]["id"] for line in lines)


@pytest.fixture
def make(broker, tmp_path, unique, monkeypatch) -> Iterator[Callable[..., Hook]]:
    """Make a stack with a webhook; its processes end with the test."""
    monkeypatch.setenv("HOOK_KEY", KEY)
    stacks: list[Stack] = []

    def hook(*url: str, **options: Any) -> Hook:
        stacks.append(Stack(broker.bootstrap, tmp_path, unique("hook"), session_timeout_ms=2_000))
        return Hook(stacks[-1], *url, **options)

    yield hook
    for made in stacks:
        made.close()
        for process in made.processes:
            print(f"--- {process.log.name}\n{process.text()[-2000:]}")  # noqa: T201 - pytest shows it for a failed test


@pytest.mark.long
def test_a_receiver_that_is_busy_and_one_that_hangs_get_every_event(make, tmp_path, eventually):
    """503 for a while, then no answers for a while: `/readyz` says which, events wait, and each arrives with its id."""
    receiver = WebhookReceiver(tmp_path / "kept.jsonl", tmp_path / "mode.txt")
    with receiver.listening() as url:
        hook, port = make(url), claim_port()
        hook.answer("busy")
        hook.publish(150)
        sink = hook.start_sink(port)
        eventually(lambda: "overloaded 503" in ask_process(port, "/readyz")[1], "busy, and not ready for that")
        assert hook.events() == Counter()

        hook.answer("hang")
        eventually(lambda: "timeout: no answer within 1 s" in ask_process(port, "/readyz")[1], "hanging")
        hook.answer("ok")
        eventually(lambda: hook.events().keys() >= hook.expected, "every event is stored")
        eventually(lambda: ask_process(port, "/readyz")[0] == 200, "ready again")
        assert sink.stop() == 0

    assert hook.events().keys() == hook.expected
    # The requests that were stored and not answered were sent again, under the same id.
    assert {message["id"]: message["body"] for message in hook.messages()} == {
        name: f'{{"meta":{{"id":"{name}"}}}}' for name in hook.expected
    }
    assert hook.events().total() > len(hook.expected)
    assert hook.stack.dead_letters() == []


@pytest.mark.long
@pytest.mark.parametrize("body", ["event", "lines"])
def test_kills_of_the_sink_and_of_the_receiver_lose_nothing(make, seed, eventually, body):
    """Killed amid requests: whoever remembers ids has each event once; of batches, readers know events by theirs."""
    rnd, hook, kills = random.Random(seed), make(body=body), 4
    running = {"receiver": hook.start_receiver(), "sink": hook.start_sink()}
    for each in range(kills):
        before = len(hook.events())
        hook.publish(400)
        wanted = before + rnd.randrange(20, 200)
        eventually(lambda wanted=wanted: len(hook.events()) >= wanted, "amid the stream")
        role = ("receiver", "sink")[each % 2]
        running[role].kill()
        running[role].wait()
        assert hook.events().keys() < hook.expected, "the kill came after all was done"
        running[role] = hook.start_receiver() if role == "receiver" else hook.start_sink()
    eventually(lambda: hook.events().keys() >= hook.expected, "every event is stored")
    assert running["sink"].stop() == 0

    assert hook.events().keys() == hook.expected
    kept = {message["id"]: message["body"] for message in hook.messages()}
    assert body != "event" or kept.keys() == hook.expected
    assert hook.stack.dead_letters() == []
