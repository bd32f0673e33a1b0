"""Delivery on a real Kafka: kills, outages of both sides, rebalances, reloads; nothing lost, letters exact."""

from __future__ import annotations

import itertools
import os
import re
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
from click.testing import CliRunner
from confluent_kafka import TopicPartition

from logrouter.cli import cli
from logrouter.commands.exit_codes import EXIT_DRIFT
from logrouter.devkafka.broker import DevKafka
from logrouter.devkafka.ports import claim_port
from tests.integration.sinks.lane_stack import Receiver, SinkStack
from tests.integration.stack import Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.broker

REQUEST_SECONDS = 3


@pytest.fixture
def target() -> Iterator[Receiver]:
    """A target on this machine."""
    with Receiver() as made:
        yield made


@pytest.fixture
def make(tmp_path, unique, target) -> Iterator[Callable[..., SinkStack]]:
    """Make a stack on a broker: `make(broker.bootstrap, partitions=2)`."""
    made: list[SinkStack] = []

    def create(bootstrap: str, **options: float) -> SinkStack:
        made.append(SinkStack(bootstrap, tmp_path, unique("sink"), target.url, **options))
        return made[-1]

    yield create
    for stack in made:
        stack.close()


class Feed:
    """Events with numbers from 0 on, until the `with` block ends; *count* is how many."""

    def __init__(self, stack: SinkStack, *, bad_every: int = 0, target: Receiver | None = None) -> None:
        self._stack, self._bad_every, self._target = stack, bad_every, target
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.count = 0
        self.bad: set[int] = set()

    def _run(self) -> None:
        while not self._done.wait(0.05):
            numbers = range(self.count, self.count + 20)
            if self._bad_every and self._target is not None:
                self.bad.update(n for n in numbers if n % self._bad_every == 1)
                self._target.bad = frozenset(self.bad)
            self._stack.produce(numbers)
            self.count += 20

    @property
    def good(self) -> set[int]:
        """Those that the target takes."""
        return {*range(self.count)} - self.bad

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def test_a_process_is_killed_in_an_open_transaction(broker, make, target, eventually, tmp_path, monkeypatch):
    """Its letters are never seen, whoever has its partitions writes them; events that it had delivered come twice."""
    stack = make(broker.bootstrap)
    mark = tmp_path / "hangs"
    monkeypatch.setenv("HANGS_AT", str(mark))
    first = stack.start("a")
    with Feed(stack, bad_every=31, target=target) as feed:
        eventually(lambda: len(target.got) > 100, "one delivers")
        doomed = stack.start("b", program=("-m", "tests.integration.sinks.hanging_commit"))
        eventually(mark.exists, "the other is amid a commit")
        doomed.kill(signal.SIGKILL)
        doomed.wait()
        again = stack.start("b")
        eventually(lambda: "lane_started" in again.text(), "another one of its name")
        before = set(target.got)
        eventually(lambda: len(target.got) > len(before) + 100, "both go on")
    eventually(lambda: set(target.got) == feed.good, "all delivered")
    eventually(lambda: stack.refused().keys() == feed.bad, "all letters are there")
    assert stack.refused().total() == len(feed.bad)
    doubled = {n for n, times in target.got.items() if times > 1}
    assert doubled <= before
    assert max(target.got.values(), default=0) <= 2
    eventually(lambda: sum(stack.committed()) == feed.count, "committed to the end")
    assert [process.stop() for process in (first, again)] == [0, 0]


