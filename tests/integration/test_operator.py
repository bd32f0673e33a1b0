"""`logrouter explain` and `logrouter plan` on records that are really in Kafka."""

from __future__ import annotations

import orjson
import pytest
from confluent_kafka.admin import AdminClient

from logrouter.core import ids
from logrouter.kafka import reader
from logrouter.kafka.producer import LineProducer
from logrouter.kafka.reader import describe_cluster, fetch_end_offsets, read_tail
from tests.conftest import HANG_SECONDS
from tests.integration.stack import Stack, request_line, syslog_line

pytestmark = pytest.mark.broker


@pytest.fixture
def stack(broker, tmp_path, unique):
    """Topics and a topics.yaml, without processes."""
    made = Stack(broker.bootstrap, tmp_path, unique("operator"), partitions=2)
    yield made
    made.close()


def edited(stack: Stack, *changes: tuple[str, str]) -> str:
    """The path of a copy of the stack's file with these changes."""
    text = stack.config.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = stack.folder / "new.yaml"
    path.write_text(text)
    return str(path)


def plan(stack: Stack, path: str, *arguments: str, code: int = 0) -> dict:
    """The report as JSON."""
    return orjson.loads(stack.command("plan", path, "--json", *arguments, code=code))


def groups(stack: Stack) -> set[str]:
    """Names of all consumer groups of the cluster."""
    return {group.group_id for group in AdminClient(stack.kafka).list_consumer_groups().result(HANG_SECONDS).valid}


def test_explain_by_place_and_by_event_id(stack):
    """A record is found by topic, partition and offset, and by the id of the event that it becomes."""
    stack.feed([syslog_line("x", "sshd"), request_line(1, "c1")], partition=1)
    place = f"{stack.source}:1:1"
    by_place = orjson.loads(stack.command("explain", place, "--json"))
    event_id = by_place["events"][0]["meta"]["id"]
    by_id = orjson.loads(stack.command("explain", event_id, "--json"))

    assert event_id == ids.for_partition(describe_cluster(stack.kafka).id, stack.source, 1)(1, 0)
    assert by_place == by_id
    assert (by_id["outcome"], by_id["record"]) == ("accepted", {"topic": stack.source, "partition": 1, "offset": 1})
    assert "ignored by _unmatched" in stack.command("explain", f"{stack.source}:1:0")


def test_explain_knows_outputs_come_back(stack):
    """A record that carries our header is a loop, whatever it holds."""
    feeder = LineProducer(stack.kafka, stack.source)
    feeder._producer.produce(stack.source, request_line(1, "c1"), partition=0, headers=[("logrouter-generation", b"x")])
    feeder.flush()

    found = orjson.loads(stack.command("explain", f"{stack.source}:0:0", "--json"))
    assert (found["outcome"], found["reason"]) == ("ignored", "loop")


@pytest.mark.parametrize("place", [":0:5", ":7:0", "-nothing:0:0"])
def test_explain_says_what_is_not_there(stack, place):
    """An offset, a partition or a topic that does not exist is one line and exit code 1."""
    assert stack.command("explain", f"{stack.source}{place}", code=1) == ""


def test_plan_of_the_same_file_finds_no_difference(stack):
    """Nothing changed: exit code 0, both sides counted alike, and no consumer group is left behind."""
    stack.feed([request_line(n, f"c{n % 3}") for n in range(50)] + [syslog_line("x", "sshd")] * 50)
    before = groups(stack)
    report = plan(stack, edited(stack))

    assert (report["differs"], report["records"], report["effects"], report["samples"]) == (False, 100, {}, [])
    route = report["routes"]["api-gateway"]
    assert route["old"] == route["new"]
    assert (route["old"]["accepted"], report["routes"]["_unmatched"]["old"]["ignored"]) == (50, 50)
    assert report["cardinality"]["clients"] == {"old": 3, "new": 3}
    assert report["throughput"]["old_us_per_record"] > 0
    assert {group for group in groups(stack) - before if "reader" in group} == set()


