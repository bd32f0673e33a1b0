"""Asks the cluster whether the topics are still those that the rows were made from."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import KafkaError

from logrouter.kafka.topic_ids import TopicIds
from logrouter.tables.mismatch import MismatchError, made_anew
from logrouter.tables.topic_metadata import wait_until_known
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.tables.notes import Origin
    from logrouter.tables.origins import Origins
    from logrouter.tables.security import Security
    from logrouter.tables.store import Store

_ID_SECONDS: Final = 5.0
_READ_SECONDS: Final = 10.0


class TopicCheck:
    """Compares the rollup topic and the changelog with what the databases know of them.

    *kafka* are settings as librdkafka takes them. The rollup topic is that of *origins*, which learn its id.
    """

    def __init__(self, security: Security, kafka: Mapping[str, Any], origins: Origins) -> None:
        self.origins = origins
        self._security = security
        self._ids = TopicIds(kafka)

    async def wait_for_changelog(self, changelog: str, partitions: int) -> None:
        """Return when every broker knows the changelog, which may just have been made."""
        await wait_until_known(self._security, changelog, partitions)

    async def verify_changelog(self, store: Store, changelog: str) -> None:
        """Raise `MismatchError` unless the changelog is that which all open databases were made with.

        A database that does not know, of version 0.1.0 or new, remembers its id.
        """
        found = (await self._fetch_ids(changelog)).get(changelog)
        if found is None:
            return
        for partition in sorted(store.databases()):
            if not store.keep_changelog_id(partition, found):
                what = f"is not the topic that the database of partition {partition} was made with: its id is another"
                raise MismatchError(made_anew(changelog, what))

    async def verify_rollup(self, origins: Mapping[int, Origin | None]) -> None:
        """Raise `MismatchError` unless the rollup topic is that which the rows were made from, as far as can be told.

        *origins* are what the rows of each partition say of it.
        """
        topic = self.origins.topic
        self.origins.topic_id = found = (await self._fetch_ids(topic)).get(topic, self.origins.topic_id)
        known = {partition: origin for partition, origin in origins.items() if origin is not None}
        if known:
            refuse_other(topic, found, known, await self._read_last(known))

    async def verify_unchanged(self) -> None:
        """Raise `MismatchError` if the rollup topic was made anew since `verify_rollup`."""
        known = self.origins.topic_id
        ids = await self._fetch_ids(self.origins.topic)
        if known and ids.get(self.origins.topic, known) != known:
            raise MismatchError(made_anew(self.origins.topic, "has another id than when this worker began to read it"))

    async def _fetch_ids(self, *topics: str) -> dict[str, str]:
        """The ids of topics, without those that the cluster does not tell: Kafka before 2.8, or no answer in time."""
        return await asyncio.to_thread(self._ids.fetch, topics, _ID_SECONDS)

    async def _read_last(self, origins: Mapping[int, Origin]) -> dict[int, Any]:
        """By partition what is now where its origin's record was; without those where nothing is or can be read."""
        topic = self.origins.topic
        try:
            return await _read_records(self._security, topic, {p: origin.offset for p, origin in origins.items()})
        except (KafkaError, OSError, TimeoutError) as exc:
            # A cluster that is slow is no reason not to serve, if the ids agree or can't be had.
            log(Log.SOURCE_ERROR, topic=topic, error=f"the last folded records could not be compared: {exc!r}")
            return {}


def refuse_other(topic: str, topic_id: str, origins: Mapping[int, Origin], records: Mapping[int, Any]) -> None:
    """Raise `MismatchError` if *topic*, which has *topic_id* now, is not what the rows of any partition were made from.

    *records* are what is at the offsets of *origins* now, where anything is. A topic with another id is accepted if
    these are the same: a mirror that keeps offsets, such as that of a cluster that takes over, is as good.
    """
    others = [p for p, origin in origins.items() if topic_id and origin.topic_id and origin.topic_id != topic_id]
    changed = [p for p, record in records.items() if not is_the_one(origins[p], record)]
    if others and (changed or not records):
        what = f"is not the topic that the rows of partition {others[0]} were made from: its id is another"
        raise MismatchError(made_anew(topic, what))
    if changed:
        at = f"offset {origins[changed[0]].offset} of partition {changed[0]}"
        raise MismatchError(made_anew(topic, f"holds another record at {at} than was folded"))


def is_the_one(origin: Origin, record: Any) -> bool:
    """Whether *record* is the last one that was folded, by all that is known of that."""
    found = (record.offset, record.timestamp, len(record.value or b""))
    return found == (origin.offset, origin.time_ms, origin.size)


async def _read_records(security: Security, topic: str, offsets: Mapping[int, int]) -> dict[int, Any]:
    """The first record at or behind the offset of each partition, of those that have this offset."""
    consumer = AIOKafkaConsumer(**security.client_options(), enable_auto_commit=False)
    async with asyncio.timeout(_READ_SECONDS):
        await consumer.start()
        try:
            every = [KafkaPartition(topic, partition) for partition in offsets]
            begin, end = await consumer.beginning_offsets(every), await consumer.end_offsets(every)
            left = {tp for tp in every if begin[tp] <= offsets[tp.partition] < end[tp]}
            consumer.assign(list(left))
            for tp in left:
                consumer.seek(tp, offsets[tp.partition])
            found = {}
            while left:
                for tp, records in (await consumer.getmany(*left, timeout_ms=1_000)).items():
                    found[tp.partition] = records[0]
                    left.discard(tp)
            return found
        finally:
            await consumer.stop()
