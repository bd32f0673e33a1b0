"""A lane to which nothing comes: what it says, and when it ends so that another process takes its place."""

from __future__ import annotations

import pytest

from logrouter.kafka import stall
from logrouter.kafka.errors import StuckError
from logrouter.kafka.stall import StallWatch
from tests.unit.route.lane_world import SOURCES, World


class Clock:
    """Seconds that pass when told to; stands in for the module `time`."""

    now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """The clock of the watch."""
    made = Clock()
    monkeypatch.setattr(stall, "time", made)
    return made


@pytest.fixture
def said(caplog):
    """The log events so far."""
    caplog.set_level("INFO", "logrouter")
    return lambda: [record.message for record in caplog.records]


def pass_seconds(watch, clock, seconds, *, is_up=True, is_waiting=False, has_read=False, behind=0):
    """A turn each second."""
    for _ in range(seconds):
        clock.now += 1
        watch.check(is_up=is_up, is_waiting=is_waiting, has_read=has_read, behind=lambda: behind)


@pytest.mark.parametrize(("session_ms", "seconds"), [(3_000, 90), (30_000, 150)])
def test_group_that_gives_no_partitions_back_ends_the_lane(clock, said, session_ms, seconds):
    """Said once when half of the time is over."""
    watch = StallWatch(session_ms)
    pass_seconds(watch, clock, seconds, is_waiting=True)
    assert said() == ["partitions_awaited"]

    with pytest.raises(StuckError, match="the group gives none"):
        pass_seconds(watch, clock, 2, is_waiting=True)


@pytest.mark.parametrize("pause", [{"is_up": False, "is_waiting": True}, {"is_waiting": False}])
def test_time_without_the_cluster_does_not_count(clock, said, pause):
    """Nor does what was before the group's last answer."""
    watch = StallWatch(3_000)
    for _ in range(3):
        pass_seconds(watch, clock, 40, is_waiting=True)
        pass_seconds(watch, clock, 200, **pause)

    assert said() == []


def test_records_that_are_there_but_do_not_come_are_said_once(clock, said):
    """Until something comes. They may belong to a transaction that somebody has left open, so the lane goes on."""
    watch = StallWatch(3_000)
    pass_seconds(watch, clock, 59, behind=7)
    assert said() == []
    pass_seconds(watch, clock, 200, behind=7)
    assert said() == ["reading_stalled"]
    pass_seconds(watch, clock, 1, has_read=True)
    pass_seconds(watch, clock, 70, behind=7)
    assert said() == ["reading_stalled"] * 2


@pytest.mark.parametrize("quiet", [{"behind": 0}, {"behind": 7, "is_up": False}, {"behind": 7, "has_read": True}])
def test_quiet_lane_says_nothing(clock, said, quiet):
    """There is nothing to read, or the cluster is away, which is said already."""
    pass_seconds(StallWatch(3_000), clock, 300, **quiet)

    assert said() == []


def test_lane_whose_client_hears_nothing_of_its_group_ends(monkeypatch):
    """As after an outage: everything is lost, the cluster answers, and that is all. Nobody waits for its last word."""
    world = World(monkeypatch)
    monkeypatch.setattr(stall, "time", world.cluster)
    world.running.turn(lambda _most: world.running.consumer.assign(SOURCES) or [])
    world.cluster.expel(world.running.consumer.member)
    world.running.turn(lambda _most: world.running.consumer.lose() or [])
    for _ in range(200):
        if world.running.is_parked:
            world.cluster.sleep(1)
            world.running.turn(lambda _most: [])

    assert isinstance(world.running.error, StuckError)
    assert not world.running.consumer.closed
    assert 80 < world.cluster.now < 160
    world.end_with(StuckError)
    world.drain()
    world.running.kill()
