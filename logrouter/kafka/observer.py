"""What a lane measures and logs of the cluster: lag, topics that are missing, topics that can't be read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from logrouter.kafka.connection import describe_missing
from logrouter.kafka.errors import read_error
from logrouter.telemetry import metrics
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from logrouter.kafka.assignment import Assignment
    from logrouter.kafka.connection import BrokerState
    from logrouter.kafka.consumer import GroupConsumer
    from logrouter.kafka.errors import ReadError
    from logrouter.kafka.records import Message, Partition

_LAG_SECONDS: Final = 1.0
_ASK_SECONDS: Final = 2.0


class Observer:
    """Looks at the cluster with the lane's own consumer, between two batches."""

    def __init__(
        self,
        consumer: GroupConsumer,
        assignment: Assignment,
        broker: BrokerState,
        written: Callable[[], Collection[str]] = tuple,
        record_lag: Callable[[Mapping[Partition, int]], None] = lambda _lag: None,
    ) -> None:
        """*written* gives the topics that the lane writes to; *record_lag* gets the lag of each partition."""
        self._written = written
        self._record_lag = record_lag
        self._consumer = consumer
        self._assignment = assignment
        self._broker = broker
        self._source_errors: set[tuple[str, int]] = set()
        self._refused: dict[tuple[str, int], str] = {}
        self._missing: set[str] = set()
        self._ends_then: dict[Partition, int | None] = {}
        self._unreadable: dict[Partition, int] = {}
        self._lag_at = 0.0
        self._asked_at = 0.0

    def on_source_error(self, message: Message) -> ReadError:
        """Log that a topic or a batch can't be read, once for each topic and error, or for each batch; and the error.

        Raises:
            FatalError: the client cannot go on.
        """
        error = read_error(message)
        if error.is_unreadable:
            self._note_unreadable(error)
            return error
        if error.is_unknown:
            self._missing.add(error.topic)
        what = error.topic, error.code
        # An expression that matches no topic yet is no trouble.
        if what not in self._source_errors and not (error.is_unknown and error.topic.startswith("^")):
            self._source_errors.add(what)
            log(Log.SOURCE_ERROR, topic=error.topic or None, error=error.name, detail=error.text)
            if error.is_refused:
                self._refused[what] = error.name
                self._ends_then |= {at: self._consumer.known_end(at) for at in self._partitions_of(error.topic)}
        return error

    @property
    def refusal(self) -> str:
        """In one line what the cluster does not let us read; empty if nothing is known of that kind."""
        for (topic, _), name in sorted(self._refused.items()):
            return f"no right to read topic {topic}: {name}" if topic else f"no right to read: {name}"
        return ""

    @property
    def what_is_awaited(self) -> str:
        """In one line what a lane without partitions waits for: the group, or a source topic to be there."""
        text = "waiting for the consumer group to hand out partitions"
        return f"{text}; source {describe_missing(self._missing)}" if self._missing else text

    def forget_refusals(self, is_read: Callable[[str], bool]) -> None:
        """Another version of topics.yaml is in force: what is not a source in it need not be readable."""
        self._missing = {topic for topic in self._missing if is_read(topic)}
        self._drop_refusals({topic for topic, _ in self._refused if topic and not is_read(topic)})

    def _review_refusals(self) -> None:
        """The right may be there by now though no record has come: a fetch that succeeded shows it."""
        owned, then = self._assignment.partitions, self._ends_then
        healed = {at[0] for at in owned if self._consumer.known_end(at) != then.get(at)}
        self._drop_refusals(healed | ({""} if owned else set()))

    def _drop_refusals(self, topics: Collection[str]) -> None:
        gone = {what for what in self._refused if what[0] in topics}
        self._source_errors -= gone
        self._refused = {what: name for what, name in self._refused.items() if what not in gone}

    def _partitions_of(self, topic: str) -> list[Partition]:
        return [at for at in self._assignment.partitions if at[0] == topic]

    def _note_unreadable(self, error: ReadError) -> None:
        at = error.topic, error.partition
        self._assignment.note_unreadable(at, error.offset)
        if self._unreadable.get(at) != error.offset:
            self._unreadable[at] = error.offset
            metrics.UNREADABLE_BATCHES.labels(*at).inc()
            log(
                Log.SOURCE_UNREADABLE,
                topic=error.topic,
                partition=error.partition,
                offset=error.offset,
                error=error.name,
                detail=error.text,
            )

    def forget_errors(self, read: Collection[Partition]) -> None:
        """Log errors of topics anew that have delivered records by now, in the partitions *read*."""
        if self._source_errors:
            working = {topic for topic, _ in read}
            self._source_errors = {error for error in self._source_errors if error[0] not in working}
            self._refused = {error: name for error, name in self._refused.items() if error in self._source_errors}
            self._missing -= working

    def check_cluster(self) -> None:
        """Measure the lag, or ask whether the cluster is back."""
        if self._refused:
            self._review_refusals()
        if self._broker.is_up and not self._broker.missing:
            self._measure_lag()
        elif time.monotonic() > self._asked_at + _ASK_SECONDS:
            # Nothing else would show that the cluster is back while no record comes. What we write to may be gone:
            # librdkafka waits for such a topic as for a broker.
            self._asked_at = time.monotonic()
            missing = self._consumer.find_missing(self._written(), _ASK_SECONDS / 2)
            if missing is not None:
                self._broker.note_missing(missing)
            else:
                self._broker.missing = frozenset()  # nobody knows; it is the cluster that is away

    def offsets_behind(self) -> int:
        """Between what is committed and the ends of our partitions; not all of them need to be of visible records."""
        ends = {at: self._consumer.known_end(at) for at in self._assignment.positions}
        return sum(max((ends[at] or 0) - offset, 0) for at, offset in self._assignment.positions.items())

    def _measure_lag(self) -> None:
        now = time.monotonic()
        if now < self._lag_at or not self._assignment.partitions:
            return
        self._lag_at = now + _LAG_SECONDS
        lag: dict[Partition, int] = {}
        for at, offset in self._assignment.positions.items():
            end = self._consumer.known_end(at)
            if end is not None:
                lag[at] = max(end - offset, 0)
                metrics.CONSUMER_LAG.labels(*at).set(lag[at])
        self._record_lag(lag)
