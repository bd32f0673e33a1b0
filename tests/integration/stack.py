"""Real logrouter processes against the real broker, each stack with topics, groups and files of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson
from click.testing import CliRunner
from confluent_kafka.admin import AdminClient, NewTopic
from prometheus_client.parser import text_string_to_metric_families

from logrouter.cli import cli
from logrouter.kafka.producer import LineProducer
from logrouter.kafka.reader import read_committed
from logrouter.process.watchdog import Watchdog
from tests.conftest import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CONFIG = """
version: 1
kafka: {{bootstrap.servers: "{bootstrap}"}}
route_lane:
  group: {name}-route
  batch: {{max_records: {max_records}, max_wait_ms: 50}}
  transaction_timeout_ms: {transaction_timeout_ms}
  session_timeout_ms: {session_timeout_ms}
  metrics: {{port: 0}}
tables_lane:
  group: {name}-tables
  standby_replicas: {standby_replicas}
  session_timeout_ms: {session_timeout_ms}
  http: {{port: {http_port}}}
access: {{mode: open}}
outputs:
  dead_letter: {{topic: {name}.dead-letter}}
  rollup: {{topic: {name}.rollup, partitions: 4}}
sources:
  rsyslog: {{topics: [{name}.source], envelope: rsyslog}}
routes:
  - name: api-gateway
    from: rsyslog
    match: {{program: api-gateway, looks_like: request}}
    format: envoy
    enrich: {{api: route, client_id: [client_id]}}
    schema: api_request/1.0.0
    to: {name}.clean
    tables: [clients, apis, urls]
"""


def request_line(
    number: int, client: str | None, *, api: str = "core", status: int = 200, ms: int = 12, at: str | None = None
) -> bytes:
    """A gateway request as rsyslog writes it, *at* the present second; *number* comes back as `meta.request_id`."""
    inner: dict[str, Any] = {
        "$schema": "/api-gateway/request/1.0.0",
        "meta": {"uri": f"/{api}/v1/thing?n={number}", "request_id": str(number), "dt": at or now()},
        "http": {"method": "GET", "status_code": status, "client_ip": "192.0.2.7, 10.0.0.1"},
        "total_time_ms": ms,
        "client_id": client,
        "route": api,
    }
    return syslog_line(orjson.dumps(inner).decode())


def syslog_line(message: str, program: str = "api-gateway") -> bytes:
    """One plain rsyslog record, slashes escaped as rsyslog escapes them."""
    outer = {"timestamp": now(), "host": "gw1", "program": program, "severity": "notice", "message": message}
    return orjson.dumps(outer).replace(b"/", rb"\/")


def _number_in(value: bytes) -> int:
    """The number of a request, as an event or as the line that `request_line` made; -1 for any other record."""
    with suppress(orjson.JSONDecodeError, KeyError, TypeError):
        outer = orjson.loads(value)
        return int((orjson.loads(outer["message"]) if "program" in outer else outer)["meta"]["request_id"])
    return -1


def now() -> str:
    """The present second, as gateways write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Process:
    """One running `logrouter` command, with its log."""

    def __init__(self, log: Path, *arguments: str, program: Sequence[str] = ("-m", "logrouter")) -> None:
        self.log = log
        with log.open("ab") as out:
            self.popen = subprocess.Popen(
                [sys.executable, *program, *arguments],
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                process_group=0,
            )

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.popen.send_signal(number)

    def wait(self) -> int:
        """The exit code, when it has ended."""
        return self.popen.wait(HANG_SECONDS)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.kill(signal.SIGTERM)
        return self.wait()

    def text(self) -> str:
        return self.log.read_text(errors="replace")


class Stack:
    """Topics, a topics.yaml, and the processes started with it; `close` ends what still runs."""

    def __init__(
        self,
        bootstrap: str,
        folder: Path,
        name: str,
        *,
        partitions: int = 4,
        max_records: int = 500,
        standby_replicas: int = 0,
        session_timeout_ms: int = 6000,
        transaction_timeout_ms: int = 10_000,
        http_port: int = 0,
    ) -> None:
        self.kafka = {"bootstrap.servers": bootstrap}
        self.folder, self.name = folder, name
        self.source, self.clean, self.dead = f"{name}.source", f"{name}.clean", f"{name}.dead-letter"
        self.rollup = f"{name}.rollup"
        self.config = folder / "topics.yaml"
        self.config.write_text(
            CONFIG.format(
                bootstrap=bootstrap,
                name=name,
                max_records=max_records,
                standby_replicas=standby_replicas,
                session_timeout_ms=session_timeout_ms,
                transaction_timeout_ms=transaction_timeout_ms,
                http_port=http_port,
            )
        )
        self.processes: list[Process] = []
        self._watchdog = Watchdog()  # should pytest itself be killed
        self._count = 0
        self.create_topic(self.source, partitions)
        self.command("topics")

    def create_topic(self, name: str, partitions: int) -> None:
        admin = AdminClient(self.kafka)
        admin.create_topics([NewTopic(name, num_partitions=partitions, replication_factor=-1)])[name].result(
            HANG_SECONDS
        )

    def command(self, *arguments: str, code: int = 0) -> str:
        """Run one command to its end, in this process; its standard output."""
        environment = {"LOGROUTER_CONFIG": str(self.config)}
        done = CliRunner().invoke(cli, arguments, env=environment, catch_exceptions=False)
        assert done.exit_code == code, f"{arguments}: exit {done.exit_code}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, *arguments: str, program: Sequence[str] = ("-m", "logrouter")) -> Process:
        """A command; *program* is what Python is told to run for it."""
        self._count += 1
        log = self.folder / f"{self._count}-{arguments[0]}.log"
        process = Process(log, *arguments, "--config", str(self.config), program=program)
        self.processes.append(process)
        self._watchdog.watch(process.popen.pid)
        return process

    def route(self, instance: str = "route-0", port: int = 0) -> Process:
        return self.start("route", "--instance", instance, "--metrics-port", str(port))

    def tables(self, number: int, port: int) -> Process:
        data = self.folder / f"tables-{number}"
        return self.start(
            "tables", "--port", str(port), "--data-dir", str(data), "--instance", f"{self.name}-tables-{number}"
        )

    def feed(self, lines: Any, *, partition: int = -1) -> int:
        feeder = LineProducer(self.kafka, self.source)
        count = feeder.feed(lines, partition=partition)
        feeder.flush()
        return count

    def numbers(self) -> Counter[int]:
        """How often each request number stands in the clean topic, read committed."""
        return Counter(
            int(orjson.loads(record.value or b"")["meta"]["request_id"])
            for _, record in read_committed(self.kafka, self.clean)
        )

    def places(self) -> dict[int, tuple[list[str], list[str]]]:
        """Where each request number stands: in the source topic, and in the clean topic, as `partition:offset`."""
        found: dict[int, tuple[list[str], list[str]]] = {}
        for side, topic in enumerate((self.source, self.clean)):
            for _, record in read_committed(self.kafka, topic):
                number = _number_in(record.value or b"")
                found.setdefault(number, ([], []))[side].append(f"{record.partition}:{record.offset}")
        return found

    def dead_letters(self) -> list[dict[str, Any]]:
        return [orjson.loads(record.value or b"") for _, record in read_committed(self.kafka, self.dead)]

    def close(self) -> None:
        for process in self.processes:
            if process.running:
                process.kill(signal.SIGCONT)
                process.kill()
                process.wait()
        self._watchdog.close()


def metrics(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Name -> (labels, value) of every sample of a scrape."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found
