"""Single orders of events that no ordinary run shows, each with what must come of it; `test_lane_machine` tries all."""

from __future__ import annotations

import pytest

from logrouter.kafka.assignment import Assignment
from logrouter.kafka.errors import FatalError
from tests.fake_kafka.clients import End
from tests.fake_kafka.messages import DamagedBatch

from .lane_world import SOURCES, VERSIONS, World

S0, S1, T0 = SOURCES


@pytest.fixture
def world(monkeypatch):
    """A lane that has all partitions, with five records in each; the other member of its group is there."""
    made = World(monkeypatch)
    for at in SOURCES:
        for _ in range(5):
            made.cluster.append(at, b"line")
    made.running.turn(lambda _most: made.running.consumer.assign(SOURCES) or [])
    yield made
    made.running.kill()


def read(world, count):
    """A turn in which the lane reads records, and publishes them."""
    world.running.turn(lambda _most: world.running.consumer.deliver(count))


def rest(world):
    """A turn in which nothing comes: the commit ends."""
    read(world, 0)


@pytest.mark.parametrize("arrived", [0, 1, 2])
def test_partition_is_lost_while_its_commit_runs(world, arrived):
    """However many of its requests had arrived: the other member goes on where the group says, and so do we."""
    world.running.journal.holds_all = True
    read(world, 3)
    for _ in range(arrived):
        world.running.producer.advance()

    def lost(_most):
        consumer = world.running.consumer
        world.cluster.expel(consumer.member)
        consumer.lose()
        world.rival_reads_on([S0], 2)
        consumer.assign(SOURCES)
        return []

    world.running.turn(lost)
    world.check()
    read(world, 1)
    rest(world)
    world.drain()

    assert world.committed == [5, 5, 5]


@pytest.mark.parametrize("end", [End.COMMITTED, End.REFUSED])
@pytest.mark.parametrize("arrived", [0, 1])
def test_commit_ends_inside_a_revoke(world, end, arrived):
    """It is waited for. If it is aborted, what stays is read again, and nobody seeks in what leaves."""
    world.running.producer.ends = [end]
    read(world, 8)
    for _ in range(arrived):
        world.running.producer.advance()
    landed = arrived and end is End.COMMITTED
    running: list[bool] = []

    def revoke(_most):
        found = world.running.consumer.deliver(2)
        world.running.consumer.revoke([S0])
        running.append(world.running.producer.is_committing)
        world.rival_reads_on([S0], 4)
        return found + world.running.consumer.deliver(1)

    world.running.turn(revoke)
    rest(world)

    assert running == [False]
    assert world.committed == ([5, 5, 1] if landed else [4, 0, 0])
    world.drain()


def test_records_of_before_an_abort_inside_a_revoke_do_not_move_on(world):
    """The same call of `consume` has given records behind those of the aborted batch: that is read again first."""
    world.running.producer.ends = [End.REFUSED]
    read(world, 2)

    def revoke(_most):
        found = world.running.consumer.deliver(5)
        world.running.consumer.revoke([T0])
        return found

    world.running.turn(revoke)
    read(world, 10)
    rest(world)

    assert world.committed == [5, 5, 0]
    world.drain()


@pytest.mark.parametrize("returns", [False, True])
def test_records_of_a_partition_that_leaves_in_the_same_call_are_not_ours(world, returns):
    """They were read before it left. Whoever has it next reads them; if it is us, from where the other has come to."""

    def revoke(_most):
        found = world.running.consumer.deliver(7)
        world.running.consumer.revoke([S0])
        world.rival_reads_on([S0], 2)
        if returns:
            world.running.consumer.assign([S0])
        return found

    world.running.turn(revoke)
    rest(world)
    assert world.committed == [2, 2, 0]
    world.drain()


def test_member_that_knows_it_is_expelled_commits_nothing(world):
    """The group would take offsets of nobody in particular."""

    def expel(_most):
        found = world.running.consumer.deliver(3)
        world.cluster.expel(world.running.consumer.member)
        world.running.consumer.is_unknown = True
        return found

    world.running.turn(expel)
    assert world.committed == [0, 0, 0]
    assert world.cluster.open == []
    world.drain()


def test_going_back_is_tried_again_while_there_is_no_fetcher(world):
    """A partition that was assigned this moment cannot be sought in."""
    world.running.producer.ends = [End.REFUSED]
    read(world, 7)
    world.running.consumer.refused_seeks = 3
    rest(world)
    read(world, 7)
    rest(world)

    assert world.committed == [5, 2, 0]
    world.drain()


