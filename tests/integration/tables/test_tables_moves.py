"""Partitions that move: a second worker, standbys, zombies, foreign writers, expiry and recovery."""

from __future__ import annotations

import re
import shutil
import signal
import threading
import time

import pytest
from confluent_kafka import Producer

from logrouter.core.rollup.cells import Cell
from logrouter.query.tiers import Tier
from logrouter.tables import rows
from logrouter.tables.lease import EXIT_FENCED
from tests.conftest import HANG_SECONDS
from tests.integration.tables.conftest import SESSION_MS

pytestmark = pytest.mark.broker


def both_ready(first, second):
    """Whether two workers are ready and own something each."""
    owned = [served(w) for w in (first, second)]
    return all(owned) and owned[0] | owned[1] == {0, 1, 2, 3} and not owned[0] & owned[1]


def served(worker):
    """The partitions that a worker answers for, by one question: asked twice, a rebalance may come in between."""
    status, body = worker.get("/readyz")
    return set(body["partitions"]) if status == 200 else set()


def folded(worker):
    """How many partial sums a worker has folded."""
    return float(re.search(r"^logrouter_partial_sums_folded_total (\S+)$", worker.get("/metrics")[1], re.MULTILINE)[1])


class Feeder:
    """Feeds a lane until told to stop."""

    def __init__(self, lane):
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(lane,))

    def _run(self, lane):
        while not self._stop.is_set():
            lane.feed(4, events=100)
            time.sleep(0.1)

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


@pytest.mark.parametrize("standbys", [pytest.param(0, marks=pytest.mark.long), 1])
def test_workers_join_and_die_amid_the_stream(lane, eventually, standbys):
    """A second worker joins, the first is killed and comes back: rows stay exact, and any worker answers for all."""
    with Feeder(lane):
        first = lane.worker("a", standby_replicas=standbys)
        eventually(first.ready, message="ready alone")
        second = lane.worker("b", standby_replicas=standbys)
        eventually(lambda: both_ready(first, second), message="shared")
        first.kill()
        eventually(lambda: len(served(second)) == 4)
        first = lane.worker("a", standby_replicas=standbys)
        eventually(lambda: both_ready(first, second), message="shared again")
    eventually(lane.caught_up, message="caught up")
    assert lane.differences() == {}
    for worker in (first, second):
        assert lane.lifetimes(worker) == lane.expected_lifetimes()
    assert second.stop() == 0
    eventually(lambda: len(served(first)) == 4)
    assert lane.lifetimes(first) == lane.expected_lifetimes()


@pytest.mark.long
def test_flush_longer_than_the_lease_in_a_rebalance_ends_nobody(lane, eventually):
    """A third worker joins while the flush of one takes longer than a session: all wait, and nobody is fenced."""
    # It flushes when partitions move and not in between.
    slow = lane.worker("a", flush_interval_ms=600_000, slow_flush=SESSION_MS / 1000 + 1)
    eventually(slow.ready, message="ready alone")
    quick = lane.worker("b", flush_interval_ms=100)
    eventually(lambda: both_ready(slow, quick), message="shared")
    with Feeder(lane):
        before = folded(slow)
        eventually(lambda: folded(slow) > before, message="something in hand")
        assert "a flush took" not in slow.text()
        third = lane.worker("c", flush_interval_ms=100)
        eventually(lambda: all(served(worker) for worker in (slow, quick, third)), message="shared by three")
        assert "a flush took" in slow.text()
    slow.stop()
    eventually(lane.caught_up, message="caught up")
    assert lane.differences() == {}
    assert [(worker.code, worker.starts) for worker in (slow, quick, third)] == [(0, 1), (None, 1), (None, 1)]
    assert lane.lifetimes(third) == lane.expected_lifetimes()


def test_zombie_writes_nothing_and_ends(lane, eventually):
    """A worker that slept past its session with sums in hand is fenced, and its rows are the new owner's."""
    # It flushes when partitions move and not in between, so that it surely has something in hand when it is stopped.
    zombie = lane.worker("a", flush_interval_ms=60_000)
    eventually(zombie.ready, message="ready alone")
    with Feeder(lane):
        second = lane.worker("b", flush_interval_ms=100)
        eventually(lambda: both_ready(zombie, second), message="shared")
        before = folded(zombie)
        eventually(lambda: folded(zombie) > before, message="something in hand")
        zombie.signal(signal.SIGSTOP)
        eventually(lambda: len(served(second)) == 4)
        before = folded(second)
        eventually(lambda: folded(second) > before, message="the new owner writes")
        zombie.signal(signal.SIGCONT)
        assert zombie.wait() == EXIT_FENCED
    assert "fenced" in zombie.text()
    eventually(lane.caught_up, message="caught up")
    assert lane.differences() == {}
    second.kill()
    shutil.rmtree(second.data_dir)
    second = lane.worker("b")
    eventually(second.ready, message="recovered")
    assert lane.lifetimes(second) == lane.expected_lifetimes()


