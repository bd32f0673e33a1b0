"""Topics as they should be and as they are: creates what is missing, reports what drifted, changes nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
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
    return sorted(set(names) - _connect(kafka)[1].keys()) if names else []


def create_missing(
    kafka: Mapping[str, Any], wanted: Sequence[WantedTopic], *, dry_run: bool = False
) -> list[TopicFinding]:
    """Create the topics that are missing, and compare the others. Of each what was found, by name.

    Raises:
        ClientError: the cluster does not answer, or refuses to create a topic.
    """
    admin, present = _connect(kafka)
    lacking = [w for w in wanted if w.name not in present]
    findings = [TopicFinding(w.name, "missing" if dry_run else "created", _describe_shape(w)) for w in lacking]
    if lacking and not dry_run:
        _create_topics(admin, lacking)
    there = [w for w in wanted if w.name in present]
    configs = _fetch_configs(admin, there)
    for topic in there:
        drift = _find_drift(topic, len(present[topic.name].partitions), configs.get(topic.name, {}))
        findings.append(
            TopicFinding(topic.name, "drift" if drift else "present", "; ".join(drift) or _describe_shape(topic))
        )
    return sorted(findings, key=lambda finding: finding.name)


def _connect(kafka: Mapping[str, Any]) -> tuple[AdminClient, dict[str, Any]]:
    """An admin client, and the metadata of all topics by name."""
    refusals = Refusals()
    admin = make_client(AdminClient, plain_settings(kafka), error_cb=refusals)
    return admin, fetch_metadata(kafka, admin, refusals).topics


def _describe_shape(topic: WantedTopic) -> str:
    return f"{topic.partitions} partitions"


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


def _find_drift(topic: WantedTopic, partitions: int, config: Mapping[str, str]) -> list[str]:
    drift = []
    if partitions != topic.partitions:
        drift.append(f"partitions: {partitions}, configured {topic.partitions}")
    drift += [
        f"{name}: {config.get(name)}, configured {value}"
        for name, value in topic.config.items()
        if config.get(name) != value
    ]
    return drift
