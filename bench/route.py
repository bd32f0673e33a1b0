"""The route lane against its ceiling and its yardstick, in one run on one topic.

    python bench/route.py [--lines 1000000] [--faust-lines 60000] [--repeat 3] [--bootstrap HOST:PORT]

Feeds a mixed topic (20 % gateway requests), then measures, each in a process of its own: a bare `consume()` loop with
librdkafka's own settings and with the lane's, the whole route lane (transaction, validation, dead letters, partial
sums), and a plain Faust agent that does the core of the job.
Only the ratios within one run mean something: the broker shares the cores.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from importlib.metadata import version
from pathlib import Path

import orjson

PARTITIONS = 4
CLIENTS = 5000


def default(bootstrap: str, topic: str, lines: int) -> dict:
    """Read *lines* records and do nothing, with librdkafka's own settings."""
    return consume_all({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex}, topic, lines)


def bare(bootstrap: str, topic: str, lines: int) -> dict:
    """Read *lines* records and do nothing, with the lane's settings: what any Python consumer is bounded by."""
    from logrouter.kafka.client import consumer_settings

    settings = consumer_settings(
        {"bootstrap.servers": bootstrap}, group=uuid.uuid4().hex, instance=None, session_timeout_ms=30_000
    )
    return consume_all(settings, topic, lines)


def consume_all(settings: dict, topic: str, lines: int) -> dict:
    """Read *lines* records."""
    from confluent_kafka import Consumer

    consumer = Consumer({"auto.offset.reset": "earliest", **settings})
    consumer.subscribe([topic])
    seen, began = 0, 0.0
    while seen < lines:
        messages = consumer.consume(20_000, 0.25)
        if messages and not seen:
            began = time.perf_counter()
            first = len(messages)
        seen += len(messages)
    took = time.perf_counter() - began
    consumer.close()
    return figures(seen - first, took)


def lane(bootstrap: str, topic: str, lines: int) -> dict:
    """Run the route lane as `logrouter route` does until it has committed *lines* records."""
    from dataclasses import replace

    from logrouter import config
    from logrouter.route import process
    from logrouter.telemetry import metrics

    text = (Path(__file__).parent.parent / "topics.yaml").read_text()
    settings = config.parse(text.replace("[rsyslog-notice]", f"[{topic}]").encode(), {})
    settings = replace(
        settings,
        kafka={"bootstrap.servers": bootstrap},
        route_lane=replace(settings.route_lane, group=f"bench-{uuid.uuid4().hex[:8]}"),
    )
    process.ensure_topics(settings)
    state = {"first": 0.0, "at": 0.0, "done": 0.0}

    def stopping() -> bool:
        done = sum(
            sample.value
            for family in metrics.RECORDS_READ.collect()
            for sample in family.samples
            if sample.name.endswith("_total")
        )
        if done and not state["first"]:
            state["first"], state["at"] = done, time.perf_counter()
        state["done"] = done
        return done >= lines

    process.make_lane(settings, default_instance="bench", stopping=stopping).run()
    return figures(state["done"] - state["first"], time.perf_counter() - state["at"])


