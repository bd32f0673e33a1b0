"""Rollup records that are deleted before they are folded, and topics that are not those of the rows."""

from __future__ import annotations

import copy
import json
import shutil
import time

import pytest
from confluent_kafka import OFFSET_END, Producer, TopicPartition
from confluent_kafka.admin import NewTopic
from msgspec.structs import replace

from logrouter.core.rollup.records import partition_of
from logrouter.tables import notes
from tests.conftest import HANG_SECONDS

OF_ANOTHER_TOPIC = "was made anew, or cut short"


def folded(lane, eventually, **changes):
    """A worker that has folded and flushed all there is."""
    worker = lane.worker(**changes)
    eventually(worker.ready, message="ready")
    lane.feed(4)
    eventually(lane.caught_up, message="caught up")
    return worker


def delete_all(lane):
    """Delete every record of the rollup topic, as retention would; the first offsets that are left, by partition."""
    ends = lane.topic_ends()
    found = lane.admin.delete_records([TopicPartition(lane.topic, p, end) for p, end in ends.items()])
    assert {tp.partition: future.result(HANG_SECONDS).low_watermark for tp, future in found.items()} == ends
    return ends


def make_anew(lane, eventually, topic):
    """Delete a topic and create it again."""
    lane.admin.delete_topics([topic])[topic].result(HANG_SECONDS)
    eventually(lambda: topic not in lane.admin.list_topics(timeout=HANG_SECONDS).topics)
    lane.admin.create_topics([NewTopic(topic, 4, 1)])[topic].result(HANG_SECONDS)


def holes_of(worker, path="/v1/totals?window=life"):
    """The holes that an answer shows, as (partition, records)."""
    status, body = worker.get(path)
    assert status == 200, body
    assert body.get("partial", False) == ("holes" in body["freshness"])
    return {hole["partition"]: hole["records"] for hole in body["freshness"].get("holes", ())}


@pytest.mark.long
def test_records_deleted_before_they_were_folded_leave_a_hole_for_good(lane, eventually):
    """It is in answers about that time, in the metrics and in the changelog; a lost disk does not mend it."""
    worker = folded(lane, eventually)
    eventually(lambda: all(lane.committed()[p] == end for p, end in lane.ends.items()))
    before = lane.topic_ends()
    assert holes_of(worker) == {}
    eventually(lambda: notes_reach(lane, before), message="it is noted that nothing is left to fold")
    assert worker.stop() == 0
    kept, events = copy.deepcopy(lane.truth), lane.events
    lane.feed(3)  # ... of which all records will be gone
    assert lane.events > events
    after = delete_all(lane)
    lost = {p: after[p] - before[p] for p in range(4)}
    lane.truth, lane.events = kept, events

    worker = lane.worker()
    eventually(worker.ready, message="ready")
    assert holes_of(worker) == lost
    lane.feed(1)
    eventually(lane.caught_up, message="caught up")
    assert holes_of(worker, "/v1/clients?window=1h") == lost
    of_one = holes_of(worker, "/v1/clients/client1")
    assert of_one == {p: n for p, n in lost.items() if p == partition_of("cclient1", 4)}
    hours = [time.strftime("%Y-%m-%dT%H:00:00Z", time.gmtime(time.time() - ago * 3600)) for ago in (12, 10)]
    assert holes_of(worker, f"/v1/clients?from={hours[0]}&to={hours[1]}") == {}
    metrics = worker.get("/metrics")[1]
    assert f"logrouter_rollup_records_lost_total {sum(lost.values())}.0" in metrics
    eventually(lambda: "logrouter_table_holes 4.0" in worker.get("/metrics")[1])
    assert worker.text().count("rollup_records_lost") == 4

    worker.kill()
    shutil.rmtree(worker.data_dir)
    worker = lane.worker()
    eventually(worker.ready, message="recovered")
    assert holes_of(worker) == lost
    fresh = worker.get("/v1/totals?window=life")[1]["freshness"]["holes"]
    assert all(hole["from"] <= hole["to"] for hole in fresh)
    eventually(lane.caught_up, message="what was not flushed when it was killed is folded again")
    assert lane.differences() == {}
    assert worker.stop() == 0


def notes_reach(lane, ends):
    """Whether the changelog says that the rows go to the ends of all partitions."""
    found = {p: notes.decode_origin(dict(lane.read_changelog([p])).get(notes.ORIGIN)) for p in ends}
    return all(origin is not None and origin.reached == ends[p] for p, origin in found.items())


@pytest.mark.long
def test_rollup_topic_made_anew_and_refilled_is_refused(lane, eventually):
    """Grown past all that the rows know, with nothing in its offsets that gives it away; a lost disk is no way out."""
    worker = folded(lane, eventually)
    assert worker.stop() == 0
    ends = dict(lane.ends)
    make_anew(lane, eventually, lane.topic)
    lane.ends = {}
    while any(lane.ends.get(p, 0) <= end for p, end in ends.items()):
        lane.feed(8)
    for wiped in (False, True):
        if wiped:
            shutil.rmtree(worker.data_dir)
        worker.log.unlink()
        worker = lane.worker()
        assert worker.wait() == 2
        assert lane.topic in refusal(worker)
        assert "its id is another" in refusal(worker)


