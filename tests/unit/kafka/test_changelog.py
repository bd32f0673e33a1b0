"""Reading a changelog while the cluster answers late, without a broker."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from logrouter.kafka import changelog
from logrouter.kafka.changelog import ChangelogReader

TIMED_OUT = KafkaException(KafkaError(KafkaError._TIMED_OUT))


class EndedConsumer:
    """It has read partition 0 to its end, offset 3."""

    def incremental_assign(self, _places):
        """All are read at once."""

    incremental_unassign = incremental_assign

    def consume(self, _most, _seconds):
        error = KafkaError(KafkaError._PARTITION_EOF)
        return [SimpleNamespace(error=lambda: error, partition=lambda: 0, offset=lambda: 3)]

    def close(self):
        """It has nothing open."""


class OneAnswer:
    """An admin client that has the same answer to each question: a value, or an error."""

    def __init__(self, *, works):
        self._works = works

    def _answer(self, value):
        future = Future()
        if self._works:
            future.set_result(value)
        else:
            future.set_exception(TIMED_OUT)
        return future

    def describe_consumer_groups(self, groups, **_options):
        return {group: self._answer(None) for group in groups}

    def list_consumer_group_offsets(self, _asked, **_options):
        return {"g": self._answer(SimpleNamespace(topic_partitions=[TopicPartition("lines", 0, 7)]))}

    def list_offsets(self, asked, **_options):
        return {place: self._answer(SimpleNamespace(offset=3)) for place in asked}


def test_admin_client_that_times_out_is_replaced(monkeypatch):
    """After an outage it may have no connection left and make none; lines would wait for ever to be paired."""
    clients = [OneAnswer(works=False), OneAnswer(works=True)]
    monkeypatch.setattr(
        changelog, "make_client", lambda kind, _settings: EndedConsumer() if kind is Consumer else clients.pop(0)
    )
    reader = ChangelogReader({}, "state", group="g", group_topic="lines")
    reader.add(0)
    finished = []
    for _ in range(6):
        assert list(reader.read(0)) == []
        finished += reader.take_finished()

    assert (finished, clients) == ([0], [])
