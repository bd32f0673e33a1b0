"""Splunk from a real topic, with acknowledgement: kills of a collector that has events in memory, and of the sink."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import TYPE_CHECKING

import orjson
import pytest
from confluent_kafka import Producer

from logrouter.devkafka.ports import claim_port
from tests.conftest import HANG_SECONDS
from tests.integration.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.stack import Process

pytestmark = pytest.mark.broker

COLLECTOR = ("-m", "tests.integration.sinks.splunk_collector")


@pytest.fixture
def stack(broker, tmp_path, unique, monkeypatch) -> Iterator[Stack]:
    """A stack with a sink of type splunk, and a port for its collector; its processes end with the test."""
    monkeypatch.setenv("SPLUNK_TOKEN", "abc")
    made = Stack(broker.bootstrap, tmp_path, unique("splunk"), session_timeout_ms=2_000)
    yield made
    made.close()
    for process in made.processes:
        print(f"--- {process.log.name}\n{process.text()[-2000:]}")  # noqa: T201 - pytest shows it for a failed test


def configure(stack: Stack, port: int) -> None:
    """Small batches, and little patience."""
    sink = {
        "type": "splunk",
        "group": f"{stack.name}-sink",
        "from": stack.clean,
        "url": f"http://127.0.0.1:{port}",
        "token": "${SPLUNK_TOKEN}",
        "acknowledge": True,
        "acknowledge_seconds": 2,
        "batch": {"max_records": 10, "max_wait_ms": 20},
        "retry": {"first_pause_ms": 20, "longest_pause_ms": 200},
    }
    # A process that is killed is followed by the next one of its name at once.
    text = stack.config.read_text().replace("route_lane:", "route_lane:\n  static_membership: true")
    stack.config.write_text(f"{text}\nsinks: {json.dumps({'splunk': sink})}\n")


def start_collector(stack: Stack, port: int) -> Process:
    """A process of the collector."""
    return stack.start("--port", str(port), "--folder", str(stack.folder), program=COLLECTOR)


def start_sink(stack: Stack) -> Process:
    """A process of the sink."""
    return stack.start("sink", "splunk", "--instance", "sink-0", "--metrics-port", "0")


def count(stack: Stack, name: str) -> Counter[int]:
    """How often each event stands in a file of the collector."""
    file = stack.folder / f"{name}.jsonl"
    return Counter(orjson.loads(line)["n"] for line in (file.read_bytes().splitlines() if file.exists() else ()))


@pytest.mark.long
def test_events_that_go_down_with_a_collector_are_sent_again(stack, seed, eventually):
    """Two kills of it and one of the sink amid the stream: what was taken and lost is indexed in the end."""
    rnd, port, published = random.Random(seed), claim_port(), 0
    configure(stack, port)
    producer = Producer(stack.kafka)
    running = {"collector": start_collector(stack, port), "sink": start_sink(stack)}
    for each in range(3):
        before = len(count(stack, "taken"))
        for number in range(published, published + 300):
            producer.produce(stack.clean, b'{"n":%d}' % number, partition=number % 4)
        published += 300
        assert producer.flush(HANG_SECONDS) == 0
        wanted = before + rnd.randrange(20, 150)
        eventually(lambda wanted=wanted: len(count(stack, "taken")) >= wanted, "amid the stream")
        role = ("collector", "sink")[each % 2]
        running[role].kill()
        running[role].wait()
        assert len(count(stack, "indexed")) < published, "the kill came after all was done"
        running[role] = start_collector(stack, port) if role == "collector" else start_sink(stack)
    eventually(lambda: len(count(stack, "indexed")) >= published, "every event is indexed")
    assert running["sink"].stop() == 0

    assert count(stack, "indexed").keys() == set(range(published))
    assert count(stack, "taken").total() > count(stack, "indexed").total(), "no collector had anything to lose"
    assert stack.dead_letters() == []
