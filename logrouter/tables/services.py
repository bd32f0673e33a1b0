"""Services beside the fold: waiting for the cluster at the start, and upkeep while the worker runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from aiokafka.errors import KafkaError
from mode import Service

from logrouter.config.options.kafka import REFUSED_CREDENTIALS
from logrouter.tables.mismatch import MismatchError
from logrouter.tables.refusal import find_refusal
from logrouter.tables.topic_metadata import fetch_partition_count
from logrouter.tables.topic_safety import warn_of_risks
from logrouter.telemetry.log import Log, log
from logrouter.telemetry.metrics import BROKER_UP, ROLLUP_LAG, TABLE_HOLES, TABLE_ROWS, TABLES_READY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.tables.reader import StoreReader
    from logrouter.tables.security import Security
    from logrouter.tables.table import UsageTable

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 10.0
_WATCH_SECONDS: Final = 2.0
_SWEEP_SECONDS: Final = 10.0
_MORE_SECONDS: Final = 0.2


class PartitionCountError(MismatchError):
    """The rollup topic has another number of partitions than the settings say."""


class ClusterWait(Service):
    """Holds back the start of Faust's clients until the cluster answers and the rollup topic exists.

    Faust gives up at once without a broker, and recovers nothing without a topic. What is missing is logged once for
    each change, not at every attempt. Raises `PartitionCountError` if the topic has another number of *partitions*.
    """

    def __init__(
        self,
        security: Security,
        kafka: Mapping[str, Any],
        topic: str,
        partitions: int,
        changelog: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._kafka = kafka
        self._changelog = changelog
        self._security = security
        self._topic = topic
        self._partitions = partitions
        self._last_event: Log | None = None
        self.waiting = False
        """Whether the cluster or the topic is missing."""
        self.why = "connecting to the Kafka cluster"
        """What is waited for, in one line; empty once all of it is there."""

    async def on_start(self) -> None:
        """Return when cluster and topic are there, or when the worker stops."""
        pause = _FIRST_PAUSE
        while not self.should_stop and not await self._is_ready():
            await self.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _is_ready(self) -> bool:
        found = await self._count_partitions()
        self.waiting = not found
        if not found:
            return False
        if found != self._partitions:
            msg = (
                f"topic {self._topic} has {found} partitions, not {self._partitions} (outputs.rollup of topics.yaml): "
                "table rows are placed by that number, so put back whichever was changed"
            )
            raise PartitionCountError(msg)
        self.why = ""
        self._log_change(Log.TOPIC_FOUND, topic=self._topic, partitions=found)
        await warn_of_risks(self._kafka, (self._topic, self._changelog))
        return True

    async def _count_partitions(self) -> int | None:
        try:
            found = await fetch_partition_count(self._security, self._topic)
        except (KafkaError, OSError, TimeoutError) as exc:
            BROKER_UP.set(0)
            refusal = await find_refusal(self._security)
            if refusal is not None:
                self.why = REFUSED_CREDENTIALS
                self._log_change(Log.BROKER_REFUSES, lane="tables", error=refusal, help=REFUSED_CREDENTIALS)
            else:
                self.why = f"the Kafka cluster does not answer: {type(exc).__name__}"
                self._log_change(Log.BROKER_DOWN, lane="tables", error=repr(exc))
            return None
        BROKER_UP.set(1)
        if not found:
            self.why = f"there is no topic {self._topic}: run `logrouter topics`"
            self._log_change(Log.TOPIC_MISSING, topic=self._topic)
        return found

    def _log_change(self, event: Log, **fields: Any) -> None:
        if self._last_event is not event:
            self._last_event = event
            log(event, **fields)


class Upkeep(Service):
    """Sets gauges, deletes expired rows, repairs the changelog, and logs when the cluster goes away or comes back."""

    def __init__(self, app: Any, table: UsageTable, reader: StoreReader, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._app = app
        self._table = table
        self._reader = reader
        self._next_check = 0.0

    @Service.task
    async def _watch(self) -> None:
        up = True
        while not self.should_stop:
            await self.sleep(_WATCH_SECONDS)
            self._gauges()
            if self._reader.ready():
                await self._table.write_notes()
            lease = self._app.consumer.lease
            if up == lease.silent():
                up = not up
                BROKER_UP.set(int(up))
                log(Log.BROKER_UP if up else Log.BROKER_DOWN, lane="tables")

    def _gauges(self) -> None:
        owned = self._reader.owned()
        TABLES_READY.set(int(self._reader.ready()))
        TABLE_HOLES.set(sum(len(self._table.origins.holes(partition) or ()) for partition in owned))
        TABLE_ROWS.set(sum(self._table.store.estimated_rows(partition) for partition in owned))
        ROLLUP_LAG.clear()
        for partition in owned:
            at = self._reader.position(partition)
            ROLLUP_LAG.labels(str(partition)).set(max(at.end - at.offset - 1, 0))

    @Service.task
    async def _sweep(self) -> None:
        pause = _WATCH_SECONDS
        while not self.should_stop:
            await self.sleep(pause)
            if not self._reader.ready():
                pause = _WATCH_SECONDS
            else:
                await self._check_ids()
                pause = _MORE_SECONDS if await self._table.sweep() else _SWEEP_SECONDS

    async def _check_ids(self) -> None:
        if time.monotonic() < self._next_check:
            return
        self._next_check = time.monotonic() + _SWEEP_SECONDS
        try:
            await self._table.check.verify_unchanged()
        except MismatchError as exc:
            self._app.producer.fail(exc)
            raise


def minute_clock(offset_seconds: int) -> Callable[[], int]:
    """A clock of epoch minutes, shifted by an offset. It never goes back, so that an expired row stays expired."""
    latest = 0

    def minute() -> int:
        nonlocal latest
        latest = max(latest, int(time.time() + offset_seconds) // 60)
        return latest

    return minute
