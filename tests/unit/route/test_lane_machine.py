"""Every order of events in a lane's life, on a fake cluster: reading, committing, rebalances, faults and edits."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.conftest import examples
from tests.fake_kafka.group_machine import BAD_ENDS, GroupMachine

from .lane_world import SOURCES, VERSIONS, World


class LaneMachine(GroupMachine, sources=SOURCES):
    """A lane with three partitions and another member of its group."""

    def make_world(self, patch):
        return World(patch)

    @initialize(holds_all=st.booleans())
    def hold_from_the_beginning(self, holds_all):
        """As `hold`, before anything is committed."""
        self.hold(holds_all)

    @rule(holds_all=st.booleans())
    def hold(self, holds_all):
        """Transactions have to hold offsets of partitions that were not read."""
        self.world.running.journal.holds_all = holds_all

    @rule(records=st.integers(1, 5), arrive=st.integers(0, 2), end=st.none() | BAD_ENDS)
    def read(self, records, arrive, end):
        """A turn without anything in between, and *arrive* requests of its commit. How the next transaction ends."""
        self.turn([("deliver", records)])
        for _ in range(arrive):
            self.arrive()
        if end is not None:
            self.break_next(end, produces=records // 2)

    @rule(version=st.sampled_from(VERSIONS))
    def edit(self, version):
        """Another version is to come into force."""
        self.world.running.versions.propose(version, asked=False)


def test_no_order_of_events_loses_or_doubles_a_record():
    """Whatever happens, and in the end the lane comes to the end of all logs."""
    settings = hypothesis.settings(max_examples=examples(400), stateful_step_count=40, deadline=None)
    hypothesis.stateful.run_state_machine_as_test(LaneMachine, settings=settings)
