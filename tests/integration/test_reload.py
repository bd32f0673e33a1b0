"""Reloading a running route process on a real Kafka: every record routed once, by a table that says which it was."""

from __future__ import annotations

import http.client
import itertools
import os
import signal
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from logrouter.devkafka.ports import claim_port
from logrouter.kafka.producer import LineProducer
from logrouter.kafka.reader import read_committed
from tests.conftest import HANG_SECONDS
from tests.integration.stack import Stack, metrics, request_line, syslog_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.broker

TOKEN = "an-admin-token"  # noqa: S105 - of this test


class Admin:
    """The HTTP port of one route process."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, method: str, path: str, token: str = "") -> tuple[int, Any]:
        """Status and JSON (or text); 0 while nobody listens."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=HANG_SECONDS)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            return answer.status, orjson.loads(body) if body.startswith(b"{") else body.decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()

    @property
    def config(self) -> dict[str, Any]:
        """What routes."""
        return self.ask("GET", "/v1/config")[1] or {"generation": None}

    @property
    def generation(self) -> str:
        """The generation that routes."""
        return self.config["generation"]

    def metric(self, name: str) -> list[tuple[dict[str, str], float]]:
        """All series of a metric."""
        return metrics(self.ask("GET", "/metrics")[1]).get(name, [])


@pytest.fixture
def stack(broker, tmp_path, unique) -> Iterator[Stack]:
    """A stack with topics of its own."""
    made = Stack(broker.bootstrap, tmp_path, unique("reload"))
    yield made
    made.close()


@pytest.fixture
def lane(stack, eventually, monkeypatch) -> Admin:
    """A running route process."""
    monkeypatch.setenv("LOGROUTER_ADMIN_TOKEN", TOKEN)
    port = claim_port()
    stack.route(port=port)
    admin = Admin(port)
    eventually(lambda: admin.ask("GET", "/readyz")[0] == 200, "ready")
    return admin


def other(stack: Stack, **changes: str) -> str:
    """The stack's file with its events in another topic, which is there, and other words replaced."""
    name = f"{stack.name}.clean-2"
    if name not in stack.config.read_text():
        ensure(stack, name)
    text = stack.config.read_text().replace(f"to: {stack.clean}\n", f"to: {name}\n")
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def ensure(stack: Stack, name: str) -> None:
    """Create a topic if it is not there."""
    from confluent_kafka.admin import AdminClient

    if name not in AdminClient(stack.kafka).list_topics(timeout=HANG_SECONDS).topics:
        stack.create_topic(name, 2)


def replace(file: Path, text: str) -> None:
    """As editors do: a new file, renamed into place."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def log_lines(stack: Stack, event: str) -> list[str]:
    """The log lines of one kind that the stack's route process has written."""
    return [line for line in stack.processes[0].text().splitlines() if f" {event} " in line]


def test_swaps_under_load_lose_and_double_nothing(stack, lane, eventually):
    """Two tables in turn every 100 ms, broken files between them, under full feeding: each request comes once."""
    first, second = stack.config.read_text(), other(stack)
    broken = [second[: len(second) // 2], "version: 1\nroutes: []\n", "{", ""]
    done, fed = threading.Event(), []
    feeder = LineProducer(stack.kafka, stack.source)

    def feed() -> None:
        while not done.wait(0.02):
            number = len(fed) * 100
            feeder.feed(request_line(n, f"c{n % 7}") for n in range(number, number + 100))
            fed.append(number)
        feeder.flush()

    feeding = threading.Thread(target=feed)
    feeding.start()
    generations = {lane.generation}
    for turn in range(400):
        if turn >= 80 and len(log_lines(stack, "config_applied")) > 20:
            break  # a busy machine takes longer for as many swaps
        text = broken[turn // 5 % 4] if turn % 5 == 4 else (first, second)[turn % 2]
        if turn % 3:
            replace(stack.config, text)
        else:
            stack.config.write_text(text)
        time.sleep(0.1)
        generations.add(lane.generation)
    done.set()
    feeding.join()
    total = len(fed) * 100
    replace(stack.config, second)
    eventually(lambda: sum(1 for _ in records(stack)) >= total, f"{total} events")

    assert Counter(number for number, _, _ in records(stack)) == Counter(range(total))
    assert len(generations) == 2
    by_topic = {topic: {g for _, t, g in records(stack) if t == topic} for topic in topics_of(stack)}
    assert all(len(found) == 1 for found in by_topic.values()), by_topic
    assert set().union(*by_topic.values()) == generations
    assert len(log_lines(stack, "config_applied")) > 20
    assert len(log_lines(stack, "config_rejected")) >= 4


def topics_of(stack: Stack) -> list[str]:
    """Both clean topics."""
    return [stack.clean, f"{stack.name}.clean-2"]


def records(stack: Stack) -> Iterator[tuple[int, str, str]]:
    """(request number, topic, generation) of every event in both clean topics."""
    for topic in topics_of(stack):
        for _, record in read_committed(stack.kafka, topic):
            headers = dict(record.headers)
            yield (
                int(orjson.loads(record.value or b"")["meta"]["request_id"]),
                topic,
                headers["logrouter-generation"].decode(),
            )


def test_swap_of_a_config_map_takes_effect_within_a_second(stack, eventually):
    """Kubernetes changes neither file nor link, but the folder two links away; the edit routes a second later."""
    text, folder = stack.config.read_text(), stack.folder / "mounted"
    folder.mkdir()

    def publish(version: str, content: str) -> None:
        data = folder / f"..{version}"
        data.mkdir()
        (data / "topics.yaml").write_text(content)
        link = folder / "..data_tmp"
        link.symlink_to(data.name)
        link.replace(folder / "..data")

    publish("1", text)
    (folder / "topics.yaml").symlink_to("..data/topics.yaml")
    stack.config = folder / "topics.yaml"
    port = claim_port()
    stack.route(port=port)
    lane = Admin(port)
    eventually(lambda: lane.ask("GET", "/readyz")[0] == 200, "ready")

    def seconds_until_it_routes(version: int) -> float:
        before, began = lane.generation, time.monotonic()
        publish(str(version), f"{text}# edited, version {version}\n")
        eventually(lambda: lane.generation != before, "the edit")
        return time.monotonic() - began

    # An edit that happens to be slow is the machine's doing; all of them would be the lane's.
    versions = itertools.count(2)
    eventually(lambda: seconds_until_it_routes(next(versions)) < 1, "an edit routes within a second")
    assert lane.config["valid"]
    assert lane.metric("logrouter_config_info") == [({"generation": lane.generation}, 1)]


def test_wrong_file_keeps_the_table_and_says_why_once(stack, lane, eventually):
    """A wrong edit changes nothing but a gauge and one line with path and reason; undoing it makes all well again."""
    good, before = stack.config.read_text(), lane.generation
    replace(stack.config, good.replace("format: envoy", "format: envoi"))
    eventually(lambda: lane.metric("logrouter_config_valid") == [({}, 0)], "the gauge")
    os.utime(stack.config)
    time.sleep(0.8)

    (line,) = log_lines(stack, "config_rejected")
    assert "routes[0].format: must be" in line
    assert str(stack.config) in line
    assert lane.generation == before
    assert "routes[0].format" in lane.config["last_error"]
    replace(stack.config, good)
    eventually(lambda: lane.metric("logrouter_config_valid") == [({}, 1)], "well again")
    assert lane.config["last_error"] is None


def test_half_written_file_never_changes_the_table(stack, lane, eventually):
    """Whatever a writer in place has got to, even where that is a whole file by itself, the table stays."""
    good = stack.config.read_bytes()
    before = lane.generation
    whole = good.index(b"    tables: [clients")
    for end in [0, 10, 300, whole, whole + 5, len(good) - 2]:
        stack.config.write_bytes(good[:end])
        seen: set[str] = set()
        stop = time.monotonic() + 0.4
        while time.monotonic() < stop:
            seen.add(lane.generation)
        assert seen == {before}, end
    stack.config.write_bytes(good)
    eventually(lambda: lane.config["valid"], "well again")


def test_admin_endpoint_reloads_for_those_who_may(stack, lane, eventually):
    """Nobody may while the file names no token; then who has it may, and is told how it went."""
    assert lane.ask("POST", "/v1/admin/reload", TOKEN)[0] == 404
    text = stack.config.read_text() + "admin: {token: '${LOGROUTER_ADMIN_TOKEN}'}\n"
    before = lane.generation
    replace(stack.config, text)
    eventually(lambda: lane.generation != before, "the token is known")

    assert lane.ask("POST", "/v1/admin/reload")[0] == 401
    assert lane.ask("POST", "/v1/admin/reload", TOKEN[:-1])[0] == 401
    assert lane.ask("GET", "/v1/admin/reload", TOKEN)[0] == 405
    status, answer = lane.ask("POST", "/v1/admin/reload", TOKEN)
    assert (status, answer["result"]) == (200, "unchanged")
    replace(stack.config, text + "# edited\n")
    status, answer = lane.ask("POST", "/v1/admin/reload", TOKEN)
    assert (status, answer["generation"]) == (200, lane.generation)
    replace(stack.config, text.replace("format: envoy", "format: 1"))
    status, answer = lane.ask("POST", "/v1/admin/reload", TOKEN)
    assert (status, answer["result"]) == (422, "invalid")
    replace(stack.config, text.replace("-route\n", "-elsewhere\n").replace(stack.clean, f"{stack.name}.nowhere"))
    status, answer = lane.ask("POST", "/v1/admin/reload", TOKEN)
    assert (status, answer["result"]) == (409, "refused")
    assert "route_lane.group: can't change while running" in answer["reason"]
    replace(stack.config, text.replace(stack.clean, f"{stack.name}.nowhere"))
    status, answer = lane.ask("POST", "/v1/admin/reload", TOKEN)
    assert (status, answer["reason"]) == (409, f"no such topic: {stack.name}.nowhere; run `logrouter topics` first")
    assert TOKEN not in stack.processes[0].text()


def test_sighup_reloads_and_does_not_end_the_process(stack, lane, eventually):
    """SIGHUP reads the file at once, and tells even that nothing has changed."""
    stack.processes[0].kill(signal.SIGHUP)
    eventually(lambda: log_lines(stack, "config_unchanged"), "said so")
    before = lane.generation
    replace(stack.config, stack.config.read_text() + "# edited\n")
    stack.processes[0].kill(signal.SIGHUP)

    eventually(lambda: lane.generation != before, "the edit")
    assert stack.processes[0].running


@pytest.mark.parametrize("processes", [pytest.param(1, marks=pytest.mark.long), 2])
def test_topic_that_leaves_and_comes_back_loses_nothing(stack, lane, eventually, processes):
    """Sources come and go with the file: what came meanwhile to a topic that was out is read when it is in again."""
    if processes == 2:
        second_lane = stack.route("route-1")
        eventually(lambda: "partitions_assigned" in second_lane.text(), "a second process")
    second = f"{stack.name}.source-2"
    stack.create_topic(second, 2)
    narrow = stack.config.read_text()
    wide = narrow.replace(f"topics: [{stack.source}]", f"topics: [{stack.source}, {second}]")
    feeders = [LineProducer(stack.kafka, topic) for topic in (stack.source, second)]
    total = 0
    for turn in range(30):
        replace(stack.config, (wide, narrow)[turn % 2])
        for _ in range(1 + turn % 4):
            for feeder in feeders:
                feeder.feed(request_line(n, "c") for n in range(total, total + 50))
                total += 50
            time.sleep(0.07)
    for feeder in feeders:
        feeder.flush()
    replace(stack.config, wide)

    eventually(lambda: stack.numbers().total() >= total, f"{total} events")
    assert stack.numbers() == Counter(range(total))


def test_canary_takes_a_bad_table_back(stack, lane, eventually):
    """A valid edit under which most lines match nothing is undone by itself, said everywhere, and not tried again."""
    good = stack.config.read_text() + "canary: {window_seconds: 30, min_records: 100, max_unmatched_ratio: 0.5}\n"
    replace(stack.config, good)
    start = lane.generation
    eventually(lambda: lane.config["canary"]["state"] == "watching", "watching the good one")
    stack.feed(request_line(n, "c") for n in range(300))
    eventually(lambda: lane.config["canary"].get("records", 0) >= 300, "seen")
    bad = good.replace("program: api-gateway", "program: apigateway").replace(
        "window_seconds: 30", "window_seconds: 60"
    )
    assert bad != good
    replace(stack.config, bad)
    eventually(lambda: log_lines(stack, "config_applied") and lane.config["canary"].get("records") == 0, "swapped")
    stack.feed([*(request_line(n, "c") for n in range(300, 600)), syslog_line("x", "sshd")])
    eventually(lambda: lane.config["canary"]["state"] == "rolled_back", "rolled back")

    assert lane.generation == start
    report = lane.config
    assert not report["valid"]
    assert "unmatched_ratio is 1, max_unmatched_ratio is 0.5" in report["last_error"]
    reloads = {labels["result"]: n for labels, n in lane.metric("logrouter_config_reloads_total")}
    assert reloads["rolled_back"] == 1
    (line,) = log_lines(stack, "config_rolled_back")
    assert "unmatched_ratio" in line
    os.utime(stack.config)
    time.sleep(0.8)
    assert lane.generation == start
    stack.feed(request_line(n, "c") for n in range(600, 700))
    eventually(lambda: 699 in stack.numbers(), "routed again")
