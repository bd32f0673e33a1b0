"""A route lane on a fake cluster, one turn at a time, with another member of its group; and what must always hold."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from logrouter import config
from logrouter.core.dead_letter import DeadLetterSettings
from logrouter.kafka import assignment
from logrouter.kafka.errors import FatalError
from logrouter.reload.versions import ConfigVersions, Version
from logrouter.route import lane as lane_module
from logrouter.route.lane import RouteLane
from logrouter.route.output import BatchOutput
from logrouter.route.partial_lines import PartialLines
from logrouter.route.settings import LaneSettings
from logrouter.route.source_starts import SourceStarts
from logrouter.route.transactional_state import PLAIN_START, TransactionalState
from tests.conftest import HANG_SECONDS
from tests.fake_kafka.clients import FakeConsumer, FakeLookup, FakeProducer
from tests.fake_kafka.cluster import FakeCluster

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import pytest

    from logrouter.kafka.records import Partition
    from tests.fake_kafka.cluster import FakeTransaction
    from tests.fake_kafka.messages import Message

SOURCES: list[Partition] = [("s", 0), ("s", 1), ("t", 0)]
RIVAL = "rival"
SETTINGS = LaneSettings({}, "g", "i", DeadLetterSettings("dead", 100), "rollup", 1)
_FILE = b"""
version: 1
outputs: {rollup: {partitions: 1}}
sources: {all: {topics: [%s], envelope: plain}}
routes: [{name: r, from: all, format: envoy, to: out}]
"""


def _version(topics: bytes) -> Version[LaneSettings]:
    return Version(SETTINGS, config.parse(_FILE % topics, {}, folder=Path()).table)


VERSIONS = [_version(topics) for topics in (b"s, t", b"s", b"t, s")]
"""Two with both topics, and between them one without t."""


class CopyProcessor:
    """Makes of each record one event that names it; stands in for `BatchProcessor`."""

    def process(self, messages: Sequence[Message]) -> BatchOutput:
        output = BatchOutput()
        for m in messages:
            at = m.topic(), m.partition()
            output.first.setdefault(at, m.offset())
            output.positions[at] = m.offset() + 1
            output.events.append(("out", f"{at[0]} {at[1]} {m.offset()}".encode(), None))
        if messages:
            output.read["all"] = [len(messages), 0]
        return output


class Journal(TransactionalState):
    """A state that knows how far each partition is processed, and sees whether it is told all of it."""

    def __init__(self, cluster: FakeCluster, is_owner: Callable[[Partition], bool]) -> None:
        """*is_owner* says whether the group still sees the partition with this lane."""
        self._cluster, self._is_owner = cluster, is_owner
        self.processed: dict[Partition, int | None] = {}
        """None until something is read: then it is what the group has committed."""
        self._published: dict[Partition, int | None] | None = None
        self._committed: dict[Partition, int | None] = {}
        self.holds_all = False
        """Whether each transaction has to hold offsets of all partitions, instead of those read."""

    def assigned(self, partitions):
        for at in partitions:
            assert at not in self.processed, f"{at} was not forgotten"
            self.processed[at] = self._committed[at] = None
        return PLAIN_START

    def forget(self, at):
        for known in (self.processed, self._committed, self._published or {}):
            known.pop(at, None)

    def process(self, _messages, output, _now_ms):
        for at, end in output.positions.items():
            first = output.first[at]
            assert at in self.processed, f"{at} is not ours"
            former = self.processed[at]
            if former is None and not self._is_owner(at):
                former = first  # another member may have gone on; this one has only not heard of that
            elif former is None:
                assert not self._cluster.is_unstable(at), f"{at} is begun before it is known where"
                former = self._committed[at] = self._cluster.committed_offset(at)
            assert first >= former, f"{at} is read again from {first} on, and was to {former}"
            skipped = self._cluster.read(at, former, 1, until=first)
            assert not skipped, f"{at} goes on at {first}, and was at {former}"
            self.processed[at] = end
        return False

    def publish(self, _output, _produce, _headers):
        assert self._published is None, "neither committed nor aborted"
        self._published = dict(self.processed)
        return {at for at, offset in self.processed.items() if offset is not None} if self.holds_all else set()

    def committed(self, _output):
        assert self._published is not None, "nothing was published"
        self._committed |= self._published
        self._published = None

    def aborted(self):
        self.processed, self._published = dict(self._committed), None


class Killed(BaseException):
    """The process is killed."""


class RunningLane:
    """A lane's `run` in a thread of its own, which waits in each call of `consume` for what that is to do."""

    def __init__(self, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
        self.consumer, self.producer = FakeConsumer(cluster), FakeProducer(cluster, "g-i")
        self.journal = Journal(cluster, lambda at: cluster.owners.get(at) == self.consumer.member)
        self.versions = ConfigVersions(VERSIONS[0])
        self.stopping = False
        self.error: BaseException | None = None
        self._cluster = cluster
        self._call: Callable[[int], list[Message]] | None = None
        self._go, self._parked = threading.Semaphore(0), threading.Semaphore(0)
        self.consumer.on_consume = self._wait_for_call
        monkeypatch.setattr(lane_module, "GroupConsumer", lambda *_args, **_options: self.consumer)
        monkeypatch.setattr(lane_module, "open_producer", lambda *_args, **_options: self.producer)
        self.lane = RouteLane(
            self.versions,
            make_processor=lambda *_args: CopyProcessor(),
            states=[SourceStarts(PartialLines(), lambda: 0, lambda _settings: FakeLookup(cluster)), self.journal],
            stopping=lambda: self.stopping,
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._wait()

    def _run(self) -> None:
        try:
            self.lane.run()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the thread of the test
            self.error = error
        self._parked.release()

    def _wait_for_call(self, most: int) -> list[Message]:
        self._parked.release()
        assert self._go.acquire(timeout=HANG_SECONDS)
        return self._call(most)

    def _wait(self) -> None:
        assert self._parked.acquire(timeout=HANG_SECONDS), "the lane hangs"
        if isinstance(self.error, AssertionError):
            raise self.error

    @property
    def is_parked(self) -> bool:
        """Whether it still runs: it waits for the next call."""
        return self._thread.is_alive() and self.error is None and not self.consumer.closed

    def turn(self, call: Callable[[int], list[Message]]) -> None:
        """Let `consume` do that, and the lane what comes then, until it consumes again or has ended."""
        assert self.is_parked, self.error
        self._call = call
        self._go.release()
        self._wait()

    def kill(self) -> None:
        """End it without a word to the cluster."""

        def die(_most: int) -> list[Message]:
            self.consumer.close = self.producer.close = lambda: None
            raise Killed

        if self.is_parked:
            self.turn(die)
        self._thread.join(HANG_SECONDS)
        self.consumer.closed = True


class World:
    """The cluster, a lane, the other member, and the outcomes that are visible."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.cluster = FakeCluster({"s": 2, "t": 1, "out": 1, "dead": 1, "rollup": 1}, transaction_seconds=8)
        self.cluster.before_accept = self._check_offsets
        self.cluster.before_commit = self._check_commit
        monkeypatch.setattr(assignment, "time", self.cluster)
        monkeypatch.setattr(lane_module, "fetch_topic_facts", lambda _kafka, _topics: {})
        monkeypatch.setattr(lane_module, "sleep_unless", lambda seconds, _give_up: self.cluster.sleep(seconds))
        monkeypatch.setattr(
            lane_module, "gc", SimpleNamespace(collect=lambda: 0, freeze=lambda: 0, set_threshold=lambda *_: 0)
        )
        self.lane = RunningLane(self.cluster, monkeypatch)
        self.cluster.on_sleep = self._advance

    def _advance(self) -> None:
        self.lane.producer.advance()

    # What must hold

    def _check_offsets(self, offsets: dict, member: object) -> None:
        """The group takes offsets of a partition from nobody but its owner."""
        for at in offsets:
            assert member is not None, "offsets of nobody in particular"
            assert self.cluster.owners.get(at) == member[0], f"{at} belongs to {self.cluster.owners.get(at)}"

    def _check_commit(self, transaction: FakeTransaction) -> None:
        """A transaction holds the outcomes of just those records that its offsets have passed."""
        outcomes: dict[Partition, list[int]] = {at: [] for at in transaction.offsets}
        for record in self.cluster.logs["out", 0]:
            if record is not None and record.transaction is transaction:
                at, offset = _record_of(record.value)
                assert at in outcomes, f"an outcome of {at} without its offset"
                outcomes[at].append(offset)
        for at, (end, _) in transaction.offsets.items():
            former = self.cluster.committed_offset(at)
            assert end >= former, f"{at} goes back from {former} to {end}"
            due = [offset for offset, _ in self.cluster.read(at, former, end, until=end)]
            assert outcomes[at] == due, f"{at} from {former} to {end}"

    def check(self) -> None:
        """No record has two outcomes, and none that the group has passed is without."""
        end = len(self.cluster.logs["out", 0])
        found = [_record_of(record.value) for _, record in self.cluster.read(("out", 0), 0, end, until=end)]
        passed = {
            (at, offset)
            for at in SOURCES
            for offset, _ in self.cluster.read(at, 0, 1 << 30, until=self.cluster.committed_offset(at))
        }
        assert len(found) == len(set(found)), "doubled"
        assert set(found) == passed

    # What may happen

    def replace_lane(self) -> None:
        """Another process of the same name."""
        self.cluster.expel(self.lane.consumer.member)
        self.lane = RunningLane(self.cluster, self._monkeypatch)

    def end_with(self, error: type[BaseException] | None) -> None:
        """The lane has ended, with the error it should have; another one starts."""
        if error is None and self.lane.error is not None:
            raise self.lane.error
        assert self.lane.error is None or isinstance(self.lane.error, error), self.lane.error
        self.replace_lane()

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
        if cluster.owners.get(at) != RIVAL or cluster.is_unstable(at):
            return
        transaction, end = cluster.begin(RIVAL), cluster.committed_offset(at)
        for offset, _ in cluster.read(at, end, most):
            end = offset + 1
            cluster.append(("out", 0), f"{at[0]} {at[1]} {offset}".encode(), transaction=transaction)
        assert cluster.accept_offsets(transaction, {at: (end, "")}, (RIVAL, cluster.generation))
        if dies:
            self.cluster.expel(RIVAL)
        else:
            cluster.commit(transaction)

    def rebalance(self) -> None:
        """The group has another generation, in which the lane keeps what it has."""
        self.cluster.generation += 1
        if self.lane.consumer.member in self.cluster.members:
            self.lane.consumer.generation = self.cluster.generation

    def drain(self) -> None:
        """Whatever was wrong is over: the lane gets everything and comes to the end of all logs."""
        lane, cluster = self.lane, self.cluster
        lane.producer.ends.clear()
        lane.versions.propose(VERSIONS[2], asked=False)
        self.rival_returns(SOURCES)
        for _ in range(12):
            lane.turn(self._take_all)
            if not lane.is_parked:
                self.end_with(FatalError)
                lane = self.lane
            cluster.sleep(1)
            lane.producer.advance()
        self.check()
        behind = {at: cluster.read(at, cluster.committed_offset(at), 1) for at in SOURCES}
        assert behind == {at: [] for at in SOURCES}, "the lane does not come to the end"

    def _take_all(self, most: int) -> list[Message]:
        consumer = self.lane.consumer
        if consumer.member is not None and consumer.member not in self.cluster.members:
            consumer.lose()
        if missing := [at for at in SOURCES if at not in consumer.assigned and at[0] in consumer.topics]:
            consumer.assign(missing)
        return consumer.deliver(most)


def _record_of(value: bytes | None) -> tuple[Partition, int]:
    topic, partition, offset = (value or b"").split()
    return (topic.decode(), int(partition)), int(offset)
