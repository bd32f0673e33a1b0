"""One turn of the lane without Kafka: which records are whose."""

from __future__ import annotations

from pathlib import Path

from logrouter import config
from logrouter.route import process
from tests.fake_kafka.messages import Message

SETTINGS = config.parse(
    b"""
version: 1
outputs: {pairing: {topic: pairs, partitions: 1}}
sources: {all: {topics: ["^.*"], envelope: plain}}
routes:
  - name: wso2
    from: all
    format: wso2_access
    pair: {}
    to: requests
""",
    {},
    folder=Path(),
)


def test_the_changelog_of_a_state_is_an_ordinary_topic_if_a_source_selects_it():
    """The group reads it then: its records are counted, and committed, or it would be read again after every start."""
    lane = process.make_lane(SETTINGS, default_instance="a", stopping=lambda: False)
    lane._configure()

    output = lane._process([Message(b"{}", 7, 0, "pairs.state")])

    assert output.positions == {("pairs.state", 0): 8}
    assert output.counts == {("_unmatched", "ignored", "", "unmatched"): 1}
