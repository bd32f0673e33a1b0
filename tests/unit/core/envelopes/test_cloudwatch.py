"""Records that pack lines: whatever wraps them, the same lines come out; whatever comes, nothing raises."""

from __future__ import annotations

import gzip
from base64 import b64encode, encodebytes
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.envelopes import cloudwatch
from logrouter.core.envelopes.cloudwatch import decode
from logrouter.core.text.json_objects import split_documents
from logrouter.model import Envelope, Ignored, Reason, Rejected


def payload(*messages: str, time: Any = 1_777_888_800_000) -> bytes:
    """A subscription's payload with these lines."""
    events = [{"id": f"{n:056d}", "timestamp": time, "message": message} for n, message in enumerate(messages)]
    origin = {"owner": "111122223333", "logGroup": "/g", "logStream": "s", "subscriptionFilters": ["f"]}
    return orjson.dumps({"messageType": "DATA_MESSAGE", **origin, "logEvents": events})


def base64(data: bytes) -> str:
    """Base64 as services write it."""
    return b64encode(data).decode()


WRAPPINGS = {
    "gzip": gzip.compress,
    "base64": lambda data: b64encode(gzip.compress(data)),
    "base64 with line breaks": lambda data: encodebytes(gzip.compress(data)),
    "function": lambda data: orjson.dumps({"awslogs": {"data": base64(gzip.compress(data))}}),
    "firehose": lambda data: orjson.dumps({"records": [{"recordId": "1", "data": base64(gzip.compress(data))}]}),
    "firehose, decompressed": lambda data: orjson.dumps({"records": [{"recordId": "1", "data": base64(data)}]}),
    "kinesis": lambda data: orjson.dumps({"Records": [{"kinesis": {"data": base64(gzip.compress(data))}}]}),
    "kinesis record": lambda data: orjson.dumps({"Data": base64(gzip.compress(data)), "PartitionKey": "k"}),
    "list": lambda data: orjson.dumps([{"data": base64(gzip.compress(data))}]),
}  # fmt: skip
MESSAGES = st.lists(st.text(max_size=30).map(lambda text: text.rstrip("\r\n")), min_size=1, max_size=5)


def lines(value: bytes) -> list[Any]:
    """The lines of a record, as a list in any case."""
    found = decode(value)
    return [found] if isinstance(found, Envelope | Ignored | Rejected) else list(found)


@given(MESSAGES, st.sampled_from(sorted(WRAPPINGS)))
def test_every_wrapping_gives_all_lines_in_order(messages, wrapping):
    """What is packed is what is read, with its group, stream, account, id and time."""
    found = lines(WRAPPINGS[wrapping](payload(*messages)))

    assert [line.text for line in found] == messages
    assert {line.time for line in found} == {"1777888800000"}
    assert [line.fields for line in found] == [
        {"owner": "111122223333", "logGroup": "/g", "logStream": "s", "id": f"{n:056d}"} for n in range(len(messages))
    ]


@given(st.lists(MESSAGES, min_size=1, max_size=4), st.sampled_from([b"", b"\n", b" \r\n"]), st.booleans())
def test_payloads_after_each_other_give_the_lines_of_all(groups, between, compressed):
    """Concatenated documents and gzip members are one stream, whatever white space stands between the documents."""
    parts = [payload(*messages) for messages in groups]
    value = b"".join(map(gzip.compress, parts)) if compressed else between.join(parts)

    assert [line.text for line in lines(value)] == [text for messages in groups for text in messages]


@given(st.data())
def test_it_does_not_matter_where_gzip_members_end(data):
    """Members may end amid a document: together they are the bytes that were written."""
    whole = payload("one", "two", "three")
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=4)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]

    assert [line.text for line in lines(b"".join(map(gzip.compress, pieces)))] == ["one", "two", "three"]


