"""The lease of a group member."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from logrouter.tables.lease import Lease
from logrouter.tables.transport import follow_membership

SESSION, REBALANCE = 10.0, 30.0


class Clock:
    """A clock that tests move."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """A clock at 100 s."""
    return Clock()


@pytest.fixture
def lease(clock):
    """A lease of a session of 10 s and a rebalance time-out of 30 s."""
    return Lease(SESSION, REBALANCE, clock)


def test_lease_is_valid_for_most_of_a_session_after_the_request_was_sent(clock, lease):
    """It counts from before the request, so a process that slept before the answer has none when it wakes."""
    assert not lease.valid()
    assert not lease.silent()
    asked = lease.ask()
    clock.now += 7.9
    lease.renew(asked)
    assert lease.valid()
    clock.now += 0.2
    assert not lease.valid()
    assert lease.silent()


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="this system has no clock that counts while it sleeps")
def test_time_passes_while_the_machine_is_suspended(monkeypatch):
    """The cluster goes on meanwhile; a monotonic clock stands still."""
    boot, clock_gettime = [100.0], time.clock_gettime
    monkeypatch.setattr(time, "clock_gettime", lambda of: boot[0] if of == time.CLOCK_BOOTTIME else clock_gettime(of))
    lease = Lease(SESSION, REBALANCE)
    lease.renew(lease.ask())
    assert lease.valid()
    boot[0] += 60
    assert not lease.valid()


def test_late_answer_to_an_old_request_does_not_shorten_it(clock, lease):
    """Answers may be noticed out of order."""
    old = lease.ask()
    clock.now += 5
    lease.renew(lease.ask())
    lease.renew(old)
    clock.now += 7
    assert lease.valid()


def test_heartbeats_in_a_rebalance_keep_it_for_most_of_the_rebalance_time_out(clock, lease):
    """A flush of 20 s is none too long then; one that takes longer than the coordinator waits for us is."""
    lease.renew(lease.ask())
    held = []
    for second in range(1, 31):
        clock.now += 1
        lease.renew_in_rebalance(lease.ask())
        if lease.valid():
            held.append(second)
    assert held == list(range(1, 24))


def test_rebalance_counts_from_the_last_answer_that_denied_it(clock, lease):
    """A process that slept through the beginning of a rebalance, or through that answer, does not know when it was."""
    asked = lease.ask()
    clock.now += 5
    lease.renew(asked)
    clock.now += 18
    lease.renew_in_rebalance(lease.ask())
    assert lease.valid()
    clock.now += 1
    lease.renew_in_rebalance(lease.ask())
    assert not lease.valid()


def test_asking_to_join_ends_it_until_partitions_are_assigned(clock, lease):
    """The request gives the partitions away; a heartbeat sent before says nothing about what comes after."""
    lease.renew(lease.ask())
    heartbeat = lease.ask()
    lease.give_up()
    lease.renew(heartbeat)
    lease.renew_in_rebalance(heartbeat)
    assert not lease.valid()
    clock.now += REBALANCE - 1  # the others may take so long
    assert not lease.silent()
    lease.renew(lease.ask())
    assert lease.valid()


@pytest.mark.parametrize(
    ("request_type", "error_code", "valid"),
    [
        (HeartbeatRequest, 0, True),
        (HeartbeatRequest, 27, True),
        (HeartbeatRequest, 25, False),  # not a member
        (HeartbeatRequest, 22, False),  # another generation
        (SyncGroupRequest, 0, True),
        (SyncGroupRequest, 25, False),
        (JoinGroupRequest, 0, False),
        (LeaveGroupRequest, 0, False),
    ],
)
def test_answers_of_the_coordinator_and_what_they_say(lease, request_type, error_code, valid):
    """What is sent and answered through the coordinator's connection moves the lease; it was valid before."""

    async def send(_request):
        return SimpleNamespace(error_code=error_code)

    lease.renew(lease.ask())
    asyncio.run(follow_membership(send, lease)(object.__new__(request_type)))
    assert lease.valid() == valid


def test_heartbeat_that_is_not_answered_renews_nothing(clock, lease):
    """As where the connection breaks."""

    async def send(_request):
        raise ConnectionError

    lease.renew(lease.ask())
    clock.now += 7
    with pytest.raises(ConnectionError):
        asyncio.run(follow_membership(send, lease)(object.__new__(HeartbeatRequest)))
    clock.now += 2
    assert not lease.valid()


_SECONDS = st.sampled_from([0.0, 0.3, 1.7, 4.0, 7.0, 9.0])


