"""Partitions that are held: until each hold is released, and not in silence. And asking where the group stands."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from logrouter.kafka import assignment
from logrouter.kafka.assignment import Assignment
from logrouter.kafka.consumer import CommittedOffset
from logrouter.kafka.errors import FatalError, StoppedError, StuckError

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
