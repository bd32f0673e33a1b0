"""Registrations of drains in several processes, on a real broker: limits, kills, pauses, outages."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from logrouter.core.drains.registration import decode
from logrouter.devkafka.broker import DevKafka
from logrouter.kafka.reader import read_committed
from tests.conftest import HANG_SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.broker, pytest.mark.slow]


class RegistryProcess:
    """A real one, that answers over pipes."""

    def __init__(self, bootstrap: str, topic: str, group: str, most: int, seconds: float, trigger: Path) -> None:
        command = [sys.executable, "-m", "tests.integration.registry_process"]
        self.trigger = trigger
        self._log = trigger.with_suffix(".log").open("wb")
        self._process = subprocess.Popen(
            [*command, bootstrap, topic, group, str(most), str(seconds), str(trigger)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self._numbers = itertools.count()
        self._answers: dict[int, Any] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout:
            number, answer = json.loads(line)
            self._answers[number] = answer

    def send(self, *words: str) -> int:
        """Ask for something; the number of its answer."""
        number = next(self._numbers)
        self._process.stdin.write(json.dumps([number, *words]).encode() + b"\n")
        self._process.stdin.flush()
        return number

    def answer(self, number: int, *, or_none: bool = False) -> Any:
        """The answer of that number, once it is there; with *or_none* it may have died before."""
        wait_until(lambda: number in self._answers or not self._reader.is_alive(), "an answer")
        return self._answers.get(number) if or_none else self._answers[number]

    def ask(self, *words: str) -> Any:
        """Both."""
        return self.answer(self.send(*words))

    def is_stopped(self) -> bool:
        """Whether it is suspended."""
        state = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "T"

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """At once, whatever it does."""
        self._process.kill()
        self._process.wait(HANG_SECONDS)
        self._reader.join(HANG_SECONDS)
        self._process.stdin.close()
        self._process.stdout.close()
        self._log.close()


def stored(bootstrap: str, topic: str) -> dict[str, str]:
    """By id the URL of each drain that the topic has, by its latest records."""
    latest = {key: value for _partition, key, value in everything(bootstrap, topic)}
    drains = [decode(value) for value in latest.values() if value is not None]
    return {each.id: each.url for each in drains}


def everything(bootstrap: str, topic: str) -> list[tuple[int, bytes, bytes | None]]:
    """All committed records."""
    kafka = {"bootstrap.servers": bootstrap}
    return [(record.partition, key, record.value) for key, record in read_committed(kafka, topic)]


@pytest.fixture
def start(broker, topics, unique, tmp_path) -> Iterator[Callable[..., Any]]:
    """Start a process of one registry: `start(most=10)`; it ends with the test."""
    topic, group = topics("drains", config={"cleanup.policy": "compact"}), unique("drains")
    started = itertools.count()
    with ExitStack() as cleanup:

        def start(
            most: int = 100, bootstrap: str = broker.bootstrap, name: str = topic, seconds: float = HANG_SECONDS / 4
        ) -> RegistryProcess:
            made = RegistryProcess(bootstrap, name, group, most, seconds, tmp_path / f"trigger-{next(started)}")
            cleanup.callback(made.kill)
            return made

        start.stored = lambda: stored(broker.bootstrap, topic)
        start.everything = lambda: everything(broker.bootstrap, topic)
        yield start


def test_what_one_process_adds_another_sees(start):
    """Its own reads show it with the answer; those of the other follow."""
    one, other = start(), start()

    assert one.ask("add", "shop", "a", "syslog://h:1") == "a"
    assert one.ask("list", "shop") == ["a"]
    wait_until(lambda: other.ask("list", "shop") == ["a"], "the drain in the other process")

    assert other.ask("add", "shop", "b", "syslog://h:1") == "a"
    assert other.ask("mark", "a", "x") == "x"
    assert other.ask("remove", "basket", "a") is False
    assert other.ask("remove", "shop", "a") is True
    assert one.ask("remove", "shop", "a") is False
    assert one.ask("mark", "a", "y") is None
    assert start.stored() == {}


def test_processes_that_add_at_once_keep_to_the_limit(start):
    """Of 3 times 8 URLs, each asked for in all processes, there are as many as the limit, one drain for each."""
    processes = [start(most=6) for _ in range(3)]
    asked = [
        (each, each.send("add", "shop", f"{at}-{url}", f"syslog://h:{url}"))
        for url in range(8)
        for at, each in enumerate(processes)
    ]
    answers = [each.answer(number) for each, number in asked]

    found = start.stored()
    assert len(found) == len({*found.values()}) == 6
    assert {answer for answer in answers if answer != "DrainLimitError"} == found.keys()
    for url in range(8):
        assert len({*answers[3 * url : 3 * url + 3]}) == 1, "all processes give the same drain, or none"


def test_marks_of_several_processes_are_all_kept(start):
    """Each is made on what was there before it."""
    processes = [start() for _ in range(3)]
    assert processes[0].ask("add", "shop", "a", "syslog://h:1") == "a"
    asked = [(each, each.send("mark", "a", "x")) for _ in range(4) for each in processes]

    lengths = sorted(len(each.answer(number)) for each, number in asked)
    assert lengths == [*range(1, 13)]


def test_what_was_answered_survives_a_kill(start):
    """The answer follows the commit."""
    answered = []
    for at in range(3):
        process = start()
        answered.append(process.ask("add", "shop", f"{at}", f"syslog://h:{at}"))
        process.signal(signal.SIGKILL)

    assert sorted(start.stored()) == answered == ["0", "1", "2"]


@pytest.mark.long
def test_kills_at_any_moment_leave_what_was_answered_and_no_more_than_the_limit(start, seed):
    """While others go on: what a dead process has left open holds up nobody."""
    chance = random.Random(seed)
    processes, answered = [start(most=12) for _ in range(3)], set()
    for number in range(30):
        at = chance.randrange(3)
        url = f"syslog://h:{chance.randrange(20)}"
        asked = [(each, each.send("add", "shop", f"{number}-{n}", url)) for n, each in enumerate(processes)]
        time.sleep(chance.uniform(0, 0.3))  # how far the changes are when one dies
        if number % 3 == 0:
            processes[at].signal(signal.SIGKILL)
        for each, its in asked:
            answer = each.answer(its, or_none=each is processes[at])
            answered |= {answer} - {None, "DrainLimitError"}
        if number % 3 == 0:
            processes[at] = start(most=12)

    found = start.stored()
    assert answered <= found.keys()
    assert len(found) == len({*found.values()}) <= 12


def test_a_process_that_was_suspended_writes_nothing_over_others(start):
    """It wakes with its commit before it, and decides anew: the URL has a drain by now."""
    sleeper, other = start(most=2), start(most=2)
    assert sleeper.ask("add", "shop", "a", "syslog://h:1") == "a"
    sleeper.trigger.touch()
    asked = sleeper.send("add", "shop", "late", "syslog://h:2")
    wait_until(sleeper.is_stopped, "it is suspended")

    assert other.ask("add", "shop", "b", "syslog://h:2") == "b"
    assert other.ask("list", "shop") == ["a", "b"]
    sleeper.signal(signal.SIGCONT)

    assert sleeper.answer(asked) in ("b", "RegistryUnavailableError")
    assert sleeper.ask("add", "shop", "c", "syslog://h:3") == "DrainLimitError"
    assert b"late" not in {key for _partition, key, _value in start.everything()}


@pytest.mark.long
def test_changes_go_on_after_an_outage(start, unique):
    """While the broker is away nothing is stored, and drains are there to be read."""
    with DevKafka() as kafka:
        topic = unique("drains")
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(HANG_SECONDS)
        process = start(bootstrap=kafka.bootstrap, name=topic, seconds=3)
        assert process.ask("add", "shop", "a", "syslog://h:1") == "a"
        kafka.kill()
        assert process.ask("add", "shop", "b", "syslog://h:2") == "RegistryUnavailableError"
        assert process.ask("list", "shop") == ["a"]
        kafka.restart()

        wait_until(lambda: process.ask("add", "shop", "c", "syslog://h:3") == "c", "a change after the outage")
        assert process.ask("list", "shop") == ["a", "c"]
        assert {*stored(kafka.bootstrap, topic)} == {"a", "c"}
