"""A route process from `Settings`: the lane, what reloads it, and the topics it needs."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from logrouter.config.settings import reread_config
from logrouter.core.dead_letter import DeadLetterSettings
from logrouter.core.templates.learning import TemplateLearner
from logrouter.kafka.errors import ClientError
from logrouter.kafka.topics import TopicFinding, WantedTopic, create_missing, find_missing
from logrouter.reload.reloader import ConfigFile, Reloader, RetryLaterError
from logrouter.reload.versions import ConfigVersions, Version
from logrouter.route.batch import BatchProcessor
from logrouter.route.elapsed import elapsed_ms
from logrouter.route.lane import RouteLane, clock_ms
from logrouter.route.ledger import RecreatedTopics, SourceTopics
from logrouter.route.pairing import PairingSettings, PairingStates
from logrouter.route.partial_lines import PartialLines
from logrouter.route.settings import LaneSettings
from logrouter.route.source_starts import SourceStarts

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.config import Settings
    from logrouter.config.options.drains import DrainTopicsOptions
    from logrouter.core.routing import RouteTable

__all__ = ["ClientError", "ensure_topics", "make_lane", "make_reloader", "wanted_topics"]

_FOLLOWED: Final = frozenset({"batch", "on_unreadable"})
"""Options of `route_lane` that a running process follows."""

_CHANGELOG: Final = {
    "cleanup.policy": "compact",
    # What no longer counts is read by whoever takes a partition over, so it should not lie there for long.
    "segment.bytes": str(32 << 20),
    "segment.ms": "600000",
    "min.cleanable.dirty.ratio": "0.1",
    "delete.retention.ms": "3600000",
}


def make_lane(settings: Settings, *, default_instance: str, stopping: Callable[[], bool]) -> RouteLane:
    """The lane that `settings` describe; it connects only when run."""
    partial_lines, recreated, templates = PartialLines(), RecreatedTopics(), TemplateLearner()
    starts = SourceStarts(partial_lines, clock_ms, recreated=recreated)
    return RouteLane(
        ConfigVersions(_make_version(settings, default_instance), file=settings.file),
        make_processor=partial(_make_processor, partial_lines, recreated, templates, starts),
        # The ledger before all others: what it sends back to be read again, they must not have seen.
        states=(SourceTopics(recreated), starts, PairingStates(clock_ms, elapsed_ms, templates), partial_lines),
        stopping=stopping,
    )


def _make_processor(
    partial_lines: PartialLines,
    recreated: RecreatedTopics,
    templates: TemplateLearner,
    starts: SourceStarts,
    settings: LaneSettings,
    table: RouteTable,
    cluster: str,
) -> BatchProcessor:
    starts.cluster = cluster
    return BatchProcessor(
        table,
        cluster=cluster,
        rollup_partitions=settings.rollup_partitions,
        dead_letters=settings.dead_letters,
        clock_ms=clock_ms,
        emitter=settings.emitter,
        pairing_partitions=settings.pairing.partitions if settings.pairing is not None else 1,
        partial_lines=partial_lines,
        recreated=recreated,
        templates=templates,
    )


def make_reloader(
    lane: RouteLane, settings: Settings, *, default_instance: str, parse: Callable[[bytes], Settings]
) -> Reloader[LaneSettings]:
    """What keeps *lane* at the file that *settings* came from; *parse* reads its bytes as it was read at the start."""
    path = Path(settings.file)

    def refusal(new: Settings) -> str:
        if fixed := restart_needed(settings, new):
            return f"{', '.join(fixed)}: can't change while running, so restart with this file or take it out"
        try:
            lost = find_missing(settings.kafka, new.table.own_topics - lane.versions.version.table.own_topics)
        except ClientError as error:
            raise RetryLaterError(str(error)) from None
        return f"no such topic: {', '.join(lost)}; run `logrouter topics` first" if lost else ""

    return Reloader(
        lane.versions,
        ConfigFile(
            path=path,
            content=lambda: reread_config(path),
            parse=parse,
            version=lambda new: _make_version(new, default_instance),
            refusal=refusal,
        ),
        inputs=settings.inputs,
    )


def restart_needed(old: Settings, new: Settings) -> list[str]:
    """What differs of that which a route process reads only when it starts, by path."""
    kafka = {f"kafka.{key}" for key, _ in set(old.kafka.items()) ^ set(new.kafka.items())}
    names = [option.name for option in fields(old.route_lane) if option.name not in _FOLLOWED]
    lane = {f"route_lane.{n}" for n in names if getattr(old.route_lane, n) != getattr(new.route_lane, n)}
    kept_ms = new.outputs.rollup.retention_ms  # for `logrouter topics` alone
    before = replace(old.outputs, rollup=replace(old.outputs.rollup, retention_ms=kept_ms))
    fixed = {f"outputs.{n}" for n in ("ledger", "rollup") if getattr(before, n) != getattr(new.outputs, n)}
    # It can begin while a process runs, and lines that wait are finished if it is taken out.
    begins = old.pairing is None or new.pairing is None
    pairing = set() if begins or old.pairing == new.pairing else {"outputs.pairing"}
    return sorted(kafka | lane | fixed | pairing)


def _pairing_settings(settings: Settings) -> PairingSettings | None:
    chosen = settings.pairing
    if chosen is None:
        return None
    return PairingSettings(chosen.topic, chosen.partitions, chosen.max_lines, chosen.max_bytes)


def _make_version(settings: Settings, default_instance: str) -> Version[LaneSettings]:
    return Version(
        _lane_settings(settings, default_instance), settings.table, settings.trial_bounds, settings.admin_token
    )


def _lane_settings(settings: Settings, default_instance: str) -> LaneSettings:
    s, outputs = settings.route_lane, settings.outputs
    return LaneSettings(
        kafka=settings.kafka,
        group=s.group,
        instance=s.instance or default_instance,
        dead_letters=DeadLetterSettings(outputs.dead_letter.topic, outputs.dead_letter.max_raw_bytes),
        rollup_topic=outputs.rollup.topic,
        rollup_partitions=outputs.rollup.partitions,
        ledger_topic=outputs.ledger.topic,
        max_records=s.batch.max_records,
        max_wait_ms=s.batch.max_wait_ms,
        session_timeout_ms=s.session_timeout_ms,
        transaction_timeout_ms=s.transaction_timeout_ms,
        static_membership=s.static_membership,
        skips_unreadable=s.on_unreadable == "skip",
        pairing=_pairing_settings(settings),
    )


def wanted_topics(settings: Settings) -> list[WantedTopic]:
    """The output topics of `settings`. Sources are the producers' to create."""
    o = settings.outputs
    keep = {"cleanup.policy": "delete", "retention.ms": str(o.retention_ms)}
    pairing = _pairing_settings(settings)
    paired = []
    if pairing is not None:
        n = pairing.partitions
        # By the broker's clock, so that times in a partition never go back.
        paired.append(
            WantedTopic(pairing.topic, n, o.replication_factor, keep | {"message.timestamp.type": "LogAppendTime"})
        )
        paired.append(WantedTopic(pairing.state_topic, n, o.replication_factor, _CHANGELOG))
    return [
        *(WantedTopic(name, o.partitions, o.replication_factor, keep) for name in settings.table.event_topics()),
        WantedTopic(o.dead_letter.topic, o.partitions, o.replication_factor, keep),
        WantedTopic(o.rollup.topic, o.rollup.partitions, o.replication_factor, _timed_config(o.rollup.retention_ms)),
        WantedTopic(o.ledger.topic, 1, o.replication_factor, {"cleanup.policy": "compact"}),
        *paired,
        *(_drain_topics(settings.drains.options.topics, o.replication_factor) if settings.drains is not None else ()),
    ]


def _drain_topics(topics: DrainTopicsOptions, replication_factor: int) -> list[WantedTopic]:
    n = topics.partitions
    return [
        WantedTopic(topics.registrations, 1, replication_factor, _CHANGELOG),
        # Lines must last until they are delivered, however many there are, and no process's clock may end them.
        WantedTopic(topics.retry, n, replication_factor, _timed_config(topics.retention_ms)),
        WantedTopic(topics.status, n, replication_factor, _CHANGELOG),
    ]


def _timed_config(retention_ms: int) -> dict[str, str]:
    """Settings of a topic whose records must last for a time, as until they are folded, however many there are."""
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(retention_ms),
        "retention.bytes": "-1",  # said, as a broker's own default may be another
        "message.timestamp.type": "LogAppendTime",  # rows expire by these times, so no process's clock may make them
    }


def ensure_topics(settings: Settings, *, dry_run: bool = False) -> list[TopicFinding]:
    """Create what is missing of `wanted_topics`; what was found of each."""
    return create_missing(settings.kafka, wanted_topics(settings), dry_run=dry_run)
