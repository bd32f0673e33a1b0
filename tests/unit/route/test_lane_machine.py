"""Every order of events in a lane's life, on a fake cluster: reading, committing, rebalances, faults and edits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from logrouter.kafka.errors import FatalError
from tests.conftest import examples
from tests.fake_kafka.clients import End

from .lane_world import SOURCES, VERSIONS, World

if TYPE_CHECKING:
    from tests.fake_kafka.messages import Message

PARTITIONS = st.lists(st.sampled_from(SOURCES), min_size=1, max_size=3, unique=True)
INSIDE = st.one_of(
    st.tuples(st.just("deliver"), st.integers(1, 4)),
    st.tuples(st.sampled_from(["assign", "revoke", "rival", "away", "lost"]), PARTITIONS),
    st.tuples(st.just("rebalance"), st.none()),
)
"""What else happens inside one call of `consume`, and with what."""
BAD_ENDS = st.sampled_from(
    [End.REFUSED, End.REFUSED, End.PRODUCE_REFUSED, End.LOST_ANSWER, End.LOST_ANSWER, End.STOPPED, End.FATAL]
)


class LaneMachine(RuleBasedStateMachine):
    """A lane with three partitions and another member of its group."""

    def __init__(self):
        super().__init__()
        self.monkeypatch = pytest.MonkeyPatch()
        self.world = World(self.monkeypatch)
        self.may_end = None

    @property
    def consumer(self):
        return self.world.lane.consumer

    @initialize(counts=st.lists(st.integers(0, 5), min_size=3, max_size=3), holds_all=st.booleans())
    def begin(self, counts, holds_all):
        """The lane has all partitions, and there is something to read."""
        self.hold(holds_all)
        for at, count in zip(SOURCES, counts, strict=True):
            self.append(at, count, gap=False)
        self.turn([("assign", SOURCES)])

    @rule(at=st.sampled_from(SOURCES), count=st.integers(1, 6), gap=st.booleans())
    def append(self, at, count, gap):
        """Records come; and a marker of somebody's transaction takes an offset."""
        for _ in range(count):
            self.world.cluster.append(at, b"line")
        if gap:
            self.world.cluster.logs[at].append(None)

    @rule(records=st.integers(1, 5), arrive=st.integers(0, 2), end=st.none() | BAD_ENDS)
    def read(self, records, arrive, end):
        """A turn without anything in between, and *arrive* requests of its commit. How the next transaction ends."""
        self.turn([("deliver", records)])
        for _ in range(arrive):
            self.arrive()
        if end is not None:
            self.break_next(end, produces=records // 2)

    @rule(steps=st.lists(INSIDE, min_size=1, max_size=5))
    def turn(self, steps):
        """The lane consumes, and goes on until it consumes again."""

        def consume(most: int) -> list[Message]:
            found: list[Message] = []
            for what, argument in steps:
                if what == "deliver":
                    found += self.consumer.deliver(min(argument, most - len(found)))
                elif what == "rebalance":
                    self.world.rebalance()
                elif what == "rival":
                    self._rival_reads_on(argument)
                elif what == "away":  # and back at once
                    self._change("revoke", argument)
                    self._rival_reads_on(argument)
                    self._change("assign", argument)
                elif what == "lost":
                    self.expel(knows=False)
                    self._change("lose", argument)
                    self._rival_reads_on(argument)
                    self._change("assign", argument)
                else:
                    self._change(what, argument)
            return found

        self.world.lane.turn(consume)
        self._go_on()

    def _rival_reads_on(self, partitions):
        self.world.rival_takes(partitions)
        for at in partitions:
            self.world.rival_reads(at, 2)
        self.world.rival_returns(partitions)

    def _change(self, what, partitions):
        cluster, consumer = self.world.cluster, self.consumer
        if consumer.member is not None and consumer.member not in cluster.members:
            consumer.lose()
        elif what == "revoke":
            if gone := [at for at in partitions if at in consumer.assigned]:
                consumer.revoke(gone)
        elif new := [at for at in partitions if at not in cluster.owners and at[0] in consumer.topics]:
            consumer.assign(new)

    def _go_on(self):
        """Start another lane if this one has ended, as a supervisor does."""
        if not self.world.lane.is_parked:
            self.world.end_with(self.may_end)
            self.may_end = None

    @rule()
    def arrive(self):
        """A request of the running commit arrives."""
        self.world.lane.producer.advance()

    @rule(end=BAD_ENDS, produces=st.integers(0, 3))
    def break_next(self, end, produces):
        """The next transaction does not end well."""
        producer = self.world.lane.producer
        producer.ends, producer.produces = [end], produces
        if end is End.FATAL:
            self.may_end = FatalError

    @rule(count=st.integers(1, 3))
    def refuse_seeks(self, count):
        """Partitions that were assigned just now have no fetcher."""
        self.consumer.refused_seeks = count

    @rule(knows=st.booleans())
    def expel(self, knows):
        """The group has not heard of the lane for too long. That may be known before anything is consumed."""
        if self.consumer.member in self.world.cluster.members:
            self.world.cluster.expel(self.consumer.member)
            self.consumer.is_unknown = knows

    @rule(partitions=PARTITIONS)
    def rival_takes(self, partitions):
        self.world.rival_takes(partitions)

    @rule(partitions=PARTITIONS)
    def rival_returns(self, partitions):
        self.world.rival_returns(partitions)

    @rule(at=st.sampled_from(SOURCES), most=st.integers(0, 3), dies=st.booleans())
    def rival_reads(self, at, most, dies):
        self.world.rival_reads(at, most, dies=dies)

    @rule(version=st.sampled_from(VERSIONS))
    def edit(self, version):
        """Another version is to come into force."""
        self.world.lane.versions.propose(version, asked=False)

    @rule(holds_all=st.booleans())
    def hold(self, holds_all):
        """Transactions have to hold offsets of partitions that were not read."""
        self.world.lane.journal.holds_all = holds_all

    @rule()
    def stop(self):
        """SIGTERM: the lane ends when its turn is over."""
        self.world.lane.stopping = True

    @rule()
    def kill(self):
        """SIGKILL: what it had is free when its session is over."""
        self.world.lane.kill()
        self.world.replace_lane()
        self.may_end = None

    @invariant()
    def outcomes_are_exact(self):
        """Each record that the group has passed has one visible outcome, no other has any."""
        self.world.check()

    def teardown(self):
        try:
            self.world.drain()
        finally:
            self.world.lane.kill()
            self.monkeypatch.undo()


def test_no_order_of_events_loses_or_doubles_a_record():
    """Whatever happens, and in the end the lane comes to the end of all logs."""
    settings = hypothesis.settings(max_examples=examples(400), stateful_step_count=40, deadline=None)
    hypothesis.stateful.run_state_machine_as_test(LaneMachine, settings=settings)
