"""A route lane on a fake cluster, one turn at a time, with another member of its group; and what must always hold."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from logrouter import config
from logrouter.core.dead_letter import DeadLetterSettings
from logrouter.reload.versions import ConfigVersions, Version
from logrouter.route import lane as lane_module
from logrouter.route.lane import RouteLane
from logrouter.route.output import BatchOutput
from logrouter.route.partial_lines import PartialLines
from logrouter.route.settings import LaneSettings
from logrouter.route.source_starts import SourceStarts
from logrouter.route.transactional_state import PLAIN_START, TransactionalState
from tests.fake_kafka.clients import FakeLookup
from tests.fake_kafka.group_world import GroupWorld
from tests.fake_kafka.running_lane import RunningLane

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest

    from logrouter.kafka.records import Partition
    from tests.fake_kafka.cluster import FakeCluster, FakeRecord, FakeTransaction
    from tests.fake_kafka.messages import Message

SOURCES: list[Partition] = [("s", 0), ("s", 1), ("t", 0)]
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


class RunningRouteLane(RunningLane):
    """A route lane whose journal sees what its states are told."""

    def __init__(self, cluster: FakeCluster, patch: pytest.MonkeyPatch) -> None:
        super().__init__(cluster, patch, lane_module)
        self.journal = Journal(cluster, lambda at: cluster.owners.get(at) == self.consumer.member)
        self.versions = ConfigVersions(VERSIONS[0])

    def run(self) -> None:
        cluster = self.consumer.cluster
        self.lane = RouteLane(
            self.versions,
            make_processor=lambda *_args: CopyProcessor(),
            states=[SourceStarts(PartialLines(), lambda: 0, lambda _settings: FakeLookup(cluster)), self.journal],
            stopping=lambda: self.stopping,
        )
        self.lane.run()


class World(GroupWorld):
    """The cluster, a lane, the other member, and the outcomes that are visible."""

    running: RunningRouteLane

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        super().__init__(patch, lane_module, {"s": 2, "t": 1, "out": 1, "dead": 1, "rollup": 1}, SOURCES)
        patch.setattr(lane_module, "sleep_unless", lambda seconds, _give_up: self.cluster.sleep(seconds))
        patch.setattr(
            lane_module, "gc", SimpleNamespace(collect=lambda: 0, freeze=lambda: 0, set_threshold=lambda *_: 0)
        )
        self.begin()

    def make_lane(self) -> RunningRouteLane:
        return RunningRouteLane(self.cluster, self.patch)

    def rival_takes_in(self, at: Partition, offset: int, _record: FakeRecord, transaction: FakeTransaction) -> None:
        self.cluster.append(("out", 0), f"{at[0]} {at[1]} {offset}".encode(), transaction=transaction)

    def end_trouble(self) -> None:
        self.running.versions.propose(VERSIONS[2], asked=False)

    def check_commit(self, transaction: FakeTransaction) -> None:
        """And it holds the outcomes of just those records that its offsets have passed."""
        super().check_commit(transaction)
        outcomes: dict[Partition, list[int]] = {at: [] for at in transaction.offsets}
        for record in self.cluster.logs["out", 0]:
            if record is not None and record.transaction is transaction:
                at, offset = _record_of(record.value)
                assert at in outcomes, f"an outcome of {at} without its offset"
                outcomes[at].append(offset)
        for at, (end, _) in transaction.offsets.items():
            former = self.cluster.committed_offset(at)
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


def _record_of(value: bytes | None) -> tuple[Partition, int]:
    topic, partition, offset = (value or b"").split()
    return (topic.decode(), int(partition)), int(offset)
