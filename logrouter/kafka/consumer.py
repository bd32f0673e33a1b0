"""The consumer of a lane's group: librdkafka's, but with our own `Partition` and the errors of `kafka.errors`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, cast
from zlib import crc32

from confluent_kafka import Consumer, KafkaException, TopicPartition

from logrouter.kafka.client import consumer_settings, make_client
from logrouter.kafka.errors import ClientError, fatal_error, is_fatal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from confluent_kafka import KafkaError

    from logrouter.kafka.records import Message, Partition

_ASK_SECONDS: Final = 5.0


class CommittedOffset(NamedTuple):
    """What the group has committed for a partition: the offset to go on from, and the text kept beside it."""

    at: Partition
    offset: int
    metadata: str | None


class AssignmentStart(NamedTuple):
    """How to begin with partitions that were just assigned.

    *offsets* are where to begin, instead of at the committed offset. *paused* deliver nothing before `resume`.
    """

    offsets: Mapping[Partition, int]
    paused: Collection[Partition]


class RebalanceListener(Protocol):
    """What is called when partitions come and go: inside `GroupConsumer.consume` and `GroupConsumer.close` only."""

    def on_assigned(self, partitions: Sequence[Partition]) -> AssignmentStart:
        """The group has given us these, in addition to those we have."""
        ...

    def on_revoked(self, partitions: Sequence[Partition]) -> None:
        """The group takes these away as soon as this returns: the last chance to commit offsets of them."""
        ...

    def on_lost(self, partitions: Sequence[Partition]) -> None:
        """Other members own these already."""
        ...


def member_name(instance: str, topics: Iterable[str]) -> str:
    """The name of a static member of a consumer group: that of the process, and what it reads.

    A member that is back within its session gets the partitions that it had, whatever it asks for now (KIP-345): with
    another file it would read the topics of the former one, and nobody its own. So it is another member then, and
    what the former one had is free when its session is over.
    """
    return f"{instance}.{crc32('/'.join(sorted(topics)).encode()):08x}"


class GroupConsumer:
    """One member of a consumer group with cooperative rebalancing. Whoever makes it closes it.

    Nothing is committed by itself: offsets go into the transactions of `TransactionalProducer`.
    """

    def __init__(
        self,
        kafka: Mapping[str, Any],
        *,
        group: str,
        instance: str | None,
        session_timeout_ms: int,
        on_error: Callable[[KafkaError], None],
    ) -> None:
        """*kafka* is the `kafka:` block of topics.yaml; *instance* is given for static membership only.

        Raises:
            ClientError: librdkafka refuses a setting.
        """
        settings = consumer_settings(kafka, group=group, instance=instance, session_timeout_ms=session_timeout_ms)
        self._consumer = make_client(Consumer, settings, error_cb=on_error)
        self._settings = {name: value for name, value in settings.items() if name != "group.instance.id"}
        self._paused: set[Partition] = set()
        """librdkafka keeps a pause although the partition has left: it would never deliver when it is back."""

    def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        """Ask the group for partitions of *topics*: names, or regular expressions that begin with ^.

        Raises:
            ClientError: librdkafka refuses an expression; the former subscription stays.
            FatalError: librdkafka cannot go on.
        """

        def assign(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            ours = partitions_in(partitions)
            start = listener.on_assigned(ours)
            still_paused = self._paused.intersection(ours).difference(start.paused)
            if not start.offsets and not start.paused and not still_paused:
                return  # librdkafka assigns them, each at its committed offset
            for each in partitions:
                each.offset = start.offsets.get((each.topic, each.partition), each.offset)
            consumer.incremental_assign(partitions)
            if start.paused:
                self._paused.update(start.paused)
                consumer.pause([TopicPartition(*at) for at in start.paused])
            if still_paused:
                self.resume(still_paused)

        try:
            self._consumer.subscribe(
                list(topics),
                on_assign=assign,
                on_revoke=lambda _consumer, partitions: listener.on_revoked(partitions_in(partitions)),
                on_lost=lambda _consumer, partitions: listener.on_lost(partitions_in(partitions)),
            )
        except KafkaException as exc:
            error = exc.args[0]
            raise (fatal_error(error) if is_fatal(error) else ClientError(error.str())) from None

    def consume(self, max_records: int, seconds: float) -> list[Message]:
        """The next records and errors of partitions, after *seconds* at the latest.

        Raises:
            FatalError: fenced, or librdkafka cannot go on.
        """
        try:
            return cast("list[Message]", self._consumer.consume(max_records, seconds))
        except KafkaException as exc:
            raise fatal_error(exc.args[0]) from None

    def serve_callbacks(self) -> None:
        """Call what librdkafka has to say, before anything is subscribed.

        Raises:
            FatalError: librdkafka cannot go on.
        """
        try:
            self._consumer.poll(0)
        except KafkaException as exc:
            raise fatal_error(exc.args[0]) from None

    def restart(self, starts: Mapping[Partition, tuple[int, int | None]]) -> None:
        """Read assigned partitions anew from an offset, None or the leader's epoch of the record before with it.

        They are paused then. Unlike `seek`, this works where librdkafka has ended on an offset that can't be read.

        Raises:
            FatalError: librdkafka cannot go on.
        """
        places = [
            TopicPartition(*at, offset, "", -1 if epoch is None else epoch) for at, (offset, epoch) in starts.items()
        ]
        try:
            self._consumer.incremental_unassign(places)
            self._consumer.incremental_assign(places)
            self._paused.update(starts)
            self._consumer.pause(places)
        except KafkaException as exc:
            raise fatal_error(exc.args[0]) from None

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Deliver nothing from assigned partitions before `resume`; what is on its way may still come."""
        self._consumer.pause([TopicPartition(*at) for at in partitions])

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Deliver from partitions that were assigned as paused."""
        resumed = list(partitions)
        self._paused.difference_update(resumed)
        self._consumer.resume([TopicPartition(*at) for at in resumed])

    def seek(self, at: Partition, offset: int) -> None:
        """Go on reading a partition from an offset.

        Raises:
            KafkaException: it has no fetcher yet, right after it was assigned, or is not ours.
        """
        self._consumer.seek(TopicPartition(*at, offset))

    def fetch_committed(self, partitions: Iterable[Partition], seconds: float) -> list[CommittedOffset]:
        """What the group has committed, without the partitions for which it has not.

        Raises:
            KafkaException: no answer, or none yet as a transaction with such offsets is open.
        """
        return _fetch_committed(self._consumer, partitions, seconds)

    def is_deaf(self, partitions: Iterable[Partition], seconds: float) -> bool:
        """Whether a new client hears within *seconds* what `fetch_committed` asks for in vain.

        After an outage a client may have no connection left and make none (librdkafka 2.16).
        """
        other = make_client(Consumer, self._settings)  # asks only, and never joins the group
        try:
            _fetch_committed(other, partitions, seconds)
        except KafkaException:
            return False
        finally:
            other.close()
        return True

    def group_metadata(self) -> object | None:
        """Who we are in the group, for `TransactionalProducer.commit_later`; None while not a member."""
        metadata: object = self._consumer.consumer_group_metadata()
        return metadata if self._consumer.memberid() else None

    def known_end(self, at: Partition) -> int | None:
        """The end of an assigned partition as last fetched, without asking the cluster; None before the first fetch."""
        _low, high = self._consumer.get_watermark_offsets(TopicPartition(*at), cached=True)
        return high if high >= 0 else None

    def cluster_metadata(self, seconds: float = _ASK_SECONDS) -> Any:
        """The cluster's id and topics, as librdkafka's `ClusterMetadata`.

        Raises:
            KafkaException: no answer within *seconds*.
        """
        return self._consumer.list_topics(timeout=seconds)

    def find_missing(self, topics: Collection[str], seconds: float) -> set[str] | None:
        """Those of *topics* that the cluster does not have, or hides from us; None without an answer in *seconds*."""
        try:
            found = self.cluster_metadata(seconds).topics
        except KafkaException:
            return None
        return {name for name in topics if name not in found or found[name].error}

    def close(self) -> None:
        """Leave the group, after a last call of the listener for what is given back."""
        self._consumer.close()


def _fetch_committed(consumer: Consumer, partitions: Iterable[Partition], seconds: float) -> list[CommittedOffset]:
    """`GroupConsumer.fetch_committed`, with any client of the group."""
    found = consumer.committed([TopicPartition(*at) for at in partitions], timeout=seconds)
    for each in found:
        if each.error is not None:
            raise KafkaException(each.error)
    return [CommittedOffset((p.topic, p.partition), p.offset, p.metadata) for p in found if p.offset >= 0]


def partitions_in(partitions: Iterable[TopicPartition]) -> list[Partition]:
    """(topic, partition) of each."""
    return [(p.topic, p.partition) for p in partitions]
