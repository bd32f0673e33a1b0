"""The protocol of ADR 0035, whoever dies at whatever moment: places, sweeps and status records together."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.conftest import examples
from tests.unit.core.drains.protocol_world import DRAINS, RETRY, RetryOwner, SourceOwner, World

SOURCES = (("s", 0), ("t", 1))
PARTITIONS = st.sampled_from([*SOURCES, RETRY])
DRAIN = st.sampled_from(DRAINS)
OUTCOMES = st.sampled_from(["ok", "ok", "ok", "part", "refused", "lost"])
ENDS = st.sampled_from(["committed", "committed", "committed", "aborted", "doubt"])


class DrainsMachine(RuleBasedStateMachine):
    """Owners of two source partitions and of the retry partition, and former ones that do not know it yet."""

    def __init__(self):
        super().__init__()
        self.world = World(SOURCES)
        self.owners = {at: self.make(at) for at in [*SOURCES, RETRY]}
        self.zombies = []

    def make(self, at):
        return RetryOwner(self.world, at) if at == RETRY else SourceOwner(self.world, at)

    def living(self, at, of_former):
        """The owner of a partition, or with *of_former* the last former one that is alive."""
        former = [each for each in self.zombies if each.at == at and not each.is_dead]
        return former[-1] if of_former and former else self.owners[at]

    # What the world does.

    @rule(at=st.sampled_from(SOURCES), records=st.lists(st.sets(DRAIN), min_size=1, max_size=6))
    def write_lines(self, at, records):
        self.world.sources[at] += records

    @rule(drain=DRAIN)
    def change_target(self, drain):
        self.world.up[drain] = not self.world.up[drain]

    @rule(seconds=st.sampled_from([1.0, 5.0, 11.0]))
    def pass_time(self, seconds):
        self.world.now += seconds

    @rule(place=st.sampled_from(["status", "retry", "offsets"]))
    def end_transactions(self, place):
        self.world.mark(place)

    @rule(count=st.integers(1, 12))
    def delete_old_records(self, count):
        self.world.delete(count)

    @rule(which=st.integers(0, 3), is_answered=st.booleans())
    def let_a_cancelled_request_arrive(self, which, is_answered):
        if which < len(self.world.limbo):
            self.world.let_arrive(*self.world.limbo.pop(which), is_answered=is_answered)

    @rule(drain=st.just("c"))
    def remove_drain(self, drain):
        self.world.gone.add(drain)
        for each in [*self.owners.values(), *self.zombies]:
            if not each.is_dead:
                each.drop(drain)

    # What owners do.

    @rule(at=PARTITIONS)
    def take_over_step(self, at):
        self.owners[at].start()

    @rule(at=PARTITIONS, of_former=st.booleans(), count=st.integers(1, 5))
    def follow(self, at, of_former, count):
        self.living(at, of_former).follow(count)

    @rule(at=PARTITIONS, of_former=st.booleans(), times=st.integers(1, 6))
    def read(self, at, of_former, times):
        for _ in range(times):
            self.living(at, of_former).read()

    @rule(at=PARTITIONS, of_former=st.booleans(), drain=DRAIN)
    def send(self, at, of_former, drain):
        self.living(at, of_former).send(drain)

    @rule(at=PARTITIONS, of_former=st.booleans(), drain=DRAIN, outcome=OUTCOMES)
    def answer(self, at, of_former, drain, outcome):
        self.living(at, of_former).answer(drain, outcome)

    @rule(at=PARTITIONS, of_former=st.booleans())
    def begin_commit(self, at, of_former):
        self.living(at, of_former).begin_commit()

    @rule(at=PARTITIONS, of_former=st.booleans(), end=ENDS)
    def end_commit(self, at, of_former, end):
        self.living(at, of_former).end_commit(end)

    @rule()
    def look_for_end(self):
        self.owners[RETRY].look_for_end()

    # Several steps as they come when all goes well: what is interesting lies behind them.

    @rule(at=PARTITIONS)
    def take_over(self, at):
        owner = self.owners[at]
        self.end_all_transactions_of_the_dead()
        for _ in range(3):
            owner.start()

    @rule(at=PARTITIONS, end=ENDS)
    def commit(self, at, end):
        self.owners[at].begin_commit()
        self.owners[at].end_commit(end)
        for place in ("status", "retry", "offsets"):
            self.world.mark(place)

    @rule(at=PARTITIONS, drain=DRAIN, outcome=OUTCOMES, end=ENDS)
    def do_other_things_beside_a_commit(self, at, drain, outcome, end):
        owner = self.owners[at]
        owner.begin_commit()
        for _ in range(3):
            owner.read()
        owner.send(drain)
        owner.answer(drain, outcome)
        owner.end_commit(end)

    @rule(at=PARTITIONS, drain=DRAIN, outcome=OUTCOMES)
    def deliver(self, at, drain, outcome):
        self.owners[at].send(drain)
        self.owners[at].answer(drain, outcome)

    # Owners change.

    @rule(at=PARTITIONS)
    def die(self, at):
        self.owners[at].die()
        self.owners[at] = self.make(at)

    @rule(at=PARTITIONS)
    def lose(self, at):
        """It has another owner, and has not heard of it."""
        former = self.owners[at]
        self.owners[at] = self.make(at)
        former.excuse_open()
        self.zombies.append(former)

    @rule(at=PARTITIONS)
    def hand_over(self, at):
        """In order: what waits is moved, and all is committed."""
        owner = self.owners[at]
        if not owner.may_begin():
            return
        owner.leave_in_order()
        self.owners[at] = self.make(at)

    @rule()
    def end_transactions_of_the_dead(self):
        self.end_all_transactions_of_the_dead()

    def end_all_transactions_of_the_dead(self):
        alive = {id(each.transaction) for each in [*self.owners.values(), *self.zombies] if not each.is_dead}
        for each in self.world.transactions:
            if each.committed is None and id(each) not in alive:
                each.committed = False
        for place in ("status", "retry", "offsets"):
            self.world.mark(place)

    # What holds.

    @invariant()
    def lines_come_in_order(self):
        for drain, arrived in self.world.arrived.items():
            for topic, _ in SOURCES:
                offsets = [int(each.split("-")[1]) for each in arrived if each.startswith(f"{topic}-")]
                first = [*dict.fromkeys(offsets)]
                assert first == sorted(first), (drain, first)

    @invariant()
    def only_what_is_excused_comes_twice(self):
        for drain, arrived in self.world.arrived.items():
            if len(set(arrived)) < len(arrived):
                doubled = {each for each in arrived if arrived.count(each) > 1}
                assert {(drain, each) for each in doubled} <= self.world.excused

    @invariant()
    def nothing_is_told_as_lost_that_was_not_deleted(self):
        assert self.world.deleted or not any(self.world.told.values())

    def teardown(self):
        """All is calm: nobody dies, targets are up."""
        for each in self.zombies:
            each.die()
        for each in self.owners.values():
            each.end_commit("committed")
        self.end_all_transactions_of_the_dead()
        for drain in DRAINS:
            self.world.up[drain] = True
        for _ in range(40 + 3 * sum(map(len, self.world.sources.values()))):
            self.world.now += 4
            for at, each in self.owners.items():
                each.start()
                each.follow()
                for _ in range(10):
                    each.read()
                for drain in DRAINS:
                    each.answer(drain, "ok")
                    each.send(drain)
                    each.answer(drain, "ok")
                self.commit(at, "committed")
            self.look_for_end()
        for at, lines in self.world.sources.items():
            assert self.world.committed[at] == len(lines)
        for drain in {*DRAINS} - self.world.gone:
            meant = {
                f"{at[0]}-{offset}" for at in SOURCES for offset, to in enumerate(self.world.sources[at]) if drain in to
            }
            missing = meant - {*self.world.arrived[drain]}
            assert {*self.world.arrived[drain]} <= meant
            assert len(missing) <= self.world.told[drain]
        self.lines_come_in_order()
        self.only_what_is_excused_comes_twice()
        self.nothing_is_told_as_lost_that_was_not_deleted()


TestProtocol = DrainsMachine.TestCase
TestProtocol.settings = settings(max_examples=examples(1_000), stateful_step_count=80)
