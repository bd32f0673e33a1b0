"""The protocol of ADR 0035, whoever dies at whatever moment: places, sweeps and status records together."""

from __future__ import annotations

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.conftest import examples
from tests.unit.core.drains.protocol_world import DRAINS, RETRY, RetryOwner, SourceOwner, World

SOURCES = (("s", 0), ("t", 1))
PARTITIONS = (*SOURCES, RETRY)


COUNTS = range(1, 7)
WAYS = ["ok"] * 6 + ["part", "refused", "lost"]
ENDS = ["committed"] * 6 + ["aborted", "doubt"]
"""How a request and a transaction end."""
FORMER = [False, True]

# How often each action is chosen, and what it is called with.
ACTIONS = [
    (6, "write_lines", SOURCES, COUNTS),
    (1, "change_target", DRAINS),
    (1, "pass_time", [1.0, 5.0, 11.0]),
    (4, "end_transactions", ["status", "retry", "offsets"]),
    (0.5, "delete_old_records", range(1, 12)),
    (1, "let_a_cancelled_request_arrive", range(4), [False, True]),
    (0.02, "remove_drain"),
    (2, "take_over_step", PARTITIONS),
    (4, "follow", PARTITIONS, FORMER, COUNTS),
    (6, "read", PARTITIONS, FORMER, COUNTS),
    (3, "send", PARTITIONS, FORMER, DRAINS),
    (3, "answer", PARTITIONS, FORMER, DRAINS, WAYS),
    (3, "begin_commit", PARTITIONS, FORMER),
    (3, "end_commit", PARTITIONS, FORMER, ENDS),
    (2, "look_for_end"),
    (3, "take_over", PARTITIONS),
    (5, "commit", PARTITIONS, ENDS),
    (2, "do_other_things_beside_a_commit", PARTITIONS, DRAINS, WAYS, ENDS),
    (1, "tell_of_lines_before_they_are_seen", SOURCES),
    (0.5, "die_behind_a_commit", PARTITIONS),
    (0.5, "take_over_amid_a_move", SOURCES, ENDS),
    (1, "hang", SOURCES, DRAINS),
    (8, "deliver", PARTITIONS, DRAINS, WAYS),
    (0.4, "die", PARTITIONS),
    (1, "lose", PARTITIONS),
    (0.4, "hand_over", PARTITIONS),
    (0.5, "end_transactions_of_the_dead"),
]


