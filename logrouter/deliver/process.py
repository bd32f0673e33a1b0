"""A process of one sink from `Settings`: its target, its lane, and what reloads it."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from logrouter.config.options.sinks import SyslogOptions, WebhookOptions
from logrouter.config.settings import reread_config
from logrouter.core.dead_letter import DeadLetterSettings
from logrouter.core.redact.disclosure import STRICT
from logrouter.deliver.batching import BatchBounds
from logrouter.deliver.fixed_options import restart_needed
from logrouter.deliver.lane import DeliveryLane
from logrouter.deliver.settings import DeliverySettings
from logrouter.deliver.targets import admission_of, open_sink
from logrouter.kafka.offset_reset import Begin
from logrouter.reload.reloader import ConfigFile, Reloader
from logrouter.reload.versions import ConfigVersions, Version
from logrouter.sinks.delivery import Delivery
from logrouter.sinks.pacing import PaceLimits

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.config import Settings
    from logrouter.config.compile.sinks import ConfiguredSink
    from logrouter.config.options.sinks import SinkOptions
    from logrouter.model import RawRecord


def make_lane(settings: Settings, name: str, instance: str, *, stopping: Callable[[], bool]) -> DeliveryLane:
    """The lane of the sink *name*; it connects only when run."""
    return DeliveryLane(ConfigVersions(_make_version(settings, name, instance), file=settings.file), stopping=stopping)


def make_reloader(
    lane: DeliveryLane, settings: Settings, name: str, instance: str, *, parse: Callable[[bytes], Settings]
) -> Reloader[DeliverySettings]:
    """What keeps *lane* at the file that *settings* came from; *parse* reads its bytes as it was read at the start."""
    path = Path(settings.file)

    def refusal(new: Settings) -> str:
        if name not in new.sinks:
            return f"sinks.{name} is gone: stop this process (`logrouter run` does so by itself), or put the sink back"
        fixed = restart_needed(settings, new, name)
        return (
            f"{', '.join(fixed)}: can't change while running, so restart with this file or take it out" if fixed else ""
        )

    return Reloader(
        lane.versions,
        ConfigFile(
            path=path,
            content=lambda: reread_config(path),
            parse=parse,
            version=lambda new: _make_version(new, name, instance),
            refusal=refusal,
        ),
        inputs=settings.inputs,
    )


def _make_version(settings: Settings, name: str, instance: str) -> Version[DeliverySettings]:
    return Version(
        _delivery_settings(settings, name, instance),
        settings.table,
        admin_token=settings.admin_token,
        files=settings.sinks[name].digest,
    )


def _delivery_settings(settings: Settings, name: str, instance: str) -> DeliverySettings:
    sink = settings.sinks[name]
    o = sink.options
    letters = settings.outputs.dead_letter
    return DeliverySettings(
        name=name,
        kafka=settings.kafka,
        topics=o.topics,
        group=sink.group,
        instance=settings.route_lane.instance or instance,
        begin=Begin(o.begin),
        dead_letters=DeadLetterSettings(letters.topic, letters.max_raw_bytes),
        batch=_batch_bounds(o),
        max_waiting_records=o.waiting.max_records,
        max_waiting_bytes=o.waiting.max_bytes,
        open_delivery=partial(open_delivery, sink),
        target=(sink.options, sink.digest),
        session_timeout_ms=settings.route_lane.session_timeout_ms,
        transaction_timeout_ms=settings.route_lane.transaction_timeout_ms,
        static_membership=settings.route_lane.static_membership,
    )


def _batch_bounds(options: SinkOptions) -> BatchBounds:
    batch, rate = options.batch, options.events_per_second
    is_single = isinstance(options, WebhookOptions) and options.body == "event"
    most = 1 if is_single else batch.max_records
    if rate is not None:
        most = min(most, max(int(rate), 1))  # more at once would be faster than the rate for as long as it takes
    return BatchBounds(most, batch.max_bytes, batch.max_wait_ms / 1000)


def open_delivery(sink: ConfiguredSink, **options: Any) -> Delivery[RawRecord]:
    """A delivery to the target of *sink*, with connections of its own."""
    o = sink.options
    give_up = o.retry.give_up_after_seconds
    return Delivery(
        sink.name,
        open_sink(sink),
        PaceLimits(o.connections, o.retry.first_pause_ms / 1000, o.retry.longest_pause_ms / 1000, o.events_per_second),
        give_up_seconds=math.inf if give_up is None else give_up,
        in_order=isinstance(o, SyslogOptions) and o.connections == 1,  # a log is read in order
        admit=admission_of(o),
        mask=STRICT.text,
        **options,
    )
