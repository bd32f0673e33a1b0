"""Settings of one tables worker, as plain values."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from logrouter.access.policy import CLOSED, Policy
from logrouter.config.settings import SettingsError
from logrouter.config.yaml.secrets import Secret
from logrouter.http_server.credentials import AccessFiles, TlsFiles, load_access
from logrouter.tables.retention import BucketsKept
from logrouter.tables.security import Security, security

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.config import Settings
    from logrouter.config.options.endpoint import TlsOptions

__all__ = ["SettingsError", "TablesSettings", "from_settings"]

PEER_SECRET_ENV: Final = "LOGROUTER_PEER_SECRET"  # noqa: S105 - the name of a variable
MIN_SECRET: Final = 16
CLOCK_OFFSET_ENV: Final = "LOGROUTER_CLOCK_OFFSET_SECONDS"
"""Added to the clock of retention: tests make rows expire with it."""


@dataclass(frozen=True, slots=True)
class TablesSettings:
    """Settings of one tables worker.

    *group* is the consumer group, *topic* the rollup topic with its number of *partitions*. *advertise* is the base URL
    by which other workers reach this one, "" for the address it listens on. *secret*, shared by all workers,
    authenticates their requests to each other. *instance* is a name for the broker's logs.
    """

    group: str
    topic: str
    partitions: int
    data_dir: Path
    security: Security = field(repr=False)
    kafka: Mapping[str, Any] = field(default_factory=dict, repr=False)
    host: str = "127.0.0.1"
    port: int = 0
    advertise: str = ""
    standby_replicas: int = 1
    replication_factor: int = 1
    retention: BucketsKept = field(default_factory=BucketsKept)
    session_timeout_ms: int = 10_000
    flush_interval_ms: int = 1_000
    top_clients: int = 0
    instance: str = ""
    secret: str | None = field(default=None, repr=False)
    access: Policy = CLOSED
    access_files: AccessFiles = field(default_factory=AccessFiles)
    tls: TlsFiles | None = None
    clock_offset_seconds: int = 0


def from_settings(
    settings: Settings,
    *,
    data_dir: Path | None = None,
    host: str | None = None,
    port: int | None = None,
    advertise: str | None = None,
    instance: str | None = None,
    env: Mapping[str, str] = os.environ,
) -> TablesSettings:
    """The settings of a topics.yaml; arguments that are not None override them. `SettingsError` if they can't work."""
    lane, outputs = settings.tables_lane, settings.outputs
    plain = {key: value.reveal() if isinstance(value, Secret) else value for key, value in settings.kafka.items()}
    kept = lane.retention
    folder = Path(settings.file).parent
    host = lane.http.host if host is None else host
    advertise = lane.http.advertise if advertise is None else advertise
    access, files = load_access(settings, folder, host, advertise)
    return TablesSettings(
        group=lane.group,
        topic=outputs.rollup.topic,
        partitions=outputs.rollup.partitions,
        data_dir=data_dir or Path(lane.data_dir),
        security=security(plain),
        kafka=settings.kafka,
        host=host,
        port=lane.http.port if port is None else port,
        advertise=advertise,
        standby_replicas=lane.standby_replicas,
        replication_factor=outputs.replication_factor,
        retention=BucketsKept(kept.minute_hours * 60, kept.hour_days * 24, kept.day_days),
        session_timeout_ms=lane.session_timeout_ms,
        flush_interval_ms=lane.flush_interval_ms,
        top_clients=lane.metrics.top_clients,
        instance=instance or "",
        secret=_secret(env.get(PEER_SECRET_ENV) or ""),
        access=access,
        access_files=files,
        tls=_tls(lane.http.tls, folder),
        clock_offset_seconds=_whole_number(env.get(CLOCK_OFFSET_ENV) or "0"),
    )


def _tls(given: TlsOptions | None, folder: Path) -> TlsFiles | None:
    """The TLS files, loaded once: an unusable one should fail now, not at the first connection."""
    if given is None:
        return None
    tls = TlsFiles(folder / given.cert, folder / given.key, folder / given.ca if given.ca else None)
    tls.server()
    tls.client()
    return tls


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        msg = f"{CLOCK_OFFSET_ENV} must be a whole number of seconds"
        raise SettingsError(msg) from None


def _secret(text: str) -> str | None:
    """The secret without surrounding space such as the newline that files end in; it goes into a header."""
    secret = text.strip()
    if not secret.isprintable():
        raise SettingsError(f"{PEER_SECRET_ENV} holds control characters")
    if secret and len(secret) < MIN_SECRET:
        # Whatever the policy is now: it may change with a file, and the secret stays.
        msg = (
            f"{PEER_SECRET_ENV} has fewer than {MIN_SECRET} characters, and lets in who finds it: take 32 random bytes"
        )
        raise SettingsError(msg)
    return secret or None