def figures(lines: float, seconds: float) -> dict:
    """Lines, seconds, and the CPU seconds of the whole process, start included."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"lines": lines, "seconds": seconds, "cpu": used.ru_utime + used.ru_stime}


def child(what: str, bootstrap: str, topic: str, lines: int) -> dict:
    """One measurement in a process of its own."""
    env = dict(os.environ)
    if what == "faust":
        env |= {
            "BENCH_BOOTSTRAP": bootstrap,
            "BENCH_TOPIC": topic,
            "BENCH_LINES": str(lines),
            "BENCH_PARTITIONS": str(PARTITIONS),
            "BENCH_GROUP": f"bench-faust-{uuid.uuid4().hex[:8]}",
        }
        create_topic(bootstrap, env["BENCH_GROUP"] + "-out")
        folder = tempfile.mkdtemp()
        command = [sys.executable, "-m", "faust", "-A", "plain_faust", "--datadir", folder, "worker", "-l", "error"]
    else:
        command = [sys.executable, __file__, "--child", what, "--bootstrap", bootstrap, "--topic", topic]
        command += ["--lines", str(lines)]
    done = subprocess.run(
        # A worker that hangs must not be asked politely.
        ["/usr/bin/timeout", "--signal=KILL", "150", *command],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    answer = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not answer:
        raise SystemExit(f"{what} failed:\n{done.stdout}\n{done.stderr}")
    return orjson.loads(answer[-1])


def create_topic(bootstrap: str, topic: str) -> None:
    """Create one topic with as many partitions as all here."""
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": bootstrap})  # kept: the call ends when its client is collected
    admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS, replication_factor=1)])[topic].result(30)


def feed(bootstrap: str, topic: str, lines: int) -> int:
    """Create and fill the topic; the bytes fed."""
    from logrouter.demo.generator import lines as generated
    from logrouter.kafka.producer import LineProducer

    kafka = {"bootstrap.servers": bootstrap}
    create_topic(bootstrap, topic)
    size = 0

    def counted():
        nonlocal size
        for line in generated(lines, clients=CLIENTS):
            size += len(line)
            yield line

    feeder = LineProducer(kafka, topic)
    feeder.feed(counted())
    feeder.flush(120)
    return size


def row(name: str, runs: list[dict]) -> dict:
    """The median of several runs."""
    rate = statistics.median(r["lines"] / r["seconds"] for r in runs)
    cpu = statistics.median(r["cpu"] / r["lines"] * 1e6 for r in runs)
    return {"name": name, "lines_per_second": round(rate), "cpu_seconds_per_million": round(cpu, 2)}


def measure(bootstrap: str, arguments: argparse.Namespace) -> list[dict]:
    """Feed once, then measure bare loop and lane alternately, and Faust once."""
    topic = f"bench-{uuid.uuid4().hex[:8]}"
    size = feed(bootstrap, topic, arguments.lines)
    print(
        f"data: {arguments.lines} lines, {size / arguments.lines:.0f} bytes each, "
        f"{PARTITIONS} partitions, {CLIENTS} clients"
    )
    runs: dict[str, list[dict]] = {"default": [], "bare": [], "lane": []}
    for _ in range(arguments.repeat):
        for what, results in runs.items():
            results.append(child(what, bootstrap, topic, arguments.lines))
    rows = [
        row("bare loop, librdkafka's settings", runs["default"]),
        row("bare loop, the lane's settings", runs["bare"]),
        row("logrouter route, everything on", runs["lane"]),
    ]
    if arguments.faust_lines:
        rows.append(row("plain Faust agent", [child("faust", bootstrap, topic, arguments.faust_lines)]))
    return rows


def report(rows: list[dict]) -> None:
    """The table, and the two ratios that matter."""
    packages = ", ".join(f"{p} {version(p)}" for p in ("confluent-kafka", "orjson", "jsonschema-rs", "faust-streaming"))
    cpu = next(
        (li.split(":")[1].strip() for li in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in li), "?"
    )
    print(f"machine: {os.cpu_count()} cores, {cpu}, Python {platform.python_version()}; {packages}")
    for r in rows:
        print(f"{r['name']:34}{r['lines_per_second']:>10,} lines/s {r['cpu_seconds_per_million']:>8} CPU s per million")
    rate = {r["name"]: r["lines_per_second"] for r in rows}
    ours = rate["logrouter route, everything on"]
    for name in ("bare loop, librdkafka's settings", "bare loop, the lane's settings"):
        print(f"ratio to the {name}: {ours / rate[name]:.2f}")
    if "plain Faust agent" in rate:
        print(f"times plain Faust: {ours / rate['plain Faust agent']:.1f}")


def main() -> None:
    """Parse the command line, start a broker if none is given, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--faust-lines", type=int, default=60_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--bootstrap")
    parser.add_argument("--child", choices=["default", "bare", "lane"], help=argparse.SUPPRESS)
    parser.add_argument("--topic", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        result = {"default": default, "bare": bare, "lane": lane}[arguments.child](
            arguments.bootstrap, arguments.topic, arguments.lines
        )
        print(orjson.dumps(result).decode())
        return
    if arguments.bootstrap:
        report(measure(arguments.bootstrap, arguments))
        return
    from logrouter.devkafka.broker import DevKafka

    with DevKafka(progress=lambda line: print(line, file=sys.stderr)) as kafka:
        report(measure(kafka.bootstrap, arguments))


if __name__ == "__main__":
    main()
