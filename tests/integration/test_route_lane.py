"""The route lane as a process on a real Kafka: every record has one outcome, whatever happens to the process."""

from __future__ import annotations

import re
import signal
import urllib.error
import urllib.request
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from logrouter.devkafka.ports import claim_port
from logrouter.kafka.reader import read_committed
from tests.conftest import HANG_SECONDS
from tests.integration.stack import Stack, metrics, request_line, syslog_line

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.broker

POISON: list[bytes | None] = [
    None,
    b"",
    b"\xff\xfe api-gateway \xff",
    b'{"program":"api-gateway","message":"{\\"$schema\\":\\"\\/api-gateway\\/requ',
    b'{"program":"api-gateway","message":' + b"[" * 5000,
    b'{"program":"api-gateway","message":"' + b"x" * 900_000,
    syslog_line(
        '{"$schema":"/api-gateway/request/1.0.0","meta":{"dt":"2026-05-04T10:00:00Z"},"http":{"status_code":"200"}}'
    ),
    syslog_line("[2026-05-04 10:00:00.000][7][info][main] starting main dispatch loop"),
    syslog_line("session opened", program="sshd"),
]
POISON_OUTCOMES = {
    ("_unmatched", "ignored", "", "tombstone"): 1,
    ("_unmatched", "ignored", "", "empty"): 1,
    ("_unmatched", "ignored", "", "unmatched"): 1,
    ("api-gateway", "ignored", "", "not_request"): 1,
    ("_unmatched", "rejected", "decode", "invalid_utf8"): 1,
    ("_unmatched", "rejected", "decode", "invalid_json"): 2,
    ("_unmatched", "rejected", "decode", "too_deep"): 1,
    ("api-gateway", "rejected", "validate", "schema"): 1,
}


@pytest.fixture
def stack(broker, tmp_path, unique) -> Iterator[Stack]:
    """A stack with topics of its own."""
    made = Stack(broker.bootstrap, tmp_path, unique("route"))
    yield made
    made.close()


