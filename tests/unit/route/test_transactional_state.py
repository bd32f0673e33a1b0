"""The seam of states: what the transaction, the group and the partitions of a lane mean to one more of them."""

from __future__ import annotations

import pytest

from logrouter.core.dead_letter import DeadLetterSettings
from logrouter.kafka.assignment import Assignment
from logrouter.kafka.connection import BrokerState
from logrouter.kafka.consumer import AssignmentStart, CommittedOffset
from logrouter.kafka.errors import StuckError, TransactionAbortedError, UnknownOutcomeError
from logrouter.route.in_flight import InFlightBatch
from logrouter.route.membership import Membership
from logrouter.route.output import BatchOutput
from logrouter.route.settings import LaneSettings
from logrouter.route.transactional_state import ScreenedRecords, TransactionalState
from tests.fake_kafka.messages import Message

SETTINGS = LaneSettings({}, "g", "i", DeadLetterSettings("dead", 100), "rollup", 1)
OURS, OTHER = ("ledger", 3), ("logs", 0)


class Ledger(TransactionalState):
    """A third state: a record in every transaction, and partitions of its own that begin at 2."""

    def __init__(self):
        self.heard = []

    def assigned(self, partitions):
        return AssignmentStart({at: 2 for at in partitions if at == OURS}, [at for at in partitions if at == OURS])

    def screen(self, messages, _now_ms):
        early = [m for m in messages if m.topic() == OURS[0]]
        return ScreenedRecords([m for m in messages if m.topic() != OURS[0]], early)

    def forget(self, at):
        self.heard.append(("forget", at))

    def publish(self, _output, produce, headers):
        produce("ledger.state", b"sum", b"key", headers, OURS[1])
        return {OURS}

    def committed(self, output):
        self.heard.append(("committed", dict(output.positions)))

    def aborted(self):
        self.heard.append("aborted")


class Client:
    """Stands in for consumer and producer: what was published, committed and gone back to."""

    def __init__(self):
        self.produced, self.offsets, self.sought = [], None, []
        self.is_committing = False
        self.fails: type[TransactionAbortedError] | None = None
        self.landed = {OURS: 40}

    def begin(self):
        self.is_committing = False

    def produce(self, topic, value, _key, headers, partition=-1):
        self.produced.append((topic, value, partition, dict(headers)))

    def group_metadata(self):
        return "member"

    def commit_later(self, offsets, _group):
        self.offsets = {(p.topic, p.partition): p.offset for p in offsets}
        self.is_committing = True

    def await_commit(self):
        self.is_committing = False
        if self.fails:
            raise self.fails("moved")

    def fetch_committed(self, partitions, _seconds):
        return [CommittedOffset(at, self.landed[at], "") for at in partitions if at in self.landed]

    def seek(self, at, offset):
        self.sought.append((at, offset))


class Versions:
    """Counts nothing."""

    def record_commit(self, read, counts):
        pass


class Parts:
    """A lane's transaction and group with one state, which have both partitions."""

    def __init__(self):
        self.client, self.ledger = Client(), Ledger()
        self.assignment, broker = Assignment(self.client), BrokerState()
        self.batch = InFlightBatch(self.client, self.client, self.assignment, broker, Versions(), (self.ledger,))
        self.group = Membership(self.client, self.assignment, self.batch, self, broker, (self.ledger,))
        self.start = self.group.on_assigned([OURS, OTHER])

    def forget(self, at):
        """Stands in for the records of topics that have left."""

    def publish(self):
        """A batch of records 5 to 8 of the other partition."""
        self.batch.publish(BatchOutput(first={OTHER: 5}, positions={OTHER: 9}), SETTINGS, "gen")


@pytest.fixture
def parts():
    """A lane that has just got its partitions."""
    return Parts()


def test_its_records_and_offsets_are_in_the_transaction(parts):
    """An offset of its partition is committed though nothing was read of it: the one that is committed already."""
    parts.publish()
    parts.batch.await_commit()

    assert parts.client.produced == [("ledger.state", b"sum", 3, {"logrouter-generation": b"gen"})]
    assert parts.client.offsets == {OTHER: 9, OURS: 40}
    assert parts.ledger.heard == [("committed", {OTHER: 9, OURS: 40})]


