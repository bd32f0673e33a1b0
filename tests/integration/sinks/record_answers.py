"""What a real OpenSearch answers to bulk requests, written down: `python -m tests.integration.sinks.record_answers`.

One JSON file for each answer, in tests/unit/sinks/opensearch/answers: what was asked, the status, and the body as text.
The tests of the pure part read them. Times and ids of nodes differ from run to run; nothing else should.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from logrouter.devsearch.node import OpenSearchNode
from tests.integration.search_client import Answer, SearchClient

FOLDER: Final = Path(__file__).parents[2] / "unit" / "sinks" / "opensearch" / "answers"
SHORT: Final = "filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason"
ND_JSON: Final = {"Content-Type": "application/x-ndjson"}
SMALL: Final = {
    "thread_pool.write.size": "1",
    "thread_pool.write.queue_size": "1",
    "indexing_pressure.memory.limit": "2mb",
    "http.max_content_length": "1mb",
}
NARROW: Final = {"indexing_pressure.memory.limit": "200kb"}
"""A node for which a request of some events is too large at any time."""


def bulk(*documents: tuple[str, str | dict[str, object]], index: str = "requests", action: str = "create") -> str:
    """The body of a bulk request: documents by id; text stands for a line that is no JSON object."""
    lines = []
    for number, document in documents:
        lines.append(json.dumps({action: {"_index": index, "_id": number}}))
        lines.append(document if isinstance(document, str) else json.dumps(document))
    return "".join(f"{line}\n" for line in lines)


class Recorder:
    """Asks, and writes the answer to a file."""

    def __init__(self, url: str) -> None:
        self.client = SearchClient(url)

    def record(self, name: str, body: str, *, path: str = f"/_bulk?{SHORT}", method: str = "POST") -> int:
        """Ask and keep the answer as *name*; its status."""
        kind = ND_JSON if "_bulk" in path else {}
        answer = self.client.ask(method, path, body, kind)
        self.keep(name, method, path, body, answer.status, answer.body)
        return answer.status

    def keep(self, name: str, method: str, path: str, body: str, status: int, answer: object) -> None:
        """Write one file."""
        asked = body if len(body) < 2_000 else f"{body[:200]}… ({len(body)} characters)"
        document = {"request": f"{method} {path}", "asked": asked, "status": status, "answer": answer}
        (FOLDER / f"{name}.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
        sys.stdout.write(f"{name}: {status}\n")


def record_items(recorder: Recorder) -> None:
    """Answers in which each item has a status."""
    client, record = recorder.client, recorder.record
    client.put("/requests", {"mappings": {"properties": {"n": {"type": "long"}, "ip": {"type": "ip"}}}})
    record("created", bulk(("1", {"n": 1}), ("2", {"n": 2})))
    record("created_in_full", bulk(("3", {"n": 3})), path="/_bulk")
    record("again", bulk(("1", {"n": 1}), ("4", {"n": 4})))
    record("again_in_full", bulk(("1", {"n": 1})), path="/_bulk")
    record("mapping_error", bulk(("5", {"n": "many"}), ("6", {"n": 6}), ("7", {"ip": "no address"})))
    record("mapping_error_in_full", bulk(("5", {"n": "many"})), path="/_bulk")
    record("id_too_long", bulk(("x" * 513, {"n": 1}), ("8", {"n": 8})))
    record("no_object", bulk(("9", "[1,2]"), ("10", {"n": 10})))
    record("broken_document", bulk(("11", '{"n": '), ("12", {"n": 12})))
    record("bad_index_name", bulk(("13", {"n": 1}), index="Requests"))
    client.put("/blocked", {"settings": {"index.blocks.write": True}})
    record("write_block", bulk(("1", {"n": 1}), index="blocked"))
    client.put("/full", {"settings": {"index.blocks.read_only_allow_delete": True}})
    record("disk_full_block", bulk(("1", {"n": 1}), index="full"))
    client.put("/shut")
    client.post("/shut/_close")
    record("closed_index", bulk(("1", {"n": 1}), index="shut"))
    client.put("/_cluster/settings", {"persistent": {"action.auto_create_index": "false"}})
    record("no_index", bulk(("1", {"n": 1}), index="nowhere"))
    client.put("/_cluster/settings", {"persistent": {"action.auto_create_index": None}})
    client.put("/narrow", {"settings": {"index.mapping.total_fields.limit": 2}})
    record("too_many_fields", bulk(("1", {"a": 1, "b": 2, "c": 3}), index="narrow"))


def record_streams(recorder: Recorder) -> None:
    """Data streams take only creations with a time."""
    template = {"index_patterns": ["stream*"], "data_stream": {}, "template": {"settings": {"number_of_replicas": 0}}}
    recorder.record("template_put", json.dumps(template), path="/_index_template/stream", method="PUT")
    recorder.record("template_exists", json.dumps(template), path="/_index_template/stream?create=true", method="PUT")
    recorder.record("template_none", "", path="/_index_template/none", method="GET")
    recorder.record("template_found", "", path="/_index_template/stream", method="GET")
    recorder.record("template_bad", json.dumps({"index_patterns": []}), path="/_index_template/bad", method="PUT")
    document: dict[str, object] = {"@timestamp": "2026-05-04T10:00:00.000Z"}
    recorder.record("stream_created", bulk(("1", document), index="stream-1"), path="/_bulk")
    recorder.record("stream_again", bulk(("1", document), index="stream-1"))
    recorder.record("stream_without_time", bulk(("2", {"n": 1}), index="stream-1"))
    recorder.record("stream_index_action", bulk(("3", document), index="stream-1", action="index"))


def record_whole(recorder: Recorder) -> None:
    """Answers that say something of the whole request."""
    recorder.record("empty_body", "")
    recorder.record("empty_lines", "\n")
    recorder.record("no_final_newline", bulk(("1", {"n": 1}))[:-1])
    recorder.record("broken_action", '{"create": \n{"n": 1}\n')
    recorder.record("unknown_action", '{"invent": {"_index": "requests"}}\n{"n": 1}\n')
    recorder.record("too_large", bulk(("1", {"text": "x" * 2**20})))
    recorder.record("no_such_path", "", path="/requests/_bulky", method="POST")
    recorder.record("root", "", path="/", method="GET")


def statuses(answer: Answer) -> set[int]:
    """The statuses of an answer's items."""
    return {item["create"]["status"] for item in answer.body["items"]}


