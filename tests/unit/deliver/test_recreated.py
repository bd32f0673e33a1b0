"""A topic that is made anew while its partitions are read is noticed by its id."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from logrouter.deliver import recreated
from logrouter.deliver.recreated import RecreatedPartitions

FORMER, PRESENT = "F" * 22, "P" * 22


class Ids:
    """Stands in for `TopicIds`: the questions, which are answered when a test says so."""

    def __init__(self, _kafka):
        self.asked = []

    def ask(self, topics, _seconds):
        self.asked.append({topic: Future() for topic in sorted(topics)})
        return self.asked[-1]


class World:
    """Two topics that are read, and a clock."""

    now = 100.0

    def __init__(self, monkeypatch):
        monkeypatch.setattr(recreated, "TopicIds", Ids)
        self.assignment = SimpleNamespace(
            topic_ids={("s", 0): FORMER, ("s", 1): FORMER, ("t", 0): FORMER, ("u", 0): ""}
        )
        self.watch = RecreatedPartitions({}, self.assignment, lambda: self.now)

    def answer(self, **ids):
        """The answers to the last question, an error for None; what is found then."""
        for topic, future in self.watch._ids.asked[-1].items():
            found = ids[topic]
            if found is None:
                future.set_exception(KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)))
            else:
                future.set_result(SimpleNamespace(topic_id=found))
        return self.watch.take()


@pytest.fixture
def world(monkeypatch):
    """A watch that is to ask after ten seconds."""
    return World(monkeypatch)


def test_partitions_of_a_topic_with_another_id_are_found(world):
    """Asked for every ten seconds, without waiting; a topic of which no id was known is none of them."""
    assert world.watch.take() == ()
    assert not world.watch._ids.asked
    world.now += 10
    assert [world.watch.take() for _ in range(3)] == [(), (), ()]
    assert [sorted(asked) for asked in world.watch._ids.asked] == [["s", "t", "u"]]
    assert world.answer(s=PRESENT, t=FORMER, u=PRESENT) == [("s", 0), ("s", 1)]


def test_a_topic_that_is_gone_is_none_yet(world):
    """It may come back; and an error of the client has it asked for at once."""
    world.watch.ask_soon()
    world.watch.take()
    assert world.answer(s=None, t=FORMER, u="") == []
