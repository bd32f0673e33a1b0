"""What a lane says of topics and batches that can't be read: everything once, with the place."""

from __future__ import annotations

from confluent_kafka import KafkaError

from logrouter.kafka.assignment import Assignment
from logrouter.kafka.connection import BrokerState
from logrouter.kafka.observer import Observer
from logrouter.telemetry.metrics import REGISTRY


class Failed:
    """What librdkafka delivers in place of records; *offset* is where the damaged batch begins."""

    def __init__(self, code, partition=0, offset=None):
        self._code, self._partition, self._offset = code, partition, offset

    def error(self):
        return KafkaError(self._code)

    def topic(self):
        return "damaged"

    def partition(self):
        return self._partition

    def offset(self):
        return self._offset


def said(caplog):
    """Each event with the place that it names."""
    return [(r.getMessage(), r.fields.get("partition"), r.fields.get("offset")) for r in caplog.records]


def unreadable(partition):
    """How many batches the metric counts."""
    labels = {"topic": "damaged", "partition": str(partition)}
    return REGISTRY.get_sample_value("logrouter_unreadable_batches_total", labels)


def test_damaged_batch_is_reported_once_with_its_place(caplog):
    """It comes again twice a second, and meanwhile other partitions of the topic deliver."""
    assignment = Assignment(None)
    assignment.add_partitions([("damaged", 7)])
    observer = Observer(None, assignment, None)
    for offset in (40, 40, 40, 90):
        observer.on_source_error(Failed(KafkaError._BAD_COMPRESSION, 7, offset))
        observer.forget_errors({("damaged", 8): 1})
    observer.on_source_error(Failed(KafkaError._BAD_MSG, 9, 40))

    assert said(caplog) == [("source_unreadable", 7, 40), ("source_unreadable", 7, 90), ("source_unreadable", 9, 40)]
    assert (unreadable(7), unreadable(9)) == (2, 1)
    assert assignment.why_waiting.startswith("damaged [7] stands still before offset 90, ")
    assignment.remove_partitions([("damaged", 7)])


def test_topic_that_cannot_be_read_is_reported_again_after_it_could(caplog):
    """Once for as long as it lasts."""
    observer = Observer(None, None, None)
    for _ in range(3):
        observer.on_source_error(Failed(KafkaError.UNKNOWN_TOPIC_OR_PART))
    observer.forget_errors({("damaged", 0): 1})
    observer.on_source_error(Failed(KafkaError.UNKNOWN_TOPIC_OR_PART))

    assert said(caplog) == [("source_error", None, None)] * 2


def test_what_a_lane_without_partitions_waits_for():
    """A source that is not there gets no partitions: the group has nothing to hand out."""
    observer = Observer(None, None, None)
    group = "waiting for the consumer group to hand out partitions"
    assert observer.what_is_awaited == group

    observer.on_source_error(Failed(KafkaError.UNKNOWN_TOPIC_OR_PART))
    assert observer.what_is_awaited == f"{group}; source topics are missing, or hidden from us: damaged"

    observer.forget_errors({("damaged", 0): 1})
    assert observer.what_is_awaited == group


class Cluster:
    """A consumer's view of the cluster: *topics* that it has, None while it does not answer."""

    topics: set[str] | None = frozenset()

    def find_missing(self, topics, _seconds):
        return None if self.topics is None else set(topics) - self.topics


def test_output_topic_that_is_deleted_is_said_once(caplog, monkeypatch):
    """Each flush times out then, as if the cluster were away, which it is not."""
    caplog.set_level("INFO")
    cluster, broker = Cluster(), BrokerState()
    observer = Observer(cluster, None, broker, lambda: ["clean"])
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    missing = "topics are missing, or hidden from us: clean; run `logrouter topics`"
    away = "the Kafka cluster does not answer: _TIMED_OUT"
    for topics, why in ((set(), missing), (set(), missing), ({"clean"}, ""), (None, away)):
        cluster.topics = topics
        broker.mark_down(KafkaError(KafkaError._TIMED_OUT, "100 messages remaining"))
        now += 10
        observer.check_cluster()
        assert broker.why_waiting == why

    assert [record.getMessage() for record in caplog.records] == [
        *("broker_down", "broker_up", "topic_missing"),  # the first flush timed out before anybody knew
        "topic_found",
        "broker_down",
    ]
