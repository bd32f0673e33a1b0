"""Event ids: valid UUIDv8, reversible, the same on every replay."""

from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logrouter.core import ids

offsets = st.integers(0, ids.MAX_OFFSET)
partitions = st.integers(0, ids.MAX_PARTITION)
indexes = st.integers(0, ids.MAX_INDEX)


@given(st.text(max_size=20), st.text(max_size=40), partitions, offsets, indexes)
@example("main", "t", 1, 2**34 - 1, ids.MAX_INDEX)  # the last id that is put together the short way
@example("main", "t", 1, 2**34, 0)
def test_id_gives_back_its_record(cluster, topic, partition, offset, index):
    """An id says which record and event it stands for, and is a canonical UUID of version 8."""
    text = ids.for_partition(cluster, topic, partition)(offset, index)

    assert str(UUID(text)) == text
    assert UUID(text).version == 8
    assert ids.coordinates(text) == ids.Coordinates(ids.origin(cluster, topic), partition, offset, index)


def test_id_is_the_same_on_every_replay_and_every_machine():
    """The id is a function of the coordinates alone: this literal must never change."""
    assert ids.for_partition("main", "rsyslog-notice", 3)(1234567, 2) == "12b87cfd-3a00-8030-8000-0004b5a1c002"


def test_id_differs_between_topics_and_clusters():
    """Equal coordinates in two topics, or one topic of two clusters, are two events; so are shifted name borders."""
    made = {ids.for_partition(*names, 0)(7, 0) for names in (("a", "bc"), ("ab", "c"), ("a", "bd"), ("b", "bc"))}

    assert len(made) == 4


def test_a_topic_made_anew_has_ids_of_its_own():
    """Its id is part of the origin; without one the origin is that of the name."""
    made = {ids.for_partition("main", "logs", 0, topic_id)(7, 0) for topic_id in ("", "A1" * 11, "B1" * 11)}

    assert len(made) == 3
    assert ids.origin("main", "logs", "") == ids.origin("main", "logs")


@pytest.mark.parametrize("text", ["", "not-an-id", "00000000-0000-0000-0000-000000000000", str(UUID(int=2**128 - 1))])
def test_coordinates_of_a_foreign_id_are_none(text):
    """What is no id of ours has no coordinates."""
    assert ids.coordinates(text) is None


def test_partition_beyond_the_id_is_refused_loudly():
    """A partition number that does not fit is an error at start, not two events with one id."""
    with pytest.raises(ValueError, match="70000"):
        ids.for_partition("c", "t", 70_000)
