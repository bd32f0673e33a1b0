"""How the tail of several partitions is shared out, and a partition that has no leader for a moment."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException
from hypothesis import given
from hypothesis import strategies as st

from logrouter.kafka import reader
from logrouter.kafka.errors import ClientError
from logrouter.kafka.reader import fetch_end_offsets, share_tail


@pytest.mark.parametrize(
    ("marks", "records", "starts"),
    [
        ({"a": (0, 100), "b": (0, 100)}, 20, {"a": 90, "b": 90}),
        ({"a": (0, 4), "b": (50, 100)}, 20, {"a": 0, "b": 84}),
        ({"a": (7, 7), "b": (0, 100)}, 1000, {"a": 7, "b": 0}),
        ({"a": (0, 9), "b": (0, 9), "c": (0, 9)}, 1, {"a": 8, "b": 9, "c": 9}),
        ({}, 5, {}),
    ],
)
def test_tail_is_shared_evenly(marks, records, starts):
    """Each partition gives its share from its end; what a short one lacks, the longer ones give."""
    kept = share_tail({(name, 0): mark for name, mark in marks.items()}, records)

    assert {name: low for (name, _), (low, _) in kept.items()} == starts


@given(
    st.dictionaries(
        st.tuples(st.text(max_size=2), st.integers(0, 3)), st.tuples(st.integers(0, 50), st.integers(0, 50))
    ),
    st.integers(1, 200),
)
def test_tail_has_as_many_as_asked_for_or_all(sizes, records):
    """Never more than asked for, never less if there are enough, and never anything from before the start."""
    marks = {place: (low, low + size) for place, (low, size) in sizes.items()}
    kept = share_tail(marks, records)

    assert sum(high - low for low, high in kept.values()) == min(records, sum(h - low for low, h in marks.values()))
    assert all(marks[place][0] <= low <= high == marks[place][1] for place, (low, high) in kept.items())


@pytest.mark.parametrize(
    ("code", "asked"), [(KafkaError.NOT_LEADER_FOR_PARTITION, 3), (KafkaError.TOPIC_AUTHORIZATION_FAILED, 1)]
)
def test_a_partition_without_a_leader_is_asked_again(monkeypatch, code, asked):
    """Its topic may be new, or a broker restarts; what lasts is said at once."""
    errors = [KafkaException(KafkaError(code))] * 2
    answers = []

    def ends(_place, **_options):
        answers.append(1)
        if errors:
            raise errors.pop()
        return 0, 7

    consumer = SimpleNamespace(get_watermark_offsets=ends, close=lambda: None)
    monkeypatch.setattr(reader, "_make_consumer", lambda _kafka: (consumer, None))
    topic = SimpleNamespace(error=None, partitions=[0])
    monkeypatch.setattr(reader, "fetch_metadata", lambda *_args: SimpleNamespace(topics={"t": topic}))
    monkeypatch.setattr(reader, "_AGAIN_SECONDS", 0.0)

    if asked == 1:
        with pytest.raises(ClientError, match="cannot read topic t"):
            fetch_end_offsets({}, "t")
    else:
        assert fetch_end_offsets({}, "t") == {0: 7}
    assert len(answers) == asked