def scrape(port: int) -> dict[str, list[tuple[dict[str, str], float]]]:
    """The metrics of a route process."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=HANG_SECONDS) as answer:
        return metrics(answer.read().decode())


def events(samples: dict[str, list[tuple[dict[str, str], float]]]) -> Counter[tuple[str, ...]]:
    """The outcome counters of a scrape."""
    return Counter(
        {
            (labels["route"], labels["outcome"], labels["stage"], labels["reason"]): int(value)
            for labels, value in samples.get("logrouter_events_total", ())
        }
    )


def test_route_gives_every_record_one_outcome(stack, eventually):
    """Requests come out once, bad lines become dead letters, the rest is counted; and the counts add up."""
    port = claim_port()
    fed = stack.feed([*POISON, *(request_line(n, f"c{n % 7}") for n in range(500))])
    lane = stack.route(port=port)
    eventually(lambda: lane.running and sum_of(events_or_none(port)) == fed, "all records counted")
    samples = scrape(port)

    assert events(samples) == Counter({**POISON_OUTCOMES, ("api-gateway", "accepted", "", ""): 500})
    assert samples["logrouter_records_read_total"] == [({"source": "rsyslog"}, fed)]
    assert stack.numbers() == Counter(range(500))
    assert Counter((d["stage"], d["reason"]) for d in stack.dead_letters()) == Counter(
        {
            ("decode", "invalid_utf8"): 1,
            ("decode", "invalid_json"): 2,
            ("decode", "too_deep"): 1,
            ("validate", "schema"): 1,
        }
    )
    assert next(d["pointer"] for d in stack.dead_letters() if d["stage"] == "validate") == "/http/status_code"
    assert lane.stop() == 0


def events_or_none(port: int) -> Counter[tuple[str, ...]]:
    """The outcome counters, empty while the process does not listen yet."""
    try:
        return events(scrape(port))
    except OSError:
        return Counter()


def sum_of(counter: Counter[tuple[str, ...]]) -> int:
    """How many outcomes."""
    return sum(counter.values())


def test_two_processes_share_the_partitions(stack, eventually):
    """A second process takes over part of the work, and every request still comes out once."""
    first, second = stack.route("route-0"), stack.route("route-1")
    eventually(lambda: all("partitions_assigned" in p.text() for p in (first, second)), "both assigned")
    eventually(lambda: {assigned(first), assigned(second)} == {2}, "two partitions each")
    for partition in range(4):
        stack.feed((request_line(n, "c") for n in range(partition * 500, partition * 500 + 500)), partition=partition)
    eventually(lambda: stack.numbers() == Counter(range(2000)), "all requests once")

    assert [first.stop(), second.stop()] == [0, 0]


def assigned(process) -> int:
    """How many partitions the process owned when it last said so."""
    said = re.findall(r"assigned=(\d+)", process.text())
    return int(said[-1]) if said else 0


def test_process_with_a_taken_name_fences_the_other(stack, eventually):
    """Two processes with one instance name: the older ends with 75 and says what to do; nothing is doubled."""
    first = stack.route("same")
    eventually(lambda: "partitions_assigned" in first.text(), "assigned")
    second = stack.route("same")
    eventually(lambda: "lane_started" in second.text(), "the second started")
    for partition in range(4):
        stack.feed((request_line(n, "c") for n in range(partition * 500, partition * 500 + 500)), partition=partition)

    assert first.wait() == 75
    assert "--instance" in first.text()
    eventually(lambda: stack.numbers() == Counter(range(2000)), "all requests once")
    assert second.stop() == 0


def test_missing_output_topic_is_waited_for_and_said_once(stack, eventually):
    """A route process that starts before its topics exist says what is missing and goes on when they are there."""
    from confluent_kafka.admin import AdminClient

    admin = AdminClient(stack.kafka)
    admin.delete_topics([stack.clean])[stack.clean].result(HANG_SECONDS)
    lane = stack.route()
    eventually(lambda: "topic_missing" in lane.text(), "said so")
    stack.command("topics")
    stack.feed(request_line(n, "c") for n in range(10))
    eventually(lambda: "lane_started" in lane.text() and stack.numbers() == Counter(range(10)), "routed")

    assert lane.text().count("topic_missing") == 1
    assert lane.stop() == 0


def test_sigterm_while_the_cluster_is_away_ends_in_bounded_time(stack, eventually):
    """No broker at all: the process says so once, and SIGTERM ends it with 0."""
    lane = stack.start("route", "--bootstrap", f"127.0.0.1:{claim_port()}", "--metrics-port", "0")
    eventually(lambda: "broker_down" in lane.text(), "said that nobody answers")
    lane.kill(signal.SIGTERM)

    assert lane.wait() == 0
    assert lane.text().count("broker_down") == 1
    assert "FAIL" not in lane.text()  # librdkafka's own words, one for every attempt


def test_lasting_cause_of_aborts_is_said_once_and_healed_without_loss(stack, eventually):
    """An output topic that refuses records: few attempts, one line, not ready; when mended, every record once."""
    alter(stack, stack.clean, {"cleanup.policy": "compact"})  # which takes no record without a key
    port = claim_port()
    lane = stack.route(port=port)
    eventually(lambda: "partitions_assigned" in lane.text(), "assigned")
    stack.feed(request_line(n, None) for n in range(50))
    eventually(lambda: aborted(port) >= 5, "five attempts")
    eventually(lambda: status(port, "/readyz") == 503, "not ready")
    assert "transactions are being aborted: INVALID_RECORD" in answer(port, "/readyz")
    alter(stack, stack.clean, {"cleanup.policy": "delete"})
    eventually(lambda: stack.numbers() == Counter(range(50)), "all requests once")
    eventually(lambda: "transactions_resumed" in lane.text(), "said that it goes on")

    causes = re.findall(r"transaction_aborted error=(\S+)", lane.text())
    assert len(causes) == len(set(causes)) <= 3  # each once, however many attempts
    assert lane.stop() == 0


@pytest.mark.long
def test_events_above_a_lowered_limit_become_dead_letters(stack, eventually):
    """The broker refuses one batch, the lane reads the limit anew: no loop of aborted transactions, nothing lost."""
    port = claim_port()
    lane = stack.route(port=port)
    stack.feed(request_line(n, "c") for n in range(20))
    eventually(lambda: stack.numbers() == Counter(range(20)), "routed")
    alter(stack, stack.clean, {"max.message.bytes": "1500"})
    small = [request_line(n, "c") for n in range(20, 300)]
    path = rb"\/core\/" + b"x" * 2000 + rb"\/"
    large = [request_line(n, "c").replace(rb"\/core\/", path) for n in range(300, 310)]
    stack.feed(small + large)
    eventually(lambda: len(stack.dead_letters()) == 10, "dead letters")
    eventually(lambda: stack.numbers() == Counter(range(300)), "small ones once, though a batch of them is larger")

    assert aborted(port) >= 1  # the fault happened
    assert aborted(port) <= 3
    assert {(letter["stage"], letter["reason"]) for letter in stack.dead_letters()} == {("validate", "too_large")}
    assert f"topic_limit topic={stack.clean} max_message_bytes=1500" in lane.text()
    assert lane.stop() == 0


def test_a_limit_below_what_the_lane_needs_ends_it_with_topic_and_size(stack, eventually):
    """Partial sums can't be made smaller: found while it runs, and at the next start."""
    lane = stack.route()
    eventually(lambda: "partitions_assigned" in lane.text(), "assigned")
    alter(stack, stack.rollup, {"max.message.bytes": "200"})
    stack.feed(request_line(n, "c") for n in range(20))

    for each in (lane, stack.route("route-1")):
        assert each.wait() == 2
        last = each.text().splitlines()[-1]
        assert "lane_failed lane=route" in last
        assert f"topic {stack.rollup} takes 200 bytes at once (max.message.bytes), but partial sums need" in last
        assert "Traceback" not in each.text()


