"""From lines in Kafka to eventgate: the example as it stands, and kills of both sides amid the stream."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from confluent_kafka import Producer

from logrouter.devkafka.ports import claim_port
from logrouter.kafka.reader import read_committed
from tests.conftest import HANG_SECONDS
from tests.integration.sinks.eventgate_stand_in import EventgateStandIn
from tests.integration.stack import Stack, syslog_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.stack import Process

pytestmark = pytest.mark.broker

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "wikimedia.yaml"
STAND_IN = ("-m", "tests.integration.sinks.eventgate_stand_in")
BATCH, REQUESTS = 5, 2

SINK = """
sinks:
  intake:
    type: eventgate
    from: {topic}
    url: http://127.0.0.1:{port}
    connections: {requests}
    batch: {{max_records: {batch}, max_wait_ms: 20}}
    retry: {{first_pause_ms: 20, longest_pause_ms: 200}}
    metrics: {{port: 0}}
"""


@pytest.fixture
def make(broker, tmp_path, unique) -> Iterator[Callable[..., Stack]]:
    """Make a stack; its processes end with the test."""
    stacks: list[Stack] = []

    def stack(name: str) -> Stack:
        stacks.append(Stack(broker.bootstrap, tmp_path, unique(name), session_timeout_ms=2_000))
        return stacks[-1]

    yield stack
    for made in stacks:
        made.close()
        for process in made.processes:
            print(f"--- {process.log.name}\n{process.text()[-2000:]}")  # noqa: T201 - pytest shows it for a failed test


def message(number: int, **fields: Any) -> dict[str, Any]:
    """What the gateway logs of a request."""
    meta = {"dt": "2026-05-01T10:00:00Z", "uri": f"/core/v1/page?token=t&n={number}", "request_id": f"r-{number}"}
    http = {"method": "GET", "status_code": 200 + number % 3, "request_headers": {"user-agent": f"Reader/{number}"}}
    return {"$schema": "/api-gateway/request/1.0.0", "meta": meta, "http": http, "route": "core", **fields}


def docker_line(number: int) -> bytes:
    """A container line of Docker's runtime."""
    outer = {
        "timestamp": "2026-05-01T10:00:00.101+00:00",
        "host": "node7",
        "program": "input-file-kubernetes",
        "log": orjson.dumps(message(number, client_id=f"c-{number % 5}", total_time_ms=12)).decode() + "\n",
        "stream": "stdout",
        "kubernetes": {"namespace_name": "api-gateway", "pod_name": "gw-1", "container_name": "gw"},
    }
    return orjson.dumps(outer).replace(b"/", rb"\/")


def containerd_line(number: int) -> bytes:
    """A container line of containerd, of a client that nobody knows."""
    outer = {
        "timestamp": "2026-05-01T10:00:00.101+00:00",
        "host": "node7",
        "program": "input-file-kubernetes",
        "msg": f"2026-05-01T10:00:00.100123456Z stdout F {orjson.dumps(message(number)).decode()}",
        "kubernetes": {"namespace_name": "rest-gateway", "pod_name": "rg-1", "container_name": "rg"},
    }
    return orjson.dumps(outer).replace(b"/", rb"\/")


def plain_line(number: int) -> bytes:
    """A line of the gateway on a machine."""
    return syslog_line(orjson.dumps(message(number)).decode())


def ids(events: list[dict[str, Any]]) -> Counter[str]:
    """How often each id is there."""
    return Counter(event["meta"]["id"] for event in events)


