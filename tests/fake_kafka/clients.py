"""A consumer and a producer on a `FakeCluster`, with the interfaces of `GroupConsumer` and `TransactionalProducer`.

`tests/integration/test_fakes.py` compares them with the real ones.
"""

from __future__ import annotations

from enum import Enum, auto
from types import SimpleNamespace
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError

from logrouter.kafka.consumer import CommittedOffset
from logrouter.kafka.errors import FatalError, StoppedError, TransactionAbortedError, UnknownOutcomeError
from logrouter.kafka.offset_lookup import Found
from logrouter.kafka.offset_reset import LogRange
from tests.fake_kafka.cluster import OPEN, FakeCluster, FakeTransaction, refusal
from tests.fake_kafka.messages import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from logrouter.kafka.consumer import RebalanceListener
    from logrouter.kafka.records import Partition


class FakeConsumer:
    """A member of the group. As with librdkafka, partitions come and go inside `consume` and `close` alone."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.member: str | None = None
        self.generation = 0
        self.assigned: dict[Partition, int | None] = {}
        """Where it reads on; None until the committed offset is known, which must be stable."""
        self.paused: set[Partition] = set()
        self.refused_seeks = 0
        """How many calls of `seek` are refused from now on, as those of a partition without a fetcher are."""
        self.is_unknown = False
        """Whether it knows already that it is no member, before it hears so in `consume`."""
        self.topics: list[str] = []
        self._leaving: Collection[Partition] = ()
        self.closed = False
        self.on_consume: Callable[[int], list[Message]] = self._consume
        """What `consume` does; by default what a group does by itself."""

    # What the group does with it

    def assign(self, partitions: Collection[Partition]) -> None:
        """The group gives it these."""
        if self.member is None:
            self.member = self.cluster.join()
        self.cluster.generation += 1
        self.generation = self.cluster.generation
        self.cluster.owners |= dict.fromkeys(partitions, self.member)
        start = self.listener.on_assigned([*partitions])
        self.assigned |= {at: start.offsets.get(at) for at in partitions}
        self.paused |= set(start.paused)

    def revoke(self, partitions: Collection[Partition]) -> None:
        """The group takes these away. It has its new generation before the member hears of that."""
        self.cluster.generation += 1
        self.generation = self.cluster.generation
        self._give_back(partitions)

    def _give_back(self, partitions: Collection[Partition]) -> None:
        self._leaving = partitions
        try:
            self.listener.on_revoked([*partitions])
        finally:
            self._leaving = ()
            for at in partitions:
                self.assigned.pop(at)
                self.paused.discard(at)
                self.cluster.owners.pop(at, None)

    def lose(self) -> None:
        """It hears that it was expelled."""
        assert self.member not in self.cluster.members
        gone, self.assigned, self.paused, self.member = [*self.assigned], {}, set(), None
        self.is_unknown = False
        if gone:
            self.listener.on_lost(gone)

    def deliver(self, most: int) -> list[Message]:
        """The next records, partition by partition; none while the cluster is away."""
        found: list[Message] = []
        for at in [] if self.cluster.is_away else self.assigned:
            if at in self.paused:
                continue
            if self.assigned[at] is None and not self.cluster.is_unstable(at):
                self.assigned[at] = self.cluster.committed_offset(at)
            position = self.assigned[at]
            if position is None:
                continue
            for offset, record in self.cluster.read(at, position, most - len(found)):
                found.append(Message(record.value, offset, at[1], at[0], key=record.key, headers=record.headers))
                self.assigned[at] = offset + 1
        return found

    def _consume(self, most: int) -> list[Message]:
        """One round of a group in which each member gives back what another is to have, and takes what is free."""
        self.cluster.sleep(0.1)
        if self.member not in self.cluster.members:
            if self.member is not None:
                self.lose()
            self.member = self.cluster.join()
        members = sorted(self.cluster.members)
        everything = [at for topic in self.topics for at in self.cluster.partitions(topic)]
        wanted = [at for n, at in enumerate(everything) if members[n % len(members)] == self.member]
        if gone := [at for at in self.assigned if at not in wanted]:
            self.revoke(gone)
        if new := [at for at in wanted if at not in self.assigned and at not in self.cluster.owners]:
            self.assign(new)
        self.generation = self.cluster.generation
        return self.deliver(most)

    # GroupConsumer

    def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        self.topics, self.listener = [*topics], listener

    def consume(self, max_records: int, _seconds: float) -> list[Message]:
        assert not self.closed
        return self.on_consume(max_records)

    def serve_callbacks(self) -> None:
        pass

    def restart(self, starts: Mapping[Partition, tuple[int, int | None]]) -> None:
        for at, (offset, _epoch) in starts.items():
            assert at in self.assigned
            self.assigned[at] = max(offset, 0)
            self.paused.add(at)

    def pause(self, partitions: Iterable[Partition]) -> None:
        gone = set(partitions) - self.assigned.keys()
        assert not gone, f"{gone} are not assigned"
        self.paused |= set(partitions)

    def resume(self, partitions: Iterable[Partition]) -> None:
        self.paused -= set(partitions)

    def seek(self, at: Partition, offset: int) -> None:
        assert at not in self._leaving, "whoever has it next may have gone on already"
        if at not in self.assigned or self.refused_seeks:
            self.refused_seeks = max(self.refused_seeks - 1, 0)
            raise refusal(KafkaError._STATE)
        assert 0 <= offset <= len(self.cluster.logs[at])
        self.assigned[at] = offset

    def fetch_committed(self, partitions: Iterable[Partition], seconds: float) -> list[CommittedOffset]:
        asked = [*partitions]
        if not self._answers(asked):
            self.cluster.sleep(seconds)
        if not self._answers(asked):
            raise refusal(KafkaError._TIMED_OUT)
        known = self.cluster.committed
        return [CommittedOffset(at, *known[at]) for at in asked if at in known]

    def is_deaf(self, partitions: Iterable[Partition], _seconds: float) -> bool:
        return self._answers(partitions)

    def _answers(self, asked: Iterable[Partition]) -> bool:
        """Whether the group says what it has committed."""
        return not self.cluster.is_away and not any(self.cluster.is_unstable(at) for at in asked)

    def group_metadata(self) -> object | None:
        return (self.member, self.generation) if self.member and not self.is_unknown else None

    def known_end(self, at: Partition) -> int | None:
        return len(self.cluster.logs[at])

    def cluster_metadata(self, _seconds: float = 0.0) -> object:
        topics: dict[str, SimpleNamespace] = {}
        for topic, partition in sorted(self.cluster.logs):
            topics.setdefault(topic, SimpleNamespace(error=None, partitions={})).partitions[partition] = None
        return SimpleNamespace(cluster_id="fake", topics=topics)

    def find_missing(self, _topics: object, _seconds: float) -> set[str] | None:
        return set()

    def close(self) -> None:
        assert not self.closed
        self.closed = True
        try:
            if self.member in self.cluster.members and self.assigned:
                self._give_back([*self.assigned])
        finally:
            if self.member is not None:
                self.cluster.expel(self.member)


class FakeLookup:
    """Stands in for `OffsetLookup`: an answer about each partition whose committed offset is stable."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self._waiting: dict[Partition, bool] = {}
        self.lows: dict[Partition, int] = {}
        """Where partitions begin of which records were deleted."""
        self.ids: dict[str, str] = {}
        """Ids of topics, "" for the others."""

    def ask(self, partitions: Collection[Partition], *, with_range: bool = False) -> None:
        self._waiting |= dict.fromkeys(partitions, with_range)

    def discard(self, at: Partition) -> None:
        self._waiting.pop(at, None)

    def take(self) -> dict[Partition, Found]:
        answers: dict[Partition, Found] = {}
        if self._cluster.is_away:
            return answers
        for at in [at for at in self._waiting if not self._cluster.is_unstable(at)]:
            offset, text = self._cluster.committed.get(at, (None, ""))
            log = LogRange(self.lows.get(at, 0), len(self._cluster.logs[at])) if self._waiting.pop(at) else None
            answers[at] = Found(offset, text, None, self.ids.get(at[0], ""), log)
        return answers

    def close(self) -> None:
        self._waiting.clear()


