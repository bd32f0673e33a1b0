"""docs/examples/aws.yaml as it stands: access logs of API Gateway, through both lanes, to a real OpenSearch."""

from __future__ import annotations

import base64
import gzip
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest

from tests.integration.search_client import SearchClient
from tests.integration.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.broker, pytest.mark.xdist_group("search")]

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "aws.yaml"
STATUSES = (200, 201, 404, 429, 500, 502, 503, 504, 511)
ECS = """
  ecs:
    type: opensearch
    from: {topic}
    url: {url}
    index: {{name: {name}-ecs, rotation: none}}
    metrics: {{port: 0}}
"""
BEGAN_MS = int(time.time() * 1000) - 600_000
"""When the first request began: ten minutes ago, as old events would go to another day's index than their own."""


def access_line(number: int) -> str:
    """A request in API Gateway's JSON notation, every value a text as it writes them."""
    return orjson.dumps(
        {
            "requestId": f"r-{number}",
            "extendedRequestId": f"x-{number}",
            "ip": "192.0.2.7",
            "caller": "-",
            "user": "-",
            "requestTimeEpoch": str(BEGAN_MS + number),
            "httpMethod": "GET",
            "resourcePath": "/orders/{id}",
            "status": str(STATUSES[number % len(STATUSES)]),
            "protocol": "HTTP/1.1",
            "responseLength": "512",
            "apiKeyId": f"key-{number % 5}",
        }
    ).decode()


def payload(numbers: range) -> bytes:
    """What a subscription filter hands on: many lines, gzip, in base64."""
    events = [
        {"id": f"{number:056d}", "timestamp": BEGAN_MS + number, "message": access_line(number)} for number in numbers
    ]
    document = {
        "messageType": "DATA_MESSAGE",
        "owner": "111122223333",
        "logGroup": "/apigw/orders/prod",
        "logStream": "0a1b2c",
        "subscriptionFilters": ["all"],
        "logEvents": events,
    }
    return base64.b64encode(gzip.compress(orjson.dumps(document)))


@pytest.fixture
def stack(broker, node, tmp_path, unique, monkeypatch) -> Iterator[Stack]:
    """The example with names of its own for topics, groups and indices, and a second sink with the other documents."""
    monkeypatch.setenv("LOGROUTER_BOOTSTRAP", broker.bootstrap)
    monkeypatch.setenv("LOGROUTER_SEARCH_URL", node.url)
    made = Stack(broker.bootstrap, tmp_path, unique("aws"))
    text = EXAMPLE.read_text().partition("\ntests:")[0]
    for name in ("cloudwatch-logs", "aws.request", "logrouter.dead-letter", "logrouter.rollup", "api-gateway-request"):
        assert name in text
        text = text.replace(name, f"{made.name}.{name}")
    text = text.replace("\nsources:", f"\nroute_lane: {{group: {made.name}-route, metrics: {{port: 0}}}}\n\nsources:")
    sinks = ECS.format(topic=f"{made.name}.aws.request", url=node.url, name=made.name)
    assert "\nsinks:\n" in text
    made.config.write_text(text.replace("\nsinks:\n", f"\nsinks:{sinks}"))
    made.create_topic(f"{made.name}.cloudwatch-logs", 2)
    made.source, made.dead = f"{made.name}.cloudwatch-logs", f"{made.name}.logrouter.dead-letter"
    made.command("topics")
    yield made
    made.close()


def test_every_request_that_was_logged_is_a_document_and_its_status_is_found(stack, node, eventually):
    """As many documents as requests in either form, and `message.status:50*` finds exactly those."""
    client, requests = SearchClient(node.url), 900
    stack.feed(payload(range(first, first + 90)) for first in range(0, requests, 90))
    stack.route()
    for sink in ("search", "ecs"):
        stack.start("sink", sink, "--instance", sink, "--metrics-port", "0")
    firehose, ecs = f"{stack.name}.api-gateway-request-*", f"{stack.name}-ecs"

    def count(index: str, query: str) -> int:
        client.ask("POST", f"/{index}/_refresh")
        found = client.ask("GET", f"/{index}/_count?q={query}")
        return found.body["count"] if found.status == 200 else 0

    eventually(lambda: count(firehose, "*") == requests, "all documents as Firehose writes them")
    eventually(lambda: count(ecs, "*") == requests, "all documents of the Elastic Common Schema")
    logged = Counter(STATUSES[number % len(STATUSES)] for number in range(requests))
    assert count(firehose, "message.status:50*") == sum(
        number for status, number in logged.items() if 500 <= status < 510
    )
    assert count(firehose, "message.status:404") == logged[404]
    assert count(ecs, "http.response.status_code:%5B500%20TO%20509%5D") == count(firehose, "message.status:50*")
    assert stack.dead_letters() == []
    days = {time.strftime("%Y-%m-%d", time.gmtime((BEGAN_MS + number) / 1000)) for number in range(requests)}
    indices = client.get(f"/_cat/indices/{firehose}?format=json")
    assert {index["index"] for index in indices} == {f"{stack.name}.api-gateway-request-{day}" for day in days}
    found = client.get(f"/{firehose}/_search?q=message.requestId:%22r-7%22")
    [document] = [hit["_source"] for hit in found["hits"]["hits"]]
    assert document["timestamp"] == BEGAN_MS + 7
    assert document["message"]["status"] == "504"
