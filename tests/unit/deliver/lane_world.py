"""A delivery lane on a fake cluster, with a target that answers as told and another member of its group."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING

import orjson

from logrouter.core.dead_letter import DeadLetterSettings
from logrouter.deliver import commits, dispatch, starts
from logrouter.deliver import lane as lane_module
from logrouter.deliver.batching import BatchBounds
from logrouter.deliver.event_loop import Finished
from logrouter.deliver.lane import DeliveryLane
from logrouter.deliver.settings import DeliverySettings
from logrouter.kafka.offset_reset import Begin
from logrouter.reload.versions import ConfigVersions, Version
from logrouter.sinks.contract import DELIVERED, Refused
from tests.fake_kafka.clients import FakeLookup
from tests.fake_kafka.group_world import RIVAL, GroupWorld
from tests.fake_kafka.running_lane import RunningLane

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import pytest

    from logrouter.deliver.event_loop import Batch
    from logrouter.kafka.records import Partition
    from logrouter.model import RawRecord
    from tests.fake_kafka.cluster import FakeCluster, FakeRecord, FakeTransaction

SOURCES: list[Partition] = [("s", 0), ("s", 1)]
BAD = b"bad"
"""The value of events that the target refuses."""


class FakeTarget:
    """Stands in for a `Delivery`; batches are answered when a test says so."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.why_waiting = ""
        self.is_closed = False