def test_a_target_that_hangs_for_longer_than_a_session_and_a_rebalance_meanwhile(broker, make, target, eventually):
    """Members stay; nothing is committed past what hangs; who comes in the middle gets its share; then all goes on."""
    stack = make(broker.bootstrap, timeout_seconds=REQUEST_SECONDS)
    target.open.clear()
    first = stack.start("a")
    stack.produce(range(1000))
    eventually(lambda: target.requests >= 2, "requests hang")
    began = time.monotonic()
    second = stack.start("b")
    eventually(lambda: "partitions_assigned" in second.text(), "the other has partitions")
    eventually(lambda: "timeout" in stack.ask(first, "/readyz")[1], "it says why")
    status, why = stack.ask(first, "/readyz")
    assert status == 503
    assert f"sink hook: timeout: no answer within {REQUEST_SECONDS} s" in why
    assert stack.ask(first, "/livez")[0] == 200
    eventually(lambda: time.monotonic() - began > 8, "longer than a session")
    assert stack.committed() == [0] * 4
    for process in (first, second):
        assert "partitions_lost" not in process.text()
        assert stack.metric(process, "logrouter_sink_waiting_records") <= 200 + 100
    assert stack.metric(first, "logrouter_sink_paused") == 1

    target.open.set()
    eventually(lambda: set(target.got) == {*range(1000)}, "all delivered")
    eventually(lambda: stack.committed() == [250] * 4, "committed")
    eventually(lambda: stack.ask(first, "/readyz")[0] == 200, "ready again")
    assert [process.stop() for process in (first, second)] == [0, 0]


@pytest.mark.long
def test_events_go_out_in_order_and_a_stop_sends_nothing_twice(broker, make, target, eventually):
    """SIGTERM amid the stream, again and again: what is done is committed, what is on its way is waited for."""
    stack = make(broker.bootstrap, partitions=1)
    stack.replace_config(stack.config.read_text().replace("connections: 4", "connections: 1"))
    with Feed(stack) as feed:
        for _ in range(2):
            wanted = len(target.got) + 60
            process = stack.start()
            eventually(lambda wanted=wanted: len(target.got) >= wanted, "some are delivered")
            assert process.stop() == 0
    process = stack.start()
    eventually(lambda: len(target.got) == feed.count and "partitions_assigned" in process.text(), "all")
    assert process.stop() == 0
    assert max(target.got.values()) == 1
    assert target.order[0] == [*range(feed.count)]


def test_another_url_while_the_target_is_down(broker, make, target, eventually):
    """What waits goes to the new one, by an edit alone. A file without the sink changes nothing."""
    stack = make(broker.bootstrap)
    target.is_down = True
    process = stack.start()
    stack.produce(range(500))
    eventually(lambda: "overloaded 503" in stack.ask(process, "/readyz")[1], "down")
    text = stack.config.read_text()
    stack.replace_config(text[: text.index("sinks:")])
    process.kill(signal.SIGHUP)
    eventually(lambda: "sinks.hook is gone" in process.text(), "refused")
    assert stack.committed() == [0] * 4

    with Receiver() as other:
        stack.write_config(other.url)
        eventually(lambda: set(other.got) == {*range(500)}, "all are there")
        eventually(lambda: stack.committed() == [125] * 4, "committed")
        assert stack.ask(process, "/readyz")[0] == 200
        assert process.stop() == 0
    assert not target.got


@pytest.mark.long
def test_events_that_are_deleted_before_they_are_read(broker, make, target, eventually):
    """One letter says which; all others arrive."""
    stack = make(broker.bootstrap, partitions=1)
    stack.produce(range(100))
    process = stack.start()
    eventually(lambda: stack.committed() == [100], "delivered and committed")
    assert process.stop() == 0
    stack.produce(range(100, 200))
    deleted = stack.admin.delete_records([TopicPartition(stack.events, 0, 150)])
    for each in deleted.values():
        each.result(30)
    process = stack.start()
    eventually(lambda: set(target.got) == {*range(100), *range(150, 200)}, "the rest")
    eventually(lambda: stack.letters() != [], "the letter")
    [letter] = stack.letters()
    assert (letter["stage"], letter["reason"], letter["lost"]) == ("read", "records_lost", {"first": 100, "end": 150})
    assert stack.metric(process, "logrouter_records_lost_total") == 50


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.long
def test_memory_is_flat_while_a_target_is_down(broker, make, target, eventually):
    """For more than a minute, with hundreds of megabytes to read: offsets stay, and the port says why."""
    stack = make(broker.bootstrap, waiting=20_000)
    target.is_down = True
    stack.produce(range(30_000), size=10_000)
    process = stack.start()
    eventually(lambda: stack.metric(process, "logrouter_sink_paused") == 1, "nothing more is read")
    time.sleep(10)
    sizes = [resident_bytes(process.popen.pid)]
    for _ in range(13):
        time.sleep(5)
        sizes.append(resident_bytes(process.popen.pid))
    assert max(sizes) - sizes[0] < 16 << 20
    assert max(sizes) < 300 << 20
    assert stack.metric(process, "logrouter_sink_waiting_bytes") <= (32 + 20) << 20
    assert "overloaded 503" in stack.ask(process, "/readyz")[1]
    assert stack.committed() == [0] * 4
    target.is_down = False
    eventually(lambda: len(target.got) == 30_000, "all")


