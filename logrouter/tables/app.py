"""The Faust application of the tables lane.

`create_app` makes it from settings. `faust -A logrouter.tables.app worker` reads the module attribute `app`, which is
made on first use from LOGROUTER_CONFIG and the other LOGROUTER_* variables.
"""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

import faust
from faust.app.base import BootStrategy as FaustBootStrategy
from faust.stores import STORES
from yarl import URL

from logrouter.tables.assignor import Assignor
from logrouter.tables.failure import log_failure
from logrouter.tables.http import ViewServer, base_url, bind_socket
from logrouter.tables.lease import exit_fenced
from logrouter.tables.micro_batches import BatchSchema, scheduler_class
from logrouter.tables.origins import Origins
from logrouter.tables.reader import StoreReader
from logrouter.tables.recovery import TableManager
from logrouter.tables.services import ClusterWait, Upkeep, minute_clock
from logrouter.tables.table import MAX_UNFLUSHED, UsageTable
from logrouter.tables.top_clients import TopClients
from logrouter.tables.topic_check import TopicCheck
from logrouter.tables.topic_safety import safe_settings
from logrouter.tables.transport import SCHEME
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logrouter.tables.settings import TablesSettings

TABLE: Final = "usage"
STOP_SECONDS: Final = 15.0
"""A stop that takes longer, because the cluster is away, ends the process: what was not flushed is folded again."""

STORE: Final = "logrouter-rocksdb"
STORES.aliases[STORE] = "logrouter.tables.store:Store"

CHANGELOG: Final = {
    "min.cleanable.dirty.ratio": "0.2",
    "segment.ms": "3600000",
    "segment.bytes": str(64 << 20),
    "max.message.bytes": str(2 << 20),
}
"""Topic settings of the changelog. It is compacted early, because recovery reads all of it. No row exceeds 1.3 MB."""
PRODUCER_BATCH_BYTES: Final = 256 * 1024
"""A row that is larger goes in a batch of its own."""


class App(faust.App):
    """Faust's application, with services that start before all others and services that start last."""

    first_services: tuple[Any, ...] = ()
    last_services: tuple[Any, ...] = ()
    replication_factor: int
    reader: StoreReader
    failure: BaseException | None = None
    """Why this worker fails, if it does."""

    def note_failure(self, exc: BaseException) -> None:
        """Log why this worker fails. Only the first reason counts: what follows comes of it."""
        if self.failure is None and not self.should_stop:
            self.failure = exc
            log_failure(exc)

    async def start(self) -> None:
        """Start all services; what one of them raises is noted. Faust calls it."""
        try:
            await super().start()
        except Exception as exc:
            self.note_failure(exc)
            raise

    async def crash(self, reason: BaseException) -> None:
        """Stop because of *reason*. Faust calls it."""
        self.note_failure(reason)
        await super().crash(reason)

    def _crash(self, reason: BaseException) -> None:
        self.note_failure(reason)  # a service of ours that crashes takes us with it
        super()._crash(reason)

    def exit_fenced(self, why: str) -> NoReturn:
        """End the process at once: another worker owns, or may own, the partitions that this one writes to."""
        if self.should_stop and not self.crashed:
            _exit_now(crashed=False)
        exit_fenced(why)

    async def on_start(self) -> None:
        """Connect the table with producer and consumer. Faust calls it at the start."""
        await super().on_start()
        table, producer, consumer = (
            cast("Any", self.tables[TABLE]),
            cast("Any", self.producer),
            cast("Any", self.consumer),
        )
        producer.before_flush = [table.flush]
        consumer.on_revoked = table.give_up
        consumer.find_starts = table.find_starts
        consumer.on_reset = table.note_reset

    async def on_stop(self) -> None:
        """Stop within `STOP_SECONDS`, whatever the cluster does. Faust calls it."""
        self._last_resort = threading.Timer(STOP_SECONDS, _exit_now, (self.crashed,))
        self._last_resort.daemon = True
        self._last_resort.start()
        await super().on_stop()

    async def on_shutdown(self) -> None:
        """Close the databases. Faust calls it when all services have stopped."""
        await super().on_shutdown()
        cast("Any", self.tables[TABLE]).store.close()
        self._last_resort.cancel()


def _exit_now(crashed: bool) -> NoReturn:  # noqa: FBT001 - a timer's argument
    if not crashed:  # else the last line says why
        log(Log.LANE_STOPPED, lane="tables", how="cut short; what was not flushed will be folded again")
    os._exit(int(crashed))


class BootStrategy(FaustBootStrategy):
    """The order of services: the view and the wait for the cluster first, upkeep last."""

    def server(self) -> Iterable[Any]:
        """Services in the order in which they start."""
        app: Any = self.app
        return (*app.first_services, *super().server(), *app.last_services)

    def web_server(self) -> Iterable[Any]:
        """No web server: Faust's own, which its command starts whatever the setting says, would show the tables."""
        return ()


App.BootStrategy = BootStrategy


