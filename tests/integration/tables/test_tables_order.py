"""Lists of more clients than are scanned: by the tops that real workers keep, through kills and lost disks."""

from __future__ import annotations

import shutil

import pytest

pytestmark = pytest.mark.broker


def assert_listed(lane, worker, window):
    """The busiest clients: right figures, and nobody who is missing exceeds what is said."""
    status, body = worker.get(f"/v1/clients?window={window}&limit=20")
    assert status == 200, body
    assert body["total"] is None, "all rows were read: too few clients for this test"
    truth = lane.expected_lifetimes()
    listed = {entry["client_id"]: entry["count"] for entry in body["clients"]}
    assert len(listed) == 20
    assert listed == {name: truth[name] for name in listed}
    unlisted = max(count for name, count in truth.items() if name not in listed)
    assert body["exact"], "a few clients have far more requests than the others"
    assert unlisted <= min(listed.values())


@pytest.mark.long
def test_the_busiest_of_many_clients_are_known_after_kills_and_on_a_new_disk(lane, eventually):
    """10,000 clients of whom 30 are busy: listed right before and after a kill amid the stream and a recovery."""
    worker = lane.worker()
    eventually(worker.ready, message="ready")
    lane.feed(8, events=3000, clients=10_000)
    lane.feed(4, events=600, clients=30)
    eventually(lane.caught_up, message="caught up")
    assert_listed(lane, worker, "life")
    assert_listed(lane, worker, "2h")
    lane.feed(4, events=2000, clients=10_000)
    worker.kill()
    lane.feed(4, events=600, clients=30)
    worker = lane.worker()
    eventually(lane.caught_up, message="caught up again")
    assert_listed(lane, worker, "life")
    worker.kill()
    shutil.rmtree(worker.data_dir)
    worker = lane.worker()
    eventually(worker.ready, message="recovered")
    assert_listed(lane, worker, "life")
    assert worker.stop() == 0
