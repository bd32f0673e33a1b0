"""The group's consumer: what librdkafka says in its own types, in ours."""

from __future__ import annotations

import pytest
from confluent_kafka import TopicPartition

from logrouter.kafka import consumer
from logrouter.kafka.consumer import AssignmentStart, GroupConsumer


class ScriptedConsumer:
    """Stands in for librdkafka: keeps the callbacks and what was called."""

    def __init__(self, _settings):
        self.calls = []

    def subscribe(self, topics, on_assign, on_revoke, on_lost):
        self.calls.append(("subscribe", topics))
        self.on_assign, self.on_revoke, self.on_lost = on_assign, on_revoke, on_lost

    def incremental_assign(self, partitions):
        self.calls.append(("assign", [(p.topic, p.partition, p.offset) for p in partitions]))

    def pause(self, partitions):
        self.calls.append(("pause", [(p.topic, p.partition) for p in partitions]))

    def resume(self, partitions):
        self.calls.append(("resume", [(p.topic, p.partition) for p in partitions]))


class Listener:
    """Begins as told, and keeps what it was told."""

    def __init__(self, start):
        self.start = start
        self.heard = []

    def on_assigned(self, partitions):
        self.heard.append(("assigned", partitions))
        return self.start

    def on_revoked(self, partitions):
        self.heard.append(("revoked", partitions))

    def on_lost(self, partitions):
        self.heard.append(("lost", partitions))


@pytest.fixture
def scripted(monkeypatch):
    """The client that the next consumer is made of."""
    made = ScriptedConsumer({})
    monkeypatch.setattr(consumer, "make_client", lambda *_args, **_callbacks: made)
    return made


def subscribed(listener):
    """A consumer of topics a and b with this listener."""
    made = GroupConsumer({}, group="g", instance=None, session_timeout_ms=6000, on_error=print)
    made.subscribe(["a", "b"], listener)
    return made


COMMITTED = -1001
"""librdkafka's word for: at the committed offset."""


@pytest.mark.parametrize(
    ("start", "calls"),
    [
        (AssignmentStart({}, ()), []),
        (AssignmentStart({("b", 1): 7}, ()), [("assign", [("a", 0, COMMITTED), ("b", 1, 7)])]),
        (
            AssignmentStart({}, [("a", 0)]),
            [("assign", [("a", 0, COMMITTED), ("b", 1, COMMITTED)]), ("pause", [("a", 0)])],
        ),
    ],
    ids=["left to librdkafka", "from an offset", "paused"],
)
def test_partitions_begin_as_the_listener_says(scripted, start, calls):
    """Before anything is paused it must be assigned, or librdkafka forgets the pause."""
    listener = Listener(start)
    subscribed(listener)
    scripted.on_assign(scripted, [TopicPartition("a", 0), TopicPartition("b", 1)])

    assert listener.heard == [("assigned", [("a", 0), ("b", 1)])]
    assert scripted.calls == [("subscribe", ["a", "b"]), *calls]


def test_partition_that_left_while_paused_delivers_when_it_is_back(scripted):
    """A pause outlasts the assignment in librdkafka, whoever has had the partition in between."""
    listener = Listener(AssignmentStart({}, [("a", 0), ("b", 1)]))
    consumer = subscribed(listener)
    both = [TopicPartition("a", 0), TopicPartition("b", 1)]
    scripted.on_assign(scripted, list(both))
    consumer.resume([("b", 1)])
    scripted.on_lost(scripted, list(both))
    listener.start = AssignmentStart({}, ())
    del scripted.calls[:]
    scripted.on_assign(scripted, list(both))
    assert scripted.calls == [("assign", [("a", 0, COMMITTED), ("b", 1, COMMITTED)]), ("resume", [("a", 0)])]

    del scripted.calls[:]
    scripted.on_assign(scripted, list(both))
    assert scripted.calls == []


def test_partitions_that_leave_are_told_apart(scripted):
    """A revoked partition can still be committed, a lost one cannot."""
    listener = Listener(AssignmentStart({}, ()))
    subscribed(listener)
    scripted.on_revoke(scripted, [TopicPartition("a", 0)])
    scripted.on_lost(scripted, [TopicPartition("b", 1)])

    assert listener.heard == [("revoked", [("a", 0)]), ("lost", [("b", 1)])]


def test_a_client_is_not_deaf_where_a_new_one_is_not_answered_either():
    """The cluster is away: that is waited for."""
    settings = {"bootstrap.servers": "127.0.0.1:1"}
    made = GroupConsumer(settings, group="g", instance=None, session_timeout_ms=6000, on_error=lambda _error: None)

    assert not made.is_deaf([("logs", 0)], 0.1)
    made.close()
