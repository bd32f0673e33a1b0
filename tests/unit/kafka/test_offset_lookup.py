"""Questions about offsets, without a broker."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from logrouter.kafka import offset_lookup
from logrouter.kafka.offset_lookup import OffsetLookup

AT = ("logs", 0)


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