def test_nobody_seeks_in_a_partition_that_is_not_ours(world):
    """It would be tried until the process gives up."""
    assignment = Assignment(world.running.consumer)
    assignment.add_partitions([S0])
    assignment.seek_back({S0: 3, ("s", 7): 1})

    assert world.running.consumer.assigned[S0] == 3


@pytest.mark.parametrize("produced", [0, 1, 2])
def test_publishing_fails_half_way(world, produced):
    """Nothing of the batch is visible, nor of the one that was read meanwhile; both are read again."""
    world.running.producer.ends, world.running.producer.produces = [End.PRODUCE_REFUSED], produced
    read(world, 3)

    assert world.committed == [0, 0, 0]
    world.check()
    read(world, 3)
    rest(world)
    assert world.committed == [3, 0, 0]
    world.drain()


def test_two_batches_are_undone_at_once(world):
    """The one that was refused and the one that was processed meanwhile: reading goes on before both."""
    world.running.producer.ends = [End.REFUSED]
    read(world, 3)
    read(world, 4)
    read(world, 7)
    rest(world)

    assert world.committed == [5, 2, 0]
    world.drain()


def test_version_changes_while_a_commit_is_refused(world):
    """The batch is routed again, by the new version; what was set aside of a topic without a source is read later."""
    world.running.producer.ends = [End.REFUSED]
    world.running.versions.propose(VERSIONS[1], asked=False)
    read(world, 12)
    read(world, 15)
    rest(world)
    assert world.committed == [5, 5, 0]

    world.running.versions.propose(VERSIONS[2], asked=False)
    rest(world)
    read(world, 15)
    rest(world)
    assert world.committed == [5, 5, 5]


def test_asked_to_stop_while_a_revoke_waits_for_the_cluster(world):
    """The lane ends without another batch, whatever came in the same call."""
    world.running.producer.ends = [End.STOPPED]
    read(world, 3)

    def revoke(_most):
        world.running.consumer.revoke([S0])
        return world.running.consumer.deliver(3)

    world.running.turn(revoke)

    assert not world.running.is_parked
    assert world.running.error is None
    assert world.committed == [0, 0, 0]
    world.end_with(None)
    world.drain()


def test_client_breaks_inside_a_revoke(world):
    """A fatal error is not swallowed by the callback: the lane ends with it, and another one goes on."""
    world.running.producer.ends = [End.FATAL]
    read(world, 3)
    world.running.turn(lambda _most: world.running.consumer.revoke([S0]) or [])

    assert isinstance(world.running.error, FatalError)
    world.end_with(FatalError)
    world.drain()


def test_commit_has_landed_though_the_call_failed(world):
    """The answer to the end of the transaction was lost: what it has made visible is not read again."""
    world.running.producer.ends = [End.LOST_ANSWER]
    read(world, 3)
    rest(world)
    assert world.committed == [3, 0, 0]

    read(world, 4)
    rest(world)
    world.drain()


def test_a_damaged_batch_makes_a_process_unready_until_it_is_read(world):
    """What comes with the error is routed, from the partition itself and from others. The reason says what to do."""
    consumer = world.running.consumer
    world.running.turn(lambda most: [*consumer.deliver(min(most, 7)), DamagedBatch(5, *reversed(S0))])
    rest(world)
    assert world.committed == [5, 2, 0]
    assert world.running.lane.unready_reason == (
        "s [0] stands still before offset 5, a batch of records whose bytes are damaged: restore the partition from a "
        "good replica, or set `route_lane.on_unreadable: skip`"
    )

    world.cluster.append(S0, b"line")
    read(world, 1)
    assert world.running.lane.unready_reason == ""
    world.drain()


@pytest.mark.parametrize(("seconds", "landed"), [(5, True), (10, False)])
def test_cluster_is_away_while_a_commit_runs(world, seconds, landed):
    """The commit comes through behind that; if a transaction may not take as long, the batch is read again."""
    read(world, 3)
    world.cluster.away_until = world.cluster.now + seconds
    rest(world)
    assert world.committed == [3 if landed else 0, 0, 0]

    read(world, 3)
    rest(world)
    assert world.committed == ([5, 1, 0] if landed else [3, 0, 0])
    world.drain()
