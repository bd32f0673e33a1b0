"""What the cluster says of topics that limits what is written to them, and how safely it lies there."""

from __future__ import annotations

from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # the package re-exports without saying so
    AdminClient,
    ConfigResource,
    ResourceType,
)

from logrouter.kafka.client import make_client, plain_settings
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_ASK_SECONDS: Final = 10.0
_WAIT_SECONDS: Final = 15.0

SAFE_REPLICAS: Final = 3
"""With so many replicas, two can be asked to have every record without one broken broker stopping all writes."""
SAFE_IN_SYNC: Final = 2


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """Of one topic: its largest record batch in bytes, `min.insync.replicas`, and replicas of a partition.

    None stands for what the cluster does not tell: there is no such topic, or no right to describe its settings.
    """

    max_bytes: int | None = None
    min_in_sync: int | None = None
    replicas: int | None = None

    @property
    def at_risk(self) -> bool:
        """Whether a record may lie on one broker alone when it counts as written, though there are enough of them."""
        few = self.min_in_sync is not None and self.min_in_sync < SAFE_IN_SYNC
        return few and self.replicas is not None and self.replicas >= SAFE_REPLICAS


def fetch_topic_facts(kafka: Mapping[str, Any], topics: Collection[str]) -> dict[str, TopicFacts]:
    """The facts of each of *topics*. Never raises for the cluster's sake: it may be away, or refuse to tell.

    Raises:
        ClientError: librdkafka refuses a setting.
    """
    admin = make_client(AdminClient, plain_settings(kafka))
    try:
        known = admin.list_topics(timeout=_ASK_SECONDS).topics
    except KafkaException:
        return dict.fromkeys(topics, TopicFacts())
    found = {}
    for topic, config in fetch_settings(admin, ResourceType.TOPIC, topics).items():
        partitions = known[topic].partitions.values() if topic in known else ()
        replicas = min((len(partition.replicas) for partition in partitions), default=None)
        limit, in_sync = _number(config, "max.message.bytes"), _number(config, "min.insync.replicas")
        found[topic] = TopicFacts(limit, in_sync, replicas)
    return found


def warn_if_at_risk(topic: str, facts: TopicFacts) -> bool:
    """Log it if a record of *topic* may lie on one broker alone; whether that is so."""
    if facts.at_risk:
        log(
            Log.TOPIC_AT_RISK,
            topic=topic,
            replicas=facts.replicas,
            min_insync_replicas=facts.min_in_sync,
            help=f"one broken disk can lose what was written: set min.insync.replicas to {SAFE_IN_SYNC}",
        )
    return facts.at_risk


def fetch_settings(admin: AdminClient, kind: Any, names: Collection[str]) -> dict[str, dict[str, str]]:
    """The settings of topics or brokers by name, with defaults; empty where the cluster does not tell."""
    found: dict[str, dict[str, str]] = {name: {} for name in names}
    if not names:
        return found
    asked = admin.describe_configs([ConfigResource(kind, name) for name in names], request_timeout=_ASK_SECONDS)
    for resource, future in asked.items():
        try:
            entries = future.result(_WAIT_SECONDS)
        except (KafkaException, FutureTimeoutError):
            continue
        found[resource.name] = {name: entry.value for name, entry in entries.items()}
    return found


def fetch_default_replicas(admin: AdminClient, broker: int) -> int | None:
    """The cluster's `default.replication.factor`, as one of its brokers tells; None if it does not."""
    settings = fetch_settings(admin, ResourceType.BROKER, [str(broker)])
    return _number(settings[str(broker)], "default.replication.factor")


def _number(config: Mapping[str, str], name: str) -> int | None:
    text = config.get(name)
    return int(text) if text is not None and text.isdecimal() else None
