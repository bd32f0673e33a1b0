"""`logrouter sink` with a real OpenSearch: every event is one document, whatever the node says meanwhile."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.integration.search_client import SearchClient
from tests.integration.sinks.stack import ask_process, counted, event, event_id

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.broker, pytest.mark.xdist_group("search")]


def once(count: int, *, without: int = 0) -> Counter[str]:
    """Each of *count* events once, but for the first ones."""
    return Counter(event_id(number) for number in range(without, count))


def test_what_the_node_refuses_is_one_dead_letter_and_the_rest_is_there_once(make_sink, eventually):
    """Documents that do not fit the mapping become letters with the node's status; they hold nothing back."""
    stack = make_sink(template=False)
    stack.node.put(f"/{stack.name}", {"mappings": {"properties": {"user_agent.original": {"type": "long"}}}})
    stack.publish(event(number, agent="curl/8.12.1" if number < 3 else "7") for number in range(1_000))
    stack.sink()

    eventually(lambda: stack.count() == 997 and len(stack.refused()) == 3, "997 documents and 3 letters")
    assert stack.ids() == once(1_000, without=3)
    assert [letter["sink"] for letter in stack.refused()] == [{"name": "search", "status": 400}] * 3
    assert all(letter["detail"].startswith("mapper_parsing_exception") for letter in stack.refused())


@pytest.mark.long
def test_a_node_that_is_overloaded_gets_everything_in_the_end(make_sink, eventually):
    """429 of items and of whole requests: only what was refused is sent again, and nothing becomes a letter."""
    stack = make_sink(index={"name": "overload", "rotation": "none"}, connections=16, batch={"max_records": 200})
    index = {"number_of_shards": 3, "number_of_replicas": 0}
    stack.node.ask("DELETE", "/overload")
    stack.node.put("/overload", {"settings": index})
    stack.publish(event(number) for number in range(2_000))
    _, port = stack.sink_with_port()

    eventually(lambda: stack.count("overload") == 2_000, "all documents")
    assert stack.ids("overload") == once(2_000)
    assert counted(port, "logrouter_sink_requests_total", outcome="overloaded") > 0
    assert stack.refused() == []


@pytest.fixture(params=["pressure", pytest.param("breaker", marks=pytest.mark.long)])
def narrow(request, node) -> Iterator[None]:
    """A node without room for a request of 1 MB: by its indexing pressure, or else by its breaker of bodies."""
    client, setting = SearchClient(node.url), "network.breaker.inflight_requests.limit"
    if request.param == "breaker":
        client.put("/_cluster/settings", {"transient": {setting: "800kb"}})
    yield
    client.put("/_cluster/settings", {"transient": {setting: None}})


@pytest.mark.usefixtures("narrow")
def test_a_request_that_the_node_never_has_room_for_gets_there_in_pieces(make_sink, eventually):
    """A batch of more bytes than a node takes at all: as it was it would come again for ever."""
    stack = make_sink(batch={"max_records": 5_000, "max_wait_ms": 1_000})
    stack.publish(event(number, agent="x" * 1_000) for number in range(1_000))
    _, port = stack.sink_with_port()

    eventually(lambda: stack.count() == 1_000, "all documents")
    assert stack.ids() == once(1_000)
    assert counted(port, "logrouter_sink_requests_total", outcome="overloaded") > 0
    assert stack.refused() == []


def test_an_index_that_may_not_be_written_is_waited_for(make_sink, eventually):
    """A block is nothing about the events: no letters, not ready with the reason, and all of them once it is gone."""
    stack = make_sink()
    stack.node.put(f"/{stack.name}", {"settings": {"index.blocks.write": True}})
    stack.publish(event(number) for number in range(50))
    _, port = stack.sink_with_port()

    eventually(lambda: "denied 403" in ask_process(port, "/readyz")[1], "not ready, and says why")
    assert ask_process(port, "/readyz")[0] == 503
    assert stack.refused() == []
    stack.node.put(f"/{stack.name}/_settings", {"index.blocks.write": False})
    eventually(lambda: stack.count() == 50, "all documents")
    eventually(lambda: ask_process(port, "/readyz")[0] == 200, "ready")


@pytest.mark.parametrize("kills", [(200,), pytest.param((100, 300, 500, 700), marks=pytest.mark.long)])
def test_killed_again_and_again_every_event_is_there_once(make_sink, eventually, kills):
    """SIGKILL with requests on their way: what is sent twice is a document once, by its id."""
    stack = make_sink(events_per_second=500, batch={"max_records": 25})
    stack.publish(event(number) for number in range(1_000))
    for at_least in kills:
        process = stack.sink()
        eventually(lambda at_least=at_least: stack.count() >= at_least, f"{at_least} documents")
        process.kill()
        process.wait()
    stack.configure(events_per_second=100_000)
    stack.sink()

    eventually(lambda: stack.count() == 1_000, "all documents")
    assert stack.ids() == once(1_000)
    assert stack.refused() == []


@pytest.mark.long
def test_the_node_is_killed_and_comes_back(make_sink, node, eventually):
    """What the node had confirmed is there after its crash, and what it had not comes again."""
    stack = make_sink(events_per_second=500, batch={"max_records": 25})
    stack.publish(event(number) for number in range(2_000))
    _, port = stack.sink_with_port()
    for at_least in (300, 1_000):
        eventually(lambda at_least=at_least: stack.count() >= at_least, f"{at_least} documents")
        node.kill()
        eventually(lambda: ask_process(port, "/readyz")[0] == 503, "not ready")
        node.start()

    eventually(lambda: stack.count() == 2_000, "all documents")
    assert stack.ids() == once(2_000)
    assert stack.refused() == []


def test_a_data_stream_has_every_event_once(make_sink, eventually):
    """The template is put there first, so that the first document makes a data stream and not an index."""
    stack = make_sink(data_stream="requests-of-a-stream")
    stack.publish(event(number) for number in range(500))
    stack.sink()
    eventually(lambda: stack.count("requests-of-a-stream") == 500, "all documents")
    stack.publish(event(number) for number in range(400, 600))  # the same ones again, as after a lost commit
    eventually(lambda: stack.count("requests-of-a-stream") == 600, "the new ones")
    assert stack.ids("requests-of-a-stream") == once(600)
    [stream] = stack.node.get("/_data_stream/requests-of-a-stream")["data_streams"]
    assert stream["timestamp_field"] == {"name": "@timestamp"}


@pytest.mark.long
def test_events_that_come_again_after_a_rollover_are_there_twice(make_sink, eventually):
    """What docs/sinks/opensearch.md says of data streams: ids are unique in a backing index, not beyond."""
    stack = make_sink(data_stream="requests-rolled-over")
    stack.publish(event(number) for number in range(100))
    stack.sink()
    eventually(lambda: stack.count("requests-rolled-over") == 100, "all documents")
    stack.node.post("/requests-rolled-over/_rollover")
    stack.publish(event(number) for number in range(90, 110))

    eventually(lambda: stack.count("requests-rolled-over") == 120, "the new ones, and ten again")
    again = {event_id(number) for number in range(90, 100)}
    assert {name for name, times in stack.ids("requests-rolled-over").items() if times == 2} == again