class FakeThread:
    """Stands in for `DeliveryThread`: keeps what was submitted, in order, until `answer`."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self.open: list[tuple[FakeTarget, Batch]] = []
        self.sent: list[tuple[str, RawRecord]] = []
        """Every event that was submitted, and the name of its target."""
        self.retired: list[FakeTarget] = []
        self._finished: list[Finished] = []

    def submit(self, delivery: FakeTarget, batch: Batch) -> None:
        assert not delivery.is_closed
        self.open.append((delivery, batch))
        self.sent += [(delivery.name, event) for event in batch.events]

    def abandon(self, batch: Batch) -> None:
        self.open = [(delivery, each) for delivery, each in self.open if each is not batch]

    def retire(self, delivery: FakeTarget) -> None:
        self.retired.append(delivery)

    def close_delivery(self, delivery: FakeTarget) -> None:
        assert not any(each is delivery for each, _ in self.open), "a batch is on its way"
        delivery.is_closed = True

    def take_finished(self, seconds: float = 0.0) -> list[Finished]:
        if not self._finished and seconds:
            self._cluster.sleep(seconds)
        finished, self._finished = self._finished, []
        return finished

    def close(self, deliveries: Collection[FakeTarget] = ()) -> None:
        for each in deliveries:
            each.is_closed = True

    # What the target does

    def answer(self, number: int, *, left: Callable[[RawRecord], bool] = lambda _event: False) -> list[RawRecord]:
        """End the batch of this number: events are delivered, or refused as they are bad. Those that were delivered.

        With a target that is retired some may be *left*.
        """
        delivery, batch = self.open.pop(number)
        settled = [
            None if delivery in self.retired and left(e) else Refused(400, "no") if e.value == BAD else DELIVERED
            for e in batch.events
        ]
        self._finished.append(Finished(batch, settled))
        return [event for event, each in zip(batch.events, settled, strict=True) if each is DELIVERED]


class RunningDeliveryLane(RunningLane):
    """A delivery lane whose targets stand in a `FakeThread`."""

    def __init__(self, world: World) -> None:
        super().__init__(world.cluster, world.patch, lane_module)
        self.thread = FakeThread(world.cluster)
        self.targets: list[FakeTarget] = []
        self.versions = ConfigVersions(world.version("first"))
        world.patch.setattr(dispatch, "DeliveryThread", lambda: self.thread)
        self.lane = DeliveryLane(self.versions, stopping=lambda: self.stopping)

    def run(self) -> None:
        self.lane.run()

    def open_target(self, name: str) -> FakeTarget:
        """A new connection to a target."""
        self.targets.append(FakeTarget(name))
        return self.targets[-1]


class Recreated:
    """Stands in for `RecreatedPartitions`."""

    def __init__(self) -> None:
        self.partitions: list[Partition] = []

    def ask_soon(self) -> None:
        pass

    def take(self) -> list[Partition]:
        found, self.partitions = self.partitions, []
        return found


class World(GroupWorld):
    """The cluster, a lane, the other member, and what the target has got."""

    running: RunningDeliveryLane

    def __init__(self, patch: pytest.MonkeyPatch, **settings: object) -> None:
        super().__init__(patch, lane_module, {"s": 2, "dead": 1}, SOURCES)
        self._settings = settings
        self.delivered: Counter[tuple[str, int, int]] = Counter()
        self.first: dict[Partition, int] = {}
        """Where the events begin that have to be delivered, if not at the first one."""
        self.recreated = Recreated()
        self.lookup = FakeLookup(self.cluster)
        for module in (lane_module, dispatch):
            patch.setattr(module, "time", self.cluster)
        patch.setattr(starts, "OffsetLookup", lambda *_args: self.lookup)
        patch.setattr(lane_module, "RecreatedPartitions", lambda *_args: self.recreated)
        patch.setattr(commits, "log", lambda *_args, **_fields: None)
        self.begin()

    def make_lane(self) -> RunningDeliveryLane:
        return RunningDeliveryLane(self)

    def version(self, target: str, **changes: object) -> Version[DeliverySettings]:
        """A topics.yaml with another target."""
        options = {"begin": Begin.EARLIEST, "max_waiting_records": 20, "max_waiting_bytes": 10_000} | self._settings
        settings = DeliverySettings(
            name="hook",
            kafka={},
            topics=("s",),
            group="g",
            instance="i",
            dead_letters=DeadLetterSettings("dead", 100),
            open_delivery=lambda: self.running.open_target(target),
            target=target,
            **{"batch": BatchBounds(2, 1_000, 0.05)} | options | changes,
        )
        return Version(settings, SimpleNamespace(generation=f"{target} {changes}"))

    def rival_takes_in(self, at: Partition, offset: int, record: FakeRecord, transaction: FakeTransaction) -> None:
        if record.value == BAD:
            place = {"topic": at[0], "partition": at[1], "offset": offset}
            self.cluster.append(("dead", 0), orjson.dumps({"source": place}), transaction=transaction)
        else:
            self.delivered[*at, offset] += 1

    def move_on(self) -> None:
        self.answer_all()

    @property
    def turns_to_end(self) -> int:
        """As little may wait, it takes several turns per batch."""
        return 20 + 3 * sum(map(len, self.cluster.logs.values()))

    # What must hold

    def check_offsets(self, offsets: dict, member: object) -> None:
        """And the lane gives only those behind what is done."""
        super().check_offsets(offsets, member)
        for at, (end, _) in offsets.items():
            if member[0] != RIVAL:
                self._check_done(at, end)

    def _check_done(self, at: Partition, end: int) -> None:
        for offset, record in self.cluster.read(at, self.first.get(at, 0), 1 << 30, until=end):
            assert record.value == BAD or self.delivered[*at, offset], f"{at} {offset} is passed and not delivered"

    def letters(self) -> Counter[tuple[str, int, int]]:
        """Which events have a dead letter that can be seen, and how many."""
        found = self.cluster.read(("dead", 0), 0, 1 << 30, until=len(self.cluster.logs["dead", 0]))
        places = [orjson.loads(record.value)["source"] for _, record in found]
        return Counter((p["topic"], p["partition"], p["offset"]) for p in places)

    def check(self) -> None:
        """Each bad event that the group has passed has one letter, no other has any; what is passed is done."""
        passed: set[tuple[str, int, int]] = set()
        for at in SOURCES:
            end = self.cluster.committed_offset(at)
            self._check_done(at, end)
            records = self.cluster.read(at, 0, 1 << 30, until=end)
            passed |= {(*at, offset) for offset, record in records if record.value == BAD}
        assert self.letters() == dict.fromkeys(passed, 1)

    # What may happen

    def answer(self, number: int = 0, *, left: Callable[[RawRecord], bool] = lambda _event: False) -> None:
        """The target answers one of the batches that are open."""
        for event in self.running.thread.answer(number, left=left):
            self.delivered[event.topic, event.partition, event.offset] += 1

    def answer_all(self) -> None:
        """The target answers everything."""
        while self.running.thread.open:
            self.answer()


def offsets_of(events: Sequence[tuple[str, RawRecord]]) -> list[tuple[int, int]]:
    """Partition and offset of each."""
    return [(event.partition, event.offset) for _, event in events]
