"""Every order of events in the life of any lane: turns, commits that end badly, rebalances, another member, ends."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from logrouter.kafka.errors import FatalError
from tests.fake_kafka.clients import End

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import SearchStrategy

    from logrouter.kafka.records import Partition
    from tests.fake_kafka.group_world import GroupWorld
    from tests.fake_kafka.messages import Message

BAD_ENDS = st.sampled_from(
    [End.REFUSED, End.REFUSED, End.PRODUCE_REFUSED, End.LOST_ANSWER, End.LOST_ANSWER, End.STOPPED, End.FATAL]
)


def drawn(name: str) -> SearchStrategy:
    """What the machine that runs has under this name: it depends on what its lane reads."""
    return st.runner().flatmap(attrgetter(name))


class GroupMachine(RuleBasedStateMachine):
    """A lane and another member of its group.

    A lane's tests derive from it, to make its world, and to add what else happens in its life and must hold.
    """

    def __init_subclass__(cls, *, sources: Sequence[Partition], values: Sequence[bytes] = (b"line",)) -> None:
        """*sources* is what the lane reads, *values* are those of records."""
        super().__init_subclass__()
        cls.sources = sources
        cls.source = st.sampled_from(sources)
        cls.partitions = st.lists(cls.source, min_size=1, max_size=len(sources), unique=True)
        cls.counts = st.lists(st.integers(0, 5), min_size=len(sources), max_size=len(sources))
        cls.values = st.lists(st.sampled_from(values), min_size=1, max_size=6)
        inside = st.one_of(
            st.tuples(st.just("deliver"), st.integers(1, 4)),
            st.tuples(st.sampled_from(["assign", "revoke", "rival", "away", "lost"]), cls.partitions),
            st.tuples(st.just("rebalance"), st.none()),
        )
        # What else happens inside one call of `consume`, and with what.
        cls.steps = st.lists(inside, min_size=1, max_size=5)

    def __init__(self):
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.world = self.make_world(self.patch)
        self.may_end = None

    def make_world(self, patch: pytest.MonkeyPatch) -> GroupWorld:
        """The world of the lane."""
        raise NotImplementedError

    @initialize(counts=drawn("counts"))
    def begin(self, counts):
        """The lane has all partitions, and there is something to read."""
        for at, count in zip(self.sources, counts, strict=True):
            self.append(at, [b"line"] * count, gap=False)
        self.turn([("assign", self.sources)])

    @rule(at=drawn("source"), values=drawn("values"), gap=st.booleans())
    def append(self, at, values, gap):
        """Records come; and a marker of somebody's transaction takes an offset."""
        for value in values:
            self.world.cluster.append(at, value)
        if gap:
            self.world.cluster.logs[at].append(None)

    @rule(steps=drawn("steps"))
    def turn(self, steps):
        """The lane consumes, and goes on until it consumes again."""
        world = self.world

        def consume(most: int) -> list[Message]:
            found: list[Message] = []
            for what, argument in steps:
                if what == "deliver":
                    found += world.running.consumer.deliver(min(argument, most - len(found)))
                elif what == "rebalance":
                    world.rebalance()
                elif what == "rival":
                    world.rival_reads_on(argument)
                elif what == "away":  # and back at once
                    world.revoke(argument)
                    world.rival_reads_on(argument)
                    world.assign(argument)
                elif what == "lost":
                    world.expel(knows=False)
                    world.hears_it_is_out()
                    world.rival_reads_on(argument)
                    world.assign(argument)
                elif what == "assign":
                    world.assign(argument)
                else:
                    world.revoke(argument)
            return found

        world.running.turn(consume)
        self._go_on()

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

    @rule(seconds=st.sampled_from([1, 5, 10]))
    def go_away(self, seconds):
        """No client hears of the cluster; transactions that are open for long have ended when it is back."""
        self.world.cluster.away_until = self.world.cluster.now + seconds

    @rule(count=st.integers(1, 3))
    def refuse_seeks(self, count):
        """Partitions that were assigned just now have no fetcher."""
        self.world.running.consumer.refused_seeks = count

    @rule(knows=st.booleans())
    def expel(self, knows):
        """The group has not heard of the lane for too long. That may be known before anything is consumed."""
        self.world.expel(knows=knows)

    @rule(partitions=drawn("partitions"))
    def rival_takes(self, partitions):
        self.world.rival_takes(partitions)

    @rule(partitions=drawn("partitions"))
    def rival_returns(self, partitions):
        self.world.rival_returns(partitions)

    @rule(at=drawn("source"), most=st.integers(0, 3), dies=st.booleans())
    def rival_reads(self, at, most, dies):
        self.world.rival_reads(at, most, dies=dies)

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
    def promises_hold(self):
        """Whatever the lane's world says must hold."""
        self.world.check()

    def teardown(self):
        try:
            self.world.drain()
        finally:
            self.world.running.kill()
            self.patch.undo()
