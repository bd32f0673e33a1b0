"""Whether the cluster answers, logged once per change; and waiting for the topics that must be there."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaError, KafkaException

from logrouter.kafka.errors import ClientError, FatalError, StoppedError
from logrouter.telemetry import metrics
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from logrouter.kafka.consumer import GroupConsumer

_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 5.0
# What librdkafka reports while it reconnects by itself: a state, not a flood of errors.
_CONNECTION_ERRORS: Final = frozenset(
    {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._RESOLVE, KafkaError._TIMED_OUT}  # noqa: SLF001
)
_REFUSED: Final = frozenset(
    {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED, KafkaError._SSL}  # noqa: SLF001
)


class BrokerState:
    """Whether the cluster is up or down, as the clients see it: one log line and one metric for each change.

    Clients call `on_error` in the thread that polls them. The state is unknown until the first answer or error.
    """

    def __init__(self) -> None:
        self._up: bool | None = None

    @property
    def is_up(self) -> bool:
        """Whether the cluster answered last."""
        return self._up is True

    def on_error(self, error: KafkaError) -> None:
        """The clients' `error_cb`."""
        if error.code() in _REFUSED or error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
            self.mark_down(error)
        elif error.code() not in _CONNECTION_ERRORS and not error.fatal():
            log(Log.KAFKA_CLIENT, error=error.name(), detail=error.str())

    def mark_down(self, error: KafkaError) -> None:
        """The cluster does not answer, or refuses us; librdkafka tries again by itself."""
        if self._up is not False:
            self._up = False
            metrics.BROKER_UP.set(0)
            log(Log.BROKER_DOWN, error=error.name(), detail=error.str())

    def mark_up(self) -> None:
        """The cluster answered."""
        if self._up is not True:
            if self._up is False:
                log(Log.BROKER_UP)
            self._up = True
            metrics.BROKER_UP.set(1)


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
    pause, missing_before = _FIRST_PAUSE, set[str]()
    while not give_up():
        consumer.serve_callbacks()  # errors, which would pile up
        try:
            metadata = consumer.cluster_metadata()
        except KafkaException as exc:
            error: KafkaError = exc.args[0]
            if error.fatal():
                raise FatalError(error.str(), fenced=False) from None
            state.mark_down(error)
        else:
            state.mark_up()
            missing = {name for name in topics if name not in metadata.topics or metadata.topics[name].error}
            if not missing:
                if missing_before:
                    log(Log.TOPIC_FOUND, topics=",".join(sorted(missing_before)))
                counts = {name: len(metadata.topics[name].partitions) for name in topics}
                return FoundTopics(metadata.cluster_id or "", counts)
            if missing != missing_before:
                log(Log.TOPIC_MISSING, topics=",".join(sorted(missing)), help="run: logrouter topics")
            missing_before = missing
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


def sleep_unless(seconds: float, give_up: Callable[[], bool]) -> None:
    """Wait, but not for longer than it takes to notice that *give_up* has turned true."""
    by = time.monotonic() + seconds
    while time.monotonic() < by and not give_up():
        time.sleep(0.05)
