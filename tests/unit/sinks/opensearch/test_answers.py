"""Answers to bulk requests: what becomes of each event."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.model import RawRecord
from logrouter.sinks.contract import DELIVERED, Refused, RefusedTogether, Retry, Trouble
from logrouter.sinks.http_messages import HttpAnswer
from logrouter.sinks.opensearch.answers import read_answer
from logrouter.sinks.opensearch.bulk import OpensearchProtocol
from logrouter.sinks.opensearch.rotation import IndexNames

PROTOCOL = OpensearchProtocol("http://h:9200", IndexNames("requests"))
EVENTS = [RawRecord("events", 0, n, 0, orjson.dumps({"meta": {"id": f"e{n}"}})) for n in range(3)]


def item(status: int, kind: str = "", reason: str = "", name: str | None = None) -> dict[str, Any]:
    """An item of an answer."""
    error = {"error": {"type": kind, "reason": reason}} if kind else {}
    return {"create": {"status": status, **error, **({"_id": name} if name else {})}}


def classify(*items: object, status: int = 200) -> list[Any]:
    """What an answer with these items says of as many events as there are."""
    body = orjson.dumps({"errors": False, "items": items})
    return list(PROTOCOL.classify(HttpAnswer(status, {}, body), EVENTS[: len(items)]))


def test_each_event_has_the_result_of_its_item():
    """One is created, one was there, one is refused by its content."""
    results = classify(
        item(201),
        item(409, "version_conflict_engine_exception", "document already exists"),
        item(400, "mapper_parsing_exception", "failed to parse"),
    )

    assert results == [DELIVERED, DELIVERED, Refused(400, "mapper_parsing_exception: failed to parse")]


@pytest.mark.parametrize(
    ("answered", "trouble"),
    [
        (item(429, "es_rejected_execution_exception", "queue"), Trouble.OVERLOADED),
        (item(429, "rejected_execution_exception", "queue"), Trouble.OVERLOADED),
        (item(429, "circuit_breaking_exception", "memory"), Trouble.OVERLOADED),
        (item(429, "cluster_block_exception", "flood-stage watermark"), Trouble.DENIED),
        (item(403, "cluster_block_exception", "read-only"), Trouble.DENIED),
        (item(403, "security_exception", "unauthorized"), Trouble.DENIED),
        (item(404, "index_not_found_exception", "no such index"), Trouble.DENIED),
        (item(400, "index_closed_exception", "closed"), Trouble.DENIED),
        (item(400, "validation_exception", "maximum normal shards open"), Trouble.DENIED),
        (item(400, "illegal_argument_exception", "no write index is defined for alias [a]"), Trouble.DENIED),
        (item(400, "illegal_argument_exception", "pipeline with id [p] does not exist"), Trouble.DENIED),
        (item(400, "routing_missing_exception", "routing is required for [requests]/[a]"), Trouble.DENIED),
        (item(400, "illegal_argument_exception", "Limit of total fields [3] has been exceeded"), Trouble.DENIED),
        (item(400, "illegal_argument_exception", "unknown index sort field:[nope]"), Trouble.DENIED),
        (item(500, "illegal_state_exception", "?"), Trouble.UNAVAILABLE),
        (item(503, "unavailable_shards_exception", "primary"), Trouble.UNAVAILABLE),
        (item(503, "es_rejected_execution_exception", "queue"), Trouble.OVERLOADED),
        (item(400, "resource_already_exists_exception", "index"), Trouble.UNAVAILABLE),
        (item(503, "cluster_block_exception", "no master"), Trouble.UNAVAILABLE),
        (item(302), Trouble.NONSENSE),
        (item(400), Trouble.NONSENSE),
        (item(201, "odd", "both"), Trouble.NONSENSE),
        (item(0), Trouble.NONSENSE),
    ],
)
def test_what_is_not_about_the_document_is_sent_again(answered: dict[str, Any], trouble: Trouble):
    """Full queues, and whatever is wrong with the index or with our rights: the event has nothing to do with it."""
    [first, second] = classify(item(201), answered)

    assert first == DELIVERED
    assert isinstance(second, Retry)
    assert second.trouble is trouble


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<html>",
        b"null",
        b'{"items": []}',
        b'{"items": [{"create": {"status": 201}}]}',
        b'{"items": [{"create": {"status": 201}}, {}]}',
        b'{"items": [{"create": {"status": 201}}, {"create": {"status": "201"}}]}',
        b'{"items": [{"create": {"status": 201}}, {"create": {}}]}',
        b'{"items": [{"create": {"status": 201}}, {"create": {"status": 201}, "index": {"status": 201}}]}',
        b'{"items": [' + b"[" * 5000,
    ],
)
def test_an_answer_that_is_none_to_a_bulk_request_delivers_nothing(body: bytes):
    """Also with 200: an event of which nothing is said is not delivered."""
    results = PROTOCOL.classify(HttpAnswer(200, {}, body), EVENTS[:2])

    assert [type(result) for result in results] == [Retry, Retry]
    assert {result.trouble for result in results if isinstance(result, Retry)} == {Trouble.NONSENSE}


def test_items_in_another_order_deliver_nothing():
    """By ids, where the answer has them and they matter."""
    assert (
        classify(item(201, name="e1"), item(429, "full", "queue", name="e0"))
        == [Retry(Trouble.NONSENSE, 200, "items are not in the order of the documents")] * 2
    )
    assert classify(item(201, name="e0"), item(429, "full", "queue", name="e1"))[0] == DELIVERED


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, b'{"error": {"type": "action_request_validation_exception", "reason": "id"}}', RefusedTogether),
        (413, b"<html>", RefusedTogether),
        (400, b"<html>The plain HTTP request was sent to HTTPS port", Trouble.DENIED),
        (400, b'{"error": "no handler found for uri [/x/_bulk] and method [POST]"}', Trouble.DENIED),
        (
            400,
            b'{"error": {"type": "illegal_argument_exception", "reason": "explicit index in bulk is not allowed"}}',
            Trouble.DENIED,
        ),
        (400, b'{"error": {"type": "validation_exception", "reason": "shards"}}', Trouble.DENIED),
        (401, b'{"error": {"type": "security_exception", "reason": "x"}}', Trouble.DENIED),
        (403, b'{"message": "User: anonymous is not authorized"}', Trouble.DENIED),
        (404, b"", Trouble.DENIED),
        (301, b"", Trouble.DENIED),
        (429, b'{"error": {"type": "circuit_breaking_exception", "reason": "Data too large"}}', Trouble.OVERLOADED),
        (429, b"429 Too Many Requests /_bulk", Trouble.OVERLOADED),
        (503, b'{"error": {"type": "cluster_block_exception", "reason": "no master"}}', Trouble.UNAVAILABLE),
        (503, b"", Trouble.OVERLOADED),
        (502, b"", Trouble.UNAVAILABLE),
        (418, b"", Trouble.NONSENSE),
        (204, b"", Trouble.NONSENSE),
    ],
)
def test_an_answer_to_the_whole_request_is_one_for_all_events(status: int, body: bytes, expected: object):
    """A 400 of a proxy is not about events; one of the search engine may be about some."""
    results = PROTOCOL.classify(HttpAnswer(status, {}, body), EVENTS)

    assert len(set(results)) == 1
    [result] = set(results)
    assert (result.trouble if isinstance(result, Retry) else type(result)) == expected


def test_an_error_without_words_is_one_all_the_same():
    """Search engines write null for an exception that has no message."""
    assert classify({"create": {"status": 500, "error": {"type": "null_pointer_exception", "reason": None}}}) == [
        Retry(Trouble.UNAVAILABLE, 500, "null_pointer_exception: ")
    ]


def test_values_of_the_event_are_not_in_the_reason():
    """A search engine quotes what it could not read; dead letters and logs name fields, not values."""
    reason = "failed to parse field [n] of type [long] in document with id '5'. Preview of field's value: 'secret'"

    [result] = classify(item(400, "mapper_parsing_exception", reason))

    assert result == Refused(
        400, "mapper_parsing_exception: failed to parse field [n] of type [long] in document with id '5'."
    )


def test_reasons_are_capped():
    """A reason may quote the document."""
    [result] = classify(item(400, "mapper_parsing_exception", "x" * 100_000))

    assert isinstance(result, Refused)
    assert len(result.detail) <= 500


@given(status=st.integers(0, 999), body=st.binary(max_size=60) | st.just(b'{"items": [{"create": {"status": 201}}]}'))
def test_any_answer_gives_a_result_for_each_event(status: int, body: bytes):
    """And none is refused by a body that says nothing."""
    results = PROTOCOL.classify(HttpAnswer(status, {}, body), EVENTS)

    assert len(results) == len(EVENTS)
    assert all(isinstance(result, Retry | RefusedTogether) for result in results)


PARENT = (
    "[parent] Data too large, data for [<http_request>] would be [{total}/1b], which is larger than the limit of "
    "[1000/1000b], real usage: [{used}/1b], new bytes reserved: [{own}/1b], usages [request=0/0b]"
)
PRESSURE = (
    "rejected execution of {stage} operation [coordinating_and_primary_bytes={used}, replica_bytes=0, "
    "all_bytes={used}, {stage}_operation_bytes={own}, max_{limit}_bytes=1000]"
)
SHARD_PRESSURE = (
    "rejected execution of primary operation [shard_detail=[requests][0][P], shard_coordinating_and_primary_bytes=0, "
    "shard_operation_bytes={own}, shard_max_coordinating_and_primary_bytes=10] OR [node_coordinating_and_primary_bytes="
    "{used}, node_replica_bytes=0, node_all_bytes={used}, node_operation_bytes={own}, "
    "node_max_coordinating_and_primary_bytes=1000]"
)
LARGEST = "Request contains an operation of size [{own}] bytes, which exceeds the maximum allowed limit of [1000] bytes"
HALVED = "halved"
BREAKER, REJECTED, ES_REJECTED = (
    "circuit_breaking_exception",
    "rejected_execution_exception",
    "es_rejected_execution_exception",
)


@pytest.mark.parametrize(
    ("kind", "reason", "many", "one"),
    [
        (REJECTED, PRESSURE.format(stage="coordinating", limit="coordinating_and_primary", used=0, own=1001), "h", "r"),
        (REJECTED, PRESSURE.format(stage="coordinating", limit="coordinating_and_primary", used=1, own=1000), "o", "o"),
        (REJECTED, PRESSURE.format(stage="primary", limit="coordinating_and_primary", used=9, own=1001), "h", "r"),
        (ES_REJECTED, PRESSURE.format(stage="coordinating", limit="coordinating", used=0, own=1001), "h", "r"),
        (ES_REJECTED, PRESSURE.format(stage="primary", limit="primary", used=999, own=2), "o", "o"),
        (REJECTED, SHARD_PRESSURE.format(used=0, own=1001), "h", "r"),
        (REJECTED, SHARD_PRESSURE.format(used=0, own=11), "o", "o"),
        (ES_REJECTED, LARGEST.format(own=1001), "h", "r"),
        (REJECTED, "rejected execution of TransportWriteAction$1@7607b940", "o", "o"),
        (BREAKER, PARENT.format(total=1001, used=0, own=1001), "h", "r"),
        (BREAKER, PARENT.format(total=1001, used=1, own=1000), "h", "h"),
        (BREAKER, PARENT.format(total=1900, used=1300, own=600), "h", "h"),
        (BREAKER, PARENT.format(total=1601, used=1301, own=300), "o", "o"),
        (BREAKER, PARENT.format(total=1001, used=1001, own=0), "o", "o"),
        (BREAKER, PARENT.format(total=1001, used=1, own=1000) + "; for more information, see https://…", "h", "h"),
        (
            BREAKER,
            PARENT.format(total=1001, used=0, own=1001).partition(", real")[0] + ", usages [request=0]",
            "h",
            "h",
        ),
        (BREAKER, "[in_flight_requests] Data too large, data for [<transport_request>] would be [9/9b]", "h", "h"),
        (BREAKER, "[inflight_requests] Data too large, data for [<http_request>] would be [9/9b]", "h", "h"),
        (BREAKER, "[fielddata] Data too large, data for [_id] would be [9/9b]", "o", "o"),
        ("mapper_parsing_exception", "[in_flight_requests] Data too large", "o", "o"),
    ],
)
def test_a_request_with_more_bytes_than_there_is_room_for_is_halved(kind: str, reason: str, many: str, one: str):
    """Where its own bytes are what is too much, in words of both products; others' bytes make it wait as it is.

    One event is refused only by a limit below what it alone needs; of one there are no halves, so it comes again.
    Words of items and of requests are the same.
    """
    words = {"h": HALVED, "o": "overloaded", "r": "refused"}
    whole = HttpAnswer(429, {}, orjson.dumps({"error": {"type": kind, "reason": reason}, "status": 429}))

    if kind != "mapper_parsing_exception":
        assert [word_for(each) for each in classify(*[item(429, kind, reason)] * 3)] == [words[many]] * 3
        assert [word_for(each) for each in classify(item(429, kind, reason))] == [words[one]]
    assert [word_for(each) for each in PROTOCOL.classify(whole, EVENTS)] == [words[many]] * 3
    assert [word_for(each) for each in PROTOCOL.classify(whole, EVENTS[:1])] == [words[one]]


def test_a_request_that_is_halved_goes_out_when_the_target_wants_it():
    """What is said of it is as of any 429."""
    reason = LARGEST.format(own=1001)
    answer = HttpAnswer(429, {"retry-after": "7"}, orjson.dumps({"error": {"type": ES_REJECTED, "reason": reason}}))

    assert (
        PROTOCOL.classify(answer, EVENTS)
        == [Retry(Trouble.OVERLOADED, 429, f"{ES_REJECTED}: {reason}", 7.0, in_halves=True)] * 3
    )


DENIED = "denied"
REAL: dict[str, list[str]] = {
    "again": ["delivered", "delivered"],
    "again_in_full": ["delivered"],
    "bad_index_name": [DENIED],
    "breaker_in_flight_many": [HALVED] * 2,
    "breaker_in_flight_one": [HALVED],
    "breaker_parent_full": ["overloaded"] * 2,
    "breaker_parent_many": [HALVED] * 2,
    "breaker_parent_one": ["refused"],
    "broken_action": ["together"],
    "broken_document": ["refused", "delivered"],
    "closed_index": [DENIED],
    "created": ["delivered", "delivered"],
    "created_in_full": ["delivered"],
    "disk_full_block": [DENIED],
    "empty_body": [DENIED],
    "empty_lines": ["together"],
    "id_too_long": ["together", "together"],
    "mapping_error": ["refused", "delivered", "refused"],
    "mapping_error_in_full": ["refused"],
    "no_final_newline": [DENIED],
    "no_index": [DENIED],
    "no_object": ["refused", "delivered"],
    "no_such_path": [DENIED],
    "pressure_many": [HALVED] * 2,
    "pressure_one": ["refused"],
    "request_rejected": ["overloaded"],
    "stream_again": ["delivered"],
    "stream_created": ["delivered"],
    "stream_index_action": [DENIED],
    "stream_without_time": ["refused"],
    "too_large": ["together"],
    "too_many_fields": [DENIED],
    "unknown_action": [DENIED],
    "write_block": [DENIED],
}


def word_for(result: object) -> str:
    """What a result means, in one word."""
    if isinstance(result, Retry):
        return HALVED if result.in_halves else str(result.trouble)
    return {Refused: "refused", RefusedTogether: "together"}.get(type(result), "delivered")


@pytest.mark.parametrize("name", REAL)
def test_what_a_real_search_engine_answered(name: str):
    """The files say how each answer was come by."""
    recorded = orjson.loads((Path(__file__).parent / "answers" / f"{name}.json").read_bytes())
    body = b"" if recorded["answer"] is None else orjson.dumps(recorded["answer"])
    actions = [orjson.loads(line) for line in recorded["asked"].splitlines()[::2] if name not in _NO_LINES]
    ids = [next(iter(action.values())).get("_id", "") for action in actions] or ["1"] * len(REAL[name])

    results = read_answer(HttpAnswer(recorded["status"], {}, body), len(REAL[name]), lambda: ids)

    assert [word_for(result) for result in results] == REAL[name]


_NO_LINES = {"broken_action", "broken_document", "empty_lines", "request_rejected", "too_large", "no_such_path"}


def test_all_real_answers_to_bulk_requests_are_judged():
    """Those of items that were rejected by a full queue are some of many, and looked at one by one."""
    names = {file.stem for file in (Path(__file__).parent / "answers").glob("*.json")}
    rejected = orjson.loads((Path(__file__).parent / "answers" / "items_rejected.json").read_bytes())["answer"]

    results = read_answer(HttpAnswer(200, {}, orjson.dumps(rejected)), len(rejected["items"]), lambda: [""] * 4)

    assert {word_for(result) for result in results} == {"delivered", "overloaded"}
    assert names - set(REAL) == {"items_rejected", "root", *(n for n in names if n.startswith("template_"))}
