"""The table view of real workers: every endpoint answers, and what it adds up is what was fed."""

from __future__ import annotations

import pytest

from logrouter.core.text.timestamps import epoch_ms
from logrouter.query.endpoints import Reach
from logrouter.query.reports.registry import ENDPOINTS

pytestmark = pytest.mark.broker


def test_every_endpoint_answers_from_the_real_tables(lane, eventually):
    """Flushed or not, and after a restart: what they add up is all events, and how fresh they are is known."""
    worker = lane.worker()
    eventually(worker.ready, message="ready")
    lane.feed(6)
    eventually(lane.caught_up, message="caught up")
    check(lane, worker)
    newest = watermarks(worker)
    assert len(newest) == lane.partitions

    assert worker.stop() == 0
    worker = lane.worker()
    eventually(worker.ready, message="ready again")
    again = watermarks(worker)
    assert again.keys() == newest.keys()
    assert all(newest[partition] - 60_000 <= again[partition] <= newest[partition] for partition in newest)
    lane.feed(2)
    eventually(lambda: worker.get("/v1/totals?window=life")[1]["total"]["count"] == lane.events)
    check(lane, worker)
    assert worker.stop() == 0


def watermarks(worker):
    """The newest event time of every partition that knows one."""
    partitions = worker.get("/v1/totals")[1]["freshness"]["partitions"]
    return {one["partition"]: epoch_ms(one["watermark"]) for one in partitions if one["watermark"] is not None}


def check(lane, worker):
    """Every endpoint is 200, and those over everything count everything."""
    found = {}
    for endpoint in ENDPOINTS:
        if endpoint.reach is not Reach.NOBODY:
            target = endpoint.path.replace("{client_id}", "client1").replace("{api}", "core")
            query = "?window=life" if any(p.name == "window" for p in endpoint.parameters) else ""
            query = "?window=1h" if any(p.name == "step" for p in endpoint.parameters) else query
            status, found[endpoint.name] = worker.get(target + query)
            assert (target, status) == (target, 200)
    assert found["totals"]["total"]["count"] == lane.events
    assert sum(point["count"] for point in found["totals_series"]["points"]) == lane.events
    assert sum(row["count"] for row in found["outcomes"]["rows"]) == lane.events
    assert sum(sum(api["points"]) for api in found["calls"]["apis"]) == lane.events
    assert found["clients"]["total"]["count"] == found["apis"]["total"]["count"] == lane.events
    assert found["totals"]["clients"] == found["clients"]["total"]["clients"]
    one = found["client"]["lifetime"]["count"]
    assert sum(entry["count"] for entry in found["client_apis"]["apis"]) == one
    assert found["client_urls"]["max_unlisted"] == 0
    assert found["client_errors"]["success"] + sum(e["count"] for e in found["client_errors"]["errors"]) == one
    assert found["client_errors"]["recent"]