def test_plan_counts_known_differences(stack):
    """Requests lost, requests gained, other keys and topics, new routes: each as often as it was made to happen."""
    lines = [request_line(n, "c1") for n in range(30)]
    lines += [request_line(n, None) for n in range(10)]
    lines += [request_line(n, "c1").replace(b'"api-gateway"', b'"edge"') for n in range(7)]
    lines += [request_line(n, "c1", status="200").replace(b'"api-gateway"', b'"edge"') for n in range(4)]
    stack.feed(lines)
    new = edited(
        stack,
        ("match: {program: api-gateway, looks_like", "match: {program: edge, looks_like"),
        ("name: api-gateway", "name: edge"),
        (f"to: {stack.name}.clean", f"to: {stack.name}.edge"),
    )
    report = plan(stack, new, code=1)

    assert report["effects"] == {"lost": 40, "gained": 7, "rejected": 4}
    assert (report["new_routes"], report["vanished_routes"]) == (["edge"], ["api-gateway"])
    assert report["new_rejections"] == [
        {"route": "edge", "stage": "validate", "reason": "schema", "pointer": "/http/status_code", "count": 4}
    ]
    assert report["routes"]["edge"]["new"]["schema_failures"] == 4
    assert {sample["effect"] for sample in report["samples"]} == {"lost", "gained", "rejected"}
    text = stack.command("plan", new, code=1)
    assert "40 requests lost" in text
    assert "new rejection by edge: validate schema /http/status_code, 4 times" in text


def test_plan_fails_on_what_it_is_told_to(stack):
    """Another key is a difference and no loss; --fail-on says which of them counts."""
    stack.feed([request_line(1, "c1")])
    new = edited(stack, ("client_id: [client_id]", "client_id: [ratelimit_key]"))

    assert plan(stack, new, code=1)["effects"] == {"rekeyed": 1, "changed": 1}
    plan(stack, new, "--fail-on", "loss", code=0)
    plan(stack, edited(stack, ("program: api-gateway", "program: x")), "--fail-on", "loss", code=1)
    plan(stack, new, "--fail-on", "never", code=0)


@pytest.mark.long
def test_plan_ends_with_2_when_nothing_can_be_compared(stack, monkeypatch):
    """A wrong file, or a cluster that is not there."""
    monkeypatch.setattr(reader, "_ASK_SECONDS", 0.5)  # instead of 10, for a cluster that never answers
    stack.command("plan", edited(stack, ("version: 1", "version: 2")), code=2)
    stack.command("plan", str(stack.config), "--bootstrap", "127.0.0.1:1", code=2)


def test_plan_reads_topics_that_one_file_names(stack):
    """A new source's topic is read, one that does not exist is named, and our own outputs are never inputs."""
    stack.feed([request_line(1, "c1")])
    stack.create_topic(f"{stack.name}.more", 1)
    more = LineProducer(stack.kafka, f"{stack.name}.more")
    more.feed([request_line(2, "c1")])
    more.flush()
    topics = f"topics: [{stack.name}.source"
    new = edited(stack, (topics, f"{topics}, {stack.name}.more, {stack.name}.none"))
    report = plan(stack, new, code=1)

    assert report["topics"]["only_new"] == [f"{stack.name}.more"]
    assert report["topics"]["missing"] == [f"{stack.name}.none"]
    assert report["effects"] == {"gained": 1}


def test_tail_reads_the_last_records_or_minutes(stack):
    """So many records in all, shared by the partitions; nothing from the future; transactions leave no gaps."""
    stack.feed([syslog_line(str(n), "x") for n in range(100)], partition=0)
    stack.feed([syslog_line(str(n), "x") for n in range(5)], partition=1)
    everything = sum(fetch_end_offsets(stack.kafka, stack.source).values())

    def tail(**bounds):
        return [(r.partition, r.offset) for r in read_tail(stack.kafka, [stack.source], **bounds)]

    assert sorted(tail(records=20)) == [(0, n) for n in range(85, 100)] + [(1, n) for n in range(5)]
    assert len(tail(records=None, since_ms=0)) == everything == 105
    assert tail(records=None, since_ms=4_000_000_000_000) == []
    assert len(tail(records=7, since_ms=0)) == 7
