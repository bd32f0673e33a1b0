"""Partitions that are held: until each hold is released, and not in silence. And asking where the group stands."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from logrouter.kafka import assignment
from logrouter.kafka.assignment import Assignment, Start
from logrouter.kafka.consumer import CommittedOffset
from logrouter.kafka.errors import FatalError, StoppedError, StuckError
from logrouter.telemetry.metrics import REGISTRY

LOGS, OTHER, MORE = ("logs", 3), ("other", 0), ("other", 1)


class Resumed(list):
    """A consumer: the partitions that were resumed."""

    def resume(self, partitions):
        self.extend(partitions)


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when a test says so."""
    now = [1000.0]
    monkeypatch.setattr(assignment.time, "monotonic", lambda: now[0])
    return now


class Answers:
    """A consumer whose group answers with one of these after the other; an answer takes two seconds.

    It is deaf from that time on: another client gets an answer.
    """

    deaf_after = float("inf")

    def __init__(self, clock, *answers):
        self.clock, self.answers = clock, list(answers)

    def is_deaf(self, _partitions, seconds):
        self.clock[0] += seconds
        return self.clock[0] > self.deaf_after

    def fetch_committed(self, _partitions, _seconds):
        self.clock[0] += 2
        answer = self.answers.pop(0)
        if isinstance(answer, int):
            raise KafkaException(KafkaError(answer))
        return answer


HERE = [CommittedOffset(LOGS, 7, "")]
TIMED_OUT, DOWN, NO_RIGHT = KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN, KafkaError.GROUP_AUTHORIZATION_FAILED


@pytest.mark.parametrize(
    ("answers", "stopping", "ends"),
    [
        ([TIMED_OUT] * 30 + [DOWN] * 5 + [HERE], False, {LOGS: 7}),
        ([TIMED_OUT] * 100, False, StuckError),
        ([TIMED_OUT] * 100, True, StoppedError),
        ([NO_RIGHT] * 2 + [HERE], False, {LOGS: 7}),
        ([NO_RIGHT] * 100, False, FatalError),
    ],
    ids=["outage", "never", "stop", "short refusal", "refusal"],
)
def test_an_outage_is_waited_for_and_a_refusal_is_not(clock, monkeypatch, answers, stopping, ends):
    """Where the group stands must be known to go on; a client that never hears of it is got rid of by a restart."""
    monkeypatch.setattr(assignment.time, "sleep", lambda _seconds: None)
    parts = Assignment(Answers(clock, *answers), lambda: stopping)
    if isinstance(ends, dict):
        assert parts.committed_offsets([LOGS]) == ends
        return
    with pytest.raises(ends) as raised:
        parts.committed_offsets([LOGS])
    assert raised.type is ends


@pytest.mark.parametrize("deaf_after", [0, 30])
def test_a_client_that_alone_gets_no_answer_is_given_up_soon(clock, monkeypatch, deaf_after):
    """Long before an outage is: the cluster is there again, but this client never connects."""
    monkeypatch.setattr(assignment.time, "sleep", lambda _seconds: None)
    consumer, began = Answers(clock, *[TIMED_OUT] * 100), clock[0]
    consumer.deaf_after = began + deaf_after

    with pytest.raises(StuckError, match="a new client is answered"):
        Assignment(consumer).committed_offsets([LOGS])
    assert clock[0] - began <= deaf_after + 20


def test_a_partition_that_is_held_for_long_is_named(clock):
    """Else a lane would be ready that never reads: it may wait for what the cluster refuses to tell."""
    consumer = Resumed()
    parts = Assignment(consumer)
    parts.add_partitions([LOGS, OTHER, MORE])
    parts.hold([LOGS, OTHER, MORE])
    parts.hold([LOGS])
    clock[0] += 29
    parts.release([LOGS, OTHER])
    said = [parts.why_waiting]
    clock[0] += 2
    said.append(parts.why_waiting)
    parts.release([LOGS])
    said.append(parts.why_waiting)
    parts.remove_partitions([MORE])
    said.append(parts.why_waiting)

    why = "can't be read yet: see the log, or a transaction may be open"
    assert said == ["", f"logs [3] and 1 more {why}", f"other [1] {why}", ""]
    assert consumer == [OTHER, LOGS]


