"""Nothing lost and nothing doubled: both lanes on a real Kafka, killed, stopped, wiped and cut off amid the stream."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from logrouter.devkafka.broker import DevKafka
from logrouter.devkafka.ports import claim_port
from tests.integration.fleet import TABLE_PARTITIONS, Fleet, last_lines
from tests.integration.stack import Stack
from tests.integration.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.broker

SESSION_MS = 3000
KILLS = 5
MOST_KILLS = 25


@pytest.fixture
def make(tmp_path, unique) -> Iterator[Callable[..., Fleet]]:
    """Make a fleet on a broker; its processes end with the test, which shows the ends of their logs if it failed."""
    fleets: list[Fleet] = []

    def fleet(bootstrap: str, **settings: int) -> Fleet:
        stack = Stack(bootstrap, tmp_path, unique("kill"), **{"session_timeout_ms": SESSION_MS, **settings})
        fleets.append(Fleet(stack))
        return fleets[-1]

    yield fleet
    for made in fleets:
        made.close()
        for process in made.stack.processes:
            print(f"--- {process.log.name}\n{last_lines(process)}")  # noqa: T201 - pytest shows it for a failed test


def test_kills_of_both_lanes_lose_and_double_nothing(broker, make, seed):
    """Both lanes are killed at random moments, amid transactions too, and once lose the disk: all sums are exact."""
    rnd = random.Random(seed)
    fleet = make(broker.bootstrap, max_records=25)
    fleet.start("route-0", "tables-0")
    kills = hits = 0
    with Traffic(fleet.stack, seed) as traffic:
        while kills < KILLS or not hits:
            assert kills < MOST_KILLS, "no kill has hit an open transaction"
            kills += 1
            fleet.until_both_work()
            for role in rnd.sample(["route-0", "tables-0"], 2):
                time.sleep(rnd.uniform(0, 0.8))
                fleet.kill(role, wipe=role == "tables-0" and kills == 3)
                hits += role == "route-0" and fleet.open_transaction()
                fleet.start(role)
    assert traffic.requests > 3000
    fleet.settle()
    fleet.assert_exact(traffic)
    assert fleet.uncommitted(fleet.stack.clean) > traffic.requests
    fleet.kill("tables-0", wipe=True)
    fleet.start("tables-0")
    fleet.assert_tables(traffic)
    fleet.stop("route-0", "tables-0")


@pytest.mark.long
@pytest.mark.parametrize("standbys", [0, 1])
def test_second_worker_joins_and_leaves_amid_the_stream(broker, make, seed, standbys):
    """A second tables worker comes, is stopped, comes, is killed, comes, while the route lane is killed, too."""
    rnd = random.Random(seed)
    fleet = make(broker.bootstrap, max_records=100, standby_replicas=standbys)
    fleet.start("route-0", "tables-0")
    with Traffic(fleet.stack, seed, rate=300) as traffic:
        fleet.until(lambda: fleet.shared("tables-0"), "one worker owns all")
        for leave in (lambda: fleet.stop("tables-1"), lambda: fleet.kill("tables-1"), None):
            fleet.start("tables-1")
            fleet.until(lambda: fleet.shared("tables-0", "tables-1"), "two workers share")
            time.sleep(rnd.uniform(0, 0.8))
            if leave is not None:
                leave()
                fleet.kill("route-0")
                fleet.start("route-0")
        fleet.kill("tables-0")
        fleet.start("tables-0")
        fleet.until(lambda: fleet.shared("tables-0", "tables-1"), "shared after the first was killed")
    fleet.settle()
    fleet.assert_exact(traffic)


@pytest.mark.long
def test_zombies_of_both_lanes_are_fenced(broker, make, seed):
    """Processes that slept past their session wake to other owners: they do no harm, whatever they held."""
    rnd = random.Random(seed)
    fleet = make(broker.bootstrap, max_records=100, transaction_timeout_ms=4000)
    fleet.start("route-0", "route-1", "tables-0", "tables-1")
    with Traffic(fleet.stack, seed, rate=300) as traffic:
        fleet.until(lambda: fleet.shared("tables-0", "tables-1"), "two workers share")
        fleet.until_both_work()
        time.sleep(rnd.uniform(0, 0.8))
        zombies = {role: fleet.running.pop(role) for role in ("tables-1", "route-1")}
        for zombie in zombies.values():
            zombie.kill(signal.SIGSTOP)
        fleet.until(lambda: fleet.owned("tables-0") == TABLE_PARTITIONS, "the other worker owns all")
        fleet.until_both_work(by=500)
        for zombie in zombies.values():
            zombie.kill(signal.SIGCONT)
        # With something in hand they end with 75 and are started again; with nothing they may just join again.
        fleet.running |= zombies
        fleet.until(lambda: fleet.shared("tables-0", "tables-1"), "shared again")
        fleet.until_both_work(by=500)
    fleet.settle()
    fleet.assert_exact(traffic)
    for role in ("tables-0", "tables-1"):
        fleet.kill(role, wipe=True)
    fleet.start("tables-1")
    fleet.until(lambda: fleet.owned("tables-1") == TABLE_PARTITIONS, "recovered alone")
    fleet.assert_tables(traffic)


@pytest.mark.long
def test_kills_with_the_default_times(broker, make, seed):
    """Sessions and transactions as operators have them: others take over, and what was open is aborted by its time."""
    rnd = random.Random(seed)
    # Small batches at that rate: a transaction is open for a third of the time, and for most of it after a pause.
    fleet = make(broker.bootstrap, max_records=10)
    config = fleet.stack.config
    lines = config.read_text().splitlines(keepends=True)
    config.write_text("".join(line for line in lines if "_timeout_ms" not in line))
    fleet.start("route-0", "route-1", "tables-0", "tables-1")
    with Traffic(fleet.stack, seed) as traffic:
        fleet.until(lambda: fleet.shared("tables-0", "tables-1"), "two workers share")
        fleet.until(lambda: "assigned=2" in fleet.running["route-0"].text(), "two processes share")
        fleet.until_both_work(by=500)
        for _ in range(MOST_KILLS):
            time.sleep(rnd.uniform(0, 0.1))
            fleet.running["route-1"].kill(signal.SIGSTOP)
            if holds_readers_back(fleet):
                break
            fleet.running["route-1"].kill(signal.SIGCONT)
        else:
            pytest.fail("no transaction was open in any of the moments that were tried")
        fleet.kill("route-1")
        fleet.kill("tables-1")
        fleet.until(lambda: not fleet.open_transaction(), "aborted by its time")
        fleet.until(lambda: fleet.owned("tables-0") == TABLE_PARTITIONS, "the other worker owns all")
        fleet.until_both_work(by=500)
    fleet.settle()
    fleet.assert_exact(traffic)


@pytest.mark.long
@pytest.mark.parametrize("outages", [(0.0, 5.0), (5.0,)])
def test_broker_restarts_amid_the_stream(make, seed, outages):
    """The broker goes away and comes back, for a moment and for longer than a transaction may take."""
    with DevKafka() as kafka:
        fleet = make(kafka.bootstrap, max_records=100, transaction_timeout_ms=4000)
        fleet.start("route-0", "tables-0")
        with Traffic(fleet.stack, seed, rate=300) as traffic:
            fleet.until_both_work()
            for outage in outages:
                kafka.stop()
                time.sleep(outage)
                kafka.start()
                fleet.until_both_work(by=500)
        fleet.settle()
        fleet.assert_exact(traffic)
        for process in fleet.stack.processes:
            assert process.text().count("broker_down") <= 4, process.log.name
            assert len(process.text().splitlines()) <= 40, f"{process.log.name}: an outage is said, not repeated"
        fleet.stop("route-0", "tables-0")


def test_run_keeps_its_processes_and_ends_them(broker, make, seed):
    """`logrouter run` starts both lanes, starts a killed process again, and SIGTERM leaves nothing behind."""
    fleet = make(broker.bootstrap, http_port=claim_port())
    stack = fleet.stack
    supervisor = stack.start("run", "--route-processes", "2", "--data-dir", str(stack.folder / "tables-0"))
    pids: list[int] = []

    def started(name: str) -> list[int]:
        return [int(pid) for pid in re.findall(rf"child_started name={name} pid=(\d+)", supervisor.text())]

    try:
        with Traffic(stack, seed, rate=200) as traffic:
            fleet.until(lambda: supervisor.text().count("partitions_assigned") >= 2, "both route processes work")
            fleet.until_both_work()
            os.kill(started("route-1")[0], signal.SIGKILL)
            fleet.until(lambda: len(started("route-1")) == 2, "started again")
            assert "child_exited name=route-1 code=-9" in supervisor.text()
            fleet.until_both_work()
        fleet.settle()
        assert stack.numbers().total() == traffic.requests
        pids = [pid for name in ("route-0", "route-1", "tables") for pid in started(name)]
        assert len(pids) == 4
        assert supervisor.stop() == 0
        assert [pid for pid in pids if alive(pid)] == []
    finally:
        for pid in re.findall(r"child_started name=\S+ pid=(\d+)", supervisor.text()):
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def holds_readers_back(fleet: Fleet) -> bool:
    """Whether a transaction of a process that is frozen is open: it stays so while another process commits its own."""
    clean, routed = fleet.stack.clean, fleet.routed()
    before = fleet.ends(clean, committed=True)
    fleet.until(lambda: fleet.routed() >= routed + 100, "the other process commits")
    after, ends = fleet.ends(clean, committed=True), fleet.ends(clean)
    return any(before[partition] == after[partition] < ends[partition] for partition in ends)


def alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
