"""Every order of events in a delivery lane's life, on a fake cluster: answers, commits, rebalances, faults, reloads."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from tests.conftest import examples
from tests.fake_kafka.group_machine import BAD_ENDS, GroupMachine, drawn

from .lane_world import BAD, SOURCES, World


class LaneMachine(GroupMachine, sources=SOURCES, values=(b"event", BAD)):
    """A lane with two partitions and another member of its group; the target refuses some events."""

    def make_world(self, patch):
        return World(patch, max_waiting_records=4)

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

    @rule(at=drawn("source"), values=drawn("values"), arrive=st.integers(0, 2), end=st.none() | BAD_ENDS)
    def deliver(self, at, values, arrive, end):
        """Events come, are read and answered; their commit begins, of which *arrive* requests arrive. How it ends."""
        self.append(at, values, gap=False)
        self.turn([("assign", self.sources)])
        self.read(5, 0.1)
        self.read(0, 0.1)
        self.world.answer_all()
        if end is not None:
            self.break_next(end, produces=len(values) // 2)
        self.read(0, 1.1)
        for _ in range(arrive):
            self.arrive()

    @rule(name=st.sampled_from(["first", "second"]), records=st.integers(1, 3))
    def edit(self, name, records):
        """Another version is to come into force, with the same target or another."""
        version = self.world.version(name, max_waiting_records=records)
        self.world.running.versions.propose(version, asked=False)

    @rule(is_down=st.booleans())
    def fail(self, is_down):
        """The target takes nothing, or does again."""
        self.world.running.targets[-1].why_waiting = "down" if is_down else ""

    @invariant()
    def what_waits_is_bounded(self):
        """Four may wait; the batch that was being read may cross that."""
        assert sum(len(batch.events) for _, batch in self.world.running.thread.open) <= 4 + 4


def test_no_order_of_events_loses_an_event_or_doubles_a_letter():
    """Whatever happens, and in the end the lane comes to the end of all logs."""
    settings = hypothesis.settings(max_examples=examples(270), stateful_step_count=40, deadline=None)
    hypothesis.stateful.run_state_machine_as_test(LaneMachine, settings=settings)
