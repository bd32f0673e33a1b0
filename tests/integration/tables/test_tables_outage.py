"""A cluster that goes away and comes back, and the other way of starting a worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from logrouter.devkafka.broker import DevKafka
from tests.conftest import HANG_SECONDS

pytestmark = pytest.mark.broker


@pytest.fixture
def own_kafka(lane_on, unique):
    """A broker that this test may stop, and a lane on it."""
    with DevKafka() as kafka:
        topic, admin = unique("rollup"), AdminClient({"bootstrap.servers": kafka.bootstrap})
        admin.create_topics([NewTopic(topic, 4, 1)])[topic].result(HANG_SECONDS)
        with lane_on(kafka.bootstrap, topic) as lane:
            yield kafka, lane


@pytest.mark.long
def test_broker_restart_amid_the_stream_changes_nothing(own_kafka, eventually):
    """A worker outlives a broker that is killed, or ends fenced and is started again; its rows are exact."""
    kafka, lane = own_kafka
    worker = lane.worker()
    eventually(worker.ready, message="ready")
    lane.feed(6)
    kafka.kill()
    time.sleep(1)
    kafka.start()
    lane.feed(6)
    eventually(lane.caught_up, message="caught up")
    assert worker.code is None
    assert worker.starts <= 3
    assert lane.differences() == {}


@pytest.mark.long
def test_worker_stops_without_a_broker(own_kafka, eventually):
    """With sums to flush and nowhere to flush them, a worker still ends when told, with 0."""
    kafka, lane = own_kafka
    worker = lane.worker(flush_interval_ms=60_000)
    eventually(worker.ready, message="ready")
    lane.feed(6)
    eventually(lambda: lane.lifetimes(worker) == lane.expected_lifetimes(), message="folded")
    kafka.kill()
    assert worker.stop() == 0
    kafka.start()
    worker = lane.worker()
    eventually(lane.caught_up, message="caught up")
    assert lane.differences() == {}


@pytest.mark.long
def test_faust_command_starts_the_same_worker(lane, tmp_path, eventually):
    """`faust -A logrouter.tables.app worker` reads topics.yaml and the environment."""
    config = tmp_path / "topics.yaml"
    config.write_text(
        f"""
version: 1
kafka: {{bootstrap.servers: "{lane.bootstrap}"}}
sources: {{s: {{topics: [not-read], envelope: rsyslog}}}}
routes: [{{name: r, from: s, format: envoy, to: out}}]
outputs: {{rollup: {{topic: {lane.topic}, partitions: 4}}}}
access: {{mode: open}}
tables_lane:
  group: {lane.group}
  data_dir: {tmp_path}/faust
  flush_interval_ms: 300
  standby_replicas: 0
  http: {{port: 0}}
""",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "faust", "-A", "logrouter.tables.app", "worker", "-l", "info"]
    log = (tmp_path / "faust.log").open("ab")
    process = subprocess.Popen(
        command, env={**os.environ, "LOGROUTER_CONFIG": str(config)}, stdout=log, stderr=log, cwd=tmp_path
    )
    log.close()
    try:
        lane.feed(6)
        eventually(lane.caught_up, message="caught up")
        assert lane.differences() == {}
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