@pytest.mark.long
def test_a_topic_is_made_anew_while_its_target_is_down(broker, make, target, eventually):
    """With more events than the former one had: what was read of that arrives, and then all of the new one."""
    stack = make(broker.bootstrap, partitions=1, waiting=50)
    target.is_down = True
    process = stack.start()
    stack.produce(range(60))
    eventually(lambda: stack.metric(process, "logrouter_sink_waiting_records") >= 50, "as much as may waits")
    stack.admin.delete_topics([stack.events])[stack.events].result(30)
    eventually(lambda: stack.events not in stack.admin.list_topics(timeout=10).topics, "gone")
    stack.create_topic(stack.events, 1)
    stack.produce(range(1000, 1200))
    eventually(lambda: "source_recreated" in process.text(), "noticed")
    target.is_down = False
    eventually(lambda: set(target.got) >= {*range(50), *range(1000, 1200)}, "all that there is")
    eventually(lambda: stack.committed() == [200], "committed")
    eventually(lambda: stack.letters() != [], "the letter")
    [letter] = stack.letters()
    assert (letter["stage"], letter["reason"]) == ("read", "records_lost")
    assert "made anew" in letter["detail"]
    assert process.stop() == 0


@pytest.mark.long
@pytest.mark.parametrize("outage", [1.0, 12.0])
def test_the_broker_is_away(make, target, eventually, outage):
    """For a moment, and for longer than sessions and transactions last: letters are exact, nothing is lost."""
    with DevKafka() as kafka:
        stack = make(kafka.bootstrap)
        processes = [stack.start("a"), stack.start("b")]
        stack.produce(range(2000))
        target.bad = frozenset(range(1, 6000, 97))
        eventually(lambda: len(target.got) > 500, "they deliver")
        kafka.stop()
        time.sleep(outage)
        kafka.start()
        stack.produce(range(2000, 6000))
        eventually(lambda: set(target.got) == {*range(6000)} - target.bad, "all delivered")
        eventually(lambda: stack.refused().keys() == target.bad, "all letters")
        assert stack.refused().total() == len(target.bad)
        assert [process.text() for process in processes if not process.running] == []
        assert [process.stop() for process in processes] == [0, 0]


@pytest.mark.long
def test_kills_amid_the_stream(broker, make, target, eventually, seed):
    """Two processes, one of them killed ten times at any moment; letters are exact, nothing is lost."""
    stack = make(broker.bootstrap)
    stack.start("a")
    waits = itertools.cycle([0.3, 1.1, 2.0, 0.7])
    with Feed(stack, bad_every=13, target=target) as feed:
        for _ in range(10):
            process = stack.start("b")
            eventually(lambda process=process: "partitions_assigned" in process.text(), "it has partitions")
            time.sleep(next(waits))
            process.kill(signal.SIGKILL)
            process.wait()
    stack.start("b")
    eventually(lambda: set(target.got) == feed.good, "all delivered")
    eventually(lambda: stack.refused().keys() == feed.bad, "all letters")
    assert stack.refused().total() == len(feed.bad)


def start_run(stack: SinkStack, folder: Path) -> tuple[Process, str]:
    """`logrouter run` with the file of *stack*, its ports free ones, and its topics there; the process and the file."""
    text = stack.config.read_text().replace("route_lane: {", "route_lane: {metrics: {port: 0}, ")
    text = text.replace("    waiting:", "    metrics: {port: 0}\n    waiting:")
    text += f"tables_lane: {{http: {{port: {claim_port()}}}}}\n"
    stack.replace_config(text)
    stack.create_topic(f"{stack.name}.source", 1)
    done = CliRunner().invoke(cli, ["topics", "--config", str(stack.config)])
    assert done.exit_code in {0, EXIT_DRIFT}, done.output
    own = ("--config", str(stack.config), "--route-processes", "1", "--data-dir", str(folder / "data"))
    supervisor = Process(folder / "run.log", "run", *own)
    stack.processes.append(supervisor)
    return supervisor, text


