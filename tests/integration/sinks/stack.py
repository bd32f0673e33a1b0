"""One sink of type `opensearch` between the real broker and a real node: its file, its processes, what arrived."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import orjson
from confluent_kafka import Producer

from logrouter.devkafka.ports import claim_port
from tests.conftest import HANG_SECONDS
from tests.integration.search_client import SearchClient
from tests.integration.stack import Stack, metrics

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.integration.stack import Process

SINK: Final = "search"
BATCH: Final = {"max_records": 100, "max_wait_ms": 50}
RETRY: Final = {"first_pause_ms": 50, "longest_pause_ms": 500}


def event_id(number: int) -> str:
    """The id of event *number*."""
    return f"00000000-0000-8000-8000-{number:012d}"


def event(number: int, *, status: int = 200, agent: str | None = None, ms: int = 12) -> bytes:
    """A canonical event of a request."""
    made: dict[str, Any] = {
        "$schema": "/logrouter/api_request/1.1.0",
        "meta": {
            "stream": "api-gateway.request",
            "dt": "2026-05-04T10:00:00.000Z",
            "id": event_id(number),
            "request_id": str(number),
            "uri": f"/core/v1/page/{number}",
        },
        "api": "core",
        "client_id": f"client-{number % 7}",
        "http": {
            "method": "GET",
            "path": f"/core/v1/page/{number % 10}",
            "protocol": "HTTP/1.1",
            "status_code": status,
        },
        "status_class": f"{status // 100}xx",
        "outcome": "throttled" if status == 429 else "ok" if status < 400 else "backend_error",
        "total_time_ms": ms,
        "weight": 1.0,
        "source": {"format": "envoy", "topic": "gateway", "partition": 0, "offset": number, "index": 0},
    }
    if agent is not None:
        made["http"]["request_headers"] = {"user-agent": agent}
    return orjson.dumps(made)


class SinkStack(Stack):
    """A stack whose topic of events is written by the test, and read by processes of one sink."""

    def __init__(self, bootstrap: str, folder: Path, name: str, node: str, **options: Any) -> None:
        """*node* is the address of the node. *options* are the sink's, over a few that make tests quick.

        The index is called like the stack.
        """
        super().__init__(bootstrap, folder, name, session_timeout_ms=2_000)
        self.node = SearchClient(node)
        # A process that is killed is followed by the next one of its name at once.
        static = "route_lane:\n  static_membership: true"
        self._without_sink = self.config.read_text().replace("route_lane:", static)
        self._options: dict[str, Any] = {
            "type": "opensearch",
            "from": self.clean,
            "group": f"{name}-sink",
            "url": node,
            "batch": BATCH,
            "retry": RETRY,
            **({} if "data_stream" in options else {"index": {"name": name, "rotation": "none"}}),
        }
        self.configure(**options)

    def configure(self, **options: Any) -> None:
        """Write topics.yaml anew, with further *options* of the sink; None takes one out."""
        self._options = {name: value for name, value in (self._options | options).items() if value is not None}
        self.config.write_text(f"{self._without_sink}\nsinks: {json.dumps({SINK: self._options})}\n")

    def sink(self, instance: str = "sink-0", port: int = 0) -> Process:
        """Start a process of the sink."""
        return self.start("sink", SINK, "--instance", instance, "--metrics-port", str(port))

    def sink_with_port(self, instance: str = "sink-0") -> tuple[Process, int]:
        """Start a process of the sink whose metrics can be asked for."""
        port = claim_port()
        return self.sink(instance, port), port

    def publish(self, events: Iterable[bytes]) -> None:
        """Write events to their topic, each to a partition by its place."""
        producer = Producer({**self.kafka, "linger.ms": 5})
        for place, value in enumerate(events):
            producer.produce(self.clean, value, partition=place % 2)
        assert producer.flush(HANG_SECONDS) == 0

    def ids(self, index: str = "") -> Counter[str]:
        """How often each document id stands in *index*, which may be a pattern; by default the stack's."""
        at = index or self.name
        self.node.ask("POST", f"/{at}/_refresh")
        found = self.node.ask("GET", f"/{at}/_search?size=10000&_source=false&filter_path=hits.hits._id")
        if found.status == 404:
            return Counter()
        return Counter(hit["_id"] for hit in found.body.get("hits", {}).get("hits", []))

    def count(self, index: str = "") -> int:
        """How many documents stand in *index*."""
        return self.ids(index).total()

    def refused(self) -> list[dict[str, Any]]:
        """The dead letters of the sink."""
        return [letter for letter in self.dead_letters() if letter["stage"] == "deliver"]


def ask_process(port: int, path: str) -> tuple[int, str]:
    """Status and text of a GET; 0 while nobody listens."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=HANG_SECONDS)) as connection:
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""


def counted(port: int, name: str, **labels: str) -> float:
    """The sum of a metric's samples with these labels."""
    samples = metrics(ask_process(port, "/metrics")[1]).get(name, [])
    return sum(value for at, value in samples if labels.items() <= at.items())
