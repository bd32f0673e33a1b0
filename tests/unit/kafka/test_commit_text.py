"""The text beside an offset: ids of topics come back, and release 0.1.0 still finds its places."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.join.partial_lines import decode_places
from logrouter.kafka.commit_text import split_topic_id, with_topic_id

IDS = st.binary(min_size=16, max_size=16).map(lambda data: b64encode(data).decode().rstrip("="))
PLACES = "pieces1 2s,4!,0"


def test_an_id_is_plain_text_where_nothing_else_is_said():
    """So that an operator can compare it."""
    assert with_topic_id("", "rP/YLXgxRF6sAcuElM3arQ") == "topic1 rP/YLXgxRF6sAcuElM3arQ"


@given(IDS, st.sampled_from(["", PLACES, "pieces1 0"]))
def test_both_come_back(topic_id, text):
    """Places and id do not disturb each other."""
    assert split_topic_id(with_topic_id(text, topic_id)) == (text, topic_id)


@given(IDS)
def test_release_0_1_0_reads_the_places_and_no_other_below_any_offset(topic_id):
    """It takes each word as a distance in base 36, and leaves out what is not below the committed offset."""
    found = decode_places(with_topic_id(PLACES, topic_id))

    assert {offset: lost for offset, lost in found.items() if offset < 1 << 62} == {100: False, 104: False}
    assert len(with_topic_id("", topic_id)) < 50
    assert decode_places(with_topic_id("", topic_id)) == {}


@given(st.text() | st.text(alphabet="pieces1 z,0").map("pieces1 0,zzzzzzzzzzzz,".__add__))
def test_any_other_text_says_nothing_about_topics(text):
    """Nothing is taken for an id that could not be written as one."""
    own, topic_id = split_topic_id(text)

    assert text in (own, f"topic1 {topic_id}") or with_topic_id(own, topic_id) == text


@pytest.mark.parametrize("text", ["", "pieces1 2s,4", "pieces1 0,zzzzzzzzzzzz,zzzzzzzzzzzz,zzzzzzzzzzzz,zzzzzzzzzzzz"])
def test_texts_of_others_stay_as_they_are(text):
    """Of release 0.1.0, say, or of nobody."""
    assert split_topic_id(text) == (text, "")