def test_foreign_record_in_the_changelog_is_noticed_and_repaired(lane, eventually):
    """An older row that somebody else wrote ends the writer; the next start keeps the newer row and sends it again."""
    worker = lane.worker()
    eventually(worker.ready, message="ready")
    lane.feed(4)
    eventually(lane.caught_up, message="caught up")
    subject = next(rows.parse_key(key).subject for key in lane.truth if key[0] == 3 and key[5:6] == b"c")
    from logrouter.core.rollup.records import partition_of

    key, partition = rows.key_of(Tier.LIFE, 0, subject), partition_of(subject, 4)
    foreign = Producer({"bootstrap.servers": lane.bootstrap})
    foreign.produce(lane.changelog, rows.encode(0, Cell(0, 1)), key=key, partition=partition)
    foreign.flush(HANG_SECONDS)
    lane.feed(4)
    assert worker.wait() == EXIT_FENCED
    assert "foreign records" in worker.text()
    worker = lane.worker()
    eventually(lane.caught_up, message="caught up")
    eventually(lambda: lane.differences() == {}, message="repaired")
    assert worker.stop() == 0


@pytest.mark.long
def test_expired_rows_leave_store_and_changelog_for_good(lane, eventually):
    """Past their time rows are answered no more, get tombstones, and do not return when the disk is lost."""
    worker = lane.worker()
    lane.feed(4)
    eventually(lane.caught_up, message="caught up")
    assert worker.stop() == 0
    minutes = {key for key in lane.truth if key[0] == 0}
    later = {"clock_offset_seconds": 1800, "retention": (10, 35 * 24, 400)}
    worker = lane.worker(**later)
    eventually(worker.ready, message="ready")
    lane.feed(1, at_ms=int((time.time() + 1800) * 1000))
    eventually(lane.caught_up, message="caught up")
    client = next(rows.parse_key(key).subject[1:] for key in lane.truth if key[5:6] == b"c")
    assert worker.get(f"/v1/clients/{client}")[0] == 200

    def buried():
        last = dict(lane.read_changelog())
        return minutes and all(last[key] is None for key in minutes)

    eventually(buried, message="tombstones")
    kept = {key: cell for key, cell in lane.truth.items() if key[0] != 0}
    assert lane.changelog_rows() == kept
    worker.kill()
    shutil.rmtree(worker.data_dir)
    worker = lane.worker(**later)
    eventually(worker.ready, message="recovered")
    status, series = worker.get(f"/v1/clients/{client}/series?step=minute&window=5m")
    assert status == 200
    assert not any(point.get("count") for point in series["points"])
    assert lane.lifetimes(worker) == lane.expected_lifetimes()
    assert "logrouter_table_rows_expired" in worker.get("/metrics")[1]


def test_rollup_topic_made_anew_is_refused(lane, eventually):
    """Rows that know offsets which the topic does not have are never mixed with its new records."""
    worker = lane.worker()
    lane.feed(4)
    eventually(lane.caught_up, message="caught up")
    assert worker.stop() == 0
    from confluent_kafka.admin import NewTopic

    lane.admin.delete_topics([lane.topic])[lane.topic].result(HANG_SECONDS)
    eventually(lambda: lane.topic not in lane.admin.list_topics(timeout=HANG_SECONDS).topics)
    lane.admin.create_topics([NewTopic(lane.topic, 4, 1)])[lane.topic].result(HANG_SECONDS)
    worker = lane.worker()
    assert worker.wait() == 2
    assert "was made anew" in worker.text()


def test_worker_without_partitions_is_ready_and_answers_through_the_owner(lane, eventually):
    """More workers than partitions: the idle one is ready, and asks the owner."""
    workers = [lane.worker(name) for name in "abcde"]
    lane.feed(4)
    eventually(lambda: all(w.ready() for w in workers), message="all ready")
    eventually(lane.caught_up, message="caught up")
    shares = lambda: sorted(sorted(served(w)) for w in workers)  # noqa: E731
    eventually(lambda: shares() == [[], [0], [1], [2], [3]], message="one partition each but for one")
    idle = next(w for w in workers if w.ready() and not served(w))
    assert lane.lifetimes(idle) == lane.expected_lifetimes()