def record_overload(recorder: Recorder) -> None:
    """What many requests at a time get: 429 for items (the queue of the writer), and 429 for a request (its memory)."""
    recorder.client.put("/busy", {"settings": {"number_of_shards": 3, "number_of_replicas": 0}})
    documents = [(str(number), {"text": "word " * 40}) for number in range(1_000)]
    body = bulk(*documents, index="busy")
    path = f"/_bulk?{SHORT}"
    with ThreadPoolExecutor(24) as threads:
        answers = list(threads.map(lambda _: recorder.client.ask("POST", path, body, ND_JSON), range(240)))
    rejected = next(answer for answer in answers if answer.status == 429)
    recorder.keep("request_rejected", "POST", path, body, rejected.status, rejected.body)
    partly = next(each for each in answers if each.status == 200 and statuses(each) == {201, 429})
    by_status = sorted(partly.body["items"], key=lambda item: item["create"]["status"])
    few = {**partly.body, "items": [*by_status[:2], *by_status[-2:]]}  # of a thousand
    recorder.keep("items_rejected", "POST", path, body, partly.status, few)


def record_room(recorder: Recorder) -> None:
    """What a request gets that is larger than the node has room for: ever, now, or not for its own sake."""
    client, record = recorder.client, recorder.record
    one, many = bulk(("1", {"text": "x" * 250_000})), bulk(*((str(n), {"text": "x" * 1_000}) for n in range(250)))
    record("pressure_many", many)
    record("pressure_one", one)
    limit_memory(client, **{"network.breaker.inflight_requests.limit": "400kb"})
    record("breaker_in_flight_many", many)
    record("breaker_in_flight_one", one)
    limit_memory(client, **{"network.breaker.inflight_requests.limit": None, "indices.breaker.total.limit": "1mb"})
    record("breaker_parent_full", many)
    record("breaker_parent_one", bulk(("1", {"text": "x" * 600_000})))
    stats = client.get("/_nodes/stats/breaker")["nodes"]
    [used] = (node["breakers"]["parent"]["estimated_size_in_bytes"] for node in stats.values())
    limit_memory(client, **{"indices.breaker.total.limit": f"{used + 2**23}b"})
    record("breaker_parent_many", bulk(*((str(number), {"text": "x" * 1_000}) for number in range(20_000))))
    limit_memory(client, **{"indices.breaker.total.limit": None})


def limit_memory(client: SearchClient, **settings: str | None) -> None:
    """Set circuit breakers of the node."""
    client.put("/_cluster/settings", {"transient": settings})


def main() -> None:
    """Record everything."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with OpenSearchNode(settings=NARROW) as node:
        record_room(Recorder(node.url))
    with OpenSearchNode(settings=SMALL) as node:
        recorder = Recorder(node.url)
        for record in (record_items, record_streams, record_whole, record_overload):
            record(recorder)


if __name__ == "__main__":
    main()
