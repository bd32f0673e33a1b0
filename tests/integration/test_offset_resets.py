"""Offsets that can't be read any more, and groups that have none, on a real Kafka: nothing is skipped in silence."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from logrouter.kafka.changelog import ChangelogReader
from logrouter.kafka.commit_text import split_topic_id
from logrouter.kafka.errors import ClientError
from logrouter.kafka.producer import LineProducer
from logrouter.kafka.reader import _make_consumer, _read_ranges
from logrouter.kafka.topic_ids import TopicIds
from tests.integration.stack import Stack, request_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.broker


class Sources:
    """A stack whose source reads some topics from the earliest offset, and one, `late`, from the latest."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.admin = AdminClient(stack.kafka)
        self.group = f"{stack.name}-route"
        text = stack.config.read_text()
        text = text.replace(f"topics: [{stack.source}]", f'topics: ["^{stack.name}[.]in-.*", {stack.source}]')
        source = f"  late: {{topics: [{stack.name}.late], envelope: rsyslog, from: latest}}\nroutes:"
        text = text.replace("routes:", source).replace("from: rsyslog", "from: [rsyslog, late]")
        stack.config.write_text(text)

    def make(self, name: str, numbers: range, *, partitions: int = 1) -> str:
        """A topic with a request for each number, all in partition 0."""
        topic = f"{self.stack.name}.{name}"
        deadline = time.monotonic() + 30
        while True:
            try:
                self.stack.create_topic(topic, partitions)
                break
            except KafkaException:  # one that was just deleted is there for a moment
                assert time.monotonic() < deadline
                time.sleep(0.1)
        self.feed(topic, numbers)
        return topic

    def feed(self, topic: str, numbers: range, partition: int = 0) -> None:
        producer = LineProducer(self.stack.kafka, topic)
        producer.feed((request_line(n, "c") for n in numbers), partition=partition)
        producer.flush()

    def commit(self, topic: str, offset: int, *, text: str = "") -> None:
        """The group has read so far."""
        places = [TopicPartition(topic, 0, offset, text)]
        self.admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(self.group, places)])[self.group].result()
        assert self.committed(topic).offset == offset

    def committed(self, topic: str) -> TopicPartition:
        asked = [ConsumerGroupTopicPartitions(self.group, [TopicPartition(topic, 0)])]
        found: TopicPartition = (
            self.admin.list_consumer_group_offsets(asked, require_stable=True)[self.group].result().topic_partitions[0]
        )
        return found

    def truncate(self, topic: str, low: int) -> None:
        """What retention does: records before *low* are gone."""
        self.admin.delete_records([TopicPartition(topic, 0, low)])[TopicPartition(topic, 0)].result()

    def topic_id(self, topic: str) -> str:
        return TopicIds(self.stack.kafka).fetch([topic], 10)[topic]

    def letters(self) -> dict[str, dict[str, int]]:
        """What was lost, by topic: one letter each."""
        letters = self.stack.dead_letters()
        assert {(each["stage"], each["reason"]) for each in letters} <= {("read", "records_lost")}
        found = {each["source"]["topic"]: each["lost"] for each in letters}
        assert len(found) == len(letters)
        return found

    def hang_in_transaction(self, topic: str, offset: int) -> Producer:
        """A process that dies with an offset of the group in its open transaction."""
        producer = Producer({**self.stack.kafka, "transactional.id": self.group + "-dead"})
        producer.init_transactions()
        producer.begin_transaction()
        consumer = Consumer({**self.stack.kafka, "group.id": self.group, "session.timeout.ms": 6000})
        consumer.subscribe([topic])
        while not consumer.assignment():
            consumer.poll(0.1)
        producer.send_offsets_to_transaction([TopicPartition(topic, 0, offset)], consumer.consumer_group_metadata())
        consumer.close()
        return producer


@pytest.fixture
def sources(broker, tmp_path, unique) -> Iterator[Sources]:
    """Topics of one partition."""
    made = Sources(Stack(broker.bootstrap, tmp_path, unique("reset"), partitions=1))
    yield made
    made.stack.close()


