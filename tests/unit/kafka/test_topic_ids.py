"""Asking for ids of topics, without a broker."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace

from confluent_kafka import KafkaError, KafkaException

from logrouter.kafka import topic_ids
from logrouter.kafka.topic_ids import TopicIds, answer_of


class AdminOf:
    """An admin client with an answer about each topic: a value, an error, or None if it is still out."""

    def __init__(self, answers):
        self._answers = answers

    def describe_topics(self, _topics, **_options):
        found = {topic: Future() for topic in self._answers}
        for topic, answer in self._answers.items():
            if isinstance(answer, Exception):
                found[topic].set_exception(answer)
            elif answer is not None:
                found[topic].set_result(answer)
        return found


def test_client_that_times_out_is_replaced(monkeypatch):
    """After an outage it may have no connection left and make none: ids would be unknown from then on."""
    timed_out = KafkaException(KafkaError(KafkaError._TIMED_OUT))
    dead, alive = AdminOf({"a": timed_out, "b": None}), AdminOf({"a": SimpleNamespace(topic_id="i" * 22)})
    clients = [dead, alive]
    monkeypatch.setattr(topic_ids, "make_client", lambda *_args: clients.pop(0))
    ids = TopicIds({})

    assert answer_of(ids.ask(["a", "b"], 5)["a"]).ask_again
    assert [answer_of(ids.ask(["a"], 5)["a"]).topic_id for _ in range(2)] == ["i" * 22] * 2
    assert clients == []
    assert dead in [question.client for question in ids._asked]  # an answer of it is still out
