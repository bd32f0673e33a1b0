"""Reads partitions of a compacted topic from the beginning to the end, a little at a time, beside a lane's other work.

A partition of a changelog belongs to the partition of the same number of a topic that a consumer group reads. It is
read in two steps:

1. Wait until the group's offset of that partition is stable. A former owner may hang between giving its offset to its
   transaction, which the group has accepted, and sending the records of the transaction: they are not in the
   changelog yet, and count once it goes on. What it begins later is refused by the group.
2. Ask for the end, open transactions included, and read up to there: an offset may be stable sooner than the records of
   the same transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # re-exported without saying so

from logrouter.kafka.client import make_client, plain_settings, retire_client
from logrouter.kafka.errors import OF_NO_GROUP, offset_error
from logrouter.kafka.group_offsets import COORDINATOR_ERRORS, GroupOffsets
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from concurrent.futures import Future

    from logrouter.kafka.records import Message

_MAX_RECORDS: Final = 5_000
_ASK_SECONDS: Final = 5.0


class _Progress:
    """How far one partition is read, how far it is to be read, and the question for that while it is open."""

    def __init__(self, *, settled: bool) -> None:
        self.read_to = -1
        self.settled = settled
        """Whether the group's offset has been stable since the partition was added."""
        self.end: int | None = None
        self.asked: _EndQuestion | None = None


class _EndQuestion(NamedTuple):
    """Where a partition ends. Without its *client* no answer would ever come."""

    answer: Future[Any]
    client: AdminClient


class _StableQuestion(NamedTuple):
    """Which offsets are stable, of the partitions that it is *about*; *client* as above."""

    answer: GroupOffsets
    client: AdminClient
    about: Mapping[int, _Progress]


class ChangelogReader:
    """Reads partitions of one topic outside any group. Clients are made by `add` and closed once all is read."""

    def __init__(
        self, kafka: Mapping[str, Any], topic: str, *, group: str | None = None, group_topic: str = ""
    ) -> None:
        """*topic* is the changelog of what *group* makes of *group_topic*; *kafka* the `kafka:` block of topics.yaml.

        Without *group* no offset is waited for. Nothing connects before `add`.
        """
        self.on_anew: Callable[[int], None] = lambda _partition: None
        """Called with a partition that is read from the beginning again: what was read of it does not count."""
        self._kafka = plain_settings(kafka)
        self._topic = topic
        self._group = group
        self._group_topic = group_topic
        self._question: _StableQuestion | None = None
        self._partitions: dict[int, _Progress] = {}
        self._consumer: Consumer | None = None
        self._admin: AdminClient | None = None

    def __bool__(self) -> bool:
        """Whether a partition is not read to its end yet."""
        return bool(self._partitions)

    def add(self, partition: int) -> None:
        """The group has given us this partition: read it from the beginning, anew if it is being read."""
        self.discard(partition)
        if self._consumer is None:
            own = {
                "group.id": "logrouter-restore",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                # The end of a partition shows when a fetch comes back empty: a lane waits for that.
                "fetch.wait.max.ms": 10,
            }
            self._consumer = make_client(Consumer, self._kafka | own)
        self._partitions[partition] = _Progress(settled=self._group is None)
        self._consumer.incremental_assign([TopicPartition(self._topic, partition, OFFSET_BEGINNING)])

    def discard(self, partition: int) -> None:
        """Read this partition no further."""
        if self._partitions.pop(partition, None) is not None and self._consumer is not None:
            self._consumer.incremental_unassign([TopicPartition(self._topic, partition)])

    def read(self, seconds: float) -> Iterator[Message]:
        """Committed records of the partitions, in order; waits for *seconds* at most. Errors are logged."""
        self._settle()
        for partition, progress in self._partitions.items():
            if progress.settled and progress.end is None:
                progress.end = self._end_of(partition, progress)
        if self._consumer is None:
            return
        got = cast("list[Message]", self._consumer.consume(_MAX_RECORDS, seconds))
        anew = self._begin_anew(got)
        for message in got:
            at = self._partitions.get(message.partition())
            if at is None or message.partition() in anew:
                continue
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own codes begin so
                at.read_to = message.offset()
            elif error.code() not in OF_NO_GROUP:
                log(Log.SOURCE_ERROR, topic=self._topic, error=error.name(), detail=error.str())

    def _begin_anew(self, got: list[Message]) -> set[int]:
        """Partitions of which the offset to go on from is gone: truncated, or the topic was made anew."""
        lost = [m for m in got if m.error() is not None and offset_error(m) is not None]
        for message in lost:
            partition = message.partition()
            if partition in self._partitions:
                error = message.error()
                log(Log.SOURCE_ERROR, topic=self._topic, error=error.name(), detail=error.str())
                self.add(partition)
                self.on_anew(partition)
        return {m.partition() for m in lost}

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
        if self._question is not None:
            retire_client(self._question.client)
        self._consumer = self._admin = self._question = None
        self._partitions.clear()

    def _settle(self) -> None:
        """Find out, without waiting, which of the group's offsets are stable."""
        unsettled = {p: each for p, each in self._partitions.items() if not each.settled}
        if self._question is None:
            if unsettled and self._group is not None:
                asked = [(self._group_topic, partition) for partition in unsettled]
                client = self._connect()
                answer = GroupOffsets(client, self._group, asked, _ASK_SECONDS)
                self._question = _StableQuestion(answer, client, unsettled)
            return
        if not self._question.answer.is_done():
            if self._question.answer.is_overdue:
                self._replace_client(self._question.client)
                self._question = None
            return
        answer, client, about = self._question
        self._question = None
        try:
            found = answer.result().values()
        except KafkaException as exc:
            self._review_client(client, exc)
            return  # asked again
        for each in found:
            # One that was added again meanwhile is another one: what was stable before says nothing about it.
            if each.error is None and unsettled.get(each.partition) is about.get(each.partition):
                about[each.partition].settled = True

    def _connect(self) -> AdminClient:
        if self._admin is None:
            self._admin = make_client(AdminClient, self._kafka)
        return self._admin

    def _end_of(self, partition: int, progress: _Progress) -> int | None:
        """The end of the partition, None while there is no answer."""
        if progress.asked is None:
            at = TopicPartition(self._topic, partition)
            client = self._connect()
            asked = client.list_offsets(
                {at: OffsetSpec.latest()},  # type: ignore[no-untyped-call]
                isolation_level=IsolationLevel.READ_UNCOMMITTED,
                request_timeout=_ASK_SECONDS,
            )
            progress.asked = _EndQuestion(asked[at], client)
        if not progress.asked.answer.done():
            return None
        (answer, client), progress.asked = progress.asked, None
        try:
            return int(answer.result().offset)
        except KafkaException as exc:
            self._review_client(client, exc)
            return None  # asked again

    def _replace_client(self, client: AdminClient) -> None:
        retire_client(client)
        if self._admin is client:
            self._admin = None

    def _review_client(self, client: AdminClient, exc: KafkaException) -> None:
        """After an outage a client may have no connection left and make none: a new one asks the next question."""
        code = exc.args[0].code()
        timed_out = code == KafkaError._TIMED_OUT  # noqa: SLF001 - librdkafka's own codes begin so
        if (timed_out or code in COORDINATOR_ERRORS) and self._admin is client:
            self._replace_client(client)