class End(Enum):
    """How a transaction ends for the client."""

    COMMITTED = auto()
    REFUSED = auto()
    """Kafka says no: aborted."""
    PRODUCE_REFUSED = auto()
    """The same while records are produced."""
    LOST_ANSWER = auto()
    """It is committed, but the client hears that it is not."""
    STOPPED = auto()
    """The cluster is away and the client has given up; what has arrived goes its way."""
    FATAL = auto()


class FakeProducer:
    """A producer of one transaction at a time."""

    def __init__(self, cluster: FakeCluster, name: str) -> None:
        self.cluster, self._name = cluster, name
        self._epoch = 0
        self._transaction: FakeTransaction | None = None
        self._pending: tuple[dict, object] | None = None
        self._committing = False
        self._closed = False
        self.ends: list[End] = []
        """How the next transactions end; all others are committed."""
        self.produces = 1
        """How many records are produced before `PRODUCE_REFUSED`."""
        self._end = End.COMMITTED

    def initialise(self) -> None:
        self.cluster.await_return()
        self._epoch = self.cluster.register(self._name)

    def renew(self) -> None:
        self.initialise()

    def begin(self) -> None:
        assert self._transaction is None, "the former transaction has not ended"
        self._end = self.ends.pop(0) if self.ends else End.COMMITTED
        self._left = self.produces
        fenced = self._epoch != self.cluster.epochs[self._name]
        # One that is fenced hears of it when it commits.
        self._transaction = FakeTransaction(self._name, 0.0) if fenced else self.cluster.begin(self._name)

    def produce(self, topic, value, key, headers, partition=-1) -> None:
        assert self._transaction is not None
        assert not self._committing
        if self._end is End.PRODUCE_REFUSED:
            if not self._left:
                self.abort()
                raise TransactionAbortedError("refused while producing")
            self._left -= 1
        if self._epoch != self.cluster.epochs[self._name]:
            return
        if self._transaction.state != OPEN:  # its time is over
            self._transaction = None
            raise TransactionAbortedError("the cluster has ended it")
        at = self.cluster.place(topic, key) if partition < 0 else (topic, partition)
        self.cluster.append(at, value, key, headers, transaction=self._transaction)

    def commit_later(self, offsets: list | None = None, group_metadata: object = None) -> None:
        assert self._transaction is not None
        self._pending = {(p.topic, p.partition): (p.offset, p.metadata) for p in offsets or ()}, group_metadata
        self._committing = True

    def poll(self) -> None:
        pass

    @property
    def is_committing(self) -> bool:
        return self._committing

    def advance(self) -> None:
        """One more request of the running commit arrives: offsets first, then the end."""
        transaction = self._transaction
        if not self._committing or transaction is None or transaction.state != OPEN or self.cluster.is_away:
            return
        if self._pending is not None:
            if self._end in {End.REFUSED, End.PRODUCE_REFUSED} or self._epoch != self.cluster.epochs[self._name]:
                return
            if self.cluster.accept_offsets(transaction, *self._pending):
                self._pending = None
        else:
            self.cluster.commit(transaction)

    def await_commit(self) -> None:
        if not self._committing:
            return
        end, transaction = self._end, self._transaction
        if self._closed and self._pending is not None:
            end = End.STOPPED
        if end in {End.STOPPED, End.FATAL}:
            self._committing = False
            self._transaction = None
            raise StoppedError if end is End.STOPPED else FatalError("the client is broken", fenced=False)
        self.cluster.await_return()
        self.advance()
        self.advance()
        self._committing, self._transaction = False, None
        self._check_epoch()
        if transaction.state == OPEN:
            self.cluster.abort(transaction)
        if transaction.state == "aborted":
            self.renew()
            raise TransactionAbortedError("refused")
        if end is End.LOST_ANSWER:
            raise UnknownOutcomeError("the answer was lost")

    def abort(self) -> None:
        transaction, self._transaction, self._committing = self._transaction, None, False
        if transaction.state == OPEN:
            self.cluster.abort(transaction)
        self._check_epoch()
        self.renew()

    def close(self) -> None:
        self._closed = True

    def _check_epoch(self) -> None:
        if self._epoch != self.cluster.epochs.get(self._name, 0):
            raise FatalError("another one has this name", fenced=True)
