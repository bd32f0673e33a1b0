"""Pairing on a real Kafka: each request one event with the right latency, whatever happens to the processes."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import pytest

from logrouter.core.rollup import decode_record
from logrouter.route.feeder import Feeder
from logrouter.route.reader import read_committed
from tests.integration.fleet import Fleet, last_lines
from tests.integration.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.broker

REQUESTS = 4_000
WINDOW_SECONDS = 15
KILLS = 5
PAIRED = """
outputs:
  dead_letter: {{topic: {name}.dead-letter}}
  rollup: {{topic: {name}.rollup, partitions: 4}}
  pairing: {{topic: {name}.pairing, partitions: 5}}
sources:
  wso2: {{topics: [{name}.source], envelope: plain}}
routes:
  - {{name: access, from: wso2, match: {{looks_like: request}}, format: wso2_access, pair: {window}, to: {name}.clean}}
"""


class Request(NamedTuple):
    """What the event of a request must say."""

    number: str
    latency: int | None
    flags: tuple[str, ...]


@pytest.fixture
def seed() -> int:
    """A new one for every run; pytest shows it for a failed test, and LOGROUTER_TEST_SEED gives it again."""
    chosen = int(os.environ.get("LOGROUTER_TEST_SEED") or random.SystemRandom().randrange(1_000_000))
    print(f"seed {chosen}: LOGROUTER_TEST_SEED={chosen}")  # noqa: T201 - for whoever has to repeat it
    return chosen


@pytest.fixture
def fleet(broker, tmp_path, unique) -> Iterator[Fleet]:
    """Route processes that pair, in batches so small that a kill hits a transaction."""
    stack = Stack(broker.bootstrap, tmp_path, unique("pair"), max_records=40, session_timeout_ms=3000)
    common = stack.config.read_text().partition("outputs:")[0]
    stack.config.write_text(common + PAIRED.format(name=stack.name, window=WINDOW_SECONDS))
    stack.command("topics")
    made = Fleet(stack)
    yield made
    made.close()
    for process in stack.processes:
        print(f"--- {process.log.name}\n{last_lines(process)}")  # noqa: T201 - pytest shows it for a failed test


def log_line(event: str, number: int, at_ms: int, **more: str) -> bytes:
    """A line of the API Access Log about the request of this number."""
    second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_ms // 1000))
    names = {"Event": event, "MessageID": f"m{number}"} | more
    pairs = ", ".join(f'{name}="{value}"' for name, value in names.items())
    return f"{second}.{at_ms % 1000:03d}+0000 [][sor]{{APIAccessLog.AccessLogWriter}}[] INFO  {pairs}".encode()


def traffic(rnd: random.Random) -> tuple[list[bytes], Counter[Request]]:
    """Lines of many requests, the two of each not far apart and in any order, and the events that they must become."""
    placed: list[tuple[float, bytes]] = []
    expected: Counter[Request] = Counter()
    for number in range(REQUESTS):
        begin, latency, kind = 1_777_888_800_000 + number, rnd.randrange(5_000), rnd.random()
        opening = log_line("INCOMING_REQUEST", number, begin, RequestInURL=f"/a/{number}", UserAgent="curl/8")
        end = "ERROR" if kind > 0.9 else "REQUEST_COMPLETE"
        named = {} if end == "ERROR" else {"ResponseTo": f"m{number}", "MessageID": f"c{number}"}
        closing = log_line(end, number, begin + latency, StatusCode="200", **named)
        where = rnd.uniform(number, number + 200)
        if kind > 0.03:
            placed.append((where, opening))
        if not 0.03 < kind < 0.1:
            placed.append((rnd.uniform(number, number + 200), closing))
        flags = ("unpaired",) if kind <= 0.03 else ("never_completed",) if kind < 0.1 else ()
        expected[Request(f"m{number}", None if flags else latency, flags)] += 1
    return [line for _, line in sorted(placed)], expected


def found(event: dict[str, Any]) -> Request:
    """An event, reduced to what is expected."""
    return Request(event["meta"]["request_id"], event.get("total_time_ms"), tuple(event.get("flags", ())))


def counted(stack: Stack) -> int:
    """Requests in the partial sums of APIs, where each event is counted once."""
    sums = (decode_record(record.value or b"") for _, record in read_committed(stack.kafka, stack.rollup))
    return sum(cell.count for cells in sums for subject, row in cells if subject[0] == "a" for cell in row)


def test_kills_lose_and_double_no_request(fleet, seed):
    """Three processes are killed and started again amid lines in any order on four partitions."""
    rnd = random.Random(seed)
    stack, roles = fleet.stack, ["route-0", "route-1", "route-2"]
    lines, expected = traffic(rnd)
    fleet.start(*roles)
    feeder = Feeder(stack.kafka, stack.source)
    per_tick = len(lines) // 200
    stopped = threading.Event()

    def feed() -> None:
        for at in range(0, len(lines), per_tick):
            for line in lines[at : at + per_tick]:
                feeder.feed([line], partition=random.Random(line).randrange(4))
            stopped.wait(0.05)
        feeder.flush()

    thread = threading.Thread(target=feed, name="feed")
    thread.start()
    try:
        for _ in range(KILLS):
            routed = fleet.routed()
            fleet.until(lambda routed=routed: fleet.routed() > routed, 40, "more is routed")
            time.sleep(rnd.uniform(0, 1))
            role = rnd.choice(roles)
            fleet.kill(role)
            fleet.start(role)
    finally:
        stopped.set()
        thread.join()

    def events() -> list[dict[str, Any]]:
        return [orjson.loads(record.value or b"") for _, record in read_committed(stack.kafka, stack.clean)]

    fleet.until(lambda: len(events()) >= REQUESTS, 45, f"{REQUESTS} events")
    fleet.stop(*roles)
    made = events()
    result = Counter(map(found, made))

    assert (result - expected, expected - result) == (Counter(), Counter())
    assert len({event["meta"]["id"] for event in made}) == REQUESTS
    assert all(event["http"]["path"] for event in made if "unpaired" not in event.get("flags", ()))
    assert stack.dead_letters() == []
    assert counted(stack) == REQUESTS
