"""The fakes of the unit tests do what the clients do on a real Kafka: one scenario on both, and what was seen in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import KafkaException, TopicPartition

from logrouter.kafka.connection import BrokerState
from logrouter.kafka.consumer import AssignmentStart, GroupConsumer
from logrouter.kafka.errors import FatalError, TransactionAbortedError
from logrouter.kafka.producer import LineProducer
from logrouter.kafka.reader import read_committed
from logrouter.kafka.transaction import BatchSize, open_producer
from tests.conftest import wait_until
from tests.fake_kafka.clients import FakeConsumer, FakeProducer
from tests.fake_kafka.cluster import FakeCluster

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.broker, pytest.mark.long]


class Listener:
    """Begins each partition at its start, and keeps what it hears."""

    def __init__(self) -> None:
        self.has: set[Any] = set()
        self.heard: list[tuple[str, int]] = []

    def on_assigned(self, partitions):
        self.has |= set(partitions)
        if partitions:
            self.heard.append(("assigned", len(partitions)))
        return AssignmentStart(dict.fromkeys(partitions, 0), ())

    def on_revoked(self, partitions):
        self.has -= set(partitions)
        self.heard.append(("revoked", len(partitions)))

    def on_lost(self, partitions):
        self.has -= set(partitions)
        self.heard.append(("lost", len(partitions)))


class Real:
    """Clients of the broker."""

    def __init__(self, bootstrap, source, out, group):
        self.kafka, self.source, self.out, self._group = {"bootstrap.servers": bootstrap}, source, out, group
        self._made: list[GroupConsumer] = []

    def consumer(self):
        made = GroupConsumer(
            self.kafka, group=self._group, instance=None, session_timeout_ms=6000, on_error=lambda _error: None
        )
        self._made.append(made)
        return made

    def producer(self):
        made = open_producer(
            self.kafka,
            transactional_id=self._group,
            timeout_ms=10_000,
            broker=BrokerState(),
            give_up=lambda: False,
            batches=BatchSize(),
        )
        made.initialise()
        return made

    def feed(self, partition, count):
        feeder = LineProducer(self.kafka, self.source)
        feeder.feed([b"line"] * count, partition=partition)
        feeder.flush()

    def visible(self):
        return [record.value for _, record in read_committed(self.kafka, self.out)]

    def close(self, *consumers):
        for each in consumers or self._made:
            if each in self._made:
                self._made.remove(each)
                each.close()


class Fake:
    """The same of a cluster in memory."""

    source, out = "source", "out"

    def __init__(self):
        self.cluster = FakeCluster({self.source: 2, self.out: 1})

    def consumer(self):
        return FakeConsumer(self.cluster)

    def producer(self):
        made = FakeProducer(self.cluster, "p")
        made.initialise()
        return made

    def feed(self, partition, count):
        for _ in range(count):
            self.cluster.append((self.source, partition), b"line")

    def visible(self):
        return [record.value for _, record in self.cluster.read((self.out, 0), 0, 100)]

    def close(self, *consumers):
        for each in consumers:
            each.close()


@pytest.fixture
def real(broker, topics, unique) -> Iterator[Real]:
    """On a source of two partitions."""
    made = Real(broker.bootstrap, topics("source", partitions=2), topics("out"), unique("group"))
    yield made
    made.close()


def read(consumer, found):
    """One call; what came is added to *found*."""
    found += [(m.partition(), m.offset()) for m in consumer.consume(100, 0.1) if m.error() is None]
    return found


def how(call, *arguments):
    """How a call ended: with nothing, or with this kind of error."""
    try:
        call(*arguments)
    except (KafkaException, TransactionAbortedError, FatalError) as error:
        return type(error).__name__
    return "done"


def commit(producer, source, member, offset):
    """One record and an offset of partition 0 in a transaction; how that ended."""
    producer.begin()
    producer.produce(producer.out, b"%d" % offset, None, [])
    producer.commit_later([TopicPartition(source, 0, offset)], member)
    return how(producer.await_commit)


def observe(side) -> dict[str, Any]:
    """The scenario: two members, transactions of the present and of a former generation, and a second producer."""
    seen: dict[str, Any] = {}
    source, consumer, listener = side.source, side.consumer(), Listener()
    producer = side.producer()
    producer.out = side.out
    for partition in (0, 1):
        side.feed(partition, 3)
    seen["member before it has joined"] = consumer.group_metadata()
    consumer.subscribe([source], listener)
    found: list[tuple[int, int]] = []
    wait_until(lambda: len(read(consumer, found)) >= 6, "all is read")
    seen["read"] = sorted(found)
    seen["seek elsewhere"] = how(consumer.seek, (source, 7), 0)
    seen["never committed"] = consumer.fetch_committed([(source, 1)], 5)

    former = consumer.group_metadata()
    seen["commit"] = commit(producer, source, former, 2)
    seen["committed"] = [each.offset for each in consumer.fetch_committed([(source, 0)], 5)]

    seen["another is told"] = consumer.is_deaf([(source, 0)], 5)

    second, other = side.consumer(), Listener()
    second.subscribe([source], other)

    def shared():
        read(second, [])
        read(consumer, found)
        return len(listener.has) == len(other.has) == 1

    wait_until(shared, "two members share")
    seen["first heard"], seen["second heard"] = [*listener.heard], [*other.heard]
    seen["commit of a former generation"] = commit(producer, source, former, 3)
    seen["commit of this generation"] = commit(producer, source, consumer.group_metadata(), 3)
    seen["visible"] = side.visible()

    (own,) = listener.has
    again: list[tuple[int, int]] = []
    consumer.seek(own, 1)
    wait_until(lambda: len(read(consumer, again)) >= 2, "read again")
    seen["read again"] = sorted(offset for _, offset in again)

    side.close(second)
    seen["second heard at last"] = other.heard[-1]
    wait_until(lambda: read(consumer, found) and len(listener.has) == 2, "all is back")

    new = side.producer()
    new.out = side.out
    seen["commit of a former producer"] = commit(producer, source, consumer.group_metadata(), 3)
    seen["commit of the new one"] = commit(new, source, consumer.group_metadata(), 3)
    seen["all visible"] = side.visible()
    side.close(consumer)
    seen["first heard at last"] = listener.heard[-1]
    return seen


def test_fakes_do_what_the_clients_do(real):
    """What members and producers see, in a scenario with each kind of refusal."""
    assert observe(Fake()) == observe(real)
