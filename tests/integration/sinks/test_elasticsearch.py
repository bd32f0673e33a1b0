"""The sink on a real Elasticsearch with a password."""

from __future__ import annotations

import base64
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.integration.search_client import SearchClient
from tests.integration.sinks.elasticsearch import PASSWORD, USER, ElasticsearchNode, find_java_17
from tests.integration.sinks.stack import SinkStack, ask_process, counted, event, event_id

if TYPE_CHECKING:
    from collections.abc import Iterator

JAVA = find_java_17()

pytestmark = [
    pytest.mark.broker,
    pytest.mark.long,
    pytest.mark.xdist_group("search"),
    pytest.mark.skipif(
        JAVA is None, reason="there is no Java 17, which Elasticsearch 8 runs on (Debian: openjdk-17-jre)"
    ),
]
BASIC = {"Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}


@pytest.fixture(scope="module")
def elastic() -> Iterator[ElasticsearchNode]:
    """One node for this module."""
    assert JAVA is not None
    with ElasticsearchNode(JAVA) as node:
        yield node


@pytest.fixture
def stack(broker, elastic, tmp_path, unique) -> Iterator[SinkStack]:
    """A stack whose sink writes to Elasticsearch; its credentials come with the test."""
    made = SinkStack(broker.bootstrap, tmp_path, unique("elastic"), elastic.url)
    made.node = SearchClient(elastic.url, BASIC)
    yield made
    made.close()


def once(count: int) -> Counter[str]:
    """Each of *count* events once."""
    return Counter(event_id(number) for number in range(count))


def test_with_its_password_every_event_is_there_once(stack, monkeypatch, eventually):
    """A wrong password loses nothing; neither does a block, and what is there already is known as such.

    API keys can't be tried: this distribution lacks an analyzer that Elasticsearch keeps them with.
    """
    monkeypatch.setenv("SEARCH_PASSWORD", "wrong")
    stack.configure(basic_auth={"user": USER, "password": "${SEARCH_PASSWORD}"})
    stack.publish(event(number) for number in range(200))
    process, port = stack.sink_with_port()
    eventually(lambda: "denied: 401" in ask_process(port, "/readyz")[1], "says that the password is wrong")
    assert process.stop() == 0

    monkeypatch.setenv("SEARCH_PASSWORD", PASSWORD)
    _, port = stack.sink_with_port()
    eventually(lambda: stack.ids() == once(200), "all documents")
    stack.publish(event(number) for number in range(150, 300))
    eventually(lambda: stack.ids() == once(300), "the new ones, and no other one twice")
    mappings = stack.node.get(f"/{stack.name}/_mapping")[stack.name]["mappings"]
    assert mappings["properties"]["service"]["properties"]["name"]["type"] == "keyword"

    stack.node.put(f"/{stack.name}/_settings", {"index.blocks.write": True})
    stack.publish([event(300)])
    eventually(lambda: "denied 403" in ask_process(port, "/readyz")[1], "says that the index can't be written")
    stack.node.put(f"/{stack.name}/_settings", {"index.blocks.write": False})
    eventually(lambda: stack.ids() == once(301), "the one that came while the index could not be written")
    assert stack.refused() == []


def test_a_request_that_there_is_no_room_for_gets_there_in_pieces(stack, monkeypatch, eventually):
    """In this product's words, which are not those of OpenSearch."""
    setting = "network.breaker.inflight_requests.limit"
    stack.node.put("/_cluster/settings", {"transient": {setting: "800kb"}})
    monkeypatch.setenv("SEARCH_PASSWORD", PASSWORD)
    stack.configure(
        basic_auth={"user": USER, "password": "${SEARCH_PASSWORD}"}, batch={"max_records": 5_000, "max_wait_ms": 1_000}
    )
    stack.publish(event(number, agent="x" * 1_000) for number in range(1_000))
    _, port = stack.sink_with_port()

    eventually(lambda: stack.ids() == once(1_000), "all documents")
    assert counted(port, "logrouter_sink_requests_total", outcome="overloaded") > 0
    assert stack.refused() == []
    stack.node.put("/_cluster/settings", {"transient": {setting: None}})