def create_app(settings: TablesSettings) -> App:
    """A worker's application, not started. Binds the HTTP port and makes the data directory; `OSError` if it cannot."""
    bound = bind_socket(settings.host, settings.port)
    port: int = bound.getsockname()[1]
    url = (settings.advertise or base_url(settings.host, port, encrypted=settings.tls is not None)).rstrip("/")
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    app = App(settings.group, **_faust_settings(settings, url, port))
    app.replication_factor = settings.replication_factor
    table: Any = app.Table(
        TABLE,
        key_type=bytes,
        value_type=bytes,
        partitions=settings.partitions,
        schema=BatchSchema(),
        recovery_buffer_size=4,
        standby_buffer_size=1,
        extra_topic_configs=CHANGELOG | safe_settings(settings.replication_factor),
    )
    minute = minute_clock(settings.clock_offset_seconds)
    kafka = settings.kafka or {"bootstrap.servers": ",".join(settings.security.servers)}
    check = TopicCheck(settings.security, kafka, Origins(settings.topic))
    table.configure(check, settings.retention, minute)
    app.reader = StoreReader(app, table, settings.partitions, url)
    cluster_wait = ClusterWait(
        settings.security, kafka, settings.topic, settings.partitions, table.changelog_topic_name
    )

    def waits_for() -> str:
        return cluster_wait.why or app.reader.waits_for()

    view = ViewServer(app.reader, bound, settings, lambda: _now_ms(settings), lambda: cluster_wait.waiting, waits_for)
    app.first_services = (view, cluster_wait)
    app.last_services = (Upkeep(app, table, app.reader), TopClients(app.reader, settings.top_clients))
    _add_agent(app, table, settings.topic)
    app.on_worker_init.connect(_quiet_loggers)
    return app


def _faust_settings(settings: TablesSettings, url: str, port: int) -> dict[str, Any]:
    session = settings.session_timeout_ms / 1000
    rebalance = max(session, 30.0)
    return {
        "broker": [URL(f"{SCHEME}://{server}") for server in settings.security.servers],
        "broker_credentials": settings.security.credentials(),
        "broker_client_id": f"logrouter-tables-{settings.instance}".rstrip("-"),
        "broker_session_timeout": session,
        "broker_heartbeat_interval": session / 6,
        "broker_rebalance_timeout": rebalance,
        "broker_request_timeout": rebalance + 10.0,  # the answer to a join request waits for the slowest member
        "broker_commit_interval": settings.flush_interval_ms / 1000,
        "consumer_auto_offset_reset": "earliest",
        "store": f"{STORE}://",
        "datadir": settings.data_dir,
        "canonical_url": URL(url),
        "web_host": settings.host,
        "web_port": port,
        "web_enabled": False,
        "topic_replication_factor": max(settings.replication_factor, 1),  # see `replication_factor`
        "topic_partitions": settings.partitions,
        "topic_disable_leader": True,
        "table_standby_replicas": settings.standby_replicas,
        "stream_buffer_maxsize": 16,
        "cython_optimizations": True,
        "producer_compression_type": "snappy",  # aiokafka writes lz4 at its slowest level, ten times the cost
        "producer_max_batch_size": PRODUCER_BATCH_BYTES,
        "producer_linger": 0.0,
        "ConsumerScheduler": scheduler_class(settings.topic, f"{settings.group}-{TABLE}-changelog"),
        "PartitionAssignor": Assignor,
        "Table": UsageTable,
        "TableManager": TableManager,
    }


def _add_agent(app: App, table: UsageTable, topic: str) -> None:
    source = app.topic(topic, schema=BatchSchema(), partitions=table.partitions)

    async def fold(stream: Any) -> None:
        async for event in stream.events():
            # Faust acknowledges an event whatever its handler does: after an error nothing may be committed.
            try:
                table.fold(event.message.partition, event.value)
                if table.unflushed > MAX_UNFLUSHED:
                    await table.flush()
            except Exception as exc:
                app.producer.fail(exc)  # type: ignore[attr-defined]  # our producer
                raise

    app.agent(source, name="fold", concurrency=1)(fold)


def _quiet_loggers(*_: Any, **__: Any) -> None:
    # Faust's spinner sets the root logger to DEBUG, and then every changelog record is formatted for nobody.
    for name in ("faust", "mode", "aiokafka"):
        logging.getLogger(name).setLevel(logging.INFO)
    tune_gc()


def tune_gc() -> None:
    """Collect garbage less often: rows are small objects without cycles; the defaults cost 10 to 40 % of a fold.

    A collection holds the event loop. The first number bounds that of the young (2 ms), the first two together bound
    that of those which survived (15 ms), and their product, 100 million objects, is how seldom all are looked at.
    """
    gc.set_threshold(10_000, 10, 1_000)
    # What is loaded by now stays: a full collection, which holds the event loop, need not look at it.
    gc.collect()
    gc.freeze()


def _now_ms(settings: TablesSettings) -> int:
    return int((time.time() + settings.clock_offset_seconds) * 1000)


def __getattr__(name: str) -> App:
    if name != "app":
        raise AttributeError(name)
    from logrouter.config import load  # noqa: PLC0415 - only this way in reads a file and the environment
    from logrouter.tables.settings import from_settings  # noqa: PLC0415

    config = os.environ.get("LOGROUTER_CONFIG")
    made = create_app(from_settings(load(Path(config) if config else None, os.environ)))
    globals()["app"] = made
    return made