class DrainsMachine(RuleBasedStateMachine):
    """Owners of two source partitions and of the retry partition, and former ones that do not know it yet."""

    def __init__(self):
        super().__init__()
        self.world = World(SOURCES)
        self.owners = {at: self.make(at) for at in PARTITIONS}
        self.zombies = []

    def make(self, at):
        return RetryOwner(self.world, at) if at == RETRY else SourceOwner(self.world, at)

    def living(self, at, of_former):
        """The owner of a partition, or with *of_former* the last former one that is alive."""
        former = [each for each in self.zombies if each.at == at and not each.is_dead]
        return former[-1] if of_former and former else self.owners[at]

    @initialize()
    def begin(self):
        """Owners that run, and a drain that is down."""
        self.world.up["b"] = False
        for at in PARTITIONS:
            self.take_over(at)

    @rule(seed=st.integers(0, 1 << 32), count=st.integers(1, 80))
    def act(self, seed, count):
        """Many at a time, as only what many have brought about is interesting; what must hold is seen after each."""
        draw = Random(seed)
        for _, name, *choices in draw.choices(ACTIONS, [each[0] for each in ACTIONS], k=count):
            getattr(self, name)(*map(draw.choice, choices))
            self.lines_come_in_order()
            self.only_what_is_excused_comes_twice()
            self.nothing_is_told_as_lost_that_was_not_deleted()

    # What the world does.

    def write_lines(self, at, count):
        """The first drain gets all of them, others some."""
        log = self.world.sources[at]
        log += [{DRAINS[0], *DRAINS[1 + each % 3 :]} for each in range(len(log), len(log) + count)]

    def change_target(self, drain):
        self.world.up[drain] = not self.world.up[drain]

    def pass_time(self, seconds):
        self.world.now += seconds

    def end_transactions(self, place):
        self.world.mark(place)

    def delete_old_records(self, count):
        self.world.delete(count)

    def let_a_cancelled_request_arrive(self, which, is_answered):
        if which < len(self.world.limbo):
            self.world.let_arrive(*self.world.limbo.pop(which), is_answered=is_answered)

    def remove_drain(self):
        self.world.gone.add(drain := DRAINS[-1])
        for each in [*self.owners.values(), *self.zombies]:
            if not each.is_dead:
                each.drop(drain)

    # What owners do.

    def take_over_step(self, at):
        self.owners[at].start()

    def follow(self, at, of_former, count):
        self.living(at, of_former).follow(count)

    def read(self, at, of_former, times):
        for _ in range(times):
            self.living(at, of_former).read()

    def send(self, at, of_former, drain):
        self.living(at, of_former).send(drain)

    def answer(self, at, of_former, drain, outcome):
        self.living(at, of_former).answer(drain, outcome)

    def begin_commit(self, at, of_former):
        self.living(at, of_former).begin_commit()

    def end_commit(self, at, of_former, end):
        self.living(at, of_former).end_commit(end)

    def look_for_end(self):
        self.owners[RETRY].look_for_end()

    # Several steps as they come when all goes well: what is interesting lies behind them.

    def take_over(self, at):
        owner = self.owners[at]
        self.end_all_transactions_of_the_dead()
        for _ in range(3):
            owner.start()

    def commit(self, at, end):
        self.owners[at].begin_commit()
        self.owners[at].end_commit(end)
        for place in ("status", "retry", "offsets"):
            self.world.mark(place)

    def do_other_things_beside_a_commit(self, at, drain, outcome, end):
        owner = self.owners[at]
        owner.begin_commit()
        for _ in range(3):
            owner.read()
        owner.send(drain)
        owner.answer(drain, outcome)
        owner.end_commit(end)

    def tell_of_lines_before_they_are_seen(self, at):
        """A transaction has ended in the status topic alone, and the owner of the lines looks for them."""
        self.owners[at].begin_commit()
        self.owners[at].end_commit("committed")
        self.world.mark("status")
        self.owners[RETRY].follow()
        for _ in range(2):
            self.owners[RETRY].look_for_end()

    def die_behind_a_commit(self, at):
        """What is committed is not known everywhere when the next owner comes."""
        self.owners[at].read()
        for drain in DRAINS:
            self.deliver(at, drain, "ok")
        self.owners[at].begin_commit()
        self.owners[at].end_commit("committed")
        self.die(at)
        for _ in range(3):
            self.owners[at].start()

    def take_over_amid_a_move(self, at, end):
        """Lines lie in the retry topic, and nothing has been said of them when its next owner comes."""
        self.world.now += 11
        self.owners[at].begin_commit()
        self.die(RETRY)
        for _ in range(3):
            self.owners[RETRY].start()
        self.owners[at].end_commit(end)

    def hang(self, at, drain):
        """A request hangs until its lines are moved."""
        self.owners[at].send(drain)
        self.world.now += 11
        self.owners[at].begin_commit()

    def deliver(self, at, drain, outcome):
        self.owners[at].send(drain)
        self.owners[at].answer(drain, outcome)

    # Owners change.

    def die(self, at):
        self.owners[at].die()
        self.owners[at] = self.make(at)

    def lose(self, at):
        """It has another owner, and has not heard of it."""
        former = self.owners[at]
        self.owners[at] = self.make(at)
        former.excuse_open()
        self.zombies.append(former)

    def hand_over(self, at):
        """In order: what waits is moved, and all is committed."""
        owner = self.owners[at]
        if not owner.may_begin():
            return
        owner.leave_in_order()
        self.owners[at] = self.make(at)

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

    def lines_come_in_order(self):
        """But for those that may have been told as dropped, and come after all when they are moved once more."""
        for drain, arrived in self.world.arrived.items():
            kept = [each.split("-") for each in arrived if each not in self.world.deleted[drain]]
            for topic, _ in SOURCES:
                offsets = [int(offset) for name, offset in kept if name == topic]
                first = [*dict.fromkeys(offsets)]
                assert first == sorted(first), (drain, first)

    def only_what_is_excused_comes_twice(self):
        for drain, arrived in self.world.arrived.items():
            if len(set(arrived)) < len(arrived):
                doubled = {each for each in arrived if arrived.count(each) > 1}
                assert {(drain, each) for each in doubled} <= self.world.excused

    def nothing_is_told_as_lost_that_was_not_deleted(self):
        for drain, lines in self.world.told.items():
            assert lines == 0 or self.world.deleted[drain]

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
                for _ in range(20):
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
            assert missing <= self.world.deleted[drain]
            assert len(missing) <= self.world.told[drain]
        self.lines_come_in_order()
        self.only_what_is_excused_comes_twice()
        self.nothing_is_told_as_lost_that_was_not_deleted()


TestProtocol = DrainsMachine.TestCase
TestProtocol.settings = settings(max_examples=examples(400), stateful_step_count=6)
