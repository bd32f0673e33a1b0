"""How many partial sums a second one tables worker folds, on a real broker, from the first record to the last commit.

    python bench/fold.py [--sums 400000] [--clients 5000,50000] [--bootstrap HOST:PORT]

The stream is what the route lane writes: one transaction per 20,000 lines of which a fifth are gateway requests, every
seventh aborted, clients and APIs by Zipf's law, packed by partition.  Figures swing by half with what else the machine
does: compare runs made together.
"""

from __future__ import annotations

import argparse
import bisect
import itertools
import os
import platform
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from logrouter.core.rollup.accumulator import Accumulator
from logrouter.core.rollup.records import pack_records
from logrouter.devkafka.broker import DevKafka
from logrouter.devkafka.ports import claim_port

if TYPE_CHECKING:
    from collections.abc import Sequence

PARTITIONS = 4
EVENTS = 4_000
WORKER = """
import sys
from pathlib import Path
from logrouter.access.policy import OPEN
from logrouter.tables import worker
from logrouter.tables.security import Security
from logrouter.tables.settings import TablesSettings
from logrouter.telemetry.log import configure_logging
configure_logging()
group, topic, data_dir, bootstrap, port, flush = sys.argv[1:]
sys.exit(worker.run(TablesSettings(group, topic, 4, Path(data_dir), Security((bootstrap,)), port=int(port),
    access=OPEN, standby_replicas=0, flush_interval_ms=int(flush))))
"""


class Fed(NamedTuple):
    """What was committed to the topic."""

    sums: int
    records: int
    size: int
    ends: dict[int, int]


def zipf(count: int) -> list[float]:
    weights = list(itertools.accumulate(1 / (rank + 1) for rank in range(count)))
    return [weight / weights[-1] for weight in weights]


def feed(bootstrap: str, topic: str, clients: int, wanted: int) -> Fed:
    rnd = random.Random(3)
    by_client, by_api = zipf(clients), zipf(40)
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": topic, "linger.ms": 5})
    producer.init_transactions(30)
    sums = records = size = number = 0
    ends: dict[int, int] = {}
    start = 1_790_000_000_000
    while sums < wanted:
        number += 1
        aborted = number % 7 == 0
        accumulator = Accumulator()
        for _ in range(EVENTS):
            accumulator.add(
                client=f"client-{bisect.bisect(by_client, rnd.random()):07d}",
                api=f"api{bisect.bisect(by_api, rnd.random())}",
                time_ms=int(time.time() * 1000) - 60_000 + number * 40 if start else 0,
                status=rnd.choice((200, 200, 200, 304, 404, 429, 500)),
                outcome=rnd.choice(("ok", "client_error", "throttled")),
                bytes_in=400,
                bytes_out=rnd.randrange(20_000),
                latency_ms=int(rnd.lognormvariate(4, 1)),
            )
        producer.begin_transaction()
        subjects = accumulator.take()
        for partition, value in pack_records(subjects, PARTITIONS):

            def delivered(error, message, aborted=aborted):
                if error is not None and not aborted:
                    raise KafkaException(error)
                if not aborted:
                    ends[message.partition()] = message.offset() + 1

            producer.produce(topic, value, partition=partition, on_delivery=delivered)
            records += not aborted
            size += 0 if aborted else len(value)
        if aborted:
            producer.flush()
            producer.abort_transaction()
        else:
            producer.commit_transaction()
            sums += len(subjects)
    return Fed(sums, records, size, ends)


def metric(port: int, name: str) -> float:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
            text = response.read().decode()
    except OSError:
        return 0.0
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))


def ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
            return True
    except OSError:
        return False


def committed(consumer: Consumer, topic: str, ends: dict[int, int]) -> bool:
    try:
        found = consumer.committed([TopicPartition(topic, p) for p in ends], timeout=10)
    except KafkaException:  # the group is not there yet
        return False
    return all(tp.offset >= ends[tp.partition] for tp in found)


def changelog_records(bootstrap: str, topic: str) -> int:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench"})
    try:
        return sum(consumer.get_watermark_offsets(TopicPartition(topic, p))[1] for p in range(PARTITIONS))
    finally:
        consumer.close()


