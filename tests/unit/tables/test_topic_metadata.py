"""A new topic is known to some brokers before others: none of them may be asked in vain by what starts then."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaError, NodeNotReadyError, RequestTimedOutError

from logrouter.tables import topic_metadata
from logrouter.tables.topic_metadata import count_partitions, wait_until_known

NO_ERROR, UNKNOWN_TOPIC, NO_LEADER = 0, 3, 5


class Cluster:
    """Brokers that say how many partitions a topic has, with an error code, or fail to answer."""

    def __init__(self, *answers):
        self.answers = answers
        nodes = [SimpleNamespace(nodeId=node) for node in range(len(answers))]
        self.cluster = SimpleNamespace(brokers=lambda: nodes)

    async def send(self, node, _request):
        """Answers as `MetadataResponse_v5` does: error code, name, whether internal, partitions."""
        answer = self.answers[node]
        if isinstance(answer, Exception):
            raise answer
        error, partitions = answer
        return SimpleNamespace(topics=[(error, "t", False, [None] * partitions)])


@pytest.mark.parametrize(
    ("answers", "known"),
    [
        ([(NO_ERROR, 4)], 4),
        ([(NO_ERROR, 4), (UNKNOWN_TOPIC, 0), (NO_ERROR, 4)], 0),
        ([(NO_ERROR, 4), (NO_ERROR, 2)], 2),
        ([(NO_LEADER, 4)], 0),
        ([NodeNotReadyError(), (NO_ERROR, 4)], 4),
        ([RequestTimedOutError(), (UNKNOWN_TOPIC, 0)], 0),
    ],
)
def test_a_topic_is_there_when_every_broker_that_answers_knows_it(answers, known):
    """Whoever of them is asked next then gives the same answer."""
    assert asyncio.run(count_partitions(Cluster(*answers), "t")) == known


@pytest.mark.parametrize("answers", [[], [NodeNotReadyError()]])
def test_a_cluster_without_an_answer_is_no_missing_topic(answers):
    """The caller tells the two apart."""
    with pytest.raises(KafkaError):
        asyncio.run(count_partitions(Cluster(*answers), "t"))


def test_a_new_topic_is_waited_for_until_the_last_broker_knows_it(monkeypatch):
    """A cluster that does not answer in between is no reason to go on."""
    answers = [0, KafkaError("away"), 3, 4]

    async def fetch(_security, _topic):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(topic_metadata, "fetch_partition_count", fetch)
    monkeypatch.setattr(topic_metadata, "_PAUSE_SECONDS", 0)
    asyncio.run(wait_until_known(None, "t", 4))
    assert answers == []


def test_a_topic_that_never_comes_is_told(monkeypatch, caplog):
    """A worker that may not see it must get as far as the refusal that says so."""

    async def fetch(_security, _topic):
        return 0

    monkeypatch.setattr(topic_metadata, "fetch_partition_count", fetch)
    monkeypatch.setattr(topic_metadata, "_LONGEST_SECONDS", -1)
    asyncio.run(wait_until_known(None, "t", 4))
    assert [record.getMessage() for record in caplog.records] == ["source_error"]
