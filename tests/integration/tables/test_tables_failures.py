"""How a worker ends that cannot work: the exit code, and one line that says why."""

from __future__ import annotations

import shutil

import pytest

from logrouter.devkafka.ports import claim_port
from tests.integration.stack import Stack

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
    assert_one_line(worker, f"topic {lane.topic} has 4 partitions, not 5 (outputs.rollup of topics.yaml)")


def test_data_directory_that_cannot_be_made(lane, tmp_path):
    """Here because a file is in its place."""
    (tmp_path / "file").write_text("")
    worker = lane.worker(data_dir=str(tmp_path / "file" / "data"))
    assert worker.wait() == 1
    assert_one_line(worker, f"cannot make or write the data directory {tmp_path}/file/data: Not a directory")


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


@pytest.mark.long
def test_flush_that_fails_in_its_middle_is_made_again(lane, eventually):
    """Some rows of a flush are in the changelog, some on the disk alone, some nowhere; nothing of it is committed."""
    lane.feed(4, events=1_000, clients=800)
    worker = lane.worker(refuse_after=1, flush_interval_ms=2_000)
    assert worker.wait() == 1
    assert_one_line(worker, "MessageSizeTooLargeError")
    sent = lane.changelog_rows()
    assert 0 < len(sent) < len(lane.truth) / 4
    assert all(offset <= 0 for offset in lane.committed().values())
    worker = lane.worker()
    eventually(lane.caught_up, message="caught up")
    # Which of so many clients an API's row names depends on how often it was merged; its sums do not.
    assert [key for key in lane.differences() if key[5:6] == b"c"] == []
    counts = {key: cell.count for key, cell in lane.changelog_rows().items()}
    assert counts == {key: cell.count for key, cell in lane.truth.items()}
    worker.kill()
    shutil.rmtree(worker.data_dir)
    worker = lane.worker()
    eventually(worker.ready, message="recovered")
    assert lane.lifetimes(worker) == lane.expected_lifetimes()


@pytest.mark.long
def test_old_copy_of_a_data_directory_is_brought_up_to_date(lane, eventually):
    """As from a backup: what the rows in it lack is in the changelog, and what they have is not added again."""
    lane.feed(4)
    worker = lane.worker("a")
    eventually(lane.caught_up, message="caught up")
    assert worker.stop() == 0
    shutil.copytree(worker.data_dir, lane.folder / "b")
    worker = lane.worker("a")
    lane.feed(4)
    eventually(lane.caught_up, message="caught up again")
    worker.kill()
    lane.feed(4)
    second = lane.worker("b")
    eventually(lane.caught_up, message="caught up on the copy")
    assert lane.differences() == {}
    assert lane.lifetimes(second) == lane.expected_lifetimes()


@pytest.mark.long
def test_a_name_server_that_does_not_answer_holds_up_no_end(broker, tmp_path, unique, eventually, monkeypatch):
    """The worker has left the group and ends, while the system still waits for the address of the tokens' issuer."""
    stack = Stack(broker.bootstrap, tmp_path, unique("hangs"))
    mark = tmp_path / "hangs"
    monkeypatch.setenv("HANGS_AT", str(mark))
    jwt = "{issuer: 'https://issuer.test', audience: a, jwks_url: 'https://issuer.hangs.invalid/keys'}"
    text = stack.config.read_text()
    stack.config.write_text(text.replace("access: {mode: open}", f"access: {{jwt: {jwt}}}"))
    try:
        own = ("--port", str(claim_port()), "--data-dir", str(tmp_path / "data"), "--instance", stack.name)
        worker = stack.start("tables", *own, program=("-m", "tests.integration.hanging_names"))
        eventually(mark.exists, "the address is asked for")
        eventually(lambda: "tables_recovered" in worker.text(), "it works")
        assert worker.stop() == 0
        assert worker.text().splitlines()[-1].endswith("code=0")
    finally:
        stack.close()
