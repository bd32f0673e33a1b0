"""Source topics made anew: their events have another origin before the first of them is processed, and only they."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from types import SimpleNamespace

import orjson
import pytest
from confluent_kafka import KafkaError, KafkaException

from logrouter import config
from logrouter.core import ids
from logrouter.core.dead_letter import DeadLetterSettings
from logrouter.core.source_ledger import record
from logrouter.kafka.errors import ReadError
from logrouter.route.batch import BatchProcessor
from logrouter.route.ledger import RecreatedTopics, SourceTopics
from logrouter.route.output import BatchOutput
from logrouter.route.settings import LaneSettings
from tests.fake_kafka.messages import Message

TABLE = config.parse(
    b"""
version: 1
sources: {all: {topics: ["^.*"], envelope: plain}}
routes: [{name: r, from: all, format: nginx, to: requests}]
""",
    {},
).table
SETTINGS = LaneSettings({}, "group", "me", DeadLetterSettings("dead", 100), "logrouter.rollup", 1)
FIRST, SECOND = "hTflj/JzRSS6vVvo35I1Hw", "bglseAdIRoqfWUagh6SbBA"
AT = ("logs", 0)
GONE = ReadError("logs", KafkaError.UNKNOWN_TOPIC_OR_PART, "UNKNOWN_TOPIC_OR_PART", "", is_unknown=True)


class Cluster:
    """A ledger, topics with ids, and a clock: what processes of several groups share."""

    def __init__(self, **ids_of_topics):
        self.ids = ids_of_topics
        self.ledger = []
        self.silent = False
        self.unanswered = []
        self.now = 0.0

    def ask(self, topics, _seconds):
        return {topic: self._answer(topic) for topic in topics}

    def _answer(self, topic):
        future = Future()
        answer = self.ids.get(topic, KafkaError.UNKNOWN_TOPIC_OR_PART)
        if isinstance(answer, int):
            future.set_exception(KafkaException(KafkaError(answer)))
        elif self.silent:
            self.unanswered.append((future, answer))
        else:
            future.set_result(SimpleNamespace(topic_id=answer))
        return future

    def speak(self):
        for future, answer in self.unanswered:
            future.set_result(SimpleNamespace(topic_id=answer))

    def clock(self):
        self.now += 0.01
        return self.now


class Reader:
    """Reads the ledger of a `Cluster` to its end in two steps."""

    def __init__(self, cluster):
        self._cluster, self._left, self.closed = cluster, None, False

    def __bool__(self):
        return self._left is not None

    def add(self, _partition):
        self._left = list(enumerate(self._cluster.ledger))

    def read(self, _seconds):
        for offset, (key, value) in self._left[:1]:
            yield Message(value, offset, 0, "logrouter.ledger", key=key)
        self._left = self._left[1:]

    def take_finished(self):
        if self._left:
            return []
        self._left = None
        return [0]

    def close(self):
        self.closed = True


class Lane:
    """A process: `turns` it takes, with the ids of events that it gives to records of `logs`."""

    def __init__(self, cluster, instance="me"):
        self.cluster = cluster
        self.recreated = RecreatedTopics()
        self.reader = Reader(cluster)
        self.topics = SourceTopics(
            self.recreated,
            make_reader=lambda _kafka, _topic: self.reader,
            make_asker=lambda _kafka: cluster,
            clock=cluster.clock,
        )
        self.topics.configure(replace(SETTINGS, instance=instance), TABLE)
        self.processor = BatchProcessor(
            TABLE,
            cluster="c",
            rollup_partitions=1,
            dead_letters=SETTINGS.dead_letters,
            clock_ms=lambda: 0,
            recreated=self.recreated,
        )
        self.produced = []
        self.paused = set()

    def assign(self, *partitions):
        self.paused |= set(self.topics.assigned(partitions or [AT]).paused)
        return self

    def turn(self, *, commit=True):
        """Whatever waits goes on; what is to be recorded is committed, or aborted."""
        self.paused -= set(self.topics.take_ready(0))
        output = BatchOutput()
        if self.topics.process([], output, 0):
            self.topics.publish(output, self._produce, [])
            if commit:
                self.cluster.ledger += self.produced
                self.topics.committed(output)
            else:
                self.topics.aborted()
            self.produced = []
        return self

    def turns(self, count=12):
        for _ in range(count):
            self.turn()
        return self

    def _produce(self, topic, value, key, _headers, partition):
        assert (topic, partition) == ("logrouter.ledger", 0)
        self.produced.append((key, value))

    def origin(self):
        """The origin that a record of `logs` gets now; None while it has to wait."""
        message = Message(b"\xff", 7, *AT[::-1])
        screened = self.topics.screen([message], 0)
        if AT in self.paused or screened.early:
            return None
        letter = self.processor.process(screened.kept).dead_letters[0]
        return ids.coordinates(config_id(letter)).origin


def config_id(letter):
    """The id in a dead letter."""
    return orjson.loads(letter[1])["meta"]["id"]


OLD, NEW = ids.origin("c", "logs"), ids.origin("c", "logs", SECOND)


def test_a_topic_that_is_met_first_keeps_the_origin_of_its_name():
    """It is recorded before its first record is processed; ids of earlier releases stay as they are."""
    cluster = Cluster(logs=FIRST)
    lane = Lane(cluster).assign()

    assert lane.origin() is None
    assert lane.turns().origin() == OLD
    assert cluster.ledger == [record("logs", FIRST, "group-me")]


def test_a_topic_made_anew_has_another_origin_whoever_reads_it():
    """Also for a group that never saw the former one, and after a restart; nothing more is recorded."""
    cluster = Cluster(logs=FIRST)
    Lane(cluster).assign().turns()
    cluster.ids["logs"] = SECOND

    assert Lane(cluster).assign().turns().origin() == NEW
    assert Lane(cluster, "other").assign().turns().origin() == NEW
    assert len(cluster.ledger) == 1


def test_what_the_ledger_knows_holds_up_no_rebalance():
    """Once the ledger is read, partitions of a known topic are never paused."""
    cluster = Cluster(logs=FIRST)
    cluster.ledger.append(record("logs", FIRST, "group-x"))
    lane = Lane(cluster).turns(2)

    assert lane.assign().paused == set()
    assert lane.origin() == OLD


def test_a_cluster_that_does_not_answer_holds_up_no_rebalance():
    """The partitions wait instead, until it does."""
    cluster = Cluster(logs=FIRST)
    cluster.ledger.append(record("logs", FIRST, "group-x"))
    cluster.silent = True
    lane = Lane(cluster)
    began = cluster.now
    lane.assign()

    assert cluster.now - began < 1
    assert lane.paused == {AT}
    assert lane.turns().origin() is None
    cluster.speak()
    assert lane.turns(1).origin() == OLD


@pytest.mark.parametrize("seen", ["an error", "the regular check", "another assignment"])
def test_a_topic_made_anew_while_it_is_read(seen):
    """However the change is noticed, records wait from then on until the new origin is in force."""
    cluster = Cluster(logs=FIRST)
    lane = Lane(cluster).assign().turns()
    assert lane.origin() == OLD
    cluster.ids["logs"] = SECOND
    if seen == "an error":
        lane.topics.note_source_error(GONE)
        assert lane.origin() is None
    elif seen == "another assignment":
        lane.topics.forget(AT)
        lane.assign()
    else:
        cluster.now += 11

    assert lane.turns(2).origin() == NEW


def test_a_deleted_topic_is_asked_for_until_it_is_back():
    """While there is none, nothing of that name is processed."""
    cluster = Cluster(logs=FIRST)
    lane = Lane(cluster).assign().turns()
    del cluster.ids["logs"]
    lane.topics.note_source_error(GONE)
    cluster.now += 100

    assert lane.turns().origin() is None
    cluster.ids["logs"] = SECOND
    cluster.now += 1
    assert lane.turns(3).origin() == NEW


def test_an_aborted_transaction_records_nothing():
    """The topic waits, and is recorded by the next one."""
    cluster = Cluster(logs=FIRST)
    lane = Lane(cluster).assign()
    for _ in range(12):
        lane.turn(commit=False)

    assert (lane.origin(), cluster.ledger) == (None, [])
    assert lane.turns().origin() == OLD


def test_two_processes_that_record_at_the_same_time_agree():
    """Each has seen another id of a new topic: the one whose record came first was first."""
    one, two = Cluster(logs=FIRST), Cluster(logs=SECOND)
    two.ledger = one.ledger
    lanes = Lane(one, "a").assign(), Lane(two, "b").assign()
    for _ in range(12):
        for lane in lanes:
            lane.turn()

    assert [lane.origin() for lane in lanes] == [OLD, NEW]


@pytest.mark.parametrize("answer", ["A" * 22, KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNSUPPORTED_VERSION])
def test_without_ids_everything_is_as_it_was(answer, caplog):
    """The origin of the name, nothing in the ledger, and one line in the log."""
    cluster = Cluster(logs=answer, more=answer)
    with caplog.at_level("WARNING", "logrouter"):
        lane = Lane(cluster).assign(AT, ("more", 0)).turns()

    assert (lane.origin(), cluster.ledger) == (OLD, [])
    assert [r.getMessage() for r in caplog.records] == ["source_unidentified"]


def test_a_passing_error_is_waited_out_but_not_for_ever():
    """Thirty seconds; then the origin of the name, said in the log."""
    cluster = Cluster(logs=KafkaError._TIMED_OUT)
    lane = Lane(cluster).assign()

    assert lane.turns().origin() is None
    cluster.now += 31
    assert lane.turns(3).origin() == OLD


def test_garbage_in_the_ledger_is_skipped_and_counted_once(caplog):
    """However often the ledger is read."""
    cluster = Cluster(logs=FIRST)
    cluster.ledger += [(b"logs x", b"{"), (None, None)]
    with caplog.at_level("WARNING", "logrouter"):
        assert Lane(cluster).assign().turns().origin() == OLD

    assert [r.getMessage() for r in caplog.records] == ["ledger_invalid"] * 2


def test_our_own_topics_are_no_sources():
    """What the group reads for other states is neither paused nor recorded."""
    cluster = Cluster()

    assert Lane(cluster).assign(("logrouter.rollup", 0)).turns().paused == set()
    assert cluster.ledger == []


def test_one_broken_partition_does_not_hold_up_its_topic():
    """Only errors by which a topic may have gone make its records wait."""
    lane = Lane(Cluster(logs=FIRST)).assign().turns()
    lane.topics.note_source_error(ReadError("logs", KafkaError._BAD_MSG, "_BAD_MSG", "", is_unknown=False))

    assert lane.origin() == OLD