class Member(RuleBasedStateMachine):
    """A member whose requests reach the coordinator late and whose answers are noticed late, lost, or out of order.

    The coordinator is modelled after Kafka's: it removes a member after a session without request of it, or when it
    has waited for it for the rebalance time-out; it gives partitions away when every member that it has left has
    joined. Its clock runs 5 % faster than ours.
    """

    def __init__(self):
        super().__init__()
        self.clock = Clock()
        self.lease = Lease(SESSION, REBALANCE, self.clock)
        self.on_wire = []
        self.answers = []
        self.generation = 1
        self.known = True
        """Whether the coordinator has our membership, and in which of its states the group is."""
        self.state = "stable"
        self.others_may_own = False
        self.assigned = 1
        """The generation of the assignment that we hold, 0 for none."""
        self.session_ends = self.coordinator_time() + SESSION
        self.join_ends = 0.0
        self.lease.renew(self.lease.ask())

    def coordinator_time(self):
        return self.clock.now * 1.05

    # Time

    @rule(seconds=_SECONDS)
    def time_goes_by(self, seconds):
        """The coordinator acts when its timers end, not when we look."""
        until = self.clock.now + seconds
        while self.clock.now < until:
            self.clock.now += 0.2
            late = self.coordinator_time() >= self.session_ends
            late |= self.state == "preparing" and self.coordinator_time() >= self.join_ends
            if self.known and late:
                self.remove()
            self.nobody_else_owns_what_a_valid_lease_covers()

    def remove(self):
        self.known, self.others_may_own = False, True

    @precondition(lambda self: self.known and self.state in ("stable", "completing"))
    @rule()
    def another_member_joins(self):
        """A rebalance begins, of which we hear by the next heartbeat."""
        self.state, self.join_ends = "preparing", self.coordinator_time() + REBALANCE

    # Our requests

    @precondition(lambda self: self.assigned)
    @rule()
    def send_heartbeat(self):
        self.on_wire.append(("heartbeat", self.lease.ask(), self.assigned))

    @precondition(lambda self: self.assigned)
    @rule(times=st.integers(1, 8), pause=_SECONDS, on_its_way=_SECONDS, on_its_way_back=_SECONDS)
    def heartbeats_are_answered(self, times, pause, on_its_way, on_its_way_back):
        """Some in a row, with nothing in between; slow where the process is stopped meanwhile."""
        for _ in range(times):
            self.time_goes_by(pause)
            asked = self.lease.ask()
            self.time_goes_by(on_its_way)
            code = self.answer_heartbeat(self.assigned)
            self.time_goes_by(on_its_way_back)
            self.note("heartbeat", asked, code)

    @rule()
    def ask_to_join(self):
        """The flush is done, or we have no partitions. An older request to join went down with its connection."""
        self.lease.give_up()
        self.assigned = 0
        self.on_wire = [("join", self.lease.ask(), 0), *(sent for sent in self.on_wire if sent[0] != "join")]

    @rule(on_its_way=_SECONDS, on_its_way_back=_SECONDS)
    def joins_and_is_assigned_partitions(self, on_its_way, on_its_way_back):
        """Both requests, with nothing in between."""
        self.ask_to_join()
        self.on_wire.clear()
        self.time_goes_by(on_its_way)
        self.answer_join(0)
        asked = self.lease.ask()
        code = self.answer_sync(self.generation)
        self.time_goes_by(on_its_way_back)
        self.assigned = self.generation
        self.note("sync", asked, code)

    @precondition(lambda self: self.on_wire)
    @rule(data=st.data())
    def request_arrives(self, data):
        kind, asked, generation = self.on_wire.pop(data.draw(st.integers(0, len(self.on_wire) - 1)))
        code = getattr(self, f"answer_{kind}")(generation)
        if code is not None:
            self.answers.append((kind, asked, code, self.generation))

    def answer_heartbeat(self, generation):
        if not self.known or generation != self.generation:
            return 25
        self.session_ends = self.coordinator_time() + SESSION
        return 27 if self.state == "preparing" else 0

    def answer_join(self, _generation):
        """The last to join, or the only one: the next generation begins and others may get what was ours."""
        self.known, self.state, self.others_may_own = True, "completing", True
        self.generation += 1
        self.session_ends = self.coordinator_time() + SESSION
        return 0

    def answer_sync(self, generation):
        if not self.known or generation != self.generation:
            return 25
        self.session_ends = self.coordinator_time() + SESSION
        if self.state == "preparing":
            return 27
        self.state, self.others_may_own = "stable", False
        return 0

    # Answers

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def answer_is_lost(self, data):
        self.answers.pop(data.draw(st.integers(0, len(self.answers) - 1)))

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def answer_is_noticed(self, data):
        kind, asked, code, generation = self.answers.pop(data.draw(st.integers(0, len(self.answers) - 1)))
        if kind == "join":
            if asked.term == self.lease.ask().term:
                self.on_wire.append(("sync", self.lease.ask(), generation))
            return
        if kind == "sync" and code == 0 and asked.term == self.lease.ask().term:
            self.assigned = generation
        self.note(kind, asked, code)

    def note(self, kind, asked, code):
        """As `follow_membership` does."""
        if code == 0:
            self.lease.renew(asked)
        elif code == 27:
            if kind == "heartbeat":
                self.lease.renew_in_rebalance(asked)
        else:
            self.lease.give_up()

    @invariant()
    def nobody_else_owns_what_a_valid_lease_covers(self):
        """What all of it is for."""
        assert not (self.lease.valid() and self.others_may_own)


TestLeaseOfMember = Member.TestCase
TestLeaseOfMember.settings = settings(stateful_step_count=15)


@given(
    rebalance=st.integers(0, 6),
    beats=st.lists(st.tuples(_SECONDS, st.sampled_from([0.0, 4.0]), st.sampled_from([0.0, 4.0])), min_size=12),
)
def test_member_that_never_joins_again_has_no_lease_when_others_own(rebalance, beats):
    """Heartbeats alone, before and in a rebalance that nobody waits for longer than its time-out."""
    member = Member()
    for number, (pause, on_its_way, on_its_way_back) in enumerate(beats):
        if number == rebalance:
            member.another_member_joins()
        member.heartbeats_are_answered(1, pause, on_its_way, on_its_way_back)
    member.time_goes_by(REBALANCE)
    assert member.others_may_own
    assert not member.lease.valid()
