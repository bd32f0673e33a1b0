"""The ledger of sources: which id of a topic was first, whoever reads it, and whatever else stands in it."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.source_ledger import SourceLedger, record

FIRST, SECOND = "hTflj/JzRSS6vVvo35I1Hw", "bglseAdIRoqfWUagh6SbBA"


def read(*records):
    """A ledger with these records at offsets from 0 on."""
    ledger = SourceLedger()
    for offset, (key, value) in enumerate(records):
        assert ledger.take(key, value, offset)
    return ledger


def test_the_record_at_the_lowest_offset_counts():
    """Of two processes that record a topic at the same time, one was first, for both and for all others."""
    ledger = read(record("logs", FIRST, "a"), record("other", SECOND, "a"), record("logs", SECOND, "b"))

    assert [ledger.first_id(topic) for topic in ("logs", "other", "new")] == [FIRST, SECOND, None]


@given(st.lists(st.tuples(st.sampled_from(["t", "u"]), st.sampled_from([FIRST, SECOND]), st.integers(0, 9))))
def test_compaction_changes_nothing(written):
    """A writer records a topic once: then the records that a compacted topic keeps say the same as all of them."""
    once = {(topic, writer): topic_id for topic, topic_id, writer in reversed(written)}
    records = [record(topic, topic_id, str(writer)) for (topic, writer), topic_id in once.items()]
    kept = {key: (offset, value) for offset, (key, value) in enumerate(records)}
    whole, compacted = read(*records), SourceLedger()
    for key, (offset, value) in kept.items():
        compacted.take(key, value, offset)

    assert [whole.first_id(topic) for topic in "tu"] == [compacted.first_id(topic) for topic in "tu"]


def test_a_record_without_a_value_takes_back_what_its_key_says():
    """An operator can forget a topic, or one process's word on it."""
    one, other = record("logs", FIRST, "a"), record("logs", SECOND, "b")

    assert read(one, other, (one[0], None)).first_id("logs") == SECOND
    assert read(one, (one[0], None)).first_id("logs") is None
    assert read((one[0], None)).first_id("logs") is None


KEY, GOOD = record("logs", FIRST, "a")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, GOOD),
        (b"", GOOD),
        (b"\xff a", GOOD),
        (b"x" * 300, GOOD),
        (b"other a", GOOD),
        (KEY, b""),
        (KEY, b"\xff"),
        (KEY, b"[1]"),
        (KEY, orjson.dumps(orjson.loads(GOOD) | {"version": 2})),
        (KEY, orjson.dumps(orjson.loads(GOOD) | {"topic_id": "short"})),
        (KEY, orjson.dumps(orjson.loads(GOOD) | {"topic_id": [FIRST]})),
    ],
)
def test_a_foreign_record_says_nothing(key, value):
    """It is told apart, so that it can be counted."""
    ledger = SourceLedger()

    assert not ledger.take(key, value, 0)
    assert ledger.first_id("logs") is None


@given(st.none() | st.binary(max_size=300), st.none() | st.binary(max_size=300))
def test_no_bytes_raise(key, value):
    """Whatever somebody writes into the ledger."""
    SourceLedger().take(key, value, 0)


def test_a_flood_of_records_of_one_topic_is_bounded():
    """What was recorded first stays."""
    ledger = read(record("logs", FIRST, "a"))
    taken = sum(ledger.take(*record("logs", SECOND, f"w{n}"), n + 1) for n in range(2_000))

    assert taken < 1_000
    assert ledger.first_id("logs") == FIRST