def test_every_offset_that_a_group_can_have(sources: Sources, eventually: Callable[..., None]) -> None:
    """One process meets them all at once; a partition of which the offset is not known yet holds up no other."""
    plain = sources.make("in-plain", range(10))
    sources.commit(plain, 4)
    expired = sources.make("in-expired", range(100, 110))
    sources.commit(expired, 2)
    sources.truncate(expired, 5)
    fresh = sources.make("in-fresh", range(200, 210))
    sources.truncate(fresh, 3)
    late = sources.make("late", range(300, 310))
    again = sources.make("in-again", range(400, 410))
    old_id = sources.topic_id(again)
    sources.admin.delete_topics([again])[again].result()
    sources.make("in-again", range(500, 515))
    sources.commit(again, 10, text=f"topic1 {old_id}")
    assert sources.topic_id(again) != old_id
    stable = sources.make("in-unstable", range(600, 610))
    dead = sources.hang_in_transaction(stable, 5)

    process = sources.stack.route()
    others = {*range(4, 10), *range(105, 110), *range(203, 210), *range(500, 515)}
    eventually(lambda: set(sources.stack.numbers()) == others, "all but the unstable one is read")
    eventually(lambda: sources.committed(late).offset == 10, "the end is committed at once")
    dead.commit_transaction()
    sources.feed(late, range(310, 313))
    expected = others | {*range(605, 610), *range(310, 313)}
    eventually(lambda: set(sources.stack.numbers()) >= expected, "the rest is read")

    assert sources.stack.numbers() == dict.fromkeys(expected, 1)
    assert sources.letters() == {expired: {"first": 2, "end": 5}, again: {"first": 10}}
    ids = {topic: split_topic_id(sources.committed(topic).metadata)[1] for topic in (plain, expired, again, late)}
    assert ids == {topic: sources.topic_id(topic) for topic in ids}
    assert sources.committed(plain).leader_epoch == 0
    assert process.text().count("records_lost") == 2
    assert process.stop() == 0


def test_an_offset_beyond_the_end_stops_the_lane(sources: Sources) -> None:
    """The topic is the same: to go on anywhere would double or skip. The last line says what to do."""
    topic = sources.make("in-short", range(5))
    sources.commit(topic, 9, text=f"topic1 {sources.topic_id(topic)}")

    process = sources.stack.route()

    assert process.wait() == 1
    last = process.text().splitlines()[-1]
    assert "lane_failed" in last
    assert f"{topic} [0]: group {sources.group} goes on at offset 9, but the log ends at 5" in last
    assert "Traceback" not in process.text()
    assert not sources.stack.numbers()


@pytest.mark.long
def test_retention_overtakes_a_running_lane(sources: Sources, eventually: Callable[..., None]) -> None:
    """Its position is what counts, and so is what it had read."""
    topic = sources.make("in-live", range(5))
    process = sources.stack.route()
    eventually(lambda: len(sources.stack.numbers()) == 5, "it reads")
    process.kill(signal.SIGSTOP)
    sources.feed(topic, range(5, 6))  # answers the fetch that it may have left with the broker
    sources.feed(topic, range(6, 20))
    sources.truncate(topic, 12)
    process.kill(signal.SIGCONT)

    eventually(lambda: set(sources.stack.numbers()) >= set(range(12, 20)), "it goes on")
    (lost,) = sources.letters().values()
    assert lost in ({"first": 5, "end": 12}, {"first": 6, "end": 12})
    assert sources.stack.numbers() == dict.fromkeys([*range(lost["first"]), *range(12, 20)], 1)
    assert process.stop() == 0


@pytest.mark.parametrize("beyond", [False, True])
def test_a_restore_that_loses_its_place_begins_again(topics, broker, eventually, *, beyond: bool) -> None:
    """A changelog was truncated, or made anew with fewer records: its end is asked for again, and all of it is read."""
    kafka = {"bootstrap.servers": broker.bootstrap}
    topic = topics("restore")
    producer = Producer(kafka)
    for number in range(10):
        producer.produce(topic, b"%d" % number, b"key")
    producer.flush()
    reader, again, values = ChangelogReader(kafka, topic), [], []
    reader.on_anew = lambda partition: (again.append(partition), values.clear())
    reader.add(0)
    admin = AdminClient(kafka)
    admin.delete_records([TopicPartition(topic, 0, 4)])[TopicPartition(topic, 0)].result()
    reader._consumer.incremental_unassign([TopicPartition(topic, 0)])
    reader._consumer.incremental_assign([TopicPartition(topic, 0, 99 if beyond else 1)])

    def read() -> bool:
        values.extend(int(m.value()) for m in reader.read(0.1))
        return bool(reader.take_finished())

    eventually(read, "the end is reached")
    assert again == [0]
    assert values == [4, 5, 6, 7, 8, 9]


def test_a_command_says_that_records_were_deleted_under_it(topics, broker) -> None:
    """It does not go on behind the gap, nor at the other end of the topic."""
    kafka = {"bootstrap.servers": broker.bootstrap}
    topic = topics("read")
    producer = Producer(kafka)
    for _ in range(10):
        producer.produce(topic, b"x")
    producer.flush()
    admin = AdminClient(kafka)  # held, or its answers never come
    admin.delete_records([TopicPartition(topic, 0, 4)])[TopicPartition(topic, 0)].result()
    consumer, _refusals = _make_consumer(kafka)

    with pytest.raises(ClientError, match="records were deleted while they were read; try again"):
        list(_read_ranges(consumer, {(topic, 0): 1}))

    consumer.close()