class Lane:
    """A tables worker on a topic of its own; *offsets* is a consumer that knows its group. A context manager."""

    def __init__(
        self, bootstrap: str, name: str, flush_ms: int = 1_000, command: Sequence[str] = ("-c", WORKER)
    ) -> None:
        self.topic = f"{name}-{uuid.uuid4().hex[:6]}"
        self._admin = AdminClient({"bootstrap.servers": bootstrap})
        self._admin.create_topics([NewTopic(self.topic, PARTITIONS, 1)])[self.topic].result(30)
        # An admin client that asks for a group's offsets crashes where a coordinator's answer is one to try again.
        self.offsets = Consumer({"bootstrap.servers": bootstrap, "group.id": f"{self.topic}-group"})
        self.port = claim_port()
        self.folder = Path(tempfile.mkdtemp(prefix="logrouter-bench-"))
        self.changelog = f"{self.topic}-group-usage-changelog"
        self._command = command
        self._arguments = [
            f"{self.topic}-group",
            self.topic,
            str(self.folder),
            bootstrap,
            str(self.port),
            str(flush_ms),
        ]
        self._worker: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> int:
        """Start the worker with these arguments more; its process id."""
        self._worker = subprocess.Popen([sys.executable, *self._command, *self._arguments, *more])
        return self._worker.pid

    def stop(self) -> None:
        """End the worker, and take its disk away."""
        if self._worker is not None:
            self._worker.terminate()
            self._worker.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.offsets.close()
        self._admin.delete_topics([self.topic, self.changelog])


def measure(bootstrap: str, clients: int, wanted: int, flush_ms: int) -> None:
    with Lane(bootstrap, f"fold-{clients}", flush_ms) as lane:
        port, offsets, topic = lane.port, lane.offsets, lane.topic
        fed = feed(bootstrap, topic, clients, wanted)
        lane.start()
        while not metric(port, "logrouter_partial_sums_folded_total"):
            time.sleep(0.01)
        start, early = time.perf_counter(), metric(port, "logrouter_partial_sums_folded_total")
        cpu = metric(port, "process_cpu_seconds_total")
        while not committed(offsets, topic, fed.ends):
            time.sleep(0.05)
        seconds = time.perf_counter() - start
        cpu = metric(port, "process_cpu_seconds_total") - cpu
        folded = metric(port, "logrouter_partial_sums_folded_total")
        rows = metric(port, "logrouter_table_rows_written_total")
        size = metric(port, "logrouter_changelog_bytes_total")
        records = changelog_records(bootstrap, lane.changelog)
        # Besides the rows there is a checkpoint for every flush.
        if folded != fed.sums or records < rows:
            sys.exit(f"wrong: {folded} of {fed.sums} sums folded, {records} records for {rows} rows")
        sums = folded - early
        print(
            f"{clients:>7,} clients | {sums / seconds:>9,.0f} sums/s | {rows / seconds:>8,.0f} rows/s | "
            f"{cpu / sums * 1e6:5.1f} CPU us/sum | {fed.size / fed.sums:4.0f} B/sum in | "
            f"{rows / fed.sums:4.2f} rows/sum | {size / fed.sums:4.0f} changelog B/sum (snappy) | "
            f"{int(folded):,} sums in {fed.records:,} records, {seconds:.1f} s",
            flush=True,
        )
        lane.stop()
        start = time.perf_counter()
        lane.start()
        while not ready(port):
            time.sleep(0.02)
        seconds = time.perf_counter() - start
        print(f"{'':>15} | from an empty disk: {records:,} changelog records, ready after {seconds:.1f} s", flush=True)


def print_machine(*libraries: str) -> None:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    print(f"{os.cpu_count()} cores {model[1] if model else platform.processor()}, load {os.getloadavg()[0]:.1f}")
    print(f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in libraries))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sums", type=int, default=400_000)
    parser.add_argument("--clients", default="5000,50000")
    parser.add_argument("--flush-ms", type=int, default=1_000)
    parser.add_argument("--bootstrap", default="")
    args = parser.parse_args()
    print_machine("faust-streaming", "aiokafka", "rocksdict", "msgspec", "confluent-kafka")
    print(f"{PARTITIONS} partitions, flush every {args.flush_ms} ms, broker on the same machine", flush=True)
    with nullcontext() if args.bootstrap else DevKafka() as kafka:
        bootstrap = args.bootstrap or kafka.bootstrap
        for clients in args.clients.split(","):
            measure(bootstrap, int(clients), args.sums, args.flush_ms)


if __name__ == "__main__":
    main()
