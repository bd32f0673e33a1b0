"""The boards that come with logrouter, on a real OpenSearch: every query runs, and counts what is there."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from logrouter.model import RawRecord
from logrouter.sinks.contract import DELIVERED
from logrouter.sinks.http_messages import HttpAnswer
from logrouter.sinks.opensearch.bulk import OpensearchProtocol
from logrouter.sinks.opensearch.documents import DocumentForm
from logrouter.sinks.opensearch.rotation import IndexNames
from logrouter.sinks.opensearch.templates import template_of
from tests.dashboards.search_bodies import search_body
from tests.dashboards.write import path_of
from tests.integration.search_client import SearchClient
from tests.integration.sinks.stack import event

pytestmark = [pytest.mark.broker, pytest.mark.xdist_group("search")]

MAY_4 = 1_777_888_800_000  # 2026-05-04T10:00:00Z
STATUSES = (200, 201, 404, 429, 500, 503)
EACH = 20
"""Requests of each status; the n-th of all took n * 20 ms."""
FOUND = {
    "server-errors": 2 * EACH,
    "client-errors": 2 * EACH,
    "throttled": EACH,
    "slow": len(STATUSES) * EACH - 50,
    "requests-over-time": len(STATUSES) * EACH,
    "latency": len(STATUSES) * EACH,
    "server-errors-by-api": 2 * EACH,
    "client-errors-by-api": 2 * EACH,
    "clients": len(STATUSES) * EACH,
    "failing-paths": 2 * EACH,
}


def fill(client: SearchClient, index: str, form: DocumentForm) -> None:
    """Put the template there, and one document for each request through the sink's own protocol."""
    names = IndexNames(index)
    client.put(f"/_index_template/{index}", template_of(names, form, is_data_stream=False))
    events = [
        RawRecord("events", 0, number, MAY_4, event(number, status=STATUSES[number % 6], ms=20 * number))
        for number in range(len(STATUSES) * EACH)
    ]
    protocol = OpensearchProtocol("", names, form)
    request = protocol.encode(events).request
    answer = client.ask("POST", request.url, gzip.decompress(request.body), {"Content-Type": "application/x-ndjson"})
    results = protocol.classify(HttpAnswer(answer.status, {}, json.dumps(answer.body).encode()), events)
    assert results == [DELIVERED] * len(events)
    client.post(f"/{index}/_refresh")


def counted(buckets: Any) -> int:
    """How many documents the innermost buckets of an aggregation hold; those of one name stand by label."""
    if isinstance(buckets, dict) and isinstance(buckets.get("buckets"), list | dict):
        each = buckets["buckets"]
        return sum(counted(bucket) for bucket in (each.values() if isinstance(each, dict) else each))
    inner = [value for value in buckets.values() if isinstance(value, dict) and "buckets" in value]
    return counted(inner[0]) if inner else buckets["doc_count"]


@pytest.mark.parametrize("form", DocumentForm)
def test_every_saved_search_and_picture_counts_what_is_there(node, unique, form: DocumentForm):
    """On an index that was made by the template: hits of searches, and documents in the buckets of pictures."""
    client, index = SearchClient(node.url), unique(f"boards-{form}")
    fill(client, index, form)
    found = {}
    for line in path_of(form).read_text("utf-8").splitlines():
        saved = json.loads(line)
        if saved["type"] not in {"search", "visualization"}:
            continue
        answer = client.post(f"/{index}/_search", search_body(saved))
        name = saved["id"].removeprefix(f"logrouter-{form}-")
        hits = answer["hits"]["total"]["value"]
        [buckets] = answer["aggregations"].values() if "aggregations" in answer else [{"doc_count": hits}]
        assert counted(buckets) == hits, name
        found[name] = hits

    assert found == FOUND


def test_fields_that_the_template_does_not_name_are_no_fields_of_the_index(node, unique):
    """So that documents of others, or of later versions, can't make thousands of them."""
    client, index = SearchClient(node.url), unique("bounded")
    fill(client, index, DocumentForm.FIREHOSE)
    client.post(f"/{index}/_doc?refresh=true", {"message": {"status": "504", "invented": "x"}, "unknown": {"a": 1}})

    mappings = client.get(f"/{index}/_mapping")[index]["mappings"]
    assert mappings["properties"].keys() == {"id", "timestamp", "message"}
    assert "invented" not in mappings["properties"]["message"]["properties"]
    assert client.get(f"/{index}/_count?q=message.status:504")["count"] == 1
