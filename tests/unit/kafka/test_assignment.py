"""Partitions that are held: until each hold is released, and not in silence."""

from __future__ import annotations

import pytest

from logrouter.kafka import assignment
from logrouter.kafka.assignment import Assignment

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
