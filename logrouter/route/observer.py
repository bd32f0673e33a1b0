"""What a route process tells of itself: counts of committed batches, lag, and topics that can't be read."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from logrouter.kafka.errors import fatal_error
from logrouter.telemetry import metrics
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from logrouter.kafka.assignment import Assignment
    from logrouter.kafka.connection import BrokerState
    from logrouter.kafka.records import Message, Partition
    from logrouter.reload.versions import ConfigVersions
    from logrouter.route.output import BatchOutput

_LAG_SECONDS: Final = 1.0
_ASK_SECONDS: Final = 2.0


class Observer:
    """Looks at the cluster with the lane's own consumer, between two batches."""

    def __init__(self, consumer: Consumer, assignment: Assignment, broker: BrokerState) -> None:
        self._consumer = consumer
        self._assignment = assignment
        self._broker = broker
        self._source_errors: set[tuple[str, int]] = set()
        self._lag_at = 0.0
        self._asked_at = 0.0

    def on_source_error(self, message: Message) -> None:
        """A topic that can't be read is told of once."""
        error: KafkaError = message.error()
        if error.fatal():
            raise fatal_error(error)
        what = (message.topic() or "", error.code())
        if what[0].startswith("^") and error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return  # an expression that matches no topic yet is no trouble
        if what not in self._source_errors:
            self._source_errors.add(what)
            log(Log.SOURCE_ERROR, topic=message.topic(), error=error.name(), detail=error.str())

    def forget_errors(self, output: BatchOutput) -> None:
        """Errors of topics that work again are past."""
        if self._source_errors:
            working = {topic for topic, _ in output.positions}
            self._source_errors = {error for error in self._source_errors if error[0] not in working}

    def cluster(self, live: ConfigVersions) -> None:
        """Measure the lag, or ask whether the cluster is back."""
        if self._broker.is_up:
            self._lag(live)
        elif time.monotonic() > self._asked_at + _ASK_SECONDS:
            # Nothing else would tell that the cluster is back while no record comes.
            self._asked_at = time.monotonic()
            with contextlib.suppress(KafkaException):
                self._consumer.list_topics(timeout=_ASK_SECONDS / 2)
                self._broker.up()

    def _lag(self, live: ConfigVersions) -> None:
        now = time.monotonic()
        if now < self._lag_at or not self._assignment.partitions:
            return
        self._lag_at = now + _LAG_SECONDS
        lag: dict[Partition, int] = {}
        for (topic, partition), offset in self._assignment.positions.items():
            _low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
            if high >= 0:
                lag[topic, partition] = max(high - offset, 0)
                metrics.CONSUMER_LAG.labels(topic, partition).set(lag[topic, partition])
        live.lagging(lag)


def count(output: BatchOutput) -> None:
    """Metrics of a committed batch: what was aborted is read again and counted then."""
    for source, (records, size) in output.read.items():
        metrics.RECORDS_READ.labels(source).inc(records)
        metrics.BYTES_READ.labels(source).inc(size)
    for labels, n in output.counts.items():
        metrics.EVENTS.labels(*labels).inc(n)
    for labels, n in output.copies.items():
        metrics.EVENT_COPIES.labels(*labels).inc(n)
    for result, n in output.pairing.items():
        metrics.PAIRING_RESULTS.labels(*result).inc(n)
    for name, values in (
        ("events", [value for _, value, _ in output.events]),
        ("dead_letter", [value for _, value, _ in output.dead_letters]),
        ("rollup", [value for _, value in output.rollup]),
        ("pairing", [value for _, _, value in output.halves]),
    ):
        metrics.RECORDS_PRODUCED.labels(name).inc(len(values))
        metrics.BYTES_PRODUCED.labels(name).inc(sum(map(len, values)))