@pytest.mark.long
def test_run_keeps_a_process_of_each_sink(make, target, eventually, tmp_path):
    """Beside both lanes: it is started again after a kill, hears SIGHUP, and ends with all others."""
    with DevKafka() as kafka:
        stack = make(kafka.bootstrap)
        supervisor, text = start_run(stack, tmp_path)
        stack.produce(range(100))
        eventually(lambda: set(target.got) == {*range(100)}, "delivered")
        [pid] = re.findall(r"child_started name=sink-hook pid=(\d+)", supervisor.text())
        os.kill(int(pid), signal.SIGKILL)
        stack.produce(range(100, 200))
        eventually(lambda: set(target.got) == {*range(200)}, "delivered by another one")
        with Receiver() as other:
            stack.replace_config(text.replace(target.url, other.url))
            supervisor.kill(signal.SIGHUP)
            eventually(lambda: supervisor.text().count("config_applied") >= 3, "all of them follow")
            stack.produce(range(200, 300))
            eventually(lambda: set(other.got) == {*range(200, 300)}, "to the other target")
            assert supervisor.stop() == 0
        assert "child_exited name=sink-hook code=-9" in supervisor.text()


def test_a_name_server_that_does_not_answer_holds_up_no_end(broker, make, eventually, tmp_path, monkeypatch):
    """The group is left and the process ends, while the system still waits for the target's address."""
    stack = make(broker.bootstrap)
    stack.write_config("http://target.hangs.invalid/in")
    mark = tmp_path / "hangs"
    monkeypatch.setenv("HANGS_AT", str(mark))
    process = stack.start(program=("-m", "tests.integration.hanging_names"))
    stack.produce([0])
    eventually(mark.exists, "the address is asked for")
    assert process.stop() == 0
    assert "lane_stopped" in process.text()


@pytest.mark.long
def test_run_follows_which_sinks_there_are(make, target, eventually, tmp_path):
    """One comes, one goes, one gets another name and keeps its group; a wrong file is said, and changes nothing."""
    with DevKafka() as kafka, Receiver() as other:
        stack = make(kafka.bootstrap)
        supervisor, text = start_run(stack, tmp_path)
        head, hook = text.split("sinks:\n")
        hook, tables = hook[: hook.index("tables_lane")], hook[hook.index("tables_lane") :]
        second = hook.replace("hook:", "second:").replace(f"group: {stack.name}", "begin: earliest")
        second = second.replace(target.url, other.url)

        def put(*sinks: str) -> None:
            stack.replace_config(head + tables + "".join(["sinks:\n" if sinks else "", *sinks]))

        def log_of(event: str, name: str) -> list[str]:
            return re.findall(rf"{event} name={name} .*", supervisor.text())

        stack.produce(range(100))
        eventually(lambda: set(target.got) == {*range(100)}, "delivered")
        put(hook, second)
        eventually(lambda: set(other.got) == {*range(100)}, "the new one delivers, too")
        assert len(log_of("child_added", "sink-second")) == 1

        put(hook, second.replace("webhook", "webhok"))
        eventually(lambda: "webhok" in supervisor.text(), "a mistake is said")
        put(second, hook.replace("hook:", "third:", 1))
        eventually(lambda: log_of("child_stopped", "sink-hook"), "the old name ends")
        assert log_of("child_stopped", "sink-hook") == ["child_stopped name=sink-hook code=0"]
        stack.produce(range(100, 200))
        eventually(lambda: set(target.got) == set(other.got) == {*range(200)}, "both deliver")
        assert target.got.total() == other.got.total() == 200
        order = ["child_stopped name=sink-hook", "child_started name=sink-third"]
        assert re.findall("|".join(order), supervisor.text()) == order

        put()
        for name in ("sink-second", "sink-third"):
            eventually(lambda name=name: log_of("child_stopped", name), "no sink is left")
        put(hook)
        eventually(lambda: len(log_of("child_started", "sink-hook")) == 2, "the first one again")
        assert supervisor.stop() == 0
        assert len(log_of("child_started", "sink-second")) == 1
        assert len(log_of("child_started", "(route-0|tables)")) == 2
