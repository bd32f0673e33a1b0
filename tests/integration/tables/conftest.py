"""A rollup topic with its own truth, and workers as processes that can be killed."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import random
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from logrouter.core.rollup.accumulator import Accumulator
from logrouter.core.rollup.cells import Cell, merge_cells
from logrouter.core.rollup.records import pack_records
from logrouter.devkafka.ports import claim_port
from logrouter.query.tiers import Tier
from logrouter.tables import rows
from logrouter.tables.lease import EXIT_FENCED
from tests.conftest import HANG_SECONDS, wait_until
from tests.integration.tables import run_worker

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterable, Iterator
    from pathlib import Path

# Importing all of it takes a worker longer than anything else in its life here: one process does so, and forks them.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([run_worker.__name__])
SESSION_MS = 3_000


class Worker:
    """One tables worker process; a supervisor starts it again when it has ended fenced and nobody waits for that."""

    def __init__(self, settings: dict[str, Any], log: Path) -> None:
        self.settings = settings
        self.port = settings["port"]
        self.data_dir = settings["data_dir"]
        self.log = log
        self.starts = 0
        self._ended = False
        self._start()

    def _start(self) -> None:
        self.starts += 1
        self._process = FORKS.Process(target=run_worker.main, args=(self.settings, self.log))
        self._process.start()

    def revive(self) -> None:
        """What a supervisor does: on a busy machine a session of `SESSION_MS` may pass without an answer.

        It may have ended for no other reason, unless somebody has waited for that.
        """
        if self.code is not None and not self._ended:
            assert self.code == EXIT_FENCED, f"it ended with {self.code}: {self.text()[-500:]}"
            self._start()

    def get(self, path: str, **headers: str) -> tuple[int, Any]:
        """Status and JSON body of a GET; status 0 while nobody listens."""
        self.revive()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANG_SECONDS)
        try:
            connection.request("GET", path, headers={name.replace("_", "-"): text for name, text in headers.items()})
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            return 0, None
        finally:
            connection.close()
        return response.status, json.loads(body) if "json" in response.headers.get(
            "Content-Type", ""
        ) else body.decode()

    def ready(self) -> bool:
        """Whether it answers queries."""
        return self.get("/readyz")[0] == 200

    @property
    def code(self) -> int | None:
        """Its exit code, None while it runs."""
        return self._process.exitcode

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """End it the hard way."""
        self._process.kill()
        self.wait()

    def stop(self) -> int:
        """End it the soft way; its exit code."""
        self._process.terminate()
        return self.wait()

    def wait(self) -> int:
        """Its exit code, when it has ended."""
        self._ended = True
        self._process.join(HANG_SECONDS)
        assert self.code is not None, f"it runs after {HANG_SECONDS:g} s"
        return self.code

    def text(self) -> str:
        """What it has logged."""
        return self.log.read_text() if self.log.exists() else ""


class Lane:
    """A rollup topic, what was committed to it, and the workers that fold it."""

    def __init__(self, bootstrap: str, topic: str, group: str, partitions: int, folder: Path) -> None:
        self.bootstrap, self.topic, self.group, self.partitions = bootstrap, topic, group, partitions
        self.folder = folder
        self.rnd = random.Random(11)
        self.truth: dict[bytes, Cell] = {}
        self.events = 0
        self.at_ms = 0
        self.ends: dict[int, int] = {}
        self.workers: list[Worker] = []
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        # An admin client that asks for a group's offsets crashes where a coordinator's answer is one to try again.
        self.offsets = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
        uncommitted = {"group.id": "ends", "isolation.level": "read_uncommitted"}
        self.all_offsets = Consumer({"bootstrap.servers": bootstrap, **uncommitted})
        self.producer = Producer(
            {"bootstrap.servers": bootstrap, "transactional.id": f"{group}-feeder", "transaction.timeout.ms": 10_000}
        )
        self.producer.init_transactions(HANG_SECONDS)

    @property
    def changelog(self) -> str:
        """The changelog's name."""
        return f"{self.group}-usage-changelog"

    def worker(self, name: str = "a", **changes: Any) -> Worker:
        """Start a worker; the same name means the same data directory and port."""
        known = next((w for w in self.workers if w.settings["instance"] == name), None)
        settings = {
            "bootstrap": self.bootstrap,
            "group": self.group,
            "topic": self.topic,
            "partitions": self.partitions,
            "data_dir": str(self.folder / name),
            "port": known.port if known else claim_port(),
            "instance": name,
            "session_timeout_ms": SESSION_MS,
            "flush_interval_ms": 300,
            "standby_replicas": 0,
            **changes,
        }
        worker = Worker(settings, self.folder / f"{name}.log")
        self.workers.append(worker)
        return worker

    def feed(
        self, batches: int = 10, *, events: int = 200, clients: int = 40, minutes: int = 3, at_ms: int = 0
    ) -> None:
        """Rollup records of some transactions, with timestamp *at_ms*; every fourth is aborted and must not count."""
        self.at_ms = at_ms
        for number in range(batches):
            self._transaction(self._events(events, clients, minutes), aborted=number % 4 == 3)

    def _events(self, count: int, clients: int, minutes: int) -> list[dict[str, Any]]:
        now = int(time.time() * 1000)
        return [
            {
                "client": f"client{self.rnd.randrange(clients)}",
                "api": self.rnd.choice(["core", "feed", "-"]),
                "time_ms": now - self.rnd.randrange(minutes * 60_000),
                "status": self.rnd.choice([200, 200, 404, 503]),
                "outcome": self.rnd.choice(["ok", "not_found"]),
                "bytes_out": self.rnd.randrange(1000),
                "latency_ms": self.rnd.randrange(500),
                "path": self.rnd.choice(["/a", "/b/c", None]),
            }
            for _ in range(count)
        ]

    def _transaction(self, events: list[dict[str, Any]], *, aborted: bool) -> None:
        accumulator = Accumulator()
        for event in events:
            accumulator.add(**event)
        subjects = accumulator.take()
        self.producer.begin_transaction()
        for partition, value in pack_records(subjects, self.partitions):
            self.produce(value, partition, counted=not aborted)
        if aborted:
            self.producer.flush()
            self.producer.abort_transaction()
            return
        self.producer.commit_transaction()
        self.events += len(events)
        for subject, cells in subjects:
            for cell in cells:
                for tier in Tier:
                    bucket = tier.bucket(cell.minute)
                    row = self.truth.setdefault(rows.key_of(tier, bucket, subject), Cell(bucket))
                    merge_cells(row, cell)
                    rows.trim_to_tier(tier, row)

    def produce(self, value: bytes, partition: int, *, counted: bool = True) -> None:
        """One record, inside a transaction."""

        def delivered(error: Any, message: Any) -> None:
            assert error is None or not counted
            if counted:
                self.ends[partition] = max(self.ends.get(partition, 0), message.offset() + 1)

        self.producer.produce(self.topic, value, partition=partition, timestamp=self.at_ms, on_delivery=delivered)

    def topic_ends(self) -> dict[int, int]:
        """Each partition's end, when every transaction has ended there: each gets its marker by itself."""

        def ends(consumer: Consumer) -> dict[int, int]:
            asked = {p: TopicPartition(self.topic, p) for p in range(self.partitions)}
            return {p: consumer.get_watermark_offsets(tp, timeout=HANG_SECONDS)[1] for p, tp in asked.items()}

        wait_until(lambda: ends(self.offsets) == ends(self.all_offsets), "every transaction has ended")
        return ends(self.offsets)

    def committed(self) -> dict[int, int]:
        """The group's committed offsets."""
        asked = [TopicPartition(self.topic, p) for p in range(self.partitions)]
        try:
            found = self.offsets.committed(asked, timeout=10)
        except KafkaException:  # the broker is away, or the group is not known yet
            return {}
        return {tp.partition: tp.offset for tp in found}

    def caught_up(self) -> bool:
        """Whether everything produced is folded, flushed and committed."""
        for worker in self.workers:
            worker.revive()
        committed = self.committed()
        return all(committed.get(partition, 0) >= end for partition, end in self.ends.items())

    def read_changelog(self, partitions: Iterable[int] | None = None) -> list[tuple[bytes, bytes | None]]:
        """Every record of the changelog, or of some partitions of it, in order within partitions."""
        # The default of 500 ms is how long a question at the end of one partition holds up the first at the next.
        settings = {"group.id": "reader", "enable.auto.commit": False, "fetch.wait.max.ms": 10}
        consumer = Consumer({"bootstrap.servers": self.bootstrap, **settings})
        found = []
        try:
            for partition in range(self.partitions) if partitions is None else partitions:
                tp = TopicPartition(self.changelog, partition, 0)
                _, end = consumer.get_watermark_offsets(tp, timeout=HANG_SECONDS)
                consumer.assign([tp])
                while end and consumer.position([tp])[0].offset < end:
                    found += [(m.key(), m.value()) for m in consumer.consume(5000, timeout=0.05)]
        finally:
            consumer.close()
        return found

    def changelog_rows(self) -> dict[bytes, Cell]:
        """The last value of every key of the changelog: what a compacted log would hold."""
        last = dict(self.read_changelog())
        return {key: rows.decode_cell(value) for key, value in last.items() if value is not None and rows.is_row(key)}

    def lifetimes(self, worker: Worker) -> dict[str, int]:
        """The lifetime count of every client, asked one by one."""
        found = {}
        for key in self.truth:
            row = rows.parse_key(key)
            if row.tier is Tier.LIFE and row.subject[0] == "c":
                status, body = worker.get(f"/v1/clients/{row.subject[1:]}")
                found[row.subject[1:]] = body["lifetime"]["count"] if status == 200 else f"{status} {body}"
        return found

    def expected_lifetimes(self) -> dict[str, int]:
        """What `lifetimes` should be."""
        parsed = ((rows.parse_key(key), cell) for key, cell in self.truth.items())
        return {row.subject[1:]: cell.count for row, cell in parsed if row.tier is Tier.LIFE and row.subject[0] == "c"}

    def differences(self) -> dict[bytes, Any]:
        """Rows of the changelog that are not what a recount gives."""
        found = self.changelog_rows()
        keys = found.keys() | self.truth.keys()
        return {key: (found.get(key), self.truth.get(key)) for key in keys if found.get(key) != self.truth.get(key)}


@pytest.fixture
def lane_on(unique, tmp_path):
    """Make a lane on a topic: its workers end with it, and their logs are shown if the test failed."""

    @contextmanager
    def make(bootstrap: str, topic: str) -> Iterator[Lane]:
        made = Lane(bootstrap, topic, unique("tables"), 4, tmp_path)
        try:
            yield made
        finally:
            for worker in made.workers:
                if worker.code is None:
                    worker.kill()
            for log in sorted(tmp_path.glob("*.log")):
                print(f"--- {log.name}\n{log.read_text()}")  # noqa: T201 - pytest shows it for a failed test

    return make


@pytest.fixture
def lane(broker, topics, lane_on):
    """A lane of four partitions."""
    with lane_on(broker.bootstrap, topics("rollup", partitions=4)) as made:
        yield made
        made.admin.delete_topics([made.changelog])
