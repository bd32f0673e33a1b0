"""How a worker ends that cannot work: the exit code, and one line that says why."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.broker


def assert_one_line(worker, *parts):
    """The last line logged is the only one that says why, and no traceback is there."""
    failures = [line for line in worker.text().splitlines() if "lane_failed" in line]
    assert failures == [worker.text().splitlines()[-1]]
    for part in parts:
        assert part in failures[0]
    assert "Traceback" not in worker.text()
    assert " ERROR " not in worker.text().replace(failures[0], "")


def test_changed_partition_count_is_a_wrong_configuration(lane):
    """Rows are placed by that number: to start again would help nothing."""
    worker = lane.worker(partitions=5)
    assert worker.wait() == 2
    assert_one_line(worker, f"topic {lane.topic} has 4 partitions, but the tables have 5")


def test_data_directory_that_cannot_be_made(lane, tmp_path):
    """Here because a file is in its place."""
    (tmp_path / "file").write_text("")
    worker = lane.worker(data_dir=str(tmp_path / "file" / "data"))
    assert worker.wait() == 1
    assert_one_line(worker, str(tmp_path / "file" / "data"), "Not a directory")


def test_database_that_cannot_be_opened(lane, eventually):
    """As on a full disk: RocksDB's own words, and which database."""
    worker = lane.worker()
    eventually(worker.ready, message="ready")
    assert worker.stop() == 0
    (current,) = lane.folder.glob("a/v1/tables/usage-2.db/CURRENT")
    current.write_text("damaged")
    worker = lane.worker()
    assert worker.wait() == 1
    assert_one_line(worker, "usage-2.db: ", "CURRENT")


def test_data_directory_in_use(lane, eventually, tmp_path):
    """Two workers never share one, be it under other names."""
    worker = lane.worker()
    eventually(worker.ready, message="ready")
    second = lane.worker("b", data_dir=worker.data_dir)
    assert second.wait() == 1
    assert_one_line(second, "is in use by another tables worker")
    assert worker.code is None
