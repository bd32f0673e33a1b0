"""Cut lines on a real Kafka: put together once, though processes are killed in the middle of them."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import orjson
import pytest

from logrouter.kafka.reader import read_committed
from tests.integration.fleet import Fleet, last_lines
from tests.integration.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.broker

ROUNDS = 4
LINES = 40
SESSION_MS = 3000
JOINED = """
outputs: {{dead_letter: {{topic: {name}.dead-letter}}, rollup: {{topic: {name}.rollup, partitions: 4}}}}
sources:
  files:
    topics: [{name}.source]
    envelope: cri
    join_partial: {{max_bytes: 100000, max_wait_seconds: {wait}}}
routes:
  - {{name: edge, from: files, match: {{stream: stdout, looks_like: request}}, format: envoy, to: {name}.clean}}
"""


@pytest.fixture
def fleet(broker, tmp_path, unique) -> Iterator[Fleet]:
    """Route processes that put lines together."""
    stack = Stack(broker.bootstrap, tmp_path, unique("join"), max_records=7, session_timeout_ms=SESSION_MS)
    common = stack.config.read_text().partition("outputs:")[0]
    stack.config.write_text(common + JOINED.format(name=stack.name, wait=600))
    made = Fleet(stack)
    yield made
    made.close()
    for process in stack.processes:
        print(f"--- {process.log.name}\n{last_lines(process)}")  # noqa: T201 - pytest shows it for a failed test


def request(number: int) -> str:
    """A request that is written to a container's file in one line."""
    meta = {"uri": "/a", "request_id": str(number), "dt": "2026-05-04T10:00:00Z"}
    return orjson.dumps({"meta": meta, "http": {"method": "GET", "status_code": 200}, "total_time_ms": 5}).decode()


def piece(text: str, *, last: bool = False) -> bytes:
    """What the container runtime makes of a part of it."""
    return f"2026-05-04T10:00:00.000000001Z stdout {'F' if last else 'P'} {text}".encode()


@pytest.mark.long
def test_kill_in_the_middle_of_a_line_loses_and_doubles_nothing(fleet):
    """In each round every partition ends with half a line that is read and committed when its owner is killed."""
    stack, rnd, number = fleet.stack, random.Random(7), 0
    fleet.start("route-0", "route-1")
    for round_ in range(ROUNDS):
        for partition in range(4):
            lines: list[bytes] = []
            for _ in range(LINES):
                text, number = request(number), number + 1
                cuts = sorted(rnd.sample(range(1, len(text)), rnd.randrange(3)))
                parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
                lines += [piece(part, last=index == len(cuts)) for index, part in enumerate(parts)]
            if round_:
                lines.insert(0, piece(request(-partition - 1)[30:], last=True))
            stack.feed([*lines, piece(request(-partition - 1)[:30])], partition=partition)
        fed = fleet.ends(stack.source)
        fleet.until(lambda fed=fed: fleet.positions("route", stack.source) == fed, "all is read")
        role = rnd.choice(["route-0", "route-1"])
        fleet.kill(role)
        fleet.start(role)
        fleet.until(lambda role=role: "lane_started" in fleet.running[role].text(), "started again")
    fleet.until(lambda: stack.numbers().total() >= number + 4 * (ROUNDS - 1), "all is routed")
    fleet.stop("route-0", "route-1")

    assert stack.numbers() == Counter(range(number)) + Counter(dict.fromkeys(range(-4, 0), ROUNDS - 1))
    assert stack.dead_letters() == []
    events = [orjson.loads(record.value or b"") for _, record in read_committed(stack.kafka, stack.clean)]
    assert {tuple(event.get("flags", ())) for event in events} == {(), ("rejoined",)}


@pytest.mark.long
def test_line_without_an_end_becomes_dead_letters_while_nothing_else_comes(fleet):
    """By the clock, from an owner that has read it and from one that has it from another."""
    stack = fleet.stack
    stack.config.write_text(stack.config.read_text().replace("max_wait_seconds: 600", "max_wait_seconds: 6"))
    fleet.start("route-0")
    stack.feed([piece(request(1)[:30]), piece(request(1)[30:40])], partition=2)
    fleet.until(lambda: fleet.routed() >= 2, "read")
    fleet.kill("route-0")
    fleet.start("route-0")
    fleet.until(lambda: len(stack.dead_letters()) >= 2, "given up")
    fleet.stop("route-0")

    found = sorted((d["reason"], d["source"]["offset"]) for d in stack.dead_letters())
    assert found == [("partial", 0), ("partial", 1)]
    assert stack.numbers() == Counter()
