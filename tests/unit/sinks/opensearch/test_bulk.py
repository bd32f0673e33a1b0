"""Bulk requests: which documents are in them, where they go, and what is left out."""

from __future__ import annotations

import zlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.model import RawRecord
from logrouter.sinks.contract import Refused, Skipped, SkipReason
from logrouter.sinks.opensearch.bulk import OpensearchProtocol
from logrouter.sinks.opensearch.credentials import api_key, basic
from logrouter.sinks.opensearch.documents import DocumentForm
from logrouter.sinks.opensearch.rotation import IndexNames, Rotation

MAY_4 = 1_777_888_800_000  # 2026-05-04T10:00:00Z
DAILY = IndexNames("requests", Rotation.DAY)


def record(event: object, offset: int = 0, timestamp: int = MAY_4) -> RawRecord:
    """A record with this event."""
    return RawRecord("events", 3, offset, timestamp, event if isinstance(event, bytes) else orjson.dumps(event))


def lines_of(body: bytes) -> list[Any]:
    """The lines of a body; the last one ends like all others."""
    *lines, rest = body.split(b"\n")
    assert rest == b""
    return [orjson.loads(line) for line in lines]


def plain(indices: IndexNames = DAILY, **options: Any) -> OpensearchProtocol:
    """A protocol that does not compress."""
    return OpensearchProtocol("http://127.0.0.1:9200/", indices, compress=False, **options)


def test_documents_of_one_day_go_to_the_index_that_the_address_names():
    """Two events of one day; each line of an action has the id alone."""
    events = [
        record({"meta": {"id": "a", "dt": "2026-05-04T23:59:59Z"}}),
        record({"meta": {"id": "b", "dt": "2026-05-04T00:00:00Z"}}),
    ]

    encoded = plain().encode(events)

    assert encoded.request.url.startswith("http://127.0.0.1:9200/requests-2026-05-04/_bulk?filter_path=items")
    assert encoded.request.method == "POST"
    assert encoded.request.headers == {"Content-Type": "application/x-ndjson"}
    lines = lines_of(encoded.request.body)
    assert [lines[0], lines[2]] == [{"create": {"_id": "a"}}, {"create": {"_id": "b"}}]
    assert [lines[1]["event"]["id"], lines[3]["event"]["id"]] == ["a", "b"]
    assert encoded.size == len(encoded.request.body)


def test_documents_of_two_days_name_their_index_each():
    """An event before and one after midnight."""
    events = [
        record({"meta": {"id": "a", "dt": "2026-05-03T23:59:59Z"}}),
        record({"meta": {"id": "b", "dt": "2026-05-04T00:00:00Z"}}),
    ]

    encoded = plain().encode(events)

    assert encoded.request.url.startswith("http://127.0.0.1:9200/_bulk?")
    assert lines_of(encoded.request.body)[::2] == [
        {"create": {"_index": "requests-2026-05-03", "_id": "a"}},
        {"create": {"_index": "requests-2026-05-04", "_id": "b"}},
    ]


def test_what_is_no_event_is_settled_without_a_request():
    """A tombstone is skipped; what is no JSON object is refused with a reason."""
    events = [
        RawRecord("events", 3, 0, MAY_4, None),
        record(b"{"),
        record(b"[]"),
        record({"meta": {"id": "a"}}),
        record(b"[" * 2000),
    ]

    encoded = plain().encode(events)

    assert encoded.settled == [
        Skipped(SkipReason.TOMBSTONE),
        Refused(detail="the event is no JSON"),
        Refused(detail="the event is no JSON object"),
        None,
        Refused(detail="the event is no JSON"),
    ]
    assert len(lines_of(encoded.request.body)) == 2
    assert plain().encode(events[:3]).request is None


@pytest.mark.parametrize("event_id", [None, "", 7, ["a"], "x" * 513, "ä" * 300])
def test_an_event_without_a_usable_id_has_its_place_as_one(event_id: object):
    """The place is the same whenever the record is read, and another in a topic that was made anew."""
    event = {"meta": {"id": event_id}}

    def id_of(each: RawRecord) -> str:
        return str(lines_of(plain().encode([each]).request.body)[0]["create"]["_id"])

    assert id_of(record(event, 17)) == f"events:3:17:{MAY_4}"
    assert id_of(record(event, 17, MAY_4 + 1)) != id_of(record(event, 17))


def test_bodies_are_compressed_and_their_size_is_what_the_target_unpacks():
    """A target counts what it holds in memory."""
    encoded = OpensearchProtocol("http://h:9200", DAILY).encode([record({"meta": {"id": "a"}})])

    body = zlib.decompress(encoded.request.body, 31)
    assert encoded.request.headers["Content-Encoding"] == "gzip"
    assert encoded.size == len(body)
    assert lines_of(body)[0] == {"create": {"_id": "a"}}


@pytest.mark.parametrize(
    ("credentials", "header"),
    [
        (basic("logrouter", "pässwörd:1"), "Basic bG9ncm91dGVyOnDDpHNzd8O2cmQ6MQ=="),
        (api_key("dGhlIGtleQ=="), "ApiKey dGhlIGtleQ=="),
        (api_key("id:secret"), "ApiKey aWQ6c2VjcmV0"),
    ],
)
def test_credentials_are_a_header_and_in_no_repr(credentials: Any, header: str):
    """What authorises is added right before a request is sent."""
    protocol = plain(credentials=credentials)
    request = protocol.encode([record({})]).request

    assert protocol.authorise(request, 0.0).headers["Authorization"] == header
    assert "Authorization" not in request.headers
    assert header not in repr(protocol)


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["meta", "id", "dt", "http", "client", "flags", "status_code", "client_ip", "request_headers", "user-agent",
         "uri", "route", "error", "message", "total_time_ms", "source", "backend", "correlation_id", "$schema"]
    ) | st.text(max_size=5), inner, max_size=6),
    max_leaves=30,
)  # fmt: skip


@given(event=_json, form=st.sampled_from(DocumentForm), timestamp=st.integers(-1, 2**63 - 1))
def test_any_json_gives_a_document_or_a_refusal(event: object, form: DocumentForm, timestamp: int):
    """Whatever an event holds; and the same bytes whenever it is encoded."""
    protocol = plain(form=form)
    events = [record(event, timestamp=timestamp)]

    encoded = protocol.encode(events)

    assert (encoded.request is None) == (not isinstance(event, dict))
    assert encoded == protocol.encode(events)
    if encoded.request is not None:
        assert len(lines_of(encoded.request.body)) == 2
