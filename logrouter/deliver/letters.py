"""Dead letters of a sink: events that its target will never take, and events that were gone before they were read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.core import ids
from logrouter.core.redact.disclosure import STRICT
from logrouter.model import RawRecord, Reason, Rejected, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.core.dead_letter import DeadLetter, DeadLetterSettings
    from logrouter.deliver.starts import Loss
    from logrouter.kafka.records import Partition
    from logrouter.sinks.contract import Refused


_MAX_DETAIL: Final = 1000
_STATUSES: Final = range(100, 1000)


class LetterWriter:
    """Writes the letters of one sink in one process."""

    def __init__(self, sink: str, settings: DeadLetterSettings, *, emitter: str, cluster: str) -> None:
        """*emitter* is what letters say they come from; *cluster* is its name in their ids."""
        self._sink = sink
        self._settings = settings
        self._emitter = emitter
        # A name of its own: the event's id, or that of another sink's letter about it, must be another.
        self._namespace = f"{cluster}/sink/{sink}"

    def refuse(self, event: RawRecord, refused: Refused, now_ms: int) -> DeadLetter:
        """The letter about an event that was refused."""
        # Hidden before it is cut: half of a secret is not known as one.
        detail = STRICT.text(refused.detail)[:_MAX_DETAIL]
        found = {"status": refused.status} if refused.status in _STATUSES else {}
        return self._write(event, Rejected(Stage.DELIVER, Reason.REFUSED, detail, route=self._sink), now_ms, sink=found)

    def lose(self, at: Partition, loss: Loss, now_ms: int) -> DeadLetter:
        """The letter about events that were never read."""
        topic, partition = at
        lost = loss.lost
        rest = f"up to {lost.end - 1}" if lost.end is not None else "and further on"
        detail = f"offset {lost.first} {rest}: {loss.reason}; reading goes on at offset {loss.start}"
        record = RawRecord(topic, partition, lost.first, now_ms, None)
        found = {"first": lost.first} | ({"end": lost.end} if lost.end is not None else {})
        return self._write(record, Rejected(Stage.READ, Reason.RECORDS_LOST, detail, route=self._sink), now_ms, found)

    def _write(
        self,
        event: RawRecord,
        rejected: Rejected,
        now_ms: int,
        lost: dict[str, int] | None = None,
        sink: Mapping[str, int] | None = None,
    ) -> DeadLetter:
        make_id = ids.for_partition(self._namespace, event.topic, event.partition, "")
        identity = make_id(event.offset, ids.MAX_INDEX if lost else 0)
        return self._settings.make_letter(
            event, rejected, identity, self._emitter, now_ms, STRICT, lost, {"name": self._sink, **(sink or {})}
        )