def test_a_commit_that_has_landed_counts_whatever_the_client_says(parts):
    """The answer to the end of the transaction was lost: to go back would double it, and undo what is visible."""
    parts.publish()
    parts.client.fails, parts.client.landed = UnknownOutcomeError, {OURS: 40, OTHER: 9}

    parts.batch.await_commit()

    assert parts.ledger.heard == [("committed", {OTHER: 9, OURS: 40})]
    assert parts.batch.aborts == 0
    assert parts.client.sought == []


@pytest.mark.parametrize("landed", [{OURS: 40}, {OURS: 40, OTHER: 5}, {OURS: 40, OTHER: 12}])
def test_a_commit_has_not_landed_where_the_group_stands_elsewhere(parts, landed):
    """Before it, or where another owner has brought it."""
    parts.publish()
    parts.client.fails, parts.client.landed = UnknownOutcomeError, landed

    with pytest.raises(TransactionAbortedError):
        parts.batch.await_commit()


def test_time_outs_whose_commit_may_have_landed_are_not_published_again(parts):
    """Nothing was read, so the group stands where it stood: a new process begins with the state that is committed."""
    parts.batch.publish(BatchOutput(), SETTINGS, "gen")
    parts.client.fails = UnknownOutcomeError

    with pytest.raises(StuckError, match="its answer was lost"):
        parts.batch.await_commit()
    assert parts.ledger.heard == []


@pytest.mark.parametrize("lost", [False, True])
def test_time_outs_whose_commit_has_not_landed_are_published_again(parts, lost):
    """Or by whoever has got the partition meanwhile."""
    parts.batch.publish(BatchOutput(), SETTINGS, "gen")
    parts.client.fails = UnknownOutcomeError if lost else TransactionAbortedError
    if lost:
        parts.group.on_lost([OURS, OTHER])

    with pytest.raises(TransactionAbortedError) as aborted:
        parts.batch.await_commit()
    parts.batch.rewind(aborted.value)
    assert parts.ledger.heard[-1] == "aborted"


def test_it_is_undone_with_the_transaction(parts):
    """And with the batch that was processed meanwhile: reading goes on at the first record of both."""
    parts.publish()
    parts.client.fails = TransactionAbortedError
    with pytest.raises(TransactionAbortedError) as aborted:
        parts.batch.await_commit()
    parts.batch.abandon(BatchOutput(first={OTHER: 9, OURS: 7}))
    parts.batch.rewind(aborted.value)

    assert parts.ledger.heard == ["aborted"]
    assert sorted(parts.client.sought) == [(OURS, 7), (OTHER, 5)]


def test_it_says_where_its_partitions_begin_and_which_wait(parts):
    """Other partitions begin where the group has committed."""
    assert parts.start == ({OURS: 2}, [OURS])


def test_records_that_come_too_early_for_it_are_read_again(parts):
    """They were on their way when the partition was paused."""
    records = [Message(b"x", 5, *reversed(OTHER)), Message(b"y", 8, 3, "ledger"), Message(b"z", 7, 3, "ledger")]

    assert parts.group.screen(records, lambda: 0) == records[:1]
    assert parts.client.sought == [(OURS, 7)]


def test_an_aborted_commit_in_a_rebalance_does_not_go_back_in_what_leaves(parts):
    """Whoever owns the partition next may have gone on already; the others are read again."""
    parts.publish()
    parts.client.fails = TransactionAbortedError
    parts.group.on_revoked([OTHER])

    assert parts.client.sought == []
    assert parts.ledger.heard == [("forget", OTHER), "aborted", ("forget", OTHER)]
    assert parts.group.screen([Message(b"y", 8, 3, "ledger")], lambda: 0) == []
    assert parts.client.sought == [(OURS, 8)]


def test_what_was_known_of_a_partition_goes_with_it(parts):
    """A commit that still runs does not bring it back: another member may have gone on before it is ours again."""
    parts.publish()
    parts.group.on_lost([OTHER])
    assert OTHER not in parts.assignment.positions
    parts.group.on_assigned([OTHER])
    parts.batch.await_commit()

    assert OTHER not in parts.assignment.positions


def test_abort_does_not_go_back_in_a_partition_that_has_been_away(parts):
    """It begins where the group stands."""
    parts.publish()
    parts.group.on_lost([OTHER])
    parts.group.on_assigned([OTHER])
    parts.client.fails = TransactionAbortedError
    with pytest.raises(TransactionAbortedError) as aborted:
        parts.batch.await_commit()
    parts.batch.rewind(aborted.value)

    assert parts.client.sought == []
