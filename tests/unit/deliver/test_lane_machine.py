"""Every order of events in a delivery lane's life, on a fake cluster: answers, commits, rebalances, faults, reloads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from logrouter.kafka.errors import FatalError
from tests.conftest import examples
from tests.fake_kafka.clients import End

from .lane_world import BAD, SOURCES, World

if TYPE_CHECKING:
    from tests.fake_kafka.messages import Message

PARTITIONS = st.lists(st.sampled_from(SOURCES), min_size=1, max_size=2, unique=True)
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
    """A lane with two partitions and another member of its group."""

    def __init__(self):
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.world = World(self.patch, max_waiting_records=4)
        self.may_end = None

    @property
    def consumer(self):
        return self.world.running.consumer

    @initialize(counts=st.lists(st.integers(0, 5), min_size=2, max_size=2))
    def begin(self, counts):
        """The lane has all partitions, and there is something to read."""
        for at, count in zip(SOURCES, counts, strict=True):
            self.append(at, [False] * count, gap=False)
        self.turn([("assign", SOURCES)])

    @rule(at=st.sampled_from(SOURCES), bad=st.lists(st.booleans(), min_size=1, max_size=6), gap=st.booleans())
    def append(self, at, bad, gap):
        """Events come, some of which the target refuses; and a marker of somebody's transaction takes an offset."""
        for is_bad in bad:
            self.world.cluster.append(at, BAD if is_bad else b"event")
        if gap:
            self.world.cluster.logs[at].append(None)

    @rule(records=st.integers(0, 5), seconds=st.sampled_from([0.02, 0.1, 1.1]))
    def read(self, records, seconds):
        """Time passes, and a turn without anything in between."""
        self.world.cluster.sleep(seconds)
        self.turn([("deliver", records)] if records else [])

    @rule(number=st.integers(0, 5), left=st.integers(0, 3))
    def answer(self, number, left):
        """The target answers a batch, in any order; a retired one may leave some of it."""
        open_batches = self.world.running.thread.open
        if open_batches:
            self.world.answer(number % len(open_batches), left=lambda event: event.offset % 3 < left)

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
                    self._rival_goes_on(argument)
                elif what == "away":  # and back at once
                    self._change("revoke", argument)
                    self._rival_goes_on(argument)
                    self._change("assign", argument)
                elif what == "lost":
                    self.expel(knows=False)
                    self._change("lose", argument)
                    self._rival_goes_on(argument)
                    self._change("assign", argument)
                else:
                    self._change(what, argument)
            return found

        self.world.running.turn(consume)
        self._go_on()

    def _rival_goes_on(self, partitions):
        self.world.rival_takes(partitions)
        for at in partitions:
            self.world.rival_delivers(at, 2)
        self.world.rival_returns(partitions)

    def _change(self, what, partitions):
        cluster, consumer = self.world.cluster, self.consumer
        if consumer.member is not None and consumer.member not in cluster.members:
            consumer.lose()
        elif what == "revoke":
            if gone := [at for at in partitions if at in consumer.assigned]:
                consumer.revoke(gone)
        elif new := [at for at in partitions if at not in cluster.owners]:
            consumer.assign(new)

    def _go_on(self):
        """Start another lane if this one has ended, as a supervisor does."""
        if not self.world.running.is_parked:
            self.world.end_with(self.may_end)
            self.may_end = None

    @rule()
    def arrive(self):
        """A request of the running commit arrives."""
        self.world.running.producer.advance()

    @rule(end=BAD_ENDS, produces=st.integers(0, 3))
    def break_next(self, end, produces):
        """The next transaction does not end well."""
        producer = self.world.running.producer
        producer.ends, producer.produces = [end], produces
        if end is End.FATAL:
            self.may_end = FatalError

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

    @rule(at=st.sampled_from(SOURCES), most=st.integers(0, 3))
    def rival_delivers(self, at, most):
        self.world.rival_delivers(at, most)

    @rule(name=st.sampled_from(["first", "second"]), records=st.integers(1, 3))
    def edit(self, name, records):
        """Another version is to come into force, with the same target or another."""
        version = self.world.version(name, max_waiting_records=records)
        self.world.running.versions.propose(version, asked=False)

    @rule(is_down=st.booleans())
    def fail(self, is_down):
        """The target takes nothing, or does again."""
        self.world.running.targets[-1].why_waiting = "down" if is_down else ""

    @rule()
    def stop(self):
        """SIGTERM: the lane ends when its turn is over."""
        self.world.running.stopping = True

    @rule()
    def kill(self):
        """SIGKILL: what it had is free when its session is over."""
        self.world.running.kill()
        self.world.replace_lane()
        self.may_end = None

    @invariant()
    def nothing_is_lost(self):
        """What the group has passed was delivered, or has one letter; nothing else has any."""
        self.world.check()

    @invariant()
    def what_waits_is_bounded(self):
        """Four may wait; the batch that was being read may cross that."""
        assert sum(len(batch.events) for _, batch in self.world.running.thread.open) <= 4 + 4

    def teardown(self):
        try:
            self.world.drain()
        finally:
            self.world.running.kill()
            self.patch.undo()


def test_no_order_of_events_loses_an_event_or_doubles_a_letter():
    """Whatever happens, and in the end the lane comes to the end of all logs."""
    settings = hypothesis.settings(max_examples=examples(300), stateful_step_count=40, deadline=None)
    hypothesis.stateful.run_state_machine_as_test(LaneMachine, settings=settings)
