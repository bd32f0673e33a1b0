"""One tables worker on a real broker: exact sums, poison, restarts, and starting before the cluster is there."""

from __future__ import annotations

import shutil

import pytest

from logrouter.core.rollup.cells import Cell
from logrouter.core.rollup.records import encode_record

pytestmark = pytest.mark.broker


def test_committed_partial_sums_are_folded_exactly(lane, eventually):
    """Rows and answers equal a recount of the committed transactions; aborted ones leave no trace."""
    worker = lane.worker()
    lane.feed(12)
    eventually(worker.ready, message="ready")
    eventually(lane.caught_up, message="caught up")
    assert lane.differences() == {}
    assert lane.lifetimes(worker) == lane.expected_lifetimes()
    status, top = worker.get("/v1/clients?window=1h&limit=1000")
    assert (status, top["total"]["count"]) == (200, lane.events)
    assert worker.get("/v1/clients/nobody")[0] == 404
    assert worker.stop() == 0


def test_unflushed_sums_are_answered_too(lane, eventually):
    """An answer does not wait for the next flush, and says that it is complete."""
    worker = lane.worker(flush_interval_ms=60_000)
    eventually(worker.ready, message="ready")
    lane.feed(3)
    eventually(lambda: lane.lifetimes(worker) == lane.expected_lifetimes(), message="folded")
    status, top = worker.get("/v1/clients?window=1h")
    assert (status, top["total"]["count"]) == (200, lane.events)
    assert not any(offset > 0 for offset in lane.committed().values())

    def no_lag():
        status, body = worker.get("/v1/clients")
        return status == 200 and all(p["lag"] == 0 for p in body["freshness"]["partitions"])

    eventually(no_lag, message="no lag, markers included")


def test_poison_records_are_counted_and_passed(lane, eventually):
    """What is no rollup record is counted, and the records around it are folded."""
    worker = lane.worker()
    lane.feed(2)
    lane.producer.begin_transaction()
    for partition in range(4):
        for value in (b"", b"\xc1nonsense", b"\x92\x00\x90", b"\x91" * 5000):
            lane.produce(value, partition)
        lane.produce(encode_record([("cunlucky", [Cell(-5)])]).replace(b"\xfb", b"\xc1"), partition)
    lane.producer.commit_transaction()
    lane.feed(2)
    eventually(lane.caught_up, message="caught up")
    assert lane.differences() == {}
    assert "logrouter_rollup_records_invalid_total 20.0" in worker.get("/metrics")[1]
    assert worker.text().count("rollup_invalid") == 20
    assert worker.stop() == 0


def test_kills_and_a_lost_disk_change_nothing(lane, eventually):
    """Killed three times amid the stream and once bereft of its disk, the worker ends with exact rows."""
    for _ in range(3):
        worker = lane.worker()
        eventually(worker.ready, message="ready")
        before = lane.committed()
        lane.feed(8)
        eventually(lambda before=before: lane.committed() != before, message="a commit")
        lane.feed(3)
        worker.kill()
    worker = lane.worker()
    eventually(lane.caught_up, message="caught up")
    assert lane.differences() == {}
    worker.kill()
    shutil.rmtree(worker.data_dir)
    lane.feed(2)
    worker = lane.worker()
    eventually(lambda: worker.ready() and lane.caught_up(), message="caught up")
    assert lane.lifetimes(worker) == lane.expected_lifetimes()
    assert lane.differences() == {}


def test_programming_error_ends_the_process_and_passes_no_offset(lane, eventually):
    """A fault in the fold exits with 1 and commits nothing that was not folded; the next start folds it."""
    lane.feed(6)
    worker = lane.worker(fail_after=2)
    assert worker.wait() == 1
    assert "ZeroDivisionError" in worker.text()
    worker = lane.worker()
    eventually(lane.caught_up, message="caught up")
    assert lane.differences() == {}


def test_worker_waits_for_its_topic_and_can_be_stopped_meanwhile(lane, topics, eventually):
    """Without the topic a worker is alive but not ready, says so once, and begins when the topic appears."""
    worker = lane.worker(topic="not-there")
    eventually(lambda: worker.get("/livez")[0] == 200, message="alive")
    eventually(lambda: "topic_missing" in worker.text(), message="said")
    assert worker.get("/readyz")[0] == 503
    assert worker.stop() == 0
    assert worker.text().count("topic_missing") == 1


def test_worker_waits_for_the_cluster(lane, eventually):
    """Without a broker a worker is alive but not ready, says so once, and stops when told."""
    worker = lane.worker(bootstrap="127.0.0.1:1")
    eventually(lambda: "broker_down" in worker.text(), message="said")
    eventually(lambda: worker.get("/livez")[0] == 200, message="alive")
    assert worker.get("/readyz")[0] == 503
    assert worker.stop() == 0
    assert worker.text().count("broker_down") == 1


def test_other_number_of_partitions_is_refused(lane):
    """Rows are placed by the number of partitions: another one ends the worker with a clear line."""
    worker = lane.worker(partitions=3)
    assert worker.wait() == 2
    assert "has 4 partitions, not 3 (outputs.rollup of topics.yaml)" in worker.text()


def test_data_directory_in_use_is_refused(lane, eventually):
    """A second worker on the same disk ends at once instead of waiting for locks."""
    worker = lane.worker()
    eventually(worker.ready, message="ready")
    other = lane.worker("b", data_dir=worker.data_dir)
    assert other.wait() == 1
    assert "in use by another tables worker" in other.text()
