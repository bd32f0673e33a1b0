"""Whatever an event holds, a search engine takes its document."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from logrouter.model import RawRecord
from logrouter.sinks.contract import DELIVERED
from logrouter.sinks.delivery import Delivery
from logrouter.sinks.http_client import HttpBounds, HttpClient
from logrouter.sinks.http_sink import HttpSink
from logrouter.sinks.opensearch.bulk import OpensearchProtocol
from logrouter.sinks.opensearch.documents import FIELDS_OF, DocumentForm
from logrouter.sinks.opensearch.rotation import IndexNames
from logrouter.sinks.opensearch.templates import setup_of
from logrouter.sinks.pacing import PaceLimits

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.xdist_group("search")]

MAY_4 = 1_777_888_800_000  # 2026-05-04T10:00:00Z
# Each would be refused by a field of one kind or another, or make a new one.
ODD: list[Any] = [
    *("", "word", "\x00", "ä€😀", "x" * 9_000, "😀" * 9_000, "?", "a?b", "GET /p/{id}"),
    *(0, -1, 2**53, 2**63 - 1, 2**63, 2**64 - 1, 1.5, 1e308, 5e-324, True),
    *([], ["a", 1, None, ["b"]], {}, {"a": {"b": 1}}, {"": "empty", "k.l": "dotted"}, {"user-agent": 7}),
    *("192.0.2.1", "::ffff:192.0.2.1", "fe80::1%eth0", "192.0.2", "0x7f.1", "192.0.2.0/24"),
    *("0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999-23:59", "2026-02-30T00:00:00Z", "1777888800000"),
    *("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-4bf9-00f0-01"),
]


def odd_events(form: DocumentForm) -> Iterator[dict[str, Any]]:
    """For each field of a document events that have one odd value where that comes from, or above it."""
    sources = {field.source for field in FIELDS_OF[form]} - {""}
    places = sources | {source.rpartition(".")[0] for source in sources} - {""}
    for place in sorted(places):
        *parents, leaf = place.split(".")
        for value in ODD:
            event: dict[str, Any] = {}
            inner = event
            for name in parents:
                inner = inner.setdefault(name, {})
            inner[leaf] = value
            yield event


@pytest.mark.parametrize("form", DocumentForm)
def test_no_odd_value_makes_a_document_that_is_refused(node, unique, form):
    """Around a thousand events, each with one value that its field does not expect."""
    indices = IndexNames(unique("odd").lower())
    setup = setup_of(node.url, indices, form, is_data_stream=False)
    events = [
        RawRecord("odd", 0, number, MAY_4, orjson.dumps({**event, "number": number}))
        for number, event in enumerate(odd_events(form))
    ]

    async def deliver() -> list[object]:
        sink = HttpSink(OpensearchProtocol(node.url, indices, form), HttpClient(HttpBounds()), preparation=setup)
        delivery = Delivery("odd", sink, PaceLimits(1, 0.01, 0.1))
        settled: list[object] = []
        for start in range(0, len(events), 200):
            settled += await delivery.deliver(events[start : start + 200])
        await delivery.close()
        return settled

    settled = asyncio.run(asyncio.wait_for(deliver(), 120))

    assert len(events) > 900
    refused = [(event.value, result) for event, result in zip(events, settled, strict=True) if result != DELIVERED]
    assert refused == []
