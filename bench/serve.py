"""How fast one tables worker answers with a million clients in its tables, at rest and while it folds.

    python bench/serve.py [--clients 1000000] [--questions 200] [--bootstrap HOST:PORT]
    python bench/serve.py --confined 60 [--connections 64] [--clients 1000000]

Every client has made requests in the last 24 hours: one each, at any minute, and as many again by Zipf's law.  Then the
same questions are asked one after the other, over one connection: first of a worker at rest, then of one that folds
as fast as it can from a topic that is kept full.  Broker and benchmark share the machine with it.

With `--confined SECONDS` one caller who may read a few clients asks the worst questions at its full rate for so long
instead (`confined.py`), of a worker that measures for how long its event loop is held (`watched_worker.py`): at rest,
and while it folds as fast as it can.
"""

from __future__ import annotations

import argparse
import bisect
import http.client
import json
import random
import re
import statistics
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from confined import make_confined, measure_confined
from confluent_kafka import Producer
from fold import PARTITIONS, Lane, committed, metric, print_machine, zipf

from logrouter.core.rollup.accumulator import Accumulator
from logrouter.core.rollup.records import pack_records
from logrouter.devkafka.broker import DevKafka

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENTS = 4_000
BACKLOG = 200_000
"""Partial sums that wait while the worker is asked under load."""
FOLDED = "logrouter_partial_sums_folded_total"


def name(number: int) -> str:
    return f"client-{number:07d}"


def rollups(clients: Iterator[int], rnd: random.Random, minutes: int) -> Iterator[tuple[int, bytes, int]]:
    """Partition, record and its number of sums, of an event for each of some clients in the last so many minutes."""
    by_api = zipf(40)
    now = int(time.time() * 1000)
    accumulator = Accumulator()

    def packed() -> Iterator[tuple[int, bytes, int]]:
        subjects = accumulator.take()
        for partition, value in pack_records(subjects, PARTITIONS):
            yield partition, value, len(subjects) // PARTITIONS

    for events, number in enumerate(clients, 1):
        accumulator.add(
            client=name(number),
            api=f"api{bisect.bisect(by_api, rnd.random())}",
            time_ms=now - rnd.randrange(minutes * 60_000),
            status=rnd.choice((200, 200, 200, 304, 404, 429, 500)),
            outcome=rnd.choice(("ok", "ok", "client_error", "throttled")),
            bytes_in=400,
            bytes_out=rnd.randrange(20_000),
            latency_ms=int(rnd.lognormvariate(4, 1)),
        )
        if events % EVENTS == 0:
            yield from packed()
    yield from packed()


def backfill(bootstrap: str, topic: str, clients: int) -> dict[int, int]:
    """Everybody's past; the end of each partition."""
    rnd = random.Random(7)
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "queue.buffering.max.messages": 10_000})
    ends: dict[int, int] = {}

    def delivered(error: object, message: object) -> None:
        if error is not None:
            sys.exit(f"not delivered: {error}")
        ends[message.partition()] = message.offset() + 1

    by_rank = zipf(clients)
    numbers = list(range(clients))
    rnd.shuffle(numbers)
    numbers += [bisect.bisect(by_rank, rnd.random()) for _ in range(clients)]
    for partition, value, _ in rollups(iter(numbers), rnd, 24 * 60 - 1):
        while True:
            try:
                producer.produce(topic, value, partition=partition, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    producer.flush(60)
    return ends


class Load:
    """Keeps the topic full of what happens now, without asking more of this process than producing known bytes."""

    def __init__(self, bootstrap: str, topic: str, clients: int, port: int) -> None:
        rnd = random.Random(9)
        by_rank = zipf(clients)
        self._records = list(rollups((bisect.bisect(by_rank, rnd.random()) for _ in range(100_000)), rnd, 3))
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})
        self._topic, self._port = topic, port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        sent, before = 0, metric(self._port, FOLDED)
        while not self._stop.is_set():
            folded = metric(self._port, FOLDED) - before
            while sent - folded < BACKLOG:
                for partition, value, sums in self._records:
                    self._producer.produce(self._topic, value, partition=partition)
                    sent += sums
                self._producer.flush(60)
            self._stop.wait(1.0)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


