"""librdkafka clients from settings: our defaults, then the operator's `kafka:` block, then what we rely on."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from logrouter.config.options.kafka import OWNED, PASSWORD_MECHANISMS, why_refused
from logrouter.config.yaml.secrets import REDACTED, FromEnv, Secret
from logrouter.kafka.errors import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# librdkafka warns about a setting given to the wrong kind of client; these prefixes belong to one kind only.
_CONSUMER_ONLY: Final = frozenset(
    {
        "fetch.error.backoff.ms",
        "fetch.max.bytes",
        "fetch.message.max.bytes",
        "fetch.min.bytes",
        "fetch.queue.backoff.ms",
        "fetch.wait.max.ms",
        "heartbeat.interval.ms",
        "max.partition.fetch.bytes",
        "max.poll.interval.ms",
        "queued.max.messages.kbytes",
        "queued.min.messages",
        "session.timeout.ms",
        "check.crcs",
    }
)
_PRODUCER_ONLY: Final = frozenset(
    {
        "acks",
        "batch.num.messages",
        "batch.size",
        "compression.codec",
        "compression.level",
        "compression.type",
        "delivery.timeout.ms",
        "linger.ms",
        "message.send.max.retries",
        "message.timeout.ms",
        "queue.buffering.max.kbytes",
        "queue.buffering.max.messages",
        "queue.buffering.max.ms",
        "request.required.acks",
        "request.timeout.ms",
        "retries",
        "sticky.partitioning.linger.ms",
    }
)


T = TypeVar("T")

# librdkafka's own lines repeat with every reconnect, as errors, and name no event. What matters comes through
# `error_cb` or is raised.
_LIBRDKAFKA_LOG: Final = logging.getLogger("logrouter.librdkafka")
_LIBRDKAFKA_LOG.setLevel(logging.CRITICAL + 1)


_SERVERS: Final = frozenset({"bootstrap.servers", "metadata.broker.list"})


def _refuse_foreign(kafka: Mapping[str, Any]) -> None:
    """Settings that come by another way than a topics.yaml are held to the same list."""
    for name in sorted(kafka):
        why = why_refused(name)
        if why is not None:
            raise ClientError(f"kafka.{name} {why}")


def consumer_settings(
    kafka: Mapping[str, Any], *, group: str, instance: str | None, session_timeout_ms: int
) -> dict[str, Any]:
    """The settings of librdkafka for a `GroupConsumer`; *kafka* is the `kafka:` block of topics.yaml.

    *instance* is given for static membership only.

    Raises:
        ClientError: the block has a setting that is ours alone to make, or that no configuration may name.
    """
    _refuse_foreign(kafka)
    settings = {
        "queued.min.messages": 50_000,
        "queued.max.messages.kbytes": 65_536,
        "max.partition.fetch.bytes": 4 << 20,
        "fetch.wait.max.ms": 100,
        # New topics of an expression, and a source made after the start, are seen this soon instead of in five minutes.
        "topic.metadata.refresh.interval.ms": 10_000,
        # By default a partition whose queue was full is left alone for a second, which makes the lane wait for records
        # that are there: eight times slower in the bare loop of `make bench-route`.
        "fetch.queue.backoff.ms": 10,
        "session.timeout.ms": session_timeout_ms,
        "heartbeat.interval.ms": max(session_timeout_ms // 6, 100),
        **{k: v for k, v in kafka.items() if k not in _PRODUCER_ONLY},
        "group.id": group,
        # An offset that cannot be read comes as an error, about which `kafka.offset_reset` decides.
        "auto.offset.reset": "error",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "partition.assignment.strategy": "cooperative-sticky",
    }
    return settings | ({"group.instance.id": instance} if instance else {})


def producer_settings(kafka: Mapping[str, Any], *, transactional_id: str, timeout_ms: int) -> dict[str, Any]:
    """The settings of librdkafka for a `TransactionalProducer`; *kafka* is the `kafka:` block of topics.yaml.

    Raises:
        ClientError: the block has a setting that is ours alone to make, or that no configuration may name.
    """
    _refuse_foreign(kafka)
    return {
        "linger.ms": 5,
        "compression.type": "lz4",
        "batch.num.messages": 20_000,
        "batch.size": 1 << 20,
        "queue.buffering.max.messages": 1_000_000,
        "queue.buffering.max.kbytes": 262_144,
        # Short, so that a commit's round trips are not stretched by the default back-off of 100 ms.
        "retry.backoff.ms": 20,
        # A coordinator that was away can leave a request waiting for ever (librdkafka issue 5511); closing the idle
        # connection wakes it.
        "connections.max.idle.ms": 5_000,
        **{k: v for k, v in kafka.items() if k not in _CONSUMER_ONLY},
        "transactional.id": transactional_id,
        "transaction.timeout.ms": timeout_ms,
        "enable.idempotence": True,
        # Java's partitioner, so that events keyed by client id are co-partitioned with everybody else's topics.
        "partitioner": "murmur2_random",
    }


def plain_settings(kafka: Mapping[str, Any]) -> dict[str, Any]:
    """Of the `kafka:` block only what says how to connect: for admin clients, readers and line producers.

    Raises:
        ClientError: the block has a setting that is ours alone to make, or that no configuration may name.
    """
    _refuse_foreign(kafka)
    return {k: v for k, v in kafka.items() if k not in _CONSUMER_ONLY | _PRODUCER_ONLY | OWNED.keys()}


_RETIRED: Final[deque[tuple[float, object]]] = deque(maxlen=64)
_RETIRED_SECONDS: Final = 3600.0
"""Longer than any question to the cluster may take."""


def retire_client(client: object) -> None:
    """Drop *client*, but only once all that it was asked is over: librdkafka (2.16) may abort the process otherwise.

    It counts who waits for the coordinator, and counts wrongly if a client ends amid that (`rd_kafka_enq_once`).
    """
    now = time.monotonic()
    _RETIRED.append((now, client))
    while _RETIRED[0][0] < now - _RETIRED_SECONDS:
        _RETIRED.popleft()


_HUNG: Final[list[object]] = []


def keep_client(client: object) -> None:
    """Never drop *client*, in which a thread hangs: its memory must stay until the process ends."""
    _HUNG.append(client)


def make_client(kind: Callable[..., T], settings: Mapping[str, Any], **callbacks: Any) -> T:
    """A client of *kind* with these settings and callbacks; secrets in *settings* are revealed to it alone.

    Raises:
        ClientError: librdkafka refuses a setting. The text names it, and shows no secret.
    """
    plain, hidden = {}, set()
    for name, value in settings.items():
        plain[name] = (
            value.reveal() if isinstance(value, Secret) else str(value) if isinstance(value, FromEnv) else value
        )
        if isinstance(value, Secret | FromEnv):
            hidden.add(plain[name])
    try:
        return kind({**plain, **callbacks, "logger": _LIBRDKAFKA_LOG})
    except (KafkaException, ValueError, TypeError) as exc:
        error = exc.args[0] if exc.args else exc
        text = error.str() if isinstance(error, KafkaError) else str(error)
        for value in sorted(hidden, key=len, reverse=True):
            text = text.replace(value, REDACTED) if value else text
        raise ClientError(f"Kafka client settings: {text}") from None


def explain_refusal(kafka: Mapping[str, Any]) -> str | None:
    """Why librdkafka refuses the `kafka:` block, None if it does not.

    Makes the clients of a lane, without servers: a client connects as soon as it is made, and would give the password
    to whatever address a proposed file names. Nor does it ask an issuer for a token.
    """
    quiet = {name: value for name, value in kafka.items() if name not in _SERVERS}
    mechanism = str(kafka.get("sasl.mechanism", kafka.get("sasl.mechanisms", "PLAIN"))).upper()
    protocol = str(kafka.get("security.protocol", "")).lower()
    if mechanism not in PASSWORD_MECHANISMS and protocol.startswith("sasl_"):
        quiet["security.protocol"] = protocol.removeprefix("sasl_")
    try:
        make_client(Producer, producer_settings(quiet, transactional_id="check", timeout_ms=10_000))
        make_client(Consumer, consumer_settings(quiet, group="check", instance=None, session_timeout_ms=10_000)).close()
    except ClientError as error:
        return str(error)
    return None
