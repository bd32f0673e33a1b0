"""Faust's table recovery, corrected: no position is set during a fetch, and nothing fails silently.

The second module with private hooks into Faust, pinned by the same contract test as `transport`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faust.tables import TableManager as FaustTableManager
from faust.tables import recovery

from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections import Counter

    from faust.types import TP


class RecoveryStalledError(Exception):
    """The cluster did not answer in time during recovery."""


class Recovery(recovery.Recovery):
    """Faust's recovery without its races.

    Faust re-enables the source partitions during a fetch, seeks, and then clears every queue: records delivered in
    between are lost, of sources and of standbys. Here the flow is stopped and the fetcher is idle before positions are
    set.
    """

    app: Any
    completing = -1
    """The consumer generation for which recovery is being completed."""

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Start from the offsets in the store: a late event of a partition that was revoked may have left its own."""
        self.active_offsets.clear()
        self.standby_offsets.clear()
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    async def _wait(self, coro: Any, timeout: Any = None) -> None:  # noqa: ASYNC109 - Faust's signature
        try:
            await super()._wait(coro, timeout=timeout)
        except recovery.ServiceStopped as exc:
            if self.should_stop or self.crashed:
                raise
            # Faust takes a time-out for a stop and would never recover again.
            msg = f"no answer within {timeout} s"
            raise RecoveryStalledError(msg) from exc

    async def _seek_offsets(self, consumer: Any, tps: set[TP], offsets: Counter[TP], title: str) -> None:
        if not consumer.flow_active:
            await consumer.wait_parked()
        self._check_generation(self._generation_id)
        if tps:
            log(Log.TABLES_RECOVERING, partitions=sorted(tp.partition for tp in tps), role=title)
        await super()._seek_offsets(consumer, tps, offsets, title)

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Start the agent exactly at the committed offsets, with every changelog record applied."""
        consumer, flow = self.app.consumer, self.app.flow_control
        self._check_generation(generation_id)
        consumer.stop_flow()
        flow.suspend()
        await consumer.wait_parked()
        self._check_generation(generation_id)
        flow.clear()
        self.flush_buffers()
        if self.standby_tps:
            await self._seek_offsets(consumer, self.standby_tps, self.standby_offsets, "standby")
        self._check_generation(generation_id)
        self.completing = generation_id
        await super().on_recovery_completed(generation_id)

    def _check_generation(self, generation_id: int) -> None:
        """Raise `RebalanceAgain` after another rebalance: partitions and offsets are those of the new one then."""
        if self.signal_recovery_start.is_set() or self.app.consumer_generation_id != generation_id:
            raise recovery.RebalanceAgain


class TableManager(FaustTableManager):
    """Faust's table manager with our recovery."""

    @property
    def recovery(self) -> recovery.Recovery:
        """The recovery service."""
        if self._recovery is None:
            self._recovery = Recovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