@pytest.mark.long
def test_partitions_added_to_the_rollup_topic_change_nothing_while_a_lane_runs(stack, eventually):
    """Sums are placed by the number of the file, as table rows are. The next start is refused."""
    from confluent_kafka.admin import AdminClient, NewPartitions

    lane = stack.route()
    eventually(lambda: "partitions_assigned" in lane.text(), "assigned")
    admin = AdminClient(stack.kafka)
    admin.create_partitions([NewPartitions(stack.rollup, 6)])[stack.rollup].result(HANG_SECONDS)
    stack.feed(request_line(n, f"c{n}") for n in range(50))
    eventually(lambda: stack.numbers() == Counter(range(50)), "routed")

    assert {record.partition for _, record in read_committed(stack.kafka, stack.rollup)} == {0, 1, 2, 3}
    assert lane.stop() == 0
    again = stack.route()
    assert again.wait() == 2
    assert f"topic {stack.rollup} has 6 partitions, not 4 (outputs.rollup" in again.text().splitlines()[-1]


def alter(stack: Stack, topic: str, settings: dict[str, str]) -> None:
    """Change settings of a topic."""
    from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

    entries = [ConfigEntry(*each, incremental_operation=AlterConfigOpType.SET) for each in settings.items()]
    admin = AdminClient(stack.kafka)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(HANG_SECONDS)


def aborted(port: int) -> float:
    """How many transactions were aborted."""
    samples = scrape(port).get("logrouter_transactions_total", ())
    return sum(value for labels, value in samples if labels["result"] == "aborted")


def answer(port: int, path: str) -> str:
    """The body of what is answered to a GET, whatever its status."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=HANG_SECONDS) as given:
            return given.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


def status(port: int, path: str) -> int:
    """The status code of a GET."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=HANG_SECONDS) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(
    ("setting", "code", "said"),
    [
        ("transaction_timeout_ms: 900001", 1, "timeout"),
        ("batch: {max_record: 1}", 2, "max_records"),
    ],
)
def test_own_mistake_ends_in_one_clear_line(stack, setting, code, said):
    """A setting that the cluster or the file's reader refuses: no traceback, and the exit code that tells which."""
    text = stack.config.read_text()
    stack.config.write_text(
        text.replace("  transaction_timeout_ms: 10000", f"  {setting}").replace(
            "  batch: {max_records: 500, max_wait_ms: 50}\n",
            "" if "batch" in setting else "  batch: {max_records: 500}\n",
        )
    )
    lane = stack.route()

    assert lane.wait() == code
    assert said in lane.text()
    assert "Traceback" not in lane.text()


def test_another_number_of_rollup_partitions_ends_the_lane_with_one_clear_line(stack):
    """Rows are placed by that number. Nothing is routed, and no supervisor need try again."""
    stack.config.write_text(stack.config.read_text().replace("partitions: 4}", "partitions: 5}"))
    lane = stack.route()

    assert lane.wait() == 2
    last = lane.text().splitlines()[-1]
    assert "lane_failed lane=route" in last
    assert f"topic {stack.rollup} has 4 partitions, not 5 (outputs.rollup of topics.yaml)" in last
    assert lane.text().count("lane_failed") == 1
    assert "Traceback" not in lane.text()
