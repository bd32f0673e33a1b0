"""Single orders of events in a delivery lane, each with what must come of it; `test_lane_machine` tries all."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from logrouter.deliver import lane as lane_module
from logrouter.deliver.batching import BatchBounds
from logrouter.kafka import stall
from logrouter.kafka.errors import FatalError, StuckError
from logrouter.kafka.offset_reset import Begin
from logrouter.sinks.contract import Delivered
from tests.fake_kafka.clients import End
from tests.fake_kafka.messages import DamagedBatch, Message

from .lane_world import BAD, SOURCES, World, offsets_of

S0, S1 = SOURCES


@pytest.fixture
def make_world(monkeypatch):
    """A world with these settings, whose lane has both partitions, with these events in the first one."""
    made = []

    def make(*values, **settings):
        world = World(monkeypatch, **settings)
        made.append(world)
        for value in values:
            world.cluster.append(S0, value)
        world.running.turn(lambda _most: world.running.consumer.assign(SOURCES) or [])
        return world

    yield make
    for world in made:
        world.running.kill()


def read(world, count=100):
    """A turn in which the lane reads what there is; what it had read before is on its way."""
    world.cluster.sleep(0.1)
    world.running.turn(lambda most: world.running.consumer.deliver(min(most, count)))


def rest(world, seconds=1.1):
    """Time passes: what is due is committed. The turns behind that show it."""
    world.cluster.sleep(seconds)
    for _ in range(4):
        world.running.turn(lambda _most: [])
        world.cluster.sleep(seconds)


def test_first_attempts_go_out_in_the_order_of_the_partition(make_world):
    """However they are cut into reads and batches; the target may answer them in another."""
    world = make_world(*[b"event"] * 7, batch=BatchBounds(3, 1_000, 0.05))
    for _ in range(3):
        read(world, 3)
    rest(world)
    assert offsets_of(world.running.thread.sent) == [(0, offset) for offset in range(7)]

    world.answer(1)
    rest(world)
    assert world.committed == [0, 0]
    world.answer(0)
    rest(world)
    assert world.committed == [6, 0]


def test_an_event_in_an_answer_that_was_lost_with_its_commit_has_one_letter(make_world):
    """The commit has come through, though the client says no; and another partition was lost while it ran."""
    world = make_world(BAD, b"event")
    world.cluster.append(S1, b"event")
    read(world)
    rest(world, 0.1)
    world.answer_all()
    world.running.producer.ends = [End.LOST_ANSWER]
    world.cluster.sleep(1.1)
    world.running.turn(lambda _most: [])
    assert world.running.producer.is_committing

    def lose(_most):
        world.running.producer.advance()
        world.running.producer.advance()
        world.running.consumer.listener.on_lost([S1])
        del world.running.consumer.assigned[S1], world.cluster.owners[S1]
        world.rival_takes([S1])
        world.cluster.append(S1, b"event")
        world.rival_reads(S1, 1)
        return []

    world.running.turn(lose)
    rest(world)
    rest(world)
    assert world.committed == [2, 2]
    assert world.letters() == {("s", 0, 0): 1}


def test_what_waits_for_a_target_goes_to_the_one_that_takes_its_place(make_world):
    """The former one is closed when its last batch has ended; what it has left is sent again, all else is not."""
    world = make_world(*[b"event"] * 4)
    read(world)
    rest(world, 0.1)
    world.running.versions.propose(world.version("second"), asked=False)
    rest(world, 0.1)
    first, second = world.running.targets
    assert world.running.thread.retired == [first]
    assert not first.is_closed

    world.answer(0, left=lambda event: event.offset == 1)
    world.answer(0, left=lambda _event: False)
    rest(world, 0.1)
    assert first.is_closed
    assert [(name, event.offset) for name, event in world.running.thread.sent[4:]] == [("second", 1)]
    world.answer_all()
    rest(world)
    assert world.committed == [4, 0]
    assert not second.is_closed


def test_a_delivery_goes_on_if_its_target_is_the_same_in_an_edited_file(make_world):
    """A file is edited for other reasons: connections and what is known of the target stay; bounds follow."""
    world = make_world(*[b"event"] * 4)
    world.running.versions.propose(world.version("first", batch=BatchBounds(4, 1_000, 0.05)), asked=False)
    rest(world, 0.1)
    read(world)
    assert [each.name for each in world.running.targets] == ["first"]
    assert [len(batch.events) for _, batch in world.running.thread.open] == [4]


def test_nothing_is_read_while_as_much_waits_as_may(make_world):
    """It is read on when half of it is done. A partition that comes meanwhile waits as well."""
    world = make_world(*[b"event"] * 10, max_waiting_records=4)
    world.cluster.append(S1, b"event")
    read(world)
    rest(world, 0.1)
    assert world.running.consumer.paused == {S0, S1}
    world.running.turn(lambda _most: world.running.consumer.revoke([S1]) or [])
    world.running.turn(lambda _most: world.running.consumer.assign([S1]) or [])
    rest(world, 0.1)
    assert world.running.consumer.paused == {S0, S1}

    world.answer_all()
    rest(world, 0.1)
    assert world.running.consumer.paused == set()


def test_an_offset_that_cannot_be_read_while_nothing_is_read_holds_nothing_for_ever(make_world):
    """The client says so late; once it is known where to go on, the partition is as free as the others."""
    world = make_world(*[b"event"] * 6, max_waiting_records=4)
    read(world)
    rest(world, 0.1)
    failed = Message(b"", 4, 0, "s")
    failed.error = lambda: KafkaError(KafkaError._AUTO_OFFSET_RESET)
    world.running.turn(lambda _most: [failed])
    world.answer_all()
    rest(world)
    rest(world)
    assert world.running.consumer.paused == set()
    read(world)
    rest(world, 0.1)
    world.answer_all()
    rest(world)
    assert world.committed == [6, 0]


def test_commits_that_fail_do_not_let_what_is_done_grow(make_world, monkeypatch):
    """The target takes everything, the cluster takes no offset: reading ends, and goes on with the first commit."""
    monkeypatch.setattr(lane_module, "_MAX_UNCOMMITTED", 6)
    world = make_world(*[b"event"] * 40, max_waiting_records=4)
    world.running.producer.ends = [End.REFUSED] * 30
    for _ in range(15):
        read(world)
        world.answer_all()
        world.cluster.sleep(1)
    sent = len(world.running.thread.sent)
    assert 4 < sent <= 14
    assert world.committed == [0, 0]

    world.running.producer.ends.clear()
    rest(world)
    read(world)
    rest(world, 0.1)
    assert world.committed == [sent, 0]
    assert len(world.running.thread.sent) > sent


def test_large_events_are_read_in_smaller_numbers(make_world):
    """Of events of two thousand bytes not many may wait in ten thousand."""
    world = make_world(*[b"x" * 2_000] * 30)
    asked = []
    for _ in range(4):
        world.cluster.sleep(0.1)
        world.running.turn(lambda most: asked.append(most) or world.running.consumer.deliver(min(most, 2)))
    assert asked[1:] == [3, 1, 1]


def test_what_headers_hold_waits_as_well(make_world):
    """Records of small values with two thousand bytes beside them: what waits is what takes memory."""
    world = make_world()
    for _ in range(30):
        world.cluster.append(S0, b"event", headers=[("trace", b"x" * 1_990), ("none", None)])
    asked = []
    for _ in range(4):
        world.cluster.sleep(0.1)
        world.running.turn(lambda most: asked.append(most) or world.running.consumer.deliver(min(most, 2)))
    assert asked[1:] == [2, 1, 1]


def test_a_group_that_begins_at_the_end_has_that_as_its_place(make_world):
    """Else whoever comes next would begin at another end, and nobody delivers what is between."""
    world = make_world(*[b"old"] * 3, begin=Begin.LATEST)
    world.first[S0] = 3
    rest(world)
    assert world.committed == [3, 0]
    world.running.kill()
    world.cluster.append(S0, b"new")
    world.replace_lane()
    world.running.turn(lambda _most: world.running.consumer.assign(SOURCES) or [])
    read(world)
    rest(world, 0.1)
    assert offsets_of(world.running.thread.sent) == [(0, 3)]


def test_events_that_were_deleted_before_they_were_read_are_one_letter(make_world):
    """It says which; the group goes on behind them."""
    world = make_world(*[b"event"] * 6)
    read(world, 2)
    rest(world)
    world.answer_all()
    rest(world)
    world.lookup.lows[S0] = world.first[S0] = 4
    failed = Message(b"", 2, 0, "s")
    failed.error = lambda: KafkaError(KafkaError._AUTO_OFFSET_RESET)
    world.running.turn(lambda _most: [failed])
    rest(world)
    read(world)
    rest(world)
    assert offsets_of(world.running.thread.sent[2:]) == [(0, 4), (0, 5)]
    assert world.committed == [4, 0]
    assert world.letters() == {("s", 0, 2): 1}


def test_a_topic_that_is_made_anew_is_read_from_its_beginning(make_world):
    """After what was read of the former one is done: their offsets must not mix. What was not read is a letter."""
    world = make_world(*[b"event"] * 3)
    read(world, 2)
    rest(world, 0.1)
    world.running.lane._assignment.topic_ids = dict.fromkeys(SOURCES, "former")
    world.lookup.ids["s"] = "present"
    world.recreated.partitions = [S0]
    world.made_anew.add(S0)
    rest(world, 0.1)
    world.cluster.logs[S0] = [world.cluster.logs[S0][0]] * 5
    read(world)
    assert offsets_of(world.running.thread.sent) == [(0, 0), (0, 1)]

    world.answer_all()
    rest(world)
    rest(world)
    read(world)
    rest(world, 0.1)
    assert offsets_of(world.running.thread.sent[2:]) == [(0, offset) for offset in range(5)]
    assert world.letters() == {("s", 0, 2): 1}


def test_what_is_on_its_way_is_waited_for_when_a_partition_leaves_but_not_for_long(make_world):
    """A target that hangs does not hold up the group; whoever has the partition next delivers that again."""
    world = make_world(*[b"event"] * 2)
    read(world)
    rest(world, 0.1)
    began = world.cluster.now
    world.running.turn(lambda _most: world.running.consumer.revoke([S0]) or [])
    assert 4 < world.cluster.now - began < 6
    assert world.committed == [0, 0]


def test_a_target_that_is_down_is_not_waited_for(make_world):
    """What was on its way to it is delivered by whoever comes next."""
    world = make_world(*[b"event"] * 2)
    read(world)
    rest(world, 0.1)
    world.running.targets[0].why_waiting = "sink hook: refused"
    assert world.running.lane.unready_reason == "sink hook: refused"
    began = world.cluster.now
    world.running.stopping = True
    world.running.turn(lambda _most: [])
    assert world.cluster.now - began < 1
    assert not world.running.is_parked
    assert world.running.error is None
    assert world.running.targets[0].is_closed


def test_what_was_delivered_is_committed_when_the_process_stops(make_world):
    """Between two commits: nothing of it is sent again."""
    world = make_world(*[b"event"] * 2)
    read(world)
    rest(world, 0.1)
    world.answer_all()
    world.running.stopping = True
    world.running.turn(lambda _most: [])
    assert world.committed == [2, 0]


def test_a_slow_target_does_not_make_a_process_unready(make_world):
    """It takes one event after the other for minutes: partitions are paused, and that is not a fault."""
    world = make_world(*[b"event"] * 20, max_waiting_records=4)
    for _ in range(8):
        read(world)
        world.cluster.sleep(7)
        assert world.running.lane.unready_reason == ""
        if world.running.thread.open:
            world.answer(0)


def test_a_damaged_batch_makes_a_process_unready_until_it_is_read(make_world):
    """What came before it is delivered, and so is the other partition. The reason says what to do."""
    world = make_world(*[b"event"] * 2)
    world.cluster.append(S1, b"event")
    read(world)
    world.running.turn(lambda _most: [DamagedBatch(2, *reversed(S0))])
    rest(world, 0.1)
    world.answer_all()
    rest(world)
    assert world.committed == [2, 1]
    assert world.running.lane.unready_reason == (
        "s [0] stands still before offset 2, a batch of records whose bytes are damaged: restore the partition from a "
        "good replica, or stop all processes of this sink and move the offset of group g behind the batch"
    )

    world.cluster.append(S0, b"event")
    read(world)
    assert world.running.lane.unready_reason == ""


def test_a_bug_in_a_delivery_ends_the_process(make_world):
    """Nothing is known of those events, so nothing is committed behind them."""
    world = make_world(b"event", b"event")
    read(world)
    rest(world, 0.1)
    finished = world.running.thread
    _, batch = finished.open.pop()
    finished._finished.append(type("Finished", (), {"batch": batch, "settled": [Delivered()], "error": ValueError()}))
    world.running.turn(lambda _most: [])
    assert isinstance(world.running.error, ValueError)
    assert world.committed == [0, 0]


def test_a_group_that_gives_nothing_for_long_ends_the_process(make_world, monkeypatch):
    """All partitions were lost and the client hears nothing more: a new process does. It does not wait to leave."""
    world = make_world(b"event")
    monkeypatch.setattr(stall, "time", world.cluster)
    consumer = world.running.consumer
    world.running.turn(lambda _most: world.cluster.expel(consumer.member) or consumer.lose() or [])
    for _ in range(5):
        world.cluster.sleep(30)
        if world.running.is_parked:
            world.running.turn(lambda _most: [])
    assert isinstance(world.running.error, StuckError)
    assert not consumer.closed
    assert world.running.targets[0].is_closed


def test_a_process_whose_name_is_taken_ends_without_another_commit(make_world):
    """What it has delivered and not committed is delivered again by the one that has the name now."""
    world = make_world(b"event", b"event")
    read(world)
    rest(world, 0.1)
    world.answer_all()
    world.cluster.register("g-i")
    for _ in range(5):
        world.cluster.sleep(1)
        if world.running.is_parked:
            world.running.turn(lambda _most: [])
    assert isinstance(world.running.error, FatalError)
    assert world.running.error.fenced
    assert world.running.consumer.closed
    assert world.committed == [0, 0]


@pytest.mark.parametrize(("seconds", "landed"), [(5, True), (10, False)])
def test_cluster_is_away_while_a_commit_runs(make_world, seconds, landed):
    """The commit comes through behind that, or is tried again; nothing is sent again, and the letter is there once."""
    world = make_world(BAD, b"event")
    read(world)
    rest(world, 0.1)
    world.answer_all()
    world.cluster.sleep(1.1)
    world.running.turn(lambda _most: [])
    world.running.producer.advance()  # the group has the offsets; the end of the transaction has not arrived
    world.cluster.away_until = world.cluster.now + seconds
    world.running.turn(lambda _most: world.running.consumer.revoke([S1]) or [])
    assert world.committed == [2, 0]
    assert world.letters() == {("s", 0, 0): 1}
    written = [record for record in world.cluster.logs["dead", 0] if record is not None]
    assert len(written) == (1 if landed else 2), "with those of aborted transactions"
    rest(world)
    assert len(world.running.thread.sent) == 2
