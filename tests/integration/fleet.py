"""The processes of a stack by role, killed and started again at will, and what Kafka and the table view then say."""

from __future__ import annotations

import http.client
import shutil
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

import orjson
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from logrouter.devkafka.ports import claim_port
from logrouter.kafka.reader import read_committed
from tests.conftest import HANG_SECONDS
from tests.integration.traffic import points, summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.stack import Process, Stack
    from tests.integration.traffic import Traffic

Answer = TypeVar("Answer")

FENCED: Final = 75
"""The exit code after which docs/operations.md asks a supervisor to start the process again."""

WINDOWS: Final = {"minute": "2h", "hour": "24h", "day": "7d"}
"""Lengths of series, by their steps: longer than any test, and no longer than rows are kept."""

TABLE_PARTITIONS: Final = frozenset(range(4))


class Fleet:
    """Roles are `route-0`, `tables-1` and so on. What ends by itself with 75 is started again, as operators do."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._consumers: dict[tuple[str, str], Consumer] = {}
        self.running: dict[str, Process] = {}
        self.fenced: list[str] = []
        self._ports: dict[str, int] = {}

    def close(self) -> None:
        """End its processes and its clients."""
        self.stack.close()
        for consumer in self._consumers.values():
            consumer.close()

    def start(self, *roles: str) -> None:
        for role in roles:
            kind, number = role.split("-")
            if kind == "route":
                self.running[role] = self.stack.route(role)
            else:
                if role not in self._ports:
                    self._ports[role] = claim_port()
                self.running[role] = self.stack.tables(int(number), self._ports[role])

    def kill(self, role: str, *, wipe: bool = False) -> None:
        """SIGKILL; with *wipe* the disk goes, too."""
        process = self.running.pop(role)
        process.kill()
        process.wait()
        if wipe:
            self.wipe(role)

    def wipe(self, role: str) -> None:
        """Delete the data directory of a tables worker that does not run."""
        shutil.rmtree(self.stack.folder / role)

    def stop(self, *roles: str) -> None:
        """SIGTERM, which must end with 0."""
        processes = {role: self.running.pop(role) for role in roles}
        for process in processes.values():
            process.kill(signal.SIGTERM)
        codes = {role: process.wait() for role, process in processes.items()}
        assert codes == dict.fromkeys(roles, 0)

    def revive(self) -> None:
        """Start again what was fenced; nothing else may have ended."""
        for role, process in list(self.running.items()):
            code = process.popen.poll()
            if code is not None:
                assert code == FENCED, f"{role} ended with {code}: {last_lines(process, 3)}"
                self.fenced.append(role)
                self.start(role)

    def until(self, condition: Callable[[], Any], message: str) -> None:
        """Wait for *condition*, keeping the fleet running meanwhile."""
        deadline = time.monotonic() + HANG_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"not within {HANG_SECONDS:g} s: {message}")
            self.revive()
            time.sleep(0.05)

    def until_both_work(self, *, by: int = 1) -> None:
        """Wait until *by* more source records are routed, and what then stands in the rollup topic is folded."""
        routed = self.routed()
        self.until(lambda: self.routed() >= routed + by, f"{by} more source records routed")
        marks = self.ends(self.stack.rollup, committed=True)
        self.until(lambda: self._folded(marks), f"folded up to {marks}")

    def get(self, role: str, path: str) -> tuple[int, Any]:
        """Status and body of a GET; 0 while nobody listens."""
        return get_json(self._ports[role], path)

    def owned(self, role: str) -> frozenset[int]:
        """The partitions a tables worker answers from, none while it is not ready."""
        status, body = self.get(role, "/readyz")
        return frozenset(body["partitions"]) if status == 200 else frozenset()

    def shared(self, *roles: str) -> bool:
        """Whether each of *roles* owns partitions, and each partition has one owner."""
        owned = [self.owned(role) for role in roles]
        return all(owned) and sorted(p for some in owned for p in some) == sorted(TABLE_PARTITIONS)

    def ends(self, topic: str, *, committed: bool = False) -> dict[int, int]:
        """Each partition's end; with *committed* where the first open transaction begins, if there is one."""
        consumer = self._consumer("ends", "read_committed" if committed else "read_uncommitted")

        def ask() -> dict[int, int]:
            partitions = consumer.list_topics(topic, timeout=5).topics[topic].partitions
            return {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=5)[1] for p in partitions}

        return insist(ask)

    def open_transaction(self) -> bool:
        """Whether events of a transaction stand in the clean topic that is neither committed nor aborted."""
        clean = self.stack.clean
        return self.ends(clean) != self.ends(clean, committed=True)

    def positions(self, lane: str, topic: str) -> dict[int, int]:
        """What the lane's group has committed."""
        consumer = self._consumer(f"{self.stack.name}-{lane}", "read_uncommitted")
        partitions = insist(lambda: consumer.list_topics(topic, timeout=5).topics[topic].partitions)
        asked = [TopicPartition(topic, p) for p in partitions]
        return {tp.partition: max(tp.offset, 0) for tp in insist(lambda: consumer.committed(asked, timeout=5))}

    def _consumer(self, group: str, isolation: str) -> Consumer:
        """One that only asks and never joins its group."""
        key = (group, isolation)
        if key not in self._consumers:
            self._consumers[key] = Consumer(
                {
                    **self.stack.kafka,
                    "group.id": group,
                    "isolation.level": isolation,
                    "enable.auto.commit": False,
                    "enable.partition.eof": True,
                    "log_level": 0,
                }
            )
        return self._consumers[key]

    def routed(self) -> int:
        """How many source records are routed for good."""
        return sum(self.positions("route", self.stack.source).values())

    def settle(self) -> None:
        """Wait until all that was fed is routed, folded, flushed and committed."""
        stack = self.stack
        fed = self.ends(stack.source)
        self.until(lambda: self.positions("route", stack.source) == fed, "everything routed")
        # The offsets of a transaction may show before its records: each partition gets its marker by itself.
        outputs = (stack.clean, stack.dead, stack.rollup)
        self.until(lambda: all(self.ends(t) == self.ends(t, committed=True) for t in outputs), "all of it shows")
        last: dict[int, int] = {}
        for _, record in read_committed(stack.kafka, stack.rollup):
            last[record.partition] = record.offset + 1
        self.until(lambda: self._folded(last), f"everything folded up to {last}")

    def _folded(self, marks: dict[int, int]) -> bool:
        at = self.positions("tables", self.stack.rollup)
        return all(at[partition] >= offset for partition, offset in marks.items())

    def uncommitted(self, topic: str) -> int:
        """How many records the topic holds, those of aborted transactions included."""
        consumer = self._consumer("counter", "read_uncommitted")
        left = set(self.ends(topic))
        consumer.assign([TopicPartition(topic, p, 0) for p in left])
        count, deadline = 0, time.monotonic() + HANG_SECONDS
        while left and time.monotonic() < deadline:
            for message in consumer.consume(5000, 0.1):
                if message.error() is None:
                    count += 1
                else:
                    assert message.error().code() == KafkaError._PARTITION_EOF
                    left.discard(message.partition())
        consumer.unassign()
        assert not left
        return count

    def assert_exact(self, traffic: Traffic) -> None:
        """Every request once in the clean topic, every poison once among the dead letters, every table sum right."""
        places = self.stack.places()
        # The feeder is a client like others: what it stored twice, or not at all, is not the lanes' doing.
        stored_wrong = {n: source for n in range(traffic.requests) if len(source := places.get(n, ([], []))[0]) != 1}
        assert stored_wrong == {}, "requests that do not stand once in the source topic"
        numbers = {n: clean for n, (_, clean) in places.items() if n >= 0}
        wrong = {n: places[n] for n in range(traffic.requests) if len(numbers[n]) != 1}
        assert wrong == {}, f"{len(wrong)} requests, first in the source and then in the clean topic"
        assert sum(map(len, numbers.values())) == traffic.requests
        letters = self.stack.dead_letters()
        reasons = Counter(letter["reason"] for letter in letters)
        stored = sum(self.ends(self.stack.source).values())
        told = f"dead letters {reasons}, fed {traffic.poison}; {traffic.lines} lines, {stored} stored"
        assert reasons == traffic.poison, told
        sources = {(letter["source"]["partition"], letter["source"]["offset"]) for letter in letters}
        assert len(sources) == len(letters)
        self.assert_tables(traffic)

    def assert_tables(self, traffic: Traffic) -> None:
        """Every client's and every API's sums, asked of each tables worker, are what was fed: for ever, and over time.

        The series of clients come from the rows of minutes, hours and days, which are written by themselves.
        """
        for role in [role for role in self.running if role.startswith("tables")]:
            self.until(lambda role=role: self.get(role, "/readyz")[0] == 200, f"{role} ready")
            wrong = {}
            for name, expected in traffic.clients().items():
                status, body = self.get(role, f"/v1/clients/{quote(name, safe='')}")
                found = summary(body) if status == 200 else (status, body)
                if found != expected:
                    wrong[name] = found, expected
                for step, window in WINDOWS.items():
                    path = f"/v1/clients/{quote(name, safe='')}/series?by=status&step={step}&window={window}"
                    status, body = self.get(role, path)
                    at_times = points(body) if status == 200 else (status, body)
                    if at_times != traffic.series(name, step):
                        wrong[f"{name} by {step}"] = at_times, traffic.series(name, step)
            assert wrong == {}, f"{role} says, but fed was: {wrong}"
            status, body = self.get(role, "/v1/apis?window=life")
            assert status == 200, (role, body)
            assert {api["api"]: api["count"] for api in body["apis"]} == traffic.apis(), role


def get_json(port: int, path: str) -> tuple[int, Any]:
    """Status and body of a GET from this machine; 0 while nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANG_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, orjson.loads(answer.read())
    except (OSError, http.client.HTTPException, orjson.JSONDecodeError):
        return 0, None
    finally:
        connection.close()


def insist(ask: Callable[[], Answer]) -> Answer:
    """Repeat a question to a broker that has just come back, until it knows its groups and topics again."""
    deadline = time.monotonic() + HANG_SECONDS
    while True:
        try:
            return ask()
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def last_lines(process: Process, count: int = 40) -> str:
    """The end of a process's log."""
    return "\n".join(process.text().splitlines()[-count:])
