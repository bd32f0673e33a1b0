"""The question what a group has committed: never to a broker that is not the group's coordinator."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from logrouter.kafka import offset_lookup
from logrouter.kafka.group_offsets import COORDINATOR_ERRORS, GroupOffsets
from logrouter.kafka.offset_lookup import OffsetLookup

AT = ("logs", 0)


class Coordinator:
    """An admin client whose answers are given when a test says so."""

    def __init__(self):
        self.described, self.offsets, self.asked = Future(), Future(), 0

    def describe_consumer_groups(self, groups, **_options):
        return dict.fromkeys(groups, self.described)

    def list_consumer_group_offsets(self, asked, **_options):
        self.asked += 1
        return {asked[0].group_id: self.offsets}

    def describe_topics(self, topics, **_options):
        topic = Future()
        topic.set_result(SimpleNamespace(topic_id="id"))
        return dict.fromkeys(topics.topic_names, topic)

    def answer(self, offset):
        """All is well."""
        self.described.set_result(None)
        self.offsets.set_result(SimpleNamespace(topic_partitions=[TopicPartition(*AT, offset)]))
        return self

    def refuse(self, code):
        """It is not the coordinator."""
        self.described.set_exception(KafkaException(KafkaError(code)))
        return self


@pytest.mark.parametrize("code", sorted(COORDINATOR_ERRORS))
def test_offsets_are_not_asked_of_a_broker_that_is_not_the_coordinator(code):
    """Librdkafka would end the process with a segmentation fault."""
    client = Coordinator().refuse(code)
    question = GroupOffsets(client, "g", [AT], 1)

    assert question.is_done()
    with pytest.raises(KafkaException):
        question.result()
    assert client.asked == 0


def test_each_step_is_waited_for_without_blocking():
    """The second begins when the first has ended, whenever that is."""
    client = Coordinator()
    question = GroupOffsets(client, "g", [AT], 1)
    before = question.is_done(), client.asked
    client.answer(7)

    assert before == (False, 0)
    assert question.is_done()
    assert question.result()[AT].offset == 7
    assert client.asked == 1


def test_a_coordinator_that_has_moved_is_looked_up_by_a_new_client(monkeypatch):
    """A client remembers who was it, for minutes. Nothing is logged: coordinators move."""
    clients = [Coordinator().refuse(code) for code in sorted(COORDINATOR_ERRORS)] + [Coordinator().answer(7)]
    monkeypatch.setattr(offset_lookup, "make_client", lambda *_args: clients.pop(0))
    monkeypatch.setattr(offset_lookup, "_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(offset_lookup, "log", lambda *_args, **_fields: pytest.fail("said"))
    lookup = OffsetLookup({}, "g")
    lookup.ask([AT])
    found = [lookup.take() for _ in range(8)]

    assert [each[AT].offset for each in found if each] == [7]
    assert clients == []
