"""Reads partitions of a compacted topic from the beginning to the end, a little at a time, beside a lane's other work.

A partition is read to its end as it was when it was added, open transactions included: what a former owner has left
open is waited for until it is committed or aborted. Should that owner go on writing, it does so in transactions that
the group refuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # re-exported without saying so

from logrouter.kafka.client import make_client, plain_settings
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from concurrent.futures import Future

    from logrouter.kafka.records import Message

_MAX_RECORDS: Final = 5_000
_ASK_SECONDS: Final = 5.0


class _Progress:
    """How far one partition is read, how far it is to be read, and the question for that while it is open."""

    def __init__(self) -> None:
        self.read_to = -1
        self.end: int | None = None
        self.asked: Future[Any] | None = None


class ChangelogReader:
    """Reads partitions of one topic outside any group. Clients are made by `add` and closed once all is read."""

    def __init__(self, kafka: Mapping[str, Any], topic: str) -> None:
        """*kafka* is the `kafka:` block of topics.yaml. Nothing connects before `add`."""
        self._kafka = plain_settings(kafka)
        self._topic = topic
        self._partitions: dict[int, _Progress] = {}
        self._consumer: Consumer | None = None
        self._admin: AdminClient | None = None

    def __bool__(self) -> bool:
        """Whether a partition is not read to its end yet."""
        return bool(self._partitions)

    def add(self, partition: int) -> None:
        """Read this partition from the beginning, anew if it is being read."""
        self.discard(partition)
        if self._consumer is None:
            own = {
                "group.id": "logrouter-restore",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                # The end of a partition shows when a fetch comes back empty: a lane waits for that.
                "fetch.wait.max.ms": 10,
            }
            self._consumer = make_client(Consumer, self._kafka | own)
        self._partitions[partition] = _Progress()
        self._consumer.incremental_assign([TopicPartition(self._topic, partition, OFFSET_BEGINNING)])

    def discard(self, partition: int) -> None:
        """Read this partition no further."""
        if self._partitions.pop(partition, None) is not None and self._consumer is not None:
            self._consumer.incremental_unassign([TopicPartition(self._topic, partition)])

    def read(self, seconds: float) -> Iterator[Message]:
        """Committed records of the partitions, in order; waits for *seconds* at most. Errors are logged."""
        for partition, progress in self._partitions.items():
            if progress.end is None:
                progress.end = self._end_of(partition, progress)
        if self._consumer is None:
            return
        for message in cast("list[Message]", self._consumer.consume(_MAX_RECORDS, seconds)):
            at = self._partitions.get(message.partition())
            if at is None:
                continue
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own codes begin so
                at.read_to = message.offset()
            else:
                log(Log.SOURCE_ERROR, topic=self._topic, error=error.name(), detail=error.str())

    def take_finished(self) -> list[int]:
        """The partitions that are read to their end now: they are not read any further."""
        done = [p for p, each in self._partitions.items() if each.end is not None and each.read_to >= each.end]
        for partition in done:
            self.discard(partition)
        if not self._partitions:
            self.close()
        return done

    def close(self) -> None:
        """Close the clients; `add` makes new ones."""
        if self._consumer is not None:
            self._consumer.close()
        self._consumer = self._admin = None
        self._partitions.clear()

    def _end_of(self, partition: int, progress: _Progress) -> int | None:
        """The end of the partition, None while there is no answer."""
        if progress.asked is None:
            if self._admin is None:
                self._admin = make_client(AdminClient, self._kafka)
            at = TopicPartition(self._topic, partition)
            asked = self._admin.list_offsets(
                {at: OffsetSpec.latest()},  # type: ignore[no-untyped-call]
                isolation_level=IsolationLevel.READ_UNCOMMITTED,
                request_timeout=_ASK_SECONDS,
            )
            progress.asked = asked[at]
        if not progress.asked.done():
            return None
        answer, progress.asked = progress.asked, None
        try:
            return int(answer.result().offset)
        except KafkaException:
            return None  # asked again