@given(st.binary(max_size=300) | st.sampled_from([payload("x"), gzip.compress(payload("x"))]), st.data())
def test_no_bytes_make_it_raise(value, data):
    """Any bytes, and any damage to good ones, end as lines, ignored or rejected."""
    at = data.draw(st.integers(0, len(value)))
    damaged = value[:at] + data.draw(st.binary(max_size=3)) + value[at + data.draw(st.integers(0, 3)) :]

    assert all(isinstance(line, Envelope | Ignored | Rejected) for line in lines(damaged))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["data", "Data", "records", "Records", "kinesis", "awslogs", "logEvents", "messageType", "x"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_nesting_of_known_names_makes_it_raise(document):
    """Known names in any place with any values."""
    assert all(isinstance(line, Envelope | Ignored | Rejected) for line in lines(orjson.dumps(document)))


def test_a_bomb_is_refused_before_it_is_unpacked():
    """The bound is on what comes out, over all parts together."""
    half = base64(gzip.compress(b" " * (cloudwatch.MAX_UNPACKED // 2 + 1)))
    found = decode(orjson.dumps({"records": [{"data": half}, {"data": half}]}))

    assert isinstance(found, Rejected)
    assert found.reason is Reason.TOO_LARGE
    assert len(gzip.compress(b" " * (cloudwatch.MAX_UNPACKED // 2))) < 20_000


def test_what_is_just_within_the_bound_is_read():
    """The last byte that may come out does."""
    one = payload("x")
    padded = gzip.compress(one + b" " * (cloudwatch.MAX_UNPACKED - len(one)))

    assert [line.text for line in lines(padded)] == ["x"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (gzip.compress(payload(*["x"] * (cloudwatch.MAX_LINES + 1))), Reason.TOO_MANY),
        (b"x\n" * (cloudwatch.MAX_LINES + 1), Reason.TOO_MANY),
        (b"{}" * (cloudwatch.MAX_LINES + 1), Reason.TOO_MANY),
        (b"[]" * (cloudwatch.MAX_LINES + 1), Reason.TOO_MANY),
        (gzip.compress(b"") * 1001 + b"x", Reason.TOO_MANY),
        (gzip.compress(b"[" + b"{}," * 700_000 + b"{}]"), Reason.TOO_MANY),
        (b'{"data":' * 9 + b'"x"' + b"}" * 9, Reason.TOO_DEEP),
        (b'{"data":{"x":' + b"[" * 500 + b"]" * 500 + b"}}", Reason.TOO_DEEP),
    ],
)
def test_beyond_a_bound_the_record_is_rejected_as_a_whole(value, reason):
    """Neither a part of its lines nor more memory than a record may have."""
    found = decode(value)

    assert isinstance(found, Rejected)
    assert found.reason is reason


def test_most_lines_that_are_read():
    """The bound itself is within."""
    assert len(lines(payload(*["x"] * cloudwatch.MAX_LINES))) == cloudwatch.MAX_LINES


def test_a_fault_costs_the_part_that_has_it():
    """One bad record of Firehose, one bad log event: the others are read, and nothing encoded is shown of the bad."""
    good = base64(gzip.compress(payload("good")))
    found = lines(orjson.dumps({"records": [{"data": "!"}, {"data": good}, {"data": good[:-8]}, {"data": good}, 7]}))

    assert [line.text if isinstance(line, Envelope) else line.reason for line in found] == [
        Reason.BAD_COMPRESSION,
        "good",
        Reason.BAD_COMPRESSION,
        "good",
        Reason.NO_MESSAGE,
    ]
    assert {line.raw for line in found if isinstance(line, Rejected)} == {""}


@pytest.mark.parametrize(("time", "expected"), [(5, "5"), ("5", "5"), (5.5, None), (None, None), (True, None)])
def test_a_log_event_s_time_may_be_a_number_or_its_digits(time, expected):
    """Some producers write the milliseconds as a string."""
    assert [line.time for line in lines(payload("x", time=time))] == [expected]


@given(st.lists(st.dictionaries(st.text(max_size=4), st.text(max_size=6), max_size=2), max_size=5))
def test_documents_after_each_other_are_taken_apart(documents):
    """Braces and quotes in strings end nothing."""
    found = split_documents(b"".join(map(orjson.dumps, documents)), 100)

    assert found == [(document, orjson.dumps(document)) for document in documents]


@pytest.mark.parametrize("data", [b"{}x", b"x{}", b"{}{", b"{}}", b'{"a":}', b'{"', b"{]", b"\xff", b'{} "x"'])
def test_anything_but_documents_is_none(data):
    """No guess at what cannot be read to its end."""
    assert split_documents(data, 100) is None
