"""Reads the state of pairing partitions back from its changelog, a little at a time, beside the lane's other work.

A changelog partition is read to its end as it was when the partition became ours, open transactions included: what a
former owner has left open is waited for until it is committed or aborted. Should it go on writing, that belongs to
transactions that the group refuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # re-exported without saying so

from logrouter.core.join import pairs
from logrouter.kafka.client import make, plain_settings
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from logrouter.core.join.pairs import PairingEntry
    from logrouter.kafka.records import Message

_AT_ONCE: Final = 5_000
_ASK_SECONDS: Final = 5.0


class _Restoring:
    """One partition on its way: what was read, how far it is to be read, and the question for that while it is open."""

    def __init__(self) -> None:
        self.entries: dict[bytes, PairingEntry] = {}
        self.read_to = -1
        self.end: int | None = None
        self.asked: Future[Any] | None = None


class Restore:
    """Partitions are added when they become ours; `step` gives those that are ready."""

    def __init__(self, kafka: Mapping[str, Any], topic: str) -> None:
        self._kafka = plain_settings(kafka)
        self._topic = topic
        self._parts: dict[int, _Restoring] = {}
        self._consumer: Consumer | None = None
        self._admin: AdminClient | None = None

    def __bool__(self) -> bool:
        """Whether there is something to do."""
        return bool(self._parts)

    def __contains__(self, partition: int) -> bool:
        return partition in self._parts

    def add(self, partition: int) -> None:
        """The partition is ours now; what is there of it is read from the beginning."""
        self.discard(partition)
        if self._consumer is None:
            self._consumer = make(
                Consumer,
                self._kafka
                | {
                    "group.id": "logrouter-restore",
                    "enable.auto.commit": False,
                    "isolation.level": "read_committed",
                    "enable.partition.eof": True,
                },
            )
        self._parts[partition] = _Restoring()
        self._consumer.incremental_assign([TopicPartition(self._topic, partition, OFFSET_BEGINNING)])

    def discard(self, partition: int) -> None:
        """The partition is not ours any more."""
        if self._parts.pop(partition, None) is not None and self._consumer is not None:
            self._consumer.incremental_unassign([TopicPartition(self._topic, partition)])

    def step(self, seconds: float) -> dict[int, dict[bytes, PairingEntry]]:
        """Read for so long at most; the entries of each partition that is complete now."""
        for partition, part in self._parts.items():
            if part.end is None:
                part.end = self._end(partition, part)
        if self._consumer is not None:
            for message in cast("list[Message]", self._consumer.consume(_AT_ONCE, seconds)):
                self._take(message)
        done = {p: part.entries for p, part in self._parts.items() if part.end is not None and part.read_to >= part.end}
        for partition in done:
            self.discard(partition)
        if not self._parts:
            self.close()
        return done

    def close(self) -> None:
        """Let go of its clients; `add` makes new ones."""
        if self._consumer is not None:
            self._consumer.close()
        self._consumer = self._admin = None
        self._parts.clear()

    def _take(self, message: Message) -> None:
        part = self._parts.get(message.partition())
        if part is None:
            return
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own codes begin so
                part.read_to = message.offset()
            else:
                log(Log.SOURCE_ERROR, topic=self._topic, error=error.name(), detail=error.str())
            return
        key, value = message.key(), message.value()
        if key is None or value is None:
            part.entries.pop(key or b"", None)
            return
        entry = pairs.decode(value)
        if entry is None:
            log(Log.PAIRING_INVALID, partition=message.partition(), offset=message.offset())
        else:
            part.entries[key] = entry

    def _end(self, partition: int, part: _Restoring) -> int | None:
        """The end of the partition, None while the answer is not there."""
        if part.asked is None:
            if self._admin is None:
                self._admin = make(AdminClient, self._kafka)
            at = TopicPartition(self._topic, partition)
            asked = self._admin.list_offsets(
                {at: OffsetSpec.latest()},  # type: ignore[no-untyped-call]
                isolation_level=IsolationLevel.READ_UNCOMMITTED,
                request_timeout=_ASK_SECONDS,
            )
            part.asked = asked[at]
        if not part.asked.done():
            return None
        answer, part.asked = part.asked, None
        try:
            return int(answer.result().offset)
        except KafkaException:
            return None  # asked again
