"""Questions about offsets, without a broker."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from logrouter.kafka import offset_lookup
from logrouter.kafka.offset_lookup import OffsetLookup
from logrouter.telemetry import log

AT = ("logs", 0)
PARTITIONS = [("logs", number) for number in range(1000)]
UNSTABLE, REFUSED = KafkaError.UNSTABLE_OFFSET_COMMIT, KafkaError.TOPIC_AUTHORIZATION_FAILED


def answer(value):
    """A future that is done: with a value, or with an error."""
    future = Future()
    if isinstance(value, Exception):
        future.set_exception(value)
    else:
        future.set_result(value)
    return future


class ScriptedAdmin:
    """Stands in for librdkafka: says of every group the same."""

    def __init__(self, said):
        self._said = said

    def describe_consumer_groups(self, groups, **_options):
        return {group: answer(None) for group in groups}

    def list_consumer_group_offsets(self, _asked, **_options):
        return {"g": answer(self._said)}

    def describe_topics(self, _topics, **_options):
        return {AT[0]: answer(SimpleNamespace(topic_id="id"))}


def test_client_that_times_out_is_replaced(monkeypatch):
    """After an outage it may have no connection left and make none; the lane would wait for ever to begin."""
    offsets = SimpleNamespace(topic_partitions=[TopicPartition(*AT, 7)])
    clients = [ScriptedAdmin(KafkaException(KafkaError(KafkaError._TIMED_OUT))), ScriptedAdmin(offsets)]
    monkeypatch.setattr(offset_lookup, "make_client", lambda *_args: clients.pop(0))
    monkeypatch.setattr(offset_lookup, "_AGAIN_SECONDS", 0.0)
    lookup = OffsetLookup({}, "g")
    lookup.ask([AT])
    found = [lookup.take() for _ in range(4)]

    assert clients == []
    assert [each[AT].offset for each in found if each] == [7]


class PatientAdmin:
    """A cluster that answers at once: about partitions in `errors` with those."""

    def __init__(self):
        self.errors, self.ranges = {}, 0

    def describe_consumer_groups(self, groups, **_options):
        return {group: answer(None) for group in groups}

    def list_consumer_group_offsets(self, asked, **_):
        (group,) = asked
        found = [
            SimpleNamespace(
                topic=each.topic,
                partition=each.partition,
                offset=5,
                metadata="",
                leader_epoch=None,
                error=self.errors.get((each.topic, each.partition)),
            )
            for each in group.topic_partitions
        ]
        return {group.group_id: answer(SimpleNamespace(topic_partitions=found))}

    def describe_topics(self, topics, **_):
        return {name: answer(SimpleNamespace(topic_id="x" * 22)) for name in topics.topic_names}

    def list_offsets(self, asked, **_):
        self.ranges += 1
        return {place: answer(SimpleNamespace(offset=7)) for place in asked}


@pytest.fixture
def admin(monkeypatch):
    """All clients that are made."""
    made = PatientAdmin()
    monkeypatch.setattr(offset_lookup, "make_client", lambda *_args: made)
    monkeypatch.setattr(offset_lookup, "_AGAIN_SECONDS", 0.0)
    return made


def test_ranges_of_many_partitions_are_asked_for_bit_by_bit(admin):
    """Each is two requests. Those of which the offset is not stable keep none of the others waiting."""
    admin.errors = {at: KafkaError(UNSTABLE) for at in PARTITIONS[:300]}
    lookup = OffsetLookup({}, "g")
    lookup.ask(PARTITIONS, with_range=True)
    found, rounds = {}, []
    for _ in range(20):
        before = admin.ranges
        found |= lookup.take()
        rounds.append(admin.ranges - before)

    assert set(found) == set(PARTITIONS[300:])
    assert {each.log for each in found.values()} == {(7, 7)}
    assert max(rounds) <= 400

    admin.errors = {}
    for _ in range(5):
        found |= lookup.take()
    assert set(found) == set(PARTITIONS)


def test_a_partition_without_an_answer_is_said_once(admin, monkeypatch):
    """An open transaction is none of the reasons to say something: it ends."""
    said = []
    monkeypatch.setattr(offset_lookup, "log", lambda event, **fields: said.append((event, fields["error"])))
    admin.errors = {PARTITIONS[0]: KafkaError(UNSTABLE), PARTITIONS[1]: KafkaError(REFUSED)}
    lookup = OffsetLookup({}, "g")
    lookup.ask(PARTITIONS[:2])

    assert [lookup.take() for _ in range(3)] == [{}, {}, {}]
    assert said == [(log.Log.OFFSETS_UNKNOWN, "TOPIC_AUTHORIZATION_FAILED")]


@pytest.mark.parametrize("says_so", [True, False])
def test_a_client_that_is_replaced_leaves_no_question_behind(monkeypatch, says_so):
    """Its other answers never come, as librdkafka drops them with it. Nor is an answer waited for that is long due."""
    said = KafkaException(KafkaError(KafkaError._TIMED_OUT)) if says_so else SimpleNamespace(topic_partitions=[])
    dying = ScriptedAdmin(said)
    dying.describe_topics = lambda *_args, **_options: {"logs": answer(SimpleNamespace(topic_id="id")), "b": Future()}
    both = [AT, ("b", 0)]
    living = ScriptedAdmin(SimpleNamespace(topic_partitions=[TopicPartition(*at, 7) for at in both]))
    living.describe_topics = lambda *_args, **_options: {
        topic: answer(SimpleNamespace(topic_id="id")) for topic, _ in both
    }
    clients = [dying, living]
    monkeypatch.setattr(offset_lookup, "make_client", lambda *_args: clients.pop(0))
    monkeypatch.setattr(offset_lookup, "_AGAIN_SECONDS", 0.0)
    lookup = OffsetLookup({}, "g")
    now = [100.0]
    monkeypatch.setattr(offset_lookup.time, "monotonic", lambda: now[0])
    lookup.ask(both)
    found = {}
    for _ in range(6):
        now[0] += 6 if not says_so else 0.1
        found |= lookup.take()

    assert {at: each.offset for at, each in found.items()} == dict.fromkeys(both, 7)
