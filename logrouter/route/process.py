"""A route process from `Settings`: the lane's own settings, and the topics it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logrouter.route.batch import DeadLetterSettings
from logrouter.route.client import ClientError
from logrouter.route.lane import LaneSettings, RouteLane
from logrouter.route.topics import Finding, Wanted, ensure
from logrouter.route.transaction import FatalError, StuckError

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.config import Settings

__all__ = ["ClientError", "FatalError", "StuckError", "ensure_topics", "lane", "wanted_topics"]


def lane(settings: Settings, *, default_instance: str, stopping: Callable[[], bool]) -> RouteLane:
    """The lane that `settings` describe; it connects only when run."""
    s, outputs = settings.route_lane, settings.outputs
    return RouteLane(
        LaneSettings(
            kafka=settings.kafka,
            group=s.group,
            instance=s.instance or default_instance,
            dead_letters=DeadLetterSettings(outputs.dead_letter.topic, outputs.dead_letter.max_raw_bytes),
            rollup_topic=outputs.rollup.topic,
            rollup_partitions=outputs.rollup.partitions,
            max_records=s.batch.max_records,
            max_wait_ms=s.batch.max_wait_ms,
            session_timeout_ms=s.session_timeout_ms,
            transaction_timeout_ms=s.transaction_timeout_ms,
            static_membership=s.static_membership,
        ),
        settings.table,
        stopping=stopping,
    )


def wanted_topics(settings: Settings) -> list[Wanted]:
    """The output topics of `settings`. Sources are the producers' to create."""
    o = settings.outputs
    events = sorted({route.to for source in settings.table.sources for route in source.routes})
    keep = {"cleanup.policy": "delete", "retention.ms": str(o.retention_ms)}
    return [
        *(Wanted(name, o.partitions, o.replication_factor, keep) for name in events),
        Wanted(o.dead_letter.topic, o.partitions, o.replication_factor, keep),
        Wanted(o.rollup.topic, o.rollup.partitions, o.replication_factor, keep),
    ]


def ensure_topics(settings: Settings, *, dry_run: bool = False) -> list[Finding]:
    """Create what is missing of `wanted_topics`; what was found of each."""
    return ensure(settings.kafka, wanted_topics(settings), dry_run=dry_run)