class Asker:
    """One keep-alive connection to the worker."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, path: str) -> tuple[float, dict]:
        """How long it took, in milliseconds, and what was answered."""
        start = time.perf_counter()
        self._connection.request("GET", path)
        response = self._connection.getresponse()
        body = response.read()
        took = (time.perf_counter() - start) * 1000
        if response.status not in (200, 404):
            sys.exit(f"{path}: {response.status} {body[:300]!r}")
        return took, json.loads(body)


QUESTIONS = {
    "summary of one client": "/v1/clients/{one}",
    "series of one client, 24 h by minute": "/v1/clients/{one}/series?window=24h&step=minute",
    "top 100, 1 h": "/v1/clients?window=1h&limit=100",
    "top 100, 24 h": "/v1/clients?window=24h&limit=100",
    "top 100 by errors, 24 h": "/v1/clients?window=24h&limit=100&sort=errors",
    "top 100, life": "/v1/clients?window=life&limit=100",
    "second page of 100, 24 h": "/v1/clients?window=24h&limit=100&cursor={cursor}",
    "prefix of 100 clients, 24 h": "/v1/clients?window=24h&prefix={prefix}",
    "totals, 24 h": "/v1/totals?window=24h",
}


def ask_all(port: int, clients: int, times: int, state: str) -> None:
    rnd = random.Random(11)
    by_rank = zipf(clients)
    for title, template in QUESTIONS.items():
        took, inexact = [], 0
        asker = Asker(port)
        few = times if "one client" in title else max(times // 4, 20)
        folded, start = metric(port, FOLDED), time.perf_counter()
        for number in range(few):
            # Half of those asked about are busy, half are anybody.
            who = bisect.bisect(by_rank, rnd.random()) if number % 2 else rnd.randrange(clients)
            cursor = asker.ask("/v1/clients?window=24h&limit=100")[1]["next"] if "{cursor}" in template else ""
            path = template.format(one=name(who), cursor=cursor, prefix=name(who)[:-2])
            milliseconds, body = asker.ask(path)
            took.append(milliseconds)
            inexact += body.get("exact") is False
        rate = (metric(port, FOLDED) - folded) / (time.perf_counter() - start)
        cuts = statistics.quantiles(took, n=100, method="inclusive")
        print(
            f"{state:>8} | {title:<38} | p50 {cuts[49]:7.1f} ms | p99 {cuts[98]:7.1f} ms | most {max(took):7.1f} ms"
            f" | {few:>4} asked" + (f", {inexact} inexact" if inexact else "") + f" | {rate:>7,.0f} sums/s",
            flush=True,
        )


def memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def disk_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def fill(lane: Lane, bootstrap: str, clients: int, pid: int) -> None:
    """Feed everybody's past, and wait until it is folded."""
    print("feeding", flush=True)
    ends = backfill(bootstrap, lane.topic, clients)
    start = time.perf_counter()
    while not committed(lane.offsets, lane.topic, ends):
        time.sleep(1)
        if sys.stdout.isatty():
            print(f"\r{metric(lane.port, FOLDED):,.0f} sums folded", end="", flush=True)
    print(
        f"{metric(lane.port, FOLDED):,.0f} sums folded, {time.perf_counter() - start:.0f} s after the last was fed; "
        f"{memory_mb(pid):,.0f} MB of memory, {disk_mb(lane.folder):,.0f} MB on disk",
        flush=True,
    )


def measure_watched(bootstrap: str, clients: int, seconds: float, connections: int) -> None:
    """One confined caller at its full rate, at rest and while the worker folds as fast as it can."""
    caller = make_confined([*map(name, range(20)), "nobody"])
    with Lane(bootstrap, "confined", command=[str(Path(__file__).with_name("watched_worker.py"))]) as lane:
        pid = lane.start(caller.tokens())
        fill(lane, bootstrap, clients, pid)
        print("at rest", flush=True)
        measure_confined(lane.port, caller, seconds, connections)
        print("while folding", flush=True)
        with Load(bootstrap, lane.topic, clients, lane.port):
            before = metric(lane.port, FOLDED)
            while metric(lane.port, FOLDED) == before:
                time.sleep(0.1)
            measure_confined(lane.port, caller, seconds, connections)


def measure(bootstrap: str, clients: int, times: int) -> None:
    with Lane(bootstrap, "serve") as lane:
        topic, port, folder, pid = lane.topic, lane.port, lane.folder, lane.start()
        fill(lane, bootstrap, clients, pid)
        ask_all(port, clients, times, "at rest")
        with Load(bootstrap, topic, clients, port):
            before = metric(port, FOLDED)
            while metric(port, FOLDED) == before:
                time.sleep(0.1)
            ask_all(port, clients, times, "folding")
        print(f"{memory_mb(pid):,.0f} MB of memory, {disk_mb(folder):,.0f} MB on disk", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=1_000_000)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--bootstrap", default="")
    parser.add_argument("--confined", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--connections", type=int, default=64)
    args = parser.parse_args()
    print_machine("faust-streaming", "aiokafka", "rocksdict", "msgspec", "aiohttp")
    print(f"{args.clients:,} clients, {PARTITIONS} partitions on one worker", flush=True)
    with nullcontext() if args.bootstrap else DevKafka() as kafka:
        bootstrap = args.bootstrap or kafka.bootstrap
        if args.confined:
            measure_watched(bootstrap, args.clients, args.confined, args.connections)
        else:
            measure(bootstrap, args.clients, args.questions)


if __name__ == "__main__":
    main()