class Paused(set):
    """A consumer: the partitions that are paused."""

    def pause(self, partitions):
        self.update(partitions)

    def resume(self, partitions):
        self.difference_update(partitions)


def test_a_pause_for_room_does_not_end_a_hold_nor_count_as_one(clock):
    """However they overlap, a partition delivers when there is room and no hold on it; room is never a fault."""
    consumer = Paused()
    parts = Assignment(consumer)
    parts.add_partitions([LOGS, OTHER, MORE])
    parts.stop_reading([LOGS, OTHER, MORE])
    parts.pause([LOGS])
    clock[0] += 60
    parts.release([LOGS])
    assert (consumer, parts.why_waiting) == ({LOGS, OTHER, MORE}, "")

    parts.pause([OTHER])
    parts.remove_partitions([MORE])
    parts.read_on()
    assert consumer == {OTHER, MORE}
    parts.release([OTHER])
    assert consumer == {MORE}


class Restarted:
    """A consumer that goes on wherever it is told to."""

    def restart(self, starts):
        """Nothing fails."""


class Record:
    """A record, by its place."""

    def __init__(self, at, offset):
        self.topic, self.partition, self.offset = lambda: at[0], lambda: at[1], lambda: offset


def unreadable(at):
    """What the metric says of a partition; None without a value."""
    labels = {"topic": at[0], "partition": str(at[1])}
    return REGISTRY.get_sample_value("logrouter_partition_unreadable", labels)


@pytest.fixture
def damaged():
    """Two partitions that stand still before a damaged batch; reading goes on in the middle of the first one's."""
    parts = Assignment(Restarted(), past_damage="give it up")
    parts.add_partitions([LOGS, OTHER, MORE])
    parts.start({LOGS: Start(45), OTHER: Start(0)})
    parts.note_unreadable(LOGS, 40)
    parts.note_unreadable(OTHER, 7)
    yield parts
    parts.remove_partitions([LOGS, OTHER, MORE])


ADVICE = "a batch of records whose bytes are damaged: restore the partition from a good replica, or give it up"
FIRST = f"logs [3] stands still before offset 40, {ADVICE}"
BOTH = f"logs [3] and 1 more stand still; the first one before offset 40, {ADVICE}"


def test_a_partition_before_a_damaged_batch_is_named_with_what_to_do(damaged):
    """At once, not after half a minute as one that is held; another partition changes nothing."""
    damaged.note_readable([Record(MORE, 90)])
    assert damaged.why_waiting == BOTH
    assert [unreadable(at) for at in (LOGS, OTHER, MORE)] == [1, 1, None]

    damaged.remove_partitions([OTHER])
    assert damaged.why_waiting == FIRST
    assert [unreadable(at) for at in (LOGS, OTHER)] == [1, None]


def test_records_before_a_damaged_batch_do_not_mend_it_and_those_of_it_do(damaged):
    """The call that meets it has some, and an abort sends back to them; from a good replica it can be read."""
    damaged.remove_partitions([OTHER])
    damaged.note_readable([Record(LOGS, 39)])
    assert damaged.why_waiting == FIRST

    damaged.note_readable([Record(LOGS, 45)])
    assert damaged.why_waiting == ""
    assert unreadable(LOGS) is None


def test_a_partition_that_goes_on_elsewhere_is_not_before_a_damaged_batch(damaged):
    """It is passed over, or the topic is another one; meanwhile nobody has to do anything."""
    damaged.remove_partitions([OTHER])
    damaged.hold([LOGS])
    damaged.starting[LOGS] = 40
    assert damaged.why_waiting == (
        "logs [3] stands still before offset 40, a batch of records whose bytes are damaged: "
        "where to go on is being looked for; if that takes long, see the log"
    )
    damaged.start({LOGS: Start(50)})
    assert damaged.why_waiting == ""
    assert unreadable(LOGS) is None


def test_an_error_of_a_partition_that_has_left_does_not_count():
    """Its next owner has it."""
    parts = Assignment(Restarted())
    parts.note_unreadable(LOGS, 40)
    assert parts.why_waiting == ""
    assert unreadable(LOGS) is None
