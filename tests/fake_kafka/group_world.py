"""A fake cluster with a lane and another member of its group: what may happen to any lane, and what must hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logrouter.kafka import assignment
from logrouter.kafka.errors import FatalError
from tests.fake_kafka.cluster import FakeCluster

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from types import ModuleType

    import pytest

    from logrouter.kafka.records import Partition
    from tests.fake_kafka.cluster import FakeRecord, FakeTransaction
    from tests.fake_kafka.messages import Message
    from tests.fake_kafka.running_lane import RunningLane

RIVAL = "rival"
"""The other member, which has partitions when a test says so."""
_CALM_TURNS = 12
"""So many turns `drain` goes on at least: what comes to the end of all logs has to stay there."""


class GroupWorld:
    """A lane's tests derive from it, to say how their lane is made, what its rival does, and what must hold of both."""

    def __init__(
        self, patch: pytest.MonkeyPatch, module: ModuleType, topics: Mapping[str, int], sources: Sequence[Partition]
    ) -> None:
        """*module* is that of the lane, *topics* are the numbers of partitions, *sources* is what the lane reads.

        The derived class calls `begin` when it is ready for a lane.
        """
        self.patch = patch
        self.sources = sources
        self.made_anew: set[Partition] = set()
        """Partitions of topics that were made anew: the group may go back in each, once."""
        self.cluster = FakeCluster(topics, transaction_seconds=8)
        self.cluster.before_accept = self.check_offsets
        self.cluster.before_commit = self.check_commit
        patch.setattr(assignment, "time", self.cluster)
        patch.setattr(module, "fetch_topic_facts", lambda _kafka, _topics: {})

    # What a lane's tests say

    running: RunningLane
    """The lane that runs, or has ended and is to be replaced."""

    def make_lane(self) -> RunningLane:
        """A process of the lane, which is not started yet."""
        raise NotImplementedError

    def rival_takes_in(self, at: Partition, offset: int, record: FakeRecord, transaction: FakeTransaction) -> None:
        """What the other member does with a record before it commits the offset behind it in the transaction."""
        raise NotImplementedError

    def check(self) -> None:
        """What must hold after every step."""
        raise NotImplementedError

    def check_commit(self, transaction: FakeTransaction) -> None:
        """What must hold before a transaction is committed: no offset goes back."""
        for at, (end, _) in transaction.offsets.items():
            former = self.cluster.committed_offset(at)
            if end < former:
                assert at in self.made_anew, f"{at} goes back from {former} to {end}"
                self.made_anew.discard(at)

    def check_offsets(self, offsets: dict, member: object) -> None:
        """What must hold before the group takes offsets: nobody but the owner of a partition gives them."""
        for at in offsets:
            assert member is not None, "offsets of nobody in particular"
            assert self.cluster.owners.get(at) == member[0], f"{at} belongs to {self.cluster.owners.get(at)}"

    def end_trouble(self) -> None:
        """End what was wrong besides the cluster and the group."""

    def move_on(self) -> None:
        """Let what happens outside of Kafka happen, after a turn of `drain`."""

    @property
    def turns_to_end(self) -> int:
        """In how many turns the lane has to come to the end of all logs."""
        return _CALM_TURNS

    # What may happen

    def begin(self) -> None:
        """Start the first lane."""
        self._start_lane()
        self.cluster.on_sleep = self._advance

    def _advance(self) -> None:
        """Time has passed for the producer of the lane that runs now."""
        self.running.producer.advance()

    def replace_lane(self) -> None:
        """Another process of the same name."""
        self.cluster.expel(self.running.consumer.member)
        self._start_lane()

    def _start_lane(self) -> None:
        self.running = self.make_lane()
        self.running.start()

    def end_with(self, error: type[BaseException] | None) -> None:
        """The lane has ended, with the error it should have; another one starts."""
        if error is None and self.running.error is not None:
            raise self.running.error
        assert self.running.error is None or isinstance(self.running.error, error), self.running.error
        self.replace_lane()

    def assign(self, partitions: Collection[Partition]) -> None:
        """The lane gets those that are free; inside `consume`, as all that the group does with it."""
        consumer = self.running.consumer
        new = [at for at in partitions if at not in self.cluster.owners and at[0] in consumer.topics]
        if not self.hears_it_is_out() and new:
            consumer.assign(new)

    def revoke(self, partitions: Collection[Partition]) -> None:
        """The lane gives back what it has of these."""
        consumer = self.running.consumer
        if not self.hears_it_is_out() and (gone := [at for at in partitions if at in consumer.assigned]):
            consumer.revoke(gone)

    def hears_it_is_out(self) -> bool:
        """Whether the lane was expelled and hears so now; nothing else reaches it then."""
        consumer = self.running.consumer
        if consumer.member is None or consumer.member in self.cluster.members:
            return False
        consumer.lose()
        return True

    def expel(self, *, knows: bool) -> None:
        """The group has not heard of the lane for too long; it may know that before it consumes."""
        consumer = self.running.consumer
        if consumer.member in self.cluster.members:
            self.cluster.expel(consumer.member)
            consumer.is_unknown = knows

    def rebalance(self) -> None:
        """The group has another generation, in which the lane keeps what it has."""
        self.cluster.generation += 1
        if self.running.consumer.member in self.cluster.members:
            self.running.consumer.generation = self.cluster.generation

    def rival_takes(self, partitions: Collection[Partition]) -> None:
        """The other member gets those that are free."""
        free = [at for at in partitions if at not in self.cluster.owners]
        if free and RIVAL not in self.cluster.members:
            self.cluster.members.append(RIVAL)
        self.cluster.owners |= dict.fromkeys(free, RIVAL)
        self.rebalance()

    def rival_returns(self, partitions: Collection[Partition]) -> None:
        """The other member gives them back."""
        for at in partitions:
            if self.cluster.owners.get(at) == RIVAL:
                del self.cluster.owners[at]
        self.rebalance()

    def rival_reads(self, at: Partition, most: int, *, dies: bool = False) -> None:
        """The other member takes records through a transaction, or dies before its end."""
        cluster = self.cluster
        if cluster.owners.get(at) != RIVAL or cluster.is_unstable(at) or cluster.is_away:
            return
        transaction, end = cluster.begin(RIVAL), cluster.committed_offset(at)
        for offset, record in cluster.read(at, end, most):
            end = offset + 1
            self.rival_takes_in(at, offset, record, transaction)
        assert cluster.accept_offsets(transaction, {at: (end, "")}, (RIVAL, cluster.generation))
        if dies:
            cluster.expel(RIVAL)
        else:
            cluster.commit(transaction)

    def rival_reads_on(self, partitions: Collection[Partition], most: int = 2) -> None:
        """The other member has those that are free for a while, and reads so many records of each."""
        self.rival_takes(partitions)
        for at in partitions:
            self.rival_reads(at, most)
        self.rival_returns(partitions)

    def take_all(self, most: int) -> list[Message]:
        """What `consume` does if nothing is wrong: the lane has all partitions, and reads."""
        consumer = self.running.consumer
        self.hears_it_is_out()
        if missing := [at for at in self.sources if at not in consumer.assigned and at[0] in consumer.topics]:
            consumer.assign(missing)
        return consumer.deliver(most)

    def drain(self) -> None:
        """Whatever was wrong is over: the lane gets everything and comes to the end of all logs, and stays there."""
        self.running.producer.ends.clear()
        self.cluster.away_until = 0.0
        self.end_trouble()
        self.rival_returns(self.sources)
        for turn in range(max(self.turns_to_end, _CALM_TURNS)):
            self.running.turn(self.take_all)
            if not self.running.is_parked:
                self.end_with(FatalError)
            self.move_on()
            self.cluster.sleep(1)
            self.running.producer.advance()
            if turn + 1 >= _CALM_TURNS and not self._behind():
                break
        self.check()
        assert not self._behind(), "the lane does not come to the end"

    def _behind(self) -> list[Partition]:
        """Partitions in which the group has not come to the end."""
        return [at for at in self.sources if self.cluster.read(at, self.cluster.committed_offset(at), 1)]

    @property
    def committed(self) -> list[int]:
        """The group's offsets in the partitions that the lane reads."""
        return [self.cluster.committed_offset(at) for at in self.sources]
