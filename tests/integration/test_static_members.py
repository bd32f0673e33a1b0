"""Static members of a consumer group that come back with another file: they read what this one says."""

from __future__ import annotations

import json

import pytest
from confluent_kafka import Producer

from tests.conftest import HANG_SECONDS
from tests.integration.sinks.webhook_receiver import KEY, WebhookReceiver
from tests.integration.stack import Stack, request_line

pytestmark = pytest.mark.broker


@pytest.fixture
def stack(broker, tmp_path, unique):
    """Processes that keep their partitions while they restart."""
    made = Stack(broker.bootstrap, tmp_path, unique("static"), session_timeout_ms=6_000)
    made.config.write_text(made.config.read_text().replace("route_lane:", "route_lane:\n  static_membership: true"))
    yield made
    made.close()


def test_a_route_process_that_comes_back_with_another_source_reads_that(stack, eventually):
    """Within its session the group would give it the partitions of the former one."""
    other = f"{stack.name}.other"
    stack.create_topic(other, 2)
    route = stack.route()
    stack.feed([request_line(1, "client-1")])
    eventually(lambda: stack.numbers() == {1: 1}, "the first is routed")
    route.kill()
    route.wait()
    stack.config.write_text(stack.config.read_text().replace(f"[{stack.source}]", f"[{other}]"))
    stack.route()
    stack.source = other
    stack.feed([request_line(2, "client-1")])

    eventually(lambda: stack.numbers() == {1: 1, 2: 1}, "the second is routed")


def test_a_sink_that_comes_back_with_another_topic_reads_that(stack, eventually, monkeypatch):
    """The same for `from` of a sink."""
    monkeypatch.setenv("HOOK_KEY", KEY)
    store, more = stack.folder / "kept.jsonl", f"{stack.name}.more"
    plain = stack.config.read_text().replace(f"to: {stack.clean}", f"to: [{stack.clean}, {more}]")
    stack.create_topic(more, 2)
    producer = Producer(stack.kafka)
    with WebhookReceiver(store, stack.folder / "mode.txt").listening() as url:
        for topic in (stack.clean, more):
            sink = {"type": "webhook", "from": topic, "group": stack.name, "url": url, "signing_keys": "${HOOK_KEY}"}
            stack.config.write_text(f"{plain}\nsinks: {json.dumps({'hook': sink})}\n")
            process = stack.start("sink", "hook", "--instance", "sink-0", "--metrics-port", "0")
            producer.produce(topic, b'{"meta":{"id":"of %s"}}' % topic.encode())
            assert producer.flush(HANG_SECONDS) == 0
            eventually(lambda topic=topic: store.exists() and f"of {topic}" in store.read_text(), "it arrived")
            process.kill()
            process.wait()
