"""Pairing on a real Kafka: each request one event with the right latency, whatever happens to the processes."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from logrouter.core.join import pairs
from logrouter.core.join.held_lines import PairResult, pairing_partition, record_key
from logrouter.core.join.pairs import EntryKind, PairingEntry
from logrouter.core.rollup.records import decode_record
from logrouter.kafka.producer import LineProducer
from logrouter.kafka.reader import read_committed
from logrouter.model import PairKey
from logrouter.route.pairing_restore import PairingRestore
from tests.conftest import HANG_SECONDS
from tests.integration import hanging_route
from tests.integration.fleet import Fleet, last_lines
from tests.integration.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.broker

REQUESTS = 4_000
WINDOW_SECONDS = 60
"""Longer than a busy machine takes to put another process in the place of a killed one: halves must meet in time."""
KILLS = 5
SESSION_MS = 3000
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
def fleet(broker, tmp_path, unique) -> Iterator[Fleet]:
    """Route processes that pair, in batches so small that a kill hits a transaction."""
    stack = Stack(broker.bootstrap, tmp_path, unique("pair"), max_records=40, session_timeout_ms=SESSION_MS)
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


def sleep_past_the_session(fleet: Fleet, role: str) -> None:
    """A process is stopped until others have its partitions, and wakes up with a state that is not its own any more."""
    zombie = fleet.running.pop(role)
    zombie.kill(signal.SIGSTOP)
    time.sleep(1.5 * SESSION_MS / 1000)
    zombie.kill(signal.SIGCONT)
    fleet.running[role] = zombie


@pytest.mark.long
@pytest.mark.slow
def test_kills_lose_and_double_no_request(fleet, seed):
    """Three processes are killed and started again amid lines in any order on four partitions."""
    rnd = random.Random(seed)
    stack, roles = fleet.stack, ["route-0", "route-1", "route-2"]
    lines, expected = traffic(rnd)
    fleet.start(*roles)
    feeder = LineProducer(stack.kafka, stack.source)
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
        for number in range(KILLS):
            routed = fleet.routed()
            # On a busy machine all may be routed before the last kill: what waits for its other line is still there.
            fleet.until(lambda routed=routed: fleet.routed() > routed or not thread.is_alive(), "more is routed")
            time.sleep(rnd.uniform(0, 1))
            role = rnd.choice(roles)
            if number == 1:
                sleep_past_the_session(fleet, role)
            else:
                fleet.kill(role)
                fleet.start(role)
    finally:
        stopped.set()
        thread.join()

    def events() -> list[dict[str, Any]]:
        return [orjson.loads(record.value or b"") for _, record in read_committed(stack.kafka, stack.clean)]

    fleet.until(lambda: len(events()) >= REQUESTS, f"{REQUESTS} events")
    fleet.stop(*roles)
    made = events()
    result = Counter(map(found, made))

    assert (result - expected, expected - result) == (Counter(), Counter())
    assert len({event["meta"]["id"] for event in made}) == REQUESTS
    assert all(event["http"]["path"] for event in made if "unpaired" not in event.get("flags", ()))
    assert stack.dead_letters() == []
    assert counted(stack) == REQUESTS


@pytest.mark.long
@pytest.mark.slow
def test_pairing_begins_and_ends_with_a_reload(fleet):
    """Lines from before stay as they were, those after pair, and lines that wait are finished without `pair`, too.

    The source's expression selects the pairing topic, which is a topic like others before.
    """
    stack = fleet.stack
    paired = stack.config.read_text().replace(f"[{stack.source}]", f'["^{stack.name}[.](source|pairing)$"]')
    plain = paired.replace(f"pair: {WINDOW_SECONDS}, ", "").replace("pairing:", "#")
    stack.config.write_text(plain)
    fleet.start("route-0")

    def events(count: int) -> list[Request]:
        def read() -> list[Request]:
            return [found(orjson.loads(record.value or b"")) for _, record in read_committed(stack.kafka, stack.clean)]

        fleet.until(lambda: len(read()) >= count, f"{count} events")
        return sorted(read())

    def lines(number: int, event: str) -> None:
        second = number if event == "INCOMING_REQUEST" else number + 7
        more = {"ResponseTo": f"m{number}", "MessageID": "c"} if event == "REQUEST_COMPLETE" else {}
        stack.feed([log_line(event, number, 1_777_888_800_000 + second, **more)], partition=number % 4)

    def take(text: str) -> None:
        (stack.folder / "new.yaml").write_text(text)
        (stack.folder / "new.yaml").rename(stack.config)
        applied = fleet.running["route-0"].text().count("config_applied")
        fleet.until(lambda: fleet.running["route-0"].text().count("config_applied") > applied, "taken")

    lines(1, "INCOMING_REQUEST")
    lines(1, "REQUEST_COMPLETE")
    assert events(1) == [Request("m1", None, ())]
    take(paired)
    lines(2, "REQUEST_COMPLETE")
    lines(2, "INCOMING_REQUEST")
    assert events(2)[1:] == [Request("m2", 7, ())]
    lines(3, "REQUEST_COMPLETE")
    fleet.until(
        lambda: any(value.value for _, value in read_committed(stack.kafka, f"{stack.name}.pairing.state")), "kept"
    )
    take(plain)

    assert events(3)[2:] == [Request("m3", None, ("unpaired",))]
    # Lines would be placed by another number of partitions than they are read by.
    (stack.folder / "new.yaml").write_text(paired.replace("partitions: 5", "partitions: 6"))
    (stack.folder / "new.yaml").rename(stack.config)
    fleet.until(lambda: "outputs.pairing: can't change while running" in fleet.running["route-0"].text(), "refused")
    fleet.stop("route-0")


def test_state_is_read_behind_what_a_dead_owner_left_open(broker, topics, eventually):
    """An open transaction in the changelog is waited for: committed, it is part of the state; aborted, it is not."""
    kafka = {"bootstrap.servers": broker.bootstrap}
    topic = topics("state", partitions=2, config={"cleanup.policy": "compact"})
    entry = PairingEntry(EntryKind.OPENED, 1, 1, PairResult.UNPAIRED, b"[1]", None)
    owner = Producer(kafka | {"transactional.id": topic})
    owner.init_transactions(10)

    def write(key: bytes, value: bytes | None) -> None:
        owner.produce(topic, value, key, partition=1)
        owner.flush(HANG_SECONDS)

    owner.begin_transaction()
    write(b"a", pairs.encode(entry))
    write(b"b", pairs.encode(entry))
    write(b"bad", b"no entry")
    owner.commit_transaction(10)
    for ends, key, gone in ((owner.commit_transaction, b"c", b"a"), (owner.abort_transaction, b"d", b"b")):
        owner.begin_transaction()
        write(key, pairs.encode(entry))
        write(gone, None)
        restore = PairingRestore(kafka, topic, group=topic, group_topic=topic)
        restore.add(0)
        restore.add(1)
        done: dict[int, Any] = {}

        def has(partition: int, restore: PairingRestore = restore, done: dict[int, Any] = done) -> bool:
            done.update(restore.step(0.1))
            return partition in done

        eventually(lambda has=has: has(0), "the other partition is read")
        assert 1 not in done
        ends(10)
        eventually(lambda has=has: has(1), "the partition is read")
        assert done == {0: {}, 1: {b"b": entry, b"c": entry}}
        assert not restore


def test_state_is_not_read_before_the_former_owner_has_sent_it(broker, topics, eventually):
    """Its transaction holds an offset of the partition already, and its records are still in its own queue."""
    kafka = {"bootstrap.servers": broker.bootstrap}
    source, topic = topics("pairs", partitions=2), topics("state", partitions=2)
    entry = PairingEntry(EntryKind.OPENED, 1, 1, PairResult.UNPAIRED, b"[1]", None)
    member = Consumer(kafka | {"group.id": topic})
    member.subscribe([source])
    eventually(lambda: member.poll(0.1) or len(member.assignment()) == 2, "a member of the group")
    owner = Producer(kafka | {"transactional.id": topic, "linger.ms": 30_000})
    owner.init_transactions(10)
    owner.begin_transaction()
    owner.produce(topic, pairs.encode(entry), b"a", partition=1)
    owner.send_offsets_to_transaction([TopicPartition(source, 1, 1)], member.consumer_group_metadata(), 10)
    assert len(owner) == 1

    restore = PairingRestore(kafka, topic, group=topic, group_topic=source)
    restore.add(0)
    restore.add(1)
    done: dict[int, Any] = {}

    def has(partition: int) -> bool:
        done.update(restore.step(0.1))
        return partition in done

    eventually(lambda: has(0), "the other partition is read")
    restore.add(0)  # it has gone and come again: once more it is asked for both
    del done[0]
    eventually(lambda: has(0), "the other partition is read again")
    assert (1 in done, len(owner)) == (False, 1)
    owner.commit_transaction(10)
    eventually(lambda: has(1), "the partition is read")
    member.close()

    assert done == {0: {}, 1: {b"a": entry}}


@pytest.mark.long
def test_owner_that_hangs_in_a_commit_and_wakes_doubles_no_request(broker, tmp_path, unique, eventually):
    """It has given its offsets to the transaction and sends the records after another process has its partitions."""
    stack = Stack(
        broker.bootstrap, tmp_path, unique("pair"), session_timeout_ms=SESSION_MS, transaction_timeout_ms=60_000
    )
    common = stack.config.read_text().partition("outputs:")[0]
    queueing = common.replace('"}', '", linger.ms: 30000}', 1)
    stack.config.write_text(queueing + PAIRED.format(name=stack.name, window=WINDOW_SECONDS))
    stack.command("topics")
    fleet, trigger, changelog = Fleet(stack), tmp_path / "hang", f"{stack.name}.pairing.state"
    owner = fleet.running["route-0"] = stack.start(
        *("route", "--instance", "route-0", "--metrics-port", "0"),
        program=(hanging_route.__file__, str(trigger), f"{stack.name}.pairing"),
    )
    place = [pairing_partition(record_key("access", PairKey(f"m{n}", opens=True)), 5) for n in range(40)]
    # The last partition stays with the new owner when the former one is back in the group.
    one, next_there = [n for n in range(40) if place[n] == 4][:2]
    elsewhere = place.index(3)

    def feed(number: int, event: str, partition: int = 0) -> None:
        more = {"ResponseTo": f"m{number}", "MessageID": f"c{number}"} if event == "REQUEST_COMPLETE" else {}
        ms = 0 if event == "INCOMING_REQUEST" else 7
        stack.feed([log_line(event, number, 1_777_888_800_000 + ms, **more)], partition=partition)

    def events() -> list[Request]:
        return [found(orjson.loads(record.value or b"")) for _, record in read_committed(stack.kafka, stack.clean)]

    try:
        feed(one, "INCOMING_REQUEST")
        feed(elsewhere, "INCOMING_REQUEST")
        eventually(lambda: len([*read_committed(stack.kafka, changelog)]) == 2, "the first lines wait")
        before = fleet.ends(changelog), fleet.ends(stack.clean)
        trigger.touch()
        feed(one, "REQUEST_COMPLETE")
        stat = Path(f"/proc/{owner.popen.pid}/stat")
        eventually(lambda: not trigger.exists() and stat.read_text().split()[2] == "T", "it hangs")
        assert (fleet.ends(changelog), fleet.ends(stack.clean)) == before

        fleet.start("route-1")
        new, restored = fleet.running["route-1"], "pairing_restored partition="
        eventually(lambda: f"{restored}3 pending=1" in new.text(), "another process has them")
        assert f"{restored}4 " not in new.text()
        owner.kill(signal.SIGCONT)
        eventually(events, "it goes on and commits")
        fleet.kill("route-0")
        feed(elsewhere, "REQUEST_COMPLETE")
        # Were the first request still known as open, this line would make it an event once more.
        feed(one, "REQUEST_COMPLETE")
        feed(next_there, "INCOMING_REQUEST")
        feed(next_there, "REQUEST_COMPLETE")
        eventually(lambda: len(events()) >= 3, "what comes after it")

        assert sorted(events()) == sorted(Request(f"m{n}", 7, ()) for n in (one, elsewhere, next_there))
    finally:
        fleet.close()
