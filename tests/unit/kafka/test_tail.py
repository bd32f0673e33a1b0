"""Following a topic while the cluster answers late, wrongly or not at all, without a broker."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from logrouter.kafka import tail as module
from logrouter.kafka.connection import BrokerState
from logrouter.kafka.errors import ClientError
from logrouter.kafka.tail import TailRecord, TopicEnds, TopicTail
from tests.fake_kafka.messages import Message

END, RESET = KafkaError._PARTITION_EOF, KafkaError._AUTO_OFFSET_RESET
TIMED_OUT = KafkaException(KafkaError(KafkaError._TIMED_OUT))


def answered(value):
    """A future that is done: with a value, or with an error."""
    future = Future()
    if isinstance(value, Exception):
        future.set_exception(value)
    else:
        future.set_result(value)
    return future


def record(value, offset, partition=0):
    """A record of the topic."""
    return Message(value, offset, partition, "drains", key=b"k")


def error(code, offset=0, partition=0, *, fatal=False):
    """What a consumer hands out in place of a record."""
    said = KafkaError(code, "why", fatal=fatal)
    return SimpleNamespace(
        error=lambda: said, topic=lambda: "drains", partition=lambda: partition, offset=lambda: offset
    )


class ScriptedConsumer:
    """Hands out one batch after the other; one may be an error to raise."""

    def __init__(self, batches):
        self._batches = [*batches]
        self._rest = []
        self.assigned = []
        self.is_closed = False

    def assign(self, places):
        self.assigned = [place.partition for place in places]

    def incremental_assign(self, places):
        self.assigned += [place.partition for place in places]

    def poll(self, _seconds):
        batch = self._batches.pop(0) if self._batches else []
        if isinstance(batch, Exception):
            raise batch
        self._rest = [*batch[1:]]
        return batch[0] if batch else None

    def consume(self, _most, _seconds):
        return self._rest

    def close(self):
        self.is_closed = True


class World:
    """What the cluster says of the topic, one description per question, and the consumers that are made."""

    def __init__(self, monkeypatch, descriptions, *consumers):
        self.consumers = [ScriptedConsumer(batches) for batches in consumers]
        self.made = []
        self._descriptions = [*descriptions]
        monkeypatch.setattr(module, "make_client", self._make)
        monkeypatch.setattr(module, "_LOOK_SECONDS", 0.0)
        self.broker = BrokerState()
        self.tail = TopicTail({}, "drains", self.broker)
        self.tail._ids = self

    def _make(self, _kind, _settings, **_callbacks):
        self.made.append(self.consumers[len(self.made)])
        return self.made[-1]

    def ask(self, _topics, _seconds):
        said = self._descriptions.pop(0) if len(self._descriptions) > 1 else self._descriptions[0]
        if isinstance(said, tuple):
            topic_id, partitions = said
            said = SimpleNamespace(
                topic_id=topic_id, partitions=[SimpleNamespace(id=each) for each in range(partitions)]
            )
        return {"drains": answered(said)}

    def read(self, rounds):
        """What so many calls give together."""
        return [each.value for _ in range(rounds) for each in self.tail.read(0)]


ONE = ("id-1", 1)


def test_it_is_whole_when_each_partition_has_been_read_to_its_end(monkeypatch):
    """A position is behind the last record, or where the end has shown: markers of transactions lie between."""
    batches = [[record(b"a", 0), record(b"b", 1)], [error(END, 3)], [record(b"c", 5, 1)], [error(END, 7, 1)]]
    world = World(monkeypatch, [("id-1", 2)], batches)
    seen = []
    for _ in range(6):
        world.read(1)
        seen.append((world.tail.is_whole, world.tail.positions))

    assert seen == [
        (False, {}),
        (False, {0: 2, 1: 0}),
        (False, {0: 3, 1: 0}),
        (False, {0: 3, 1: 6}),
        (True, {0: 3, 1: 7}),
        (True, {0: 3, 1: 7}),
    ]
    assert world.broker.is_up


def test_a_record_comes_with_its_key_and_headers(monkeypatch):
    """A tombstone has no value."""
    headed = Message(None, 4, 0, "drains", key=b"k", headers=[("h", b"1")])
    world = World(monkeypatch, [ONE], [[headed]])

    assert [*world.tail.read(0), *world.tail.read(0)] == [TailRecord(0, b"k", None, [("h", b"1")])]


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param([record(b"lost", 1), error(RESET, 1)], id="cut-off"),
        pytest.param([error(KafkaError._LOG_TRUNCATION, 1)], id="truncated"),
        pytest.param([error(KafkaError._FATAL, fatal=True)], id="fatal"),
        pytest.param(TIMED_OUT, id="raised"),
    ],
)
def test_where_it_cannot_go_on_it_begins_again(monkeypatch, trouble):
    """With a new client, from the beginning; what comes with such an error does not count."""
    world = World(monkeypatch, [ONE], [[record(b"a", 0), error(END, 1)], trouble], [[record(b"b", 0)]])

    assert (world.read(3), world.tail.beginnings, world.tail.is_whole) == ([b"a"], 2, False)
    assert world.consumers[0].is_closed
    assert (world.read(1), world.tail.positions) == ([b"b"], {0: 1})


def test_another_topic_of_the_same_name_is_read_from_the_beginning(monkeypatch):
    """Its offsets may go on where those of the former one ended, so that no error shows it."""
    world = World(monkeypatch, [ONE, ("id-2", 1)], [[record(b"a", 0)]], [[record(b"b", 0)]])

    assert world.read(2) == [b"a"]
    assert world.tail.beginnings == 1
    assert (world.read(2), world.tail.beginnings) == ([b"b"], 2)


def test_a_topic_without_an_id_is_the_same_one(monkeypatch):
    """As brokers that know no ids say it of all topics."""
    world = World(monkeypatch, [("A" * 22, 1)], [[record(b"a", 0)]])

    assert (world.read(8), world.tail.beginnings) == ([b"a"], 1)


def test_partitions_that_are_added_are_read_too(monkeypatch):
    """Until then not all is read."""
    world = World(monkeypatch, [ONE, ("id-1", 2)], [[error(END, 0)]])
    world.read(3)
    assert world.tail.is_whole
    world.read(1)

    assert (world.consumers[0].assigned, world.tail.positions, world.tail.is_whole) == ([0, 1], {0: 0, 1: 0}, False)


def test_a_missing_topic_and_a_cluster_that_does_not_answer_are_told_apart(monkeypatch):
    """What was read stays in both cases."""
    gone = KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
    world = World(monkeypatch, [ONE, TIMED_OUT, gone, ONE], [[error(END, 0)]])
    missing = []
    for _ in range(8):
        world.read(1)
        missing.append(world.tail.is_missing)

    assert missing == [False] * 5 + [True, True, False]
    assert (world.tail.is_whole, world.tail.beginnings) == (True, 1)


def test_trouble_is_logged_once_until_a_record_comes(monkeypatch, caplog):
    """A reader outside any group has none with groups."""
    refused, of_groups = KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED
    batches = [[error(refused)], [error(of_groups)], [error(refused)], [record(b"a", 0)], [error(refused)]]
    world = World(monkeypatch, [ONE], batches)
    with caplog.at_level(logging.WARNING, "logrouter"):
        assert world.read(6) == [b"a"]

    assert [each.fields["error"] for each in caplog.records] == ["TOPIC_AUTHORIZATION_FAILED"] * 2


class EndAdmin:
    """An admin client with one answer."""

    def __init__(self, said):
        self._said = said

    def list_offsets(self, asked, **_options):
        return {place: answered(self._said) for place in asked}


def test_client_that_does_not_answer_is_replaced(monkeypatch):
    """After an outage it may have no connection left and make none."""
    clients = [EndAdmin(TIMED_OUT), EndAdmin(SimpleNamespace(offset=3))]
    monkeypatch.setattr(module, "make_client", lambda *_args: clients.pop(0))
    ends = TopicEnds({}, "drains")
    with pytest.raises(ClientError, match="end of topic drains"):
        ends.fetch([0, 1], 1)

    assert ends.fetch([0, 1], 1) == {0: 3, 1: 3}
    assert ends.fetch([0], 1) == {0: 3}, "by the same client"
    with pytest.raises(ClientError, match="nothing is known"):
        ends.fetch([], 1)
