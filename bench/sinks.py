"""What a process of a sink gets through, what that costs it, and how large it grows while its target is down.

    python bench/sinks.py [--events 200000] [--repeat 3] [--down 120] [--only null opensearch ...]

Feeds a topic with canonical events, and lets `logrouter sink`'s lane deliver them in a process of its own, for each
target: none (a sink that takes everything at once: what Kafka and the lane cost), an HTTP receiver in a third process
(webhook, eventgate, splunk), and an embedded OpenSearch (both forms of documents). At last one process has a target
where nobody listens, for --down seconds. Broker and targets share the cores with it; CPU seconds are its own.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
import uuid
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from logrouter.devkafka.ports import claim_port

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTITIONS = 4
TOKEN = "BENCH_TOKEN"  # noqa: S105  the name of a variable
CONFIG = """
version: 1
kafka: {{bootstrap.servers: "{bootstrap}"}}
outputs:
  dead_letter: {{topic: {topic}.dead-letter}}
  rollup: {{topic: {topic}.rollup}}
sources: {{gateway: {{topics: [{topic}.source], envelope: rsyslog}}}}
routes:
  - {{name: requests, from: gateway, match: {{looks_like: request}}, format: envoy, to: {topic}}}
sinks:
  bench: {sink}
"""
# What each target adds to the options; addresses come from whoever listens.
TARGETS = {
    "null": {"type": "webhook", "body": "lines", "url": "http://127.0.0.1:9"},
    "webhook": {"type": "webhook", "body": "lines", "url": "{http}/webhook"},
    "eventgate": {"type": "eventgate", "url": "{http}"},
    "splunk": {"type": "splunk", "url": "{http}", "token": "${" + TOKEN + "}"},
    "opensearch-ecs": {"type": "opensearch", "url": "{search}", "document": "ecs"},
    "opensearch-firehose": {"type": "opensearch", "url": "{search}", "document": "firehose"},
}
DOWN = {"type": "webhook", "body": "lines", "url": "{nobody}", "retry": {"longest_pause_ms": 1_000}}


def event(number: int) -> bytes:
    """A canonical event; one in twenty has failed."""
    status = 503 if number % 20 == 0 else 200
    path = f"/core/v1/page/{number % 997}"
    return orjson.dumps(
        {
            "$schema": "/logrouter/api_request/1.1.0",
            "meta": {
                "stream": "api-gateway.request",
                "dt": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
                "id": str(uuid.UUID(int=number + (8 << 76) + (8 << 60))),
                "request_id": f"r-{number:x}",
                "domain": "api.example.org",
                "uri": path,
            },
            "api": f"api-{number % 12}",
            "api_version": "v1",
            "route": "core_v1",
            "client_id": f"jwt-sub:{number % 5000}",
            "client_type": "jwt-sub",
            "http": {
                "method": "GET",
                "path": path,
                "protocol": "HTTP/2",
                "status_code": status,
                "client_ip": "192.0.2.0",
                "request_headers": {"user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"},
            },
            "status_class": f"{status // 100}xx",
            "outcome": "ok" if status < 400 else "backend_error",
            "total_time_ms": number % 1500,
            "backend_time_ms": number % 1400,
            "bytes_sent": number % 90_000,
            "bytes_received": 0,
            "weight": 1.0,
            "source": {"format": "envoy", "topic": "gateway", "partition": 0, "offset": number, "index": 0},
        }
    )


class NullSink:
    """Takes everything at once."""

    max_request_bytes = 1 << 30

    def encode(self, events):
        """All of them."""
        from logrouter.sinks.contract import Encoded

        return Encoded(events, sum(len(each.value or b"") for each in events), [None] * len(events))

    async def send(self, request):
        """The answer is the request."""
        return request

    def classify(self, _answer, events):
        """All are delivered."""
        from logrouter.sinks.contract import DELIVERED

        return [DELIVERED] * len(events)

    async def close(self) -> None:
        """Nothing is open."""


def deliver(target: str, config: str, events: int, seconds: float) -> dict:
    """Run the lane until *events* are delivered, or for *seconds* if that is not 0."""
    from logrouter import config as configuration
    from logrouter.deliver import process
    from logrouter.telemetry import metrics

    if target == "null":
        process.open_sink = lambda _sink: NullSink()
    settings = configuration.parse(config.encode(), dict(os.environ))
    began, first, sizes = time.perf_counter(), {}, []

    def stopping() -> bool:
        now, done = time.perf_counter(), delivered(metrics)
        if seconds:
            if now - began >= len(sizes):
                sizes.append(memory())
            return now - began >= seconds
        if not first and (done or reading(metrics)):
            first.update(at=now, cpu=cpu())
        return done >= events

    process.make_lane(settings, "bench", "bench", stopping=stopping).run()
    if seconds:
        settled = sizes[min(10, len(sizes) // 2) :]  # until then it reads what may wait
        return {
            "delivered": delivered(metrics),
            "mb_settled": settled[0],
            "mb_most": max(settled),
            "mb_last": sizes[-1],
        }
    took, used = time.perf_counter() - first["at"], cpu() - first["cpu"]
    return {"events": delivered(metrics), "seconds": took, "cpu": used, "mb": memory()}


def delivered(metrics) -> float:
    """Events that the target has."""
    samples = [sample for family in metrics.SINK_EVENTS.collect() for sample in family.samples]
    return sum(each.value for each in samples if each.name.endswith("_total") and each.labels["result"] == "delivered")


def reading(metrics) -> bool:
    """Whether the lane has begun to read: before that it waits for its partitions."""
    return any(sample.value for family in metrics.SINK_WAITING_RECORDS.collect() for sample in family.samples)


def cpu() -> float:
    """CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def memory() -> float:
    """Resident memory of this process now, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * resource.getpagesize() / 1e6, 1)


def receive(port: int) -> None:
    """The HTTP receiver: reads bodies, answers as each of the targets does, until it is killed."""
    from aiohttp import web

    async def take(request: web.Request) -> web.Response:
        await request.read()
        if request.path == "/v1/events":  # eventgate's
            return web.Response(status=201)
        return web.json_response({"text": "Success", "code": 0})

    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{tail:.*}", take)
    web.run_app(app, host="127.0.0.1", port=port, print=None, handle_signals=False)


@contextmanager
def receiver() -> Iterator[str]:
    """The HTTP receiver in a process of its own; its address."""
    import socket

    from logrouter.process.watchdog import Watchdog

    port = claim_port()
    command = [sys.executable, __file__, "--child", "receiver", "--port", str(port)]
    with Watchdog() as watchdog, subprocess.Popen(command, process_group=0) as server:
        watchdog.watch(server.pid)
        try:
            while server.poll() is None:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


def search_node(say):
    """An OpenSearch with the optimizing compiler, as one that runs for longer has it."""
    from logrouter.devsearch.node import OpenSearchNode

    return OpenSearchNode(progress=say, heap="1g", java_options=["-XX:TieredStopAtLevel=4"])


def feed(bootstrap: str, topic: str, events: int) -> int:
    """Create the topics and write the events; their bytes."""
    from confluent_kafka.admin import AdminClient, NewTopic

    from logrouter.kafka.producer import LineProducer

    admin = AdminClient({"bootstrap.servers": bootstrap})
    new = [NewTopic(topic, num_partitions=PARTITIONS, replication_factor=1), NewTopic(f"{topic}.dead-letter", 1, 1)]
    for future in admin.create_topics(new).values():
        future.result(30)
    size = 0

    def counted():
        nonlocal size
        for number in range(events):
            value = event(number)
            size += len(value)
            yield value

    producer = LineProducer({"bootstrap.servers": bootstrap}, topic)
    producer.feed(counted())
    producer.flush(120)
    return size


def child(target: str, config: str, events: int, seconds: float) -> dict:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, "--child", target, "--events", str(events), "--down", str(seconds)]
    limit = seconds + 60 + events / 1000
    done = subprocess.run(
        # What hangs must not be asked politely.
        ["/usr/bin/timeout", "--signal=KILL", str(limit), *command],
        input=config,
        env=os.environ | {TOKEN: str(uuid.uuid4())},
        capture_output=True,
        text=True,
        check=False,
    )
    answer = [line for line in done.stdout.splitlines() if line.startswith('{"')]
    if not answer:
        raise SystemExit(f"{target} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return orjson.loads(answer[-1])


def configure(bootstrap: str, topic: str, options: dict, addresses: dict[str, str]) -> str:
    """The topics.yaml of one measurement: a group, and an index, of its own."""
    run = uuid.uuid4().hex[:8]
    url = options["url"]
    for name, address in addresses.items():
        url = url.replace("{" + name + "}", address)
    sink = {**options, "url": url, "from": topic, "group": f"bench-{run}", "metrics": {"port": 0}}
    if options["type"] == "opensearch":
        sink["index"] = {"name": f"bench-{run}", "rotation": "day"}
    return CONFIG.format(bootstrap=bootstrap, topic=topic, sink=orjson.dumps(sink).decode())


def measure(bootstrap: str, arguments: argparse.Namespace, addresses: dict[str, str]) -> None:
    """Feed once, measure each target in turn, and print as soon as a figure is there."""
    topic = f"bench-{uuid.uuid4().hex[:8]}"
    size = feed(bootstrap, topic, arguments.events)
    print(f"data: {arguments.events} events, {size / arguments.events:.0f} bytes each, {PARTITIONS} partitions")
    for target in arguments.only:
        runs = [
            child(target, configure(bootstrap, topic, TARGETS[target], addresses), arguments.events, 0)
            for _ in range(arguments.repeat)
        ]
        rate = statistics.median(run["events"] / run["seconds"] for run in runs)
        used = statistics.median(run["cpu"] / run["events"] * 1e6 for run in runs)
        most = max(run["mb"] for run in runs)
        print(f"{target:22}{rate:>10,.0f} events/s{used:>9.1f} CPU s per million{most:>8.0f} MB", flush=True)
    if arguments.down:
        nobody = {"nobody": f"http://127.0.0.1:{claim_port()}"}
        run = child("down", configure(bootstrap, topic, DOWN, nobody), arguments.events, arguments.down)
        print(
            f"target down for {arguments.down:.0f} s: {run['mb_settled']:.0f} MB after 10 s, "
            f"{run['mb_most']:.0f} MB at most, {run['mb_last']:.0f} MB at last"
        )


def print_machine() -> None:
    """What the figures were taken on."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("confluent-kafka", "aiohttp", "orjson"))
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "?",
    )
    print(f"machine: {os.cpu_count()} cores, {model}, Python {platform.python_version()}; {packages}")


def run_child(arguments: argparse.Namespace) -> None:
    """What a process that `child` or `receiver` starts does."""
    if arguments.child == "receiver":
        receive(arguments.port)
        return
    print(orjson.dumps(deliver(arguments.child, sys.stdin.read(), arguments.events, arguments.down)).decode())


def main() -> None:
    """Parse the command line, start what is needed, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--down", type=float, default=120, help="seconds without a target; 0: not at all")
    parser.add_argument("--only", nargs="+", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--bootstrap")
    parser.add_argument("--child", choices=[*TARGETS, "down", "receiver"], help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        run_child(arguments)
        return
    from logrouter.devkafka.broker import DevKafka

    def say(line: str) -> None:
        print(line, file=sys.stderr)

    print_machine()
    with ExitStack() as stack:
        addresses = {"http": stack.enter_context(receiver())}
        if any(TARGETS[target]["type"] == "opensearch" for target in arguments.only):
            addresses["search"] = stack.enter_context(search_node(say)).url
        bootstrap = arguments.bootstrap or stack.enter_context(DevKafka(progress=say)).bootstrap
        measure(bootstrap, arguments, addresses)


if __name__ == "__main__":
    main()
