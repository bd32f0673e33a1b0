"""Processes of a sink against the real broker, and a target that keeps what it gets and answers as it is told."""

from __future__ import annotations

import signal
import threading
import urllib.error
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

import orjson
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from logrouter.devkafka.ports import claim_port
from logrouter.kafka.reader import read_committed
from logrouter.process.watchdog import Watchdog
from tests.conftest import HANG_SECONDS
from tests.integration.stack import Process, metrics

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

CONFIG = """
version: 1
kafka: {{bootstrap.servers: "{bootstrap}"}}
route_lane: {{session_timeout_ms: 6000, transaction_timeout_ms: 5000}}
outputs: {{dead_letter: {{topic: {name}.dead-letter}}}}
sources:
  in: {{topics: [{name}.source], envelope: plain}}
routes:
  - {{name: r, from: in, format: apache, to: {name}.events}}
sinks:
  hook:
    type: webhook
    from: {name}.events
    group: {name}
    url: {url}
    body: array
    compression: none
    connections: 4
    timeout_seconds: {timeout_seconds}
    batch: {{max_records: 20, max_wait_ms: 50}}
    retry: {{first_pause_ms: 50, longest_pause_ms: 500}}
    waiting: {{max_records: {waiting}}}
"""


class Receiver(ThreadingHTTPServer):
    """A target for arrays of events. It refuses requests with events whose number is in *bad*, for what they hold."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/in"
        self.got: Counter[int] = Counter()
        """How often each event was taken."""
        self.order: dict[int, list[int]] = {}
        """The numbers by the partition that an event says it is in, as they were taken."""
        self.bad: frozenset[int] = frozenset()
        self.requests = 0
        self.is_down = False
        self.open = threading.Event()
        """Requests wait for this, and are answered after it."""
        self.open.set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.open.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Processes are killed with requests on their way."""

    def take(self, events: list[dict[str, Any]]) -> int:
        """The status of the answer to these."""
        with self._lock:
            self.requests += 1
        self.open.wait(HANG_SECONDS)
        if self.is_down:
            return 503
        numbers = [event["n"] for event in events]
        if not self.bad.isdisjoint(numbers):
            return 422
        with self._lock:
            self.got.update(numbers)
            for event in events:
                self.order.setdefault(event["p"], []).append(event["n"])
        return 200


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.server.take(orjson.loads(body)))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class SinkStack:
    """A topic of events, a topics.yaml with one sink, and processes of it; `close` ends what still runs."""

    def __init__(
        self,
        bootstrap: str,
        folder: Path,
        name: str,
        url: str,
        *,
        partitions: int = 4,
        timeout_seconds: float = 30,
        waiting: int = 200,
    ) -> None:
        self.kafka = {"bootstrap.servers": bootstrap}
        self.name, self.events, self.dead = name, f"{name}.events", f"{name}.dead-letter"
        self.folder, self.partitions = folder, partitions
        self.config = folder / "topics.yaml"
        self._options = {"bootstrap": bootstrap, "name": name, "timeout_seconds": timeout_seconds, "waiting": waiting}
        self.write_config(url)
        self.processes: list[Process] = []
        self._ports: dict[Process, int] = {}
        self._watchdog = Watchdog()
        self.admin = AdminClient(self.kafka)
        self.create_topic(self.events, partitions)
        self.create_topic(self.dead, 1)

    def create_topic(self, name: str, partitions: int) -> None:
        """Create a topic; one of that name may have been deleted just now."""
        self.admin.create_topics([NewTopic(name, partitions, 1)])[name].result(HANG_SECONDS)

    def write_config(self, url: str) -> None:
        """A topics.yaml with this target, in the place of the one that is there."""
        self.replace_config(CONFIG.format(**self._options, url=url))

    def replace_config(self, text: str) -> None:
        """Rename a file with this text over topics.yaml."""
        fresh = self.config.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.config)

    def produce(self, numbers: Iterable[int], *, size: int = 0) -> None:
        """An event for each number, in the partition that is its remainder."""
        producer = Producer({**self.kafka, "linger.ms": 5, "message.max.bytes": 2_000_000})
        for n in numbers:
            partition = n % self.partitions
            value = orjson.dumps({"n": n, "p": partition, "meta": {"id": str(n)}, "fill": "x" * size})
            while True:
                try:
                    producer.produce(self.events, value, partition=partition)
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
        assert producer.flush(HANG_SECONDS) == 0

    def start(self, instance: str = "a", program: Sequence[str] = ("-m", "logrouter")) -> Process:
        """A process of the sink; *program* is what Python is told to run for it."""
        port = claim_port()
        log = self.folder / f"{len(self.processes)}-{instance}.log"
        own = ("--config", str(self.config), "--instance", instance, "--metrics-port", str(port))
        process = Process(log, "sink", "hook", *own, program=program)
        self.processes.append(process)
        self._ports[process] = port
        self._watchdog.watch(process.popen.pid)
        return process

    def ask(self, process: Process, path: str) -> tuple[int, str]:
        """Status and body from the port of a process; 0 while nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._ports[process]}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, process: Process, name: str) -> float:
        """The sum of a metric of a process, over its labels."""
        return sum(value for _, value in metrics(self.ask(process, "/metrics")[1]).get(name, []))

    def committed(self) -> list[int]:
        """The group's offset in each partition, 0 where it has none."""
        wanted = [TopicPartition(self.events, p) for p in range(self.partitions)]
        asked = self.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(self.name, wanted)])
        found = asked[self.name].result(HANG_SECONDS).topic_partitions
        return [max(each.offset, 0) for each in found]

    def letters(self) -> list[dict[str, Any]]:
        """The dead letters that can be seen."""
        return [orjson.loads(record.value or b"") for _, record in read_committed(self.kafka, self.dead)]

    def refused(self) -> Counter[int]:
        """How many letters each event has that the target has refused."""
        letters = [each for each in self.letters() if each["stage"] == "deliver"]
        return Counter(orjson.loads(each["raw"]["text"])["n"] for each in letters)

    def close(self) -> None:
        """End what runs."""
        for process in self.processes:
            if process.running:
                process.kill(signal.SIGCONT)
                process.kill()
                process.wait()
        self._watchdog.close()
