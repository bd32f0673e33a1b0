"""A delivery lane on a fake cluster, with a target that answers as told and another member of its group."""

from __future__ import annotations

import threading
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
from logrouter.kafka import assignment
from logrouter.kafka.offset_reset import Begin
from logrouter.reload.versions import ConfigVersions, Version
from logrouter.sinks.contract import DELIVERED, Refused
from tests.conftest import HANG_SECONDS
from tests.fake_kafka.clients import FakeConsumer, FakeLookup, FakeProducer
from tests.fake_kafka.cluster import FakeCluster

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import pytest

    from logrouter.deliver.event_loop import Batch
    from logrouter.kafka.records import Partition
    from logrouter.model import RawRecord
    from tests.fake_kafka.messages import Message

SOURCES: list[Partition] = [("s", 0), ("s", 1)]
RIVAL = "rival"
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


class Killed(BaseException):
    """The process is killed."""


class RunningLane:
    """A lane's `run` in a thread of its own, which waits in each call of `consume` for what that is to do."""

    def __init__(self, world: World) -> None:
        cluster, patch = world.cluster, world.patch
        world.lanes.append(self)
        self.consumer, self.producer = FakeConsumer(cluster), FakeProducer(cluster, "g-i")
        self.lookup = world.lookup
        self.thread = FakeThread(cluster)
        self.targets: list[FakeTarget] = []
        self.versions = ConfigVersions(world.version("first"))
        self.stopping = False
        self.error: BaseException | None = None
        self._call: Callable[[int], list[Message]] | None = None
        self._go, self._parked = threading.Semaphore(0), threading.Semaphore(0)
        self.consumer.on_consume = self._wait_for_call
        patch.setattr(lane_module, "GroupConsumer", lambda *_args, **_options: self.consumer)
        patch.setattr(lane_module, "open_producer", lambda *_args, **_options: self.producer)
        patch.setattr(starts, "OffsetLookup", lambda *_args: self.lookup)
        patch.setattr(lane_module, "RecreatedPartitions", lambda *_args: world.recreated)
        patch.setattr(dispatch, "DeliveryThread", lambda: self.thread)
        self.lane = DeliveryLane(self.versions, stopping=lambda: self.stopping)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._wait()

    def open_target(self, name: str) -> FakeTarget:
        """A new connection to a target."""
        self.targets.append(FakeTarget(name))
        return self.targets[-1]

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


class Recreated:
    """Stands in for `RecreatedPartitions`."""

    def __init__(self) -> None:
        self.partitions: list[Partition] = []

    def ask_soon(self) -> None:
        pass

    def take(self) -> list[Partition]:
        found, self.partitions = self.partitions, []
        return found


class World:
    """The cluster, a lane, the other member, and what the target has got."""

    def __init__(self, patch: pytest.MonkeyPatch, **settings: object) -> None:
        self.patch = patch
        self._settings = settings
        self.cluster = FakeCluster({"s": 2, "dead": 1}, transaction_seconds=8)
        self.cluster.before_accept = self._check_offsets
        self.delivered: Counter[tuple[str, int, int]] = Counter()
        self.first: dict[Partition, int] = {}
        """Where the events begin that have to be delivered, if not at the first one."""
        self.recreated = Recreated()
        self.lanes: list[RunningLane] = []
        """The one that runs, or is being made, is the last."""
        self.lookup = FakeLookup(self.cluster)
        for module in (assignment, lane_module, dispatch):
            patch.setattr(module, "time", self.cluster)
        patch.setattr(FakeCluster, "time_ns", lambda cluster: int(cluster.now * 1e9), raising=False)
        patch.setattr(lane_module, "fetch_topic_facts", lambda _kafka, _topics: {})
        patch.setattr(commits, "log", lambda *_args, **_fields: None)
        self.running = RunningLane(self)
        self.cluster.on_sleep = self._advance

    def _advance(self) -> None:
        """Time has passed for the producer of the lane that runs now."""
        self.running.producer.advance()

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
            open_delivery=lambda: self.lanes[-1].open_target(target),
            target=target,
            **{"batch": BatchBounds(2, 1_000, 0.05)} | options | changes,
        )
        return Version(settings, SimpleNamespace(generation=f"{target} {changes}"))

    # What must hold

    def _check_offsets(self, offsets: dict, member: object) -> None:
        """The group takes offsets of a partition from nobody but its owner, and only behind what is done."""
        for at, (end, _) in offsets.items():
            assert member is not None, "offsets of nobody in particular"
            assert self.cluster.owners.get(at) == member[0], f"{at} belongs to {self.cluster.owners.get(at)}"
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

    def replace_lane(self) -> None:
        """Another process of the same name."""
        if self.running.consumer.member is not None:
            self.cluster.expel(self.running.consumer.member)
        self.running = RunningLane(self)

    def end_with(self, error: type[BaseException] | None) -> None:
        """The lane has ended, with the error it should have; another one starts."""
        if error is None and self.running.error is not None:
            raise self.running.error
        assert self.running.error is None or isinstance(self.running.error, error), self.running.error
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

    def rival_delivers(self, at: Partition, most: int) -> None:
        """The other member delivers some events, or writes letters, and commits."""
        cluster = self.cluster
        if cluster.owners.get(at) != RIVAL or cluster.is_unstable(at):
            return
        transaction, end = cluster.begin(RIVAL), cluster.committed_offset(at)
        for offset, record in cluster.read(at, end, most):
            end = offset + 1
            if record.value == BAD:
                place = {"topic": at[0], "partition": at[1], "offset": offset}
                cluster.append(("dead", 0), orjson.dumps({"source": place}), transaction=transaction)
            else:
                self.delivered[*at, offset] += 1
        assert cluster.accept_offsets(transaction, {at: (end, "")}, (RIVAL, cluster.generation))
        cluster.commit(transaction)

    def rebalance(self) -> None:
        """The group has another generation, in which the lane keeps what it has."""
        self.cluster.generation += 1
        if self.running.consumer.member in self.cluster.members:
            self.running.consumer.generation = self.cluster.generation

    def drain(self) -> None:
        """Whatever was wrong is over: the lane gets everything and comes to the end of all logs."""
        self.running.producer.ends.clear()
        self.rival_returns(SOURCES)
        behind = True
        for _ in range(20 + 3 * sum(map(len, self.cluster.logs.values()))):
            self.running.turn(self.take_all)
            if not self.running.is_parked:
                self.end_with(Exception)
            self.answer_all()
            self.cluster.sleep(1)
            self.running.producer.advance()
            behind = any(self.cluster.read(at, self.cluster.committed_offset(at), 1) for at in SOURCES)
            if not behind:
                break
        self.check()
        assert not behind, "the lane does not come to the end"

    def take_all(self, most: int) -> list[Message]:
        """What `consume` does if nothing is wrong: the lane has all partitions, and reads."""
        consumer = self.running.consumer
        if consumer.member is not None and consumer.member not in self.cluster.members:
            consumer.lose()
        if missing := [at for at in SOURCES if at not in consumer.assigned]:
            consumer.assign(missing)
        return consumer.deliver(most)


def offsets_of(events: Sequence[tuple[str, RawRecord]]) -> list[tuple[int, int]]:
    """Partition and offset of each."""
    return [(event.partition, event.offset) for _, event in events]
