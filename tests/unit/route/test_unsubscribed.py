"""Records of topics that have left the subscription: set aside, and gone back to if the topic never really left."""

from __future__ import annotations

from typing import NamedTuple

from logrouter import config
from logrouter.route.unsubscribed import UnsubscribedRecords


class Message(NamedTuple):
    """What librdkafka hands out, as far as it is looked at here."""

    at: str
    where: int
    number: int

    def topic(self):
        return self.at

    def partition(self):
        return self.where

    def offset(self):
        return self.number


def table(*topics):
    """A route table that takes from these."""
    text = f"""
version: 1
sources: {{s: {{topics: {list(topics)}, envelope: rsyslog}}}}
routes: [{{name: r, from: s, format: envoy, to: out}}]
"""
    return config.parse(text.encode(), {}).table


A4, A5, B7 = Message("a", 0, 4), Message("a", 0, 5), Message("b", 1, 7)


def test_nothing_is_held_before_the_subscription_changes():
    """A lane whose subscription stays pays nothing."""
    records = UnsubscribedRecords(table("a", "b"))

    assert records.change_subscription(table("a", "b")) == {}
    assert not records.active


def test_records_of_a_topic_that_left_are_set_aside_and_gone_back_to():
    """From the first record on that was not read, once."""
    records = UnsubscribedRecords(table("a", "b"))
    records.change_subscription(table("b"))
    assert records.active
    assert records.set_aside([A4, B7, A5]) == [B7]
    assert records.set_aside([Message("a", 0, 6)]) == []

    assert records.change_subscription(table("a", "b")) == {("a", 0): 4}
    assert records.set_aside([A4, B7]) == [A4, B7]
    assert records.change_subscription(table("b")) == {}


def test_partition_that_has_left_is_forgotten():
    """The group's offset says where it goes on, not we."""
    records = UnsubscribedRecords(table("a", "b"))
    records.change_subscription(table("b"))
    records.set_aside([A4])
    records.forget(("a", 0))

    assert records.change_subscription(table("a", "b")) == {}


def test_expressions_select_whole_names():
    """As they do in topics.yaml."""
    records = UnsubscribedRecords(table("x"))
    records.change_subscription(table("^[ab]"))

    assert records.set_aside([A4, B7, Message("abc", 0, 1)]) == [A4, B7]


def test_topic_that_no_source_names_can_be_ours_all_the_same():
    """Lines that wait for each other come from a topic of our own."""
    records = UnsubscribedRecords(table("a", "b"))
    records.change_subscription(table("b"), {"a"})

    assert records.set_aside([A4, B7]) == [A4, B7]