def test_the_example_brings_every_request_to_eventgate_once(make, monkeypatch, broker, eventually):
    """Of three envelopes amid other lines: each request is one valid document with the agent and id of its client."""
    stack, stand_in, number = make("wikimedia"), EventgateStandIn(), 300
    text = EXAMPLE.read_text().partition("\ntests:")[0]
    for name in ("rsyslog-notice", "k8s-", "eqiad.api-gateway.request", "gateway.requests"):
        assert name in text
        text = text.replace(name, f"{stack.name}.{name}")
    text += f"\nroute_lane: {{group: {stack.name}-route, metrics: {{port: 0}}}}"
    text += f"\noutputs: {{dead_letter: {{topic: {stack.dead}}}, rollup: {{topic: {stack.rollup}, partitions: 4}}}}\n"
    stack.config.write_text(text)
    stack.source = f"{stack.name}.rsyslog-notice"
    monkeypatch.setenv("LOGROUTER_BOOTSTRAP", broker.bootstrap)
    for topic in (stack.source, f"{stack.name}.k8s-main"):
        stack.create_topic(topic, 2)
    stack.command("topics")
    lines = (docker_line, containerd_line, plain_line)
    stack.feed(lines[each % 3](each) for each in range(number))
    stack.feed(syslog_line("Accepted publickey for root", "sshd") for _ in range(50))

    with stand_in.listening() as url:
        monkeypatch.setenv("LOGROUTER_EVENTGATE_URL", url)
        stack.route()
        sink = stack.start("sink", "eventgate", "--instance", "a", "--metrics-port", "0")
        eventually(lambda: len(stand_in.taken) >= number, "all events are taken")
        assert sink.stop() == 0

    published = [
        orjson.loads(record.value or b"") for _, record in read_committed(stack.kafka, f"{stack.name}.gateway.requests")
    ]
    assert Counter(event["meta"]["id"] for event in stand_in.taken) == Counter(
        event["meta"]["id"] for event in published
    )
    for event in stand_in.taken:
        at = int(event["meta"]["request_id"].removeprefix("r-"))
        assert event["http"]["request_headers"] == {"user-agent": f"Reader/{at}"}
        assert event["meta"]["uri"] == "/core/v1/page"
        assert event.get("client_id") == (f"c-{at % 5}" if at % 3 == 0 else None)
        assert event.keys() <= {"$schema", "meta", "http", "route", "client_id", "total_time_ms"}
    assert stack.dead_letters() == []


class Intake:
    """A stack with numbered events in its topic, an eventgate that stands in, and a sink between them."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.store, self.port = stack, stack.folder / "taken.jsonl", claim_port()
        self.published = 0
        sink = SINK.format(topic=stack.clean, port=self.port, batch=BATCH, requests=REQUESTS)
        stack.config.write_text(stack.config.read_text() + sink)
        self._producer = Producer(stack.kafka)

    def start_target(self) -> Process:
        """One in seven events can't be produced at first."""
        return self.stack.start(
            "--port", str(self.port), "--store", str(self.store), "--fail-every", "7", program=STAND_IN
        )

    def start_sink(self, instance: str) -> Process:
        """A process of the sink."""
        return self.stack.start("sink", "intake", "--instance", instance, "--metrics-port", "0")

    def publish(self, number: int) -> None:
        """So many more events."""
        for each in range(self.published, self.published + number):
            meta = {"stream": "s", "dt": "2026-05-04T10:00:00.000Z", "id": f"e-{each}", "request_id": str(each)}
            # One in a hundred is invalid: eventgate refuses it, and it is a dead letter.
            http = {"status_code": "200" if each % 100 == 99 else 200}
            event = {"$schema": "/logrouter/api_request/1.1.0", "meta": meta, "http": http}
            self._producer.produce(self.stack.clean, orjson.dumps(event), key=str(each))
        self.published += number
        assert self._producer.flush(HANG_SECONDS) == 0

    def taken(self) -> Counter[str]:
        """How often eventgate has taken each event."""
        lines = self.store.read_bytes().splitlines() if self.store.exists() else []
        return Counter(orjson.loads(line)["meta"]["id"] for line in lines)

    @property
    def valid(self) -> set[str]:
        """Ids of events that must be taken."""
        return {f"e-{each}" for each in range(self.published) if each % 100 != 99}

    def refused(self) -> Counter[int]:
        """How many dead letters each event has, by its place."""
        return Counter(
            (letter["source"]["partition"], letter["source"]["offset"]) for letter in self.stack.dead_letters()
        )


@pytest.mark.long
def test_kills_of_the_sink_and_of_eventgate_lose_nothing(make, seed, eventually):
    """Killed amid requests: every event arrives, those on their way perhaps again; a refused one is one letter."""
    rnd, intake, kills = random.Random(seed), Intake(make("kills")), 6
    running = {"target": intake.start_target(), "sink": intake.start_sink("sink-0")}
    for each in range(kills):
        before = intake.taken().total()
        intake.publish(500)
        wanted = before + rnd.randrange(50, 400)
        eventually(lambda wanted=wanted: intake.taken().total() >= wanted, "amid the stream")
        role = ("target", "sink")[each % 2]
        running[role].kill()
        running[role].wait()
        assert intake.taken().keys() < intake.valid, "the kill came after all was done"
        running[role] = intake.start_target() if role == "target" else intake.start_sink(f"sink-{each}")
    eventually(lambda: intake.taken().keys() >= intake.valid, "every valid event is taken")
    letters = intake.published // 100
    eventually(lambda: len(intake.refused()) >= letters, "every invalid event is a dead letter")
    assert running["sink"].stop() == 0

    taken = intake.taken()
    assert taken.keys() == intake.valid
    assert max(taken.values()) <= 1 + kills
    assert list(intake.refused().values()) == [1] * letters
