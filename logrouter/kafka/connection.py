"""Whether the cluster answers, logged once per change; and waiting for the topics that must be there."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaError, KafkaException

from logrouter.kafka.errors import AWAY, ClientError, FatalError, StoppedError, describe_refusal, is_refusal
from logrouter.telemetry import metrics
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from logrouter.kafka.consumer import GroupConsumer

_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 5.0
_NAMED: Final = 5
"""So many missing topics are named."""
_REFUSAL_SECONDS: Final = 90.0
"""So long a refusal explains what else fails: librdkafka says one and the same error every half minute at most."""


class BrokerState:
    """Whether the cluster is up, down, or refuses us, as the clients see it: one log line and metric for each change.

    Clients call `on_error` in the thread that polls them. The state is unknown until the first answer or error.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """*clock* gives seconds that never go back."""
        self._clock = clock
        self._up: bool | None = None
        self._refused_at: float | None = None
        self._why = "connecting to the Kafka cluster"
        self.missing: frozenset[str] = frozenset()
        """Topics that must be there and are not, as last seen: they explain what else fails."""

    @property
    def is_up(self) -> bool:
        """Whether the cluster answered last."""
        return self._up is True

    @property
    def why_waiting(self) -> str:
        """In one line what keeps us from working with the cluster; empty while it is up and has our topics."""
        if not self._up:
            return self._why
        if not self.missing:
            return ""
        return f"{describe_missing(self.missing)}; run `logrouter topics`"

    def on_error(self, error: KafkaError) -> None:
        """The clients' `error_cb`."""
        if is_refusal(error) or error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
            self.mark_down(error)
        elif error.code() not in AWAY and not error.fatal():
            log(Log.KAFKA_CLIENT, error=error.name(), detail=error.str())

    def mark_down(self, error: KafkaError) -> None:
        """The cluster does not answer, or refuses us; librdkafka tries again by itself.

        While it refuses us, each call ends as if it were away: only the refusal is worth a line. So it is where topics
        are missing.
        """
        refused, now = is_refusal(error), self._clock()
        if self._up and self.missing and not refused:
            return
        if not refused and self._refused_at is not None and now < self._refused_at + _REFUSAL_SECONDS:
            return
        changed = self._up is not False or refused != (self._refused_at is not None)
        self._up, self._refused_at = False, now if refused else None
        if not changed:
            return
        metrics.BROKER_UP.set(0)
        if refused:
            self._why = describe_refusal(error)
            log(Log.BROKER_REFUSES, error=error.name(), detail=error.str(), help=self._why)
        else:
            self._why = f"the Kafka cluster does not answer: {error.name()}"
            log(Log.BROKER_DOWN, error=error.name(), detail=error.str())

    def mark_up(self) -> None:
        """The cluster answered."""
        if self._up is not True:
            if self._up is False:
                log(Log.BROKER_UP)
            self._up, self._refused_at = True, None
            metrics.BROKER_UP.set(1)

    def note_missing(self, missing: Collection[str]) -> None:
        """The cluster answered, and has no topics of these names; each change is logged."""
        self.mark_up()
        before, self.missing = self.missing, frozenset(missing)
        if before and not missing:
            log(Log.TOPIC_FOUND, topics=",".join(sorted(before)))
        elif self.missing != before:
            log(Log.TOPIC_MISSING, topics=",".join(sorted(missing)), help="run: logrouter topics")


@dataclass(frozen=True, slots=True)
class FoundTopics:
    """The cluster's id, and the number of partitions of each topic asked for."""

    cluster_id: str
    partitions: dict[str, int]


def wait_for_topics(
    consumer: GroupConsumer, topics: set[str], state: BrokerState, *, give_up: Callable[[], bool]
) -> FoundTopics:
    """Ask until the cluster answers and all *topics* exist: waiting is kinder than a crash loop.

    Raises:
        StoppedError: *give_up* turned true first.
        FatalError: librdkafka cannot go on.
    """
    pause = _FIRST_PAUSE
    while not give_up():
        consumer.serve_callbacks()  # errors, which would pile up
        try:
            metadata = consumer.cluster_metadata()
        except KafkaException as exc:
            error: KafkaError = exc.args[0]
            if error.fatal():
                raise FatalError(error.str(), fenced=False) from None
            consumer.serve_callbacks()  # a refusal, which the call does not tell, comes before the silence it causes
            state.missing = frozenset()  # nobody knows; it is the cluster that is away
            state.mark_down(error)
        else:
            state.note_missing({name for name in topics if name not in metadata.topics or metadata.topics[name].error})
            if not state.missing:
                counts = {name: len(metadata.topics[name].partitions) for name in topics}
                return FoundTopics(metadata.cluster_id or "", counts)
        sleep_unless(pause, give_up)
        pause = min(pause * 2, _LONGEST_PAUSE)
    raise StoppedError


def count_partitions(consumer: GroupConsumer, topics: Iterable[str]) -> dict[str, int]:
    """How many partitions each topic has, 0 if there is no topic of that name.

    Raises:
        ClientError: no answer.
    """
    try:
        found = consumer.cluster_metadata().topics
    except KafkaException as exc:
        raise ClientError(exc.args[0].str()) from None
    return {topic: len(found[topic].partitions) if topic in found else 0 for topic in topics}


def describe_missing(topics: Collection[str]) -> str:
    """That *topics* are not there, in one line, which names the first of them."""
    names = sorted(topics)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"topics are missing, or hidden from us: {', '.join(names[:_NAMED])}{more}"


def sleep_unless(seconds: float, give_up: Callable[[], bool]) -> None:
    """Wait, but not for longer than it takes to notice that *give_up* has turned true."""
    by = time.monotonic() + seconds
    while time.monotonic() < by and not give_up():
        time.sleep(0.05)