def refusal(worker):
    """What the one line says with which a worker ended."""
    assert "Traceback" not in worker.text()
    (line,) = [line for line in worker.text().splitlines() if "lane_failed" in line]
    assert worker.text().splitlines()[-1] == line
    said = json.loads(line[line.index("error=") + len("error=") :])
    assert OF_ANOTHER_TOPIC in said
    assert "tables_lane.group" in said
    return said


def test_rollup_topic_made_anew_under_a_running_worker_is_refused(lane, eventually):
    """The first of its records ends the worker, or, while there is none, the look at its id."""
    worker = folded(lane, eventually)
    make_anew(lane, eventually, lane.topic)
    lane.feed(2)
    assert worker.wait() == 2
    assert lane.topic in refusal(worker)


@pytest.mark.long
def test_changelog_made_anew_is_refused(lane, eventually):
    """A database that was made with another changelog would leave rows out of the new one."""
    worker = folded(lane, eventually)
    assert worker.stop() == 0
    make_anew(lane, eventually, lane.changelog)
    worker = lane.worker()
    assert worker.wait() == 2
    assert lane.changelog in refusal(worker)


def test_record_of_a_later_version_stops_the_worker(lane, eventually):
    """Skipped, its requests would be missing without a word; nothing is committed behind it."""
    worker = folded(lane, eventually)
    before = lane.committed()
    lane.producer.begin_transaction()
    for partition in range(4):
        lane.produce(b"\x92\x04\x90", partition, counted=False)
    lane.producer.commit_transaction()
    assert worker.wait() == 2
    assert "upgrade the tables first" in worker.text()
    assert "Traceback" not in worker.text()
    assert lane.committed() == before


@pytest.mark.long
def test_clock_a_year_ahead_deletes_nothing_that_the_records_do_not(lane, eventually):
    """Rows expire by the newest rollup record: half an hour later minute rows of ten minutes do, and no others."""
    year, half_an_hour = 366 * 86400, 30 * 60
    worker = lane.worker(clock_offset_seconds=year, retention=(10, 35 * 24, 400))
    eventually(worker.ready, message="ready")
    lane.feed(4)
    eventually(lane.caught_up, message="caught up")
    assert lane.differences() == {}
    minutes = {key for key in lane.truth if key[0] == 0}
    lane.feed(1, at_ms=int((time.time() + half_an_hour) * 1000))
    eventually(lane.caught_up, message="caught up")

    def buried():
        last = dict(lane.read_changelog())
        return all(last[key] is None for key in minutes)

    eventually(buried, message="tombstones")
    dead = {key for key, value in dict(lane.read_changelog()).items() if value is None}
    assert dead == minutes
    assert lane.changelog_rows() == {key: cell for key, cell in lane.truth.items() if key[0] != 0}
    assert lane.lifetimes(worker) == lane.expected_lifetimes()


@pytest.mark.long
def test_another_record_where_the_last_folded_one_was_is_refused(lane, eventually):
    """The topic has the same id, as after an election that cut it short, and has grown past what was folded."""
    worker = folded(lane, eventually)
    assert worker.stop() == 0
    partition = next(iter(lane.ends))
    origin = notes.decode_origin(dict(lane.read_changelog([partition]))[notes.ORIGIN])
    foreign = Producer({"bootstrap.servers": lane.bootstrap})
    longer = notes.encode_origin(replace(origin, size=origin.size + 1))
    foreign.produce(lane.changelog, longer, key=notes.ORIGIN, partition=partition)
    foreign.flush(HANG_SECONDS)
    worker = lane.worker()
    assert worker.wait() == 2
    assert f"another record at offset {origin.offset} of partition {partition}" in refusal(worker)


@pytest.mark.long
def test_records_deleted_under_a_running_worker_leave_a_hole(lane, eventually):
    """It waits for the end of their transaction, and they are gone before that comes."""
    worker = folded(lane, eventually)
    lane.producer.begin_transaction()
    for partition in range(4):
        lane.produce(b"to be deleted", partition, counted=False)
    lane.producer.flush()
    gone = lane.admin.delete_records([TopicPartition(lane.topic, p, OFFSET_END) for p in range(4)])
    assert all(future.result(HANG_SECONDS).low_watermark > lane.ends[tp.partition] for tp, future in gone.items())
    lane.producer.commit_transaction()
    lane.feed(1)
    eventually(lane.caught_up, message="caught up")
    assert holes_of(worker).keys() == {0, 1, 2, 3}
    assert worker.text().count("rollup_records_lost") == 4
    assert "rollup_invalid" not in worker.text()
    assert lane.differences() == {}
    assert worker.stop() == 0
