"""Following a topic on a real broker: transactions, ends, a topic that is made anew, partitions that are added."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from logrouter.drains.follower import Follower
from logrouter.kafka.connection import BrokerState
from tests.conftest import HANG_SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logrouter.kafka.tail import TailRecord

pytestmark = pytest.mark.broker
SOON = 0.3
"""A wait that is expected to be in vain."""


def append(state: tuple[str, ...], record: TailRecord) -> tuple[str, ...]:
    """The state is all values so far."""
    return (*state, (record.value or b"-").decode())


@pytest.fixture
def follow(broker) -> Iterator:
    """Follow a topic: `follow(topic)`."""
    with contextlib.ExitStack() as cleanup:

        def follow(topic: str) -> Follower[tuple[str, ...]]:
            made = Follower({"bootstrap.servers": broker.bootstrap}, topic, BrokerState(), tuple, append)
            cleanup.callback(made.close)
            made.start()
            return made

        yield follow


@pytest.fixture
def write(broker):
    """Write records at once: `write(topic, "a", partition=1)`."""
    producer = Producer({"bootstrap.servers": broker.bootstrap})

    def write(topic: str, *values: str, partition: int = 0) -> None:
        for value in values:
            producer.produce(topic, value, "key", partition)
        producer.flush(HANG_SECONDS)

    return write


def test_what_is_committed_is_shown_and_what_is_open_is_waited_for(broker, topics, unique, follow, write):
    """An end that is asked for has open transactions before it: what they bring, or do not, is known at that end."""
    topic = topics("drains")
    write(topic, "a")
    follower = follow(topic)
    wait_until(lambda: not follower.why_waiting, "the topic is read")
    assert follower.state == ("a",)
    transaction = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": unique("writer")})
    transaction.init_transactions(HANG_SECONDS)

    transaction.begin_transaction()
    transaction.produce(topic, "aborted", "key", 0)
    transaction.flush(HANG_SECONDS)
    ends = follower.fetch_ends(HANG_SECONDS)
    assert (follower.await_read(ends, SOON), follower.state) == (False, ("a",))
    transaction.abort_transaction(HANG_SECONDS)
    assert (follower.await_read(ends, HANG_SECONDS), follower.state) == (True, ("a",))

    transaction.begin_transaction()
    transaction.produce(topic, "committed", "key", 0)
    transaction.commit_transaction(HANG_SECONDS)
    assert follower.await_read(follower.fetch_ends(HANG_SECONDS), HANG_SECONDS)
    assert follower.state == ("a", "committed")


def test_a_topic_that_is_made_anew_is_read_anew(broker, topics, follow, write):
    """Also if it has as many records by then as the one before; until it is read, what was known stays."""
    topic = topics("drains")
    follower = follow(topic)
    write(topic, "a", "b")
    wait_until(lambda: follower.state == ("a", "b"), "what the first topic has")
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.delete_topics([topic])[topic].result(HANG_SECONDS)
    wait_until(lambda: follower._tail.is_missing, "the topic is gone")
    assert follower.state == ("a", "b")

    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(HANG_SECONDS)
    write(topic, "c", "d", "e")
    wait_until(lambda: follower.state == ("c", "d", "e"), "what the new topic has, and no more")
    assert follower.why_waiting == ""


def test_a_topic_that_comes_later_and_grows_is_read(broker, topics, unique, follow, write):
    """A process may start before its topics are made; partitions that are added are read from their beginning."""
    topic = unique("drains")
    follower = follow(topic)
    wait_until(lambda: "is missing" in follower.why_waiting, "it is said to be missing")
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(HANG_SECONDS)
    write(topic, "a")
    wait_until(lambda: follower.state == ("a",), "its first record")

    admin.create_partitions([NewPartitions(topic, 2)])[topic].result(HANG_SECONDS)
    wait_until(lambda: len(admin.list_topics(topic, timeout=5).topics[topic].partitions) == 2, "two partitions")
    write(topic, "b")
    wait_until(lambda: len(follower.state) == 2, "the old partition goes on")
    other = Producer({"bootstrap.servers": broker.bootstrap})
    other.produce(topic, "c", "key", 1)
    other.flush(HANG_SECONDS)
    wait_until(lambda: follower.state == ("a", "b", "c"), "the new one is read")
    assert follower.fetch_ends(HANG_SECONDS) == {0: 2, 1: 1}
    admin.delete_topics([topic])[topic].result(HANG_SECONDS)
