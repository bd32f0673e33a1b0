"""Topics as they should be and as they are: creates what is missing, reports what drifted, changes nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # the package re-exports without saying so
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from logrouter.kafka.client import make_client, plain_settings
from logrouter.kafka.errors import ClientError, Refusals
from logrouter.kafka.metadata import fetch_metadata
from logrouter.kafka.topic_facts import SAFE_IN_SYNC, SAFE_REPLICAS, fetch_default_replicas

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_ASK_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class WantedTopic:
    """One topic as topics.yaml wants it, *config* in Kafka's words; *replication_factor* -1 is the broker's default."""

    name: str
    partitions: int
    replication_factor: int = -1
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TopicFinding:
    """What was found of one topic: *state* is "created", "present", "missing" (dry run) or "drift".

    *detail* says its number of partitions, or how it differs from what is configured.
    """

    name: str
    state: str
    detail: str = ""


def find_missing(kafka: Mapping[str, Any], names: Collection[str]) -> list[str]:
    """Those of *names* of which the cluster has no topic, sorted.

    Raises:
        ClientError: the cluster does not answer.
    """
    return sorted(set(names) - _connect(kafka)[1].topics.keys()) if names else []


def create_missing(
    kafka: Mapping[str, Any], wanted: Sequence[WantedTopic], *, dry_run: bool = False
) -> list[TopicFinding]:
    """Create the topics that are missing, and compare the others. Of each what was found, by name.

    Raises:
        ClientError: the cluster does not answer, or refuses to create a topic.
    """
    admin, metadata = _connect(kafka)
    present = metadata.topics
    lacking = [w for w in wanted if w.name not in present]
    findings = [TopicFinding(w.name, "missing" if dry_run else "created", _describe_shape(w)) for w in lacking]
    if lacking and not dry_run:
        _create_topics(admin, _made_safe(admin, metadata, lacking))
    there = [w for w in wanted if w.name in present]
    configs = _fetch_configs(admin, there)
    for topic in there:
        drift = _find_drift(topic, present[topic.name].partitions, configs.get(topic.name, {}))
        findings.append(
            TopicFinding(topic.name, "drift" if drift else "present", "; ".join(drift) or _describe_shape(topic))
        )
    return sorted(findings, key=lambda finding: finding.name)


def _connect(kafka: Mapping[str, Any]) -> tuple[AdminClient, Any]:
    """An admin client, and the cluster's metadata."""
    refusals = Refusals()
    admin = make_client(AdminClient, plain_settings(kafka), error_cb=refusals)
    return admin, fetch_metadata(kafka, admin, refusals)


def _describe_shape(topic: WantedTopic) -> str:
    return "1 partition" if topic.partitions == 1 else f"{topic.partitions} partitions"


def _made_safe(admin: AdminClient, metadata: Any, topics: Sequence[WantedTopic]) -> list[WantedTopic]:
    """*topics* with two replicas in sync for each record, where there are enough of them for one to fail."""
    default = None
    if any(topic.replication_factor < 0 for topic in topics):
        default = fetch_default_replicas(admin, next(iter(metadata.brokers), 0))
    return [make_safe(topic, default) for topic in topics]


def make_safe(topic: WantedTopic, default_replicas: int | None) -> WantedTopic:
    """*topic* with `min.insync.replicas`, if its replicas allow that; *default_replicas* is the cluster's default.

    Without it the broker's own counts, which is 1 unless somebody has thought of it.
    """
    replicas = topic.replication_factor if topic.replication_factor > 0 else default_replicas
    if replicas is None or replicas < SAFE_REPLICAS or "min.insync.replicas" in topic.config:
        return topic
    return replace(topic, config={**topic.config, "min.insync.replicas": str(SAFE_IN_SYNC)})


def _create_topics(admin: AdminClient, topics: Sequence[WantedTopic]) -> None:
    new = [
        NewTopic(t.name, num_partitions=t.partitions, replication_factor=t.replication_factor, config=dict(t.config))
        for t in topics
    ]
    for name, future in admin.create_topics(new, operation_timeout=_ASK_SECONDS).items():
        try:
            future.result()
        except KafkaException as exc:
            error: KafkaError = exc.args[0]
            # Another worker that starts at the same moment may have been first.
            if error.code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise ClientError(f"cannot create topic {name}: {error.str()}") from None


def _fetch_configs(admin: AdminClient, topics: Sequence[WantedTopic]) -> dict[str, dict[str, str]]:
    if not topics:
        return {}
    asked = admin.describe_configs([ConfigResource(ResourceType.TOPIC, t.name) for t in topics])
    found = {}
    for resource, future in asked.items():
        try:
            entries = future.result()
        except KafkaException as exc:
            raise ClientError(f"cannot read the settings of topic {resource.name}: {exc.args[0].str()}") from None
        found[resource.name] = {name: entry.value for name, entry in entries.items()}
    return found


def _find_drift(topic: WantedTopic, partitions: Mapping[int, Any], config: Mapping[str, str]) -> list[str]:
    drift = []
    if len(partitions) != topic.partitions:
        drift.append(f"partitions: {len(partitions)}, configured {topic.partitions}")
    replicas = min((len(partition.replicas) for partition in partitions.values()), default=0)
    in_sync = config.get("min.insync.replicas", "")
    if replicas >= SAFE_REPLICAS and in_sync.isdecimal() and int(in_sync) < SAFE_IN_SYNC:
        drift.append(f"min.insync.replicas: {in_sync}, should be {SAFE_IN_SYNC} of {replicas} replicas")
    drift += [
        f"{name}: {config.get(name)}, configured {value}"
        for name, value in topic.config.items()
        if config.get(name) != value
    ]
    return drift
