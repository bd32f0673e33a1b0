"""Follows a topic from its beginning and for ever, from outside any group: what is committed, in order, as it comes."""

from __future__ import annotations

import time
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
from logrouter.kafka.errors import OF_NO_GROUP, ClientError, is_fatal, offset_error
from logrouter.kafka.topic_ids import TopicIds, answer_of
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from concurrent.futures import Future

    from logrouter.kafka.connection import BrokerState
    from logrouter.kafka.records import Message

_MAX_RECORDS: Final = 5_000
_ASK_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 2.0
"""How often it is looked whether the topic is another one by now, or has more partitions."""


class TailRecord(NamedTuple):
    """A committed record. A *value* of None deletes what stood under the *key*; *headers* are names and values."""

    partition: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


class _PartitionTail:
    """How far one partition is read."""

    def __init__(self) -> None:
        self.read_to = 0
        self.was_whole = False
        """Whether its end has been reached since it was begun."""


class TopicTail:
    """One topic, read whole and then on. Used by one thread, which closes it.

    `read` does not raise for the cluster's sake.
    """

    def __init__(self, kafka: Mapping[str, Any], topic: str, broker: BrokerState) -> None:
        """*kafka* is the `kafka:` block of topics.yaml; *broker* hears of errors and answers. Nothing connects yet.

        Raises:
            ClientError: the block has a setting that is ours alone to make, or that no configuration may name.
        """
        self.topic = topic
        self.beginnings = 0
        """How often it has begun from the beginning: what was read before the last time does not count any more."""
        self.is_missing = False
        """Whether the cluster has no such topic, as last seen. What was read of it before stays."""
        self._kafka = plain_settings(kafka)
        self._broker = broker
        self._ids = TopicIds(kafka)
        self._asked: Future[Any] | None = None
        self._look_at = 0.0
        self._topic_id = ""
        self._consumer: Consumer | None = None
        self._partitions: dict[int, _PartitionTail] = {}
        self._trouble = ""

    @property
    def is_whole(self) -> bool:
        """Whether each partition has been read to its end once since the last beginning."""
        return bool(self._partitions) and all(each.was_whole for each in self._partitions.values())

    @property
    def positions(self) -> dict[int, int]:
        """By partition, the offset behind what is read."""
        return {partition: each.read_to for partition, each in self._partitions.items()}

    def read(self, seconds: float) -> list[TailRecord]:
        """What is there, or comes within *seconds*; look at `beginnings` before it is used. Errors are logged."""
        self._look()
        if self._consumer is None:
            time.sleep(seconds)  # there is nothing to wait for: the topic is not known yet
            return []
        try:
            # `consume` with a time waits to its end unless it gets as many as it asks for.
            first = self._consumer.poll(seconds)
            rest = self._consumer.consume(_MAX_RECORDS, 0) if first is not None else []
        except KafkaException as exc:
            self._note(exc.args[0])
            self._begin(self._partitions)
            return []
        got = cast("list[Message]", [] if first is None else [first, *rest])
        if any(m.error() is not None and (is_fatal(m.error()) or offset_error(m) is not None) for m in got):
            # The offset to go on from is gone: records were truncated, or the topic was made anew.
            for message in got:
                self._note(message.error())
            self._begin(self._partitions)
            return []
        return [record for message in got if (record := self._take(message)) is not None]

    def close(self) -> None:
        """Close the clients."""
        if self._consumer is not None:
            self._consumer.close()
        self._consumer = None

    def _take(self, message: Message) -> TailRecord | None:
        """The record that *message* is, None for the end of a partition and for an error."""
        at = self._partitions.get(message.partition())
        error = message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own codes begin so
                self._note(error)
            elif at is not None:
                at.read_to, at.was_whole = max(at.read_to, message.offset()), True
            return None
        if at is None:
            return None
        at.read_to = message.offset() + 1
        self._trouble = ""
        return TailRecord(message.partition(), message.key(), message.value(), message.headers() or ())

    def _look(self) -> None:
        """Ask, without waiting, which topic has the name now, and for its partitions."""
        if self._asked is None:
            if time.monotonic() >= self._look_at:
                self._look_at = time.monotonic() + _LOOK_SECONDS
                self._asked = self._ids.ask({self.topic}, _ASK_SECONDS)[self.topic]
            return
        if not self._asked.done():
            return
        asked, self._asked = self._asked, None
        answer = answer_of(asked)
        self.is_missing = answer.is_gone
        try:
            partitions = {each.id for each in asked.result().partitions}
        except KafkaException:
            return  # asked again
        self._broker.mark_up()
        is_another = self._topic_id not in ("", answer.topic_id) and answer.topic_id
        self._topic_id = answer.topic_id or self._topic_id
        if self._consumer is None or is_another:
            if is_another:
                log(Log.SOURCE_RECREATED, topic=self.topic, topic_id=answer.topic_id)
            self._begin(partitions)
        elif new := partitions - self._partitions.keys():
            self._partitions |= {partition: _PartitionTail() for partition in new}
            self._consumer.incremental_assign([TopicPartition(self.topic, p, OFFSET_BEGINNING) for p in sorted(new)])

    def _begin(self, partitions: Collection[int]) -> None:
        """Read *partitions* from the beginning, with a new client: the former one may know another topic."""
        self.close()
        own = {
            "group.id": "logrouter-tail",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            # The end of a partition shows when a fetch comes back empty, and others wait for that: between a request
            # at each moment, and half a second of waiting.
            "fetch.wait.max.ms": 50,
        }
        self._consumer = make_client(Consumer, self._kafka | own, error_cb=self._broker.on_error)
        self._partitions = {partition: _PartitionTail() for partition in partitions}
        self._consumer.assign([TopicPartition(self.topic, p, OFFSET_BEGINNING) for p in sorted(partitions)])
        self.beginnings += 1

    def _note(self, error: KafkaError | None) -> None:
        """Log an error, once for each until a record comes."""
        if error is None or error.code() in OF_NO_GROUP or error.name() in ("_PARTITION_EOF", self._trouble):
            return
        self._trouble = error.name()
        log(Log.SOURCE_ERROR, topic=self.topic, error=error.name(), detail=error.str())


class TopicEnds:
    """Asks where partitions end, what transactions have written that are still open included. For any thread."""

    def __init__(self, kafka: Mapping[str, Any], topic: str) -> None:
        """*kafka* is the `kafka:` block of topics.yaml. Nothing connects before `fetch`."""
        self._kafka = plain_settings(kafka)
        self._topic = topic
        self._admin: AdminClient | None = None

    def fetch(self, partitions: Collection[int], seconds: float) -> dict[int, int]:
        """By partition, the offset behind its last record. Waits for *seconds* at most, about.

        Raises:
            ClientError: the cluster does not answer, or not for all of them.
        """
        if not partitions:
            raise ClientError(f"nothing is known of topic {self._topic} yet")
        client = self._admin
        if client is None:
            client = self._admin = make_client(AdminClient, self._kafka)
        asked = client.list_offsets(
            {TopicPartition(self._topic, partition): OffsetSpec.latest() for partition in partitions},  # type: ignore[no-untyped-call]
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=seconds,
        )
        try:
            return {at.partition: int(answer.result(seconds + 1).offset) for at, answer in asked.items()}
        except (KafkaException, TimeoutError) as exc:
            # After an outage a client may have no connection left and make none: a new one asks the next question.
            retire_client(client)
            if self._admin is client:
                self._admin = None
            text = exc.args[0].str() if isinstance(exc, KafkaException) else "no answer in time"
            raise ClientError(f"cannot ask for the end of topic {self._topic}: {text}") from None
