"""Several routes and several topics for one record, on a real Kafka: every topic complete, every count exact."""

from __future__ import annotations

import urllib.request
from collections import Counter
from typing import TYPE_CHECKING

import orjson
import pytest

from logrouter.core.rollup.records import decode_record
from logrouter.devkafka.ports import claim_port
from logrouter.kafka.reader import read_committed
from tests.conftest import HANG_SECONDS
from tests.integration.stack import Stack, metrics, request_line, syslog_line

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.broker

COPY = """
  - name: by-api
    from: rsyslog
    match: {{program: api-gateway, looks_like: request}}
    format: envoy
    fields: {{drop: [http.client_ip]}}
    to: [{name}.all, "{name}.{{api}}"]
    topics: {{api: [core, search], otherwise: {name}.other}}
"""


@pytest.fixture
def stack(broker, tmp_path, unique) -> Iterator[Stack]:
    """A stack whose source gives every record to all routes that match it."""
    made = Stack(broker.bootstrap, tmp_path, unique("fan"))
    text = made.config.read_text().replace("envelope: rsyslog}", "envelope: rsyslog, routing: all-matches}")
    made.config.write_text(text + COPY.format(name=made.name))
    made.command("topics")
    yield made
    made.close()


def totals(port: int, name: str) -> Counter[tuple[str, ...]]:
    """A counter's values by route, outcome and reason; empty while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=HANG_SECONDS) as answer:
            samples = metrics(answer.read().decode()).get(name, [])
    except OSError:
        return Counter()
    return Counter({(at["route"], at["outcome"], at["reason"]): int(value) for at, value in samples})


def requests(stack: Stack, topic: str) -> Counter[int]:
    """How often each request number stands in a topic."""
    found = [orjson.loads(record.value or b"") for _, record in read_committed(stack.kafka, topic)]
    assert all("client_ip" not in event["http"] for event in found)
    return Counter(int(event["meta"]["request_id"]) for event in found)


def test_every_route_and_topic_gets_its_events_and_tables_count_once(stack, eventually):
    """All topics hold just their requests, first outcomes are the records read, and each request is counted once."""
    port = claim_port()
    apis = ["core", "search", "elsewhere"]
    fed = stack.feed([request_line(n, "c1", api=apis[n % 3]) for n in range(300)] + [syslog_line("x", program="sshd")])
    lane = stack.route(port=port)
    eventually(lambda: lane.running and sum(totals(port, "logrouter_events_total").values()) == fed, "all counted")
    counted: Counter[str] = Counter()
    for _, record in read_committed(stack.kafka, stack.rollup):
        for subject, cells in decode_record(record.value or b""):
            counted[subject] += sum(cell.count for cell in cells)

    assert totals(port, "logrouter_events_total") == {
        ("api-gateway", "accepted", ""): 300,
        ("_unmatched", "ignored", "unmatched"): 1,
    }
    assert totals(port, "logrouter_event_copies_total") == {("by-api", "accepted", ""): 300}
    assert stack.numbers() == requests(stack, f"{stack.name}.all") == Counter(range(300))
    for index, topic in enumerate(("core", "search", "other")):
        assert requests(stack, f"{stack.name}.{topic}") == Counter(range(index, 300, 3))
    assert counted == {"cc1": 300, "acore": 100, "asearch": 100, "aelsewhere": 100}
    assert lane.stop() == 0
