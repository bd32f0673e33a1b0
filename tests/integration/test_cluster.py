"""The route lane on three brokers: answers that are lost, coordinators and leaders that die, replicas that go away."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import NewTopic

from logrouter.kafka.connection import BrokerState
from logrouter.kafka.consumer import GroupConsumer
from logrouter.kafka.reader import read_committed
from logrouter.kafka.transaction import BatchSize, open_producer
from tests.conftest import HANG_SECONDS
from tests.integration.cluster import BROKERS, DevCluster
from tests.integration.fleet import FENCED, Fleet, last_lines
from tests.integration.proxy import Action, Api, Fault, Way
from tests.integration.stack import Stack
from tests.integration.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# One worker of xdist runs all of them, so that there is one cluster.
pytestmark = [pytest.mark.broker, pytest.mark.long, pytest.mark.xdist_group("cluster")]

GROUPS, TRANSACTIONS = "__consumer_offsets", "__transaction_state"


@pytest.fixture(scope="module")
def running() -> Iterator[DevCluster]:
    """The cluster of this file's tests."""
    with DevCluster() as made:
        yield made


@pytest.fixture
def cluster(running) -> Iterator[DevCluster]:
    """The same, whole again after each test."""
    yield running
    running.heal()


@pytest.fixture
def make(cluster, tmp_path, unique) -> Iterator[Callable[..., Fleet]]:
    """Make a fleet behind the cluster's proxy, observed past it; texts of topics.yaml can be replaced."""
    fleets: list[Fleet] = []

    def fleet(replace: dict[str, str] | None = None, **settings: int) -> Fleet:
        chosen = {"session_timeout_ms": 3000, "transaction_timeout_ms": 4000, "max_records": 100, **settings}
        stack = Stack(cluster.proxied, tmp_path, unique("cluster"), **chosen)
        stack.kafka = {"bootstrap.servers": cluster.bootstrap}
        text = stack.config.read_text()
        for old, new in (replace or {}).items():
            assert old in text
            text = text.replace(old, new)
        stack.config.write_text(text)
        fleets.append(Fleet(stack))
        return fleets[-1]

    yield fleet
    cluster.heal()
    for made in fleets:
        made.close()
        for process in made.stack.processes:
            print(f"--- {process.log.name}\n{last_lines(process)}")  # noqa: T201 - pytest shows it for a failed test


def test_cluster_loses_a_node_and_takes_it_back(cluster, unique, eventually):
    """Three replicas in sync; what a killed node led is led by another; a frozen one falls out and comes back."""
    topic = unique("whole")
    cluster.admin.create_topics([NewTopic(topic, 1, -1)])[topic].result(HANG_SECONDS)
    first = cluster.leader(topic, 0)
    assert cluster.in_sync(topic, 0) == set(BROKERS)
    cluster.nodes[first].kill()
    eventually(lambda: cluster.leader(topic, 0) not in {-1, first}, "led by another")
    frozen = (cluster.in_sync(topic, 0) - {cluster.leader(topic, 0)}).pop()
    cluster.nodes[frozen].freeze()
    eventually(lambda: len(cluster.in_sync(topic, 0)) == 1, "one replica in sync")
    cluster.heal()
    assert cluster.in_sync(topic, 0) == set(BROKERS)


def test_cluster_knows_who_coordinates(cluster, eventually):
    """As the brokers themselves say, of groups whose names have hashes of either sign."""

    def told(group: str) -> int | None:
        found = cluster.admin.describe_consumer_groups([group], request_timeout=HANG_SECONDS)[group]
        try:
            return found.result().coordinator.id
        except KafkaException:  # such as: the coordinator is loading
            return None

    for group in ("group-1", "cluster-959dea32804f-route", "a", "some other name of a group"):
        eventually(lambda group=group: told(group) == cluster.coordinator(GROUPS, group), f"both agree on {group}")


def test_commit_whose_answer_is_lost_counts_once(cluster, make, seed):
    """The transaction is committed, and the lane doesn't hear of it; or the lane asked for that, and nobody heard."""
    fleet = make()
    fleet.start("route-0", "tables-0")
    name = transactional_id(fleet, "route-0").encode()
    with Traffic(fleet.stack, seed, rate=200) as traffic:
        for action, way in (
            (Action.SWALLOW, Way.ANSWER),
            (Action.SWALLOW, Way.REQUEST),
            (Action.RESET, Way.ANSWER),
            (Action.HALF_CLOSE, Way.ANSWER),
        ):
            fleet.until_both_work(by=50)
            lost = cluster.proxy.add(Fault(action, way, Api.END_TXN, containing=name))
            lost.await_hit()
            fleet.until_both_work(by=100)
            assert len(lost.hits) == 1
    fleet.settle()
    fleet.assert_exact(traffic)


def hold_at_coordinator(cluster, fleet, make_fault, topic, name):
    """The fault that is made, once it has hit a request to the node that leads the partition of *name* in *topic*.

    Leaders go back to a node that is back: until clients and all nodes know, a request is held elsewhere.
    """
    deadline = time.monotonic() + HANG_SECONDS
    while True:
        held = cluster.proxy.add(make_fault())
        held.await_hit()
        if held.hits[0].node == cluster.coordinator(topic, name):
            return held
        assert time.monotonic() < deadline, f"no request went to the coordinator of {name}"
        held.release()
        fleet.until_both_work(by=50)


@pytest.mark.parametrize(("topic", "api"), [(TRANSACTIONS, Api.END_TXN), (GROUPS, Api.TXN_OFFSET_COMMIT)])
def test_coordinator_dies_in_mid_commit(cluster, make, seed, topic, api):
    """Before it has got the request, and after it has done what it says: its successor knows which."""
    fleet = make()
    fleet.start("route-0", "tables-0")
    group = f"{fleet.stack.name}-route"
    with Traffic(fleet.stack, seed, rate=200) as traffic:
        fleet.until_both_work()
        for way in Way:
            name = group if topic == GROUPS else transactional_id(fleet, "route-0")
            held = hold_at_coordinator(
                cluster, fleet, lambda way=way: Fault(Action.HOLD, way, api, containing=group.encode()), topic, name
            )
            node = held.hits[0].node
            cluster.nodes[node].kill()
            held.release()
            fleet.until_both_work(by=200)
            cluster.heal()
            fleet.until_both_work(by=50)
    fleet.settle()
    fleet.assert_exact(traffic)


@pytest.mark.parametrize("way", Way)
def test_records_that_time_out_are_aborted_and_read_again(cluster, make, seed, way):
    """No broker takes events, or a broker has taken them without saying so, for longer than they may take."""
    fleet = make(
        {"kafka: {": "kafka: {message.timeout.ms: 1500, socket.timeout.ms: 1000, "}, transaction_timeout_ms=20_000
    )
    fleet.start("route-0", "tables-0")
    clean = fleet.stack.clean.encode()
    with Traffic(fleet.stack, seed, rate=200) as traffic:
        fleet.until_both_work()
        lost = cluster.proxy.add(Fault(Action.SWALLOW, way, Api.PRODUCE, containing=clean, times=None))
        fleet.until(lambda: "transaction_aborted" in fleet.running["route-0"].text(), "aborted")
        lost.release()
        fleet.until_both_work(by=200)
    assert lost.hits
    assert "_TIMED_OUT" in fleet.running["route-0"].text()
    fleet.settle()
    fleet.assert_exact(traffic)


def test_records_of_an_aborted_transaction_do_not_stand_for_the_next_ones(cluster, unique):
    """A broker has stored them, nobody heard of that, and they are dropped: as many new ones are no repetition."""
    topic, kafka = unique("out"), {"bootstrap.servers": cluster.proxied}
    cluster.admin.create_topics([NewTopic(topic, 1, -1)])[topic].result(HANG_SECONDS)
    consumer = GroupConsumer(
        kafka, group=unique("group"), instance=None, session_timeout_ms=6000, on_error=lambda _error: None
    )
    producer = open_producer(
        kafka,
        transactional_id=unique("writer"),
        timeout_ms=20_000,
        broker=BrokerState(),
        give_up=lambda: False,
        batches=BatchSize(),
    )
    producer.initialise()

    def write(*values: bytes) -> None:
        producer.begin()
        for value in values:
            producer.produce(topic, value, None, [], 0)

    def commit() -> None:
        producer.commit_later([], consumer._consumer.consumer_group_metadata())
        producer.await_commit()

    write(b"before")
    commit()
    stored = cluster.proxy.add(Fault(Action.HOLD, Way.ANSWER, Api.PRODUCE, containing=topic.encode()))
    write(b"dropped 1", b"dropped 2")
    stored.await_hit()
    again = cluster.proxy.add(Fault(Action.RESET, Way.REQUEST, Api.PRODUCE, containing=topic.encode(), times=None))
    cluster.proxy.reset_all()
    again.await_hit()
    producer.abort()
    cluster.proxy.clear()
    write(b"after 1", b"after 2")
    commit()
    producer.close()
    consumer.close()

    values = [record.value for _, record in read_committed({"bootstrap.servers": cluster.bootstrap}, topic)]
    assert values == [b"before", b"after 1", b"after 2"]


def test_static_member_restarts_and_no_partition_moves(make, seed):
    """Stopped, then killed, and back within the session: it has its partitions again, and the other never moves any."""
    fleet = make({"route_lane:": "route_lane:\n  static_membership: true"}, session_timeout_ms=20_000)
    fleet.start("route-0", "tables-0")
    with Traffic(fleet.stack, seed, rate=200) as traffic:
        fleet.until(lambda: assigned(fleet, "route-0", 4), "one has all")
        fleet.start("route-1")
        fleet.until(lambda: assigned(fleet, "route-0", 2) and assigned(fleet, "route-1", 2), "shared")
        kept, moved = moves(fleet, "route-0"), moves(fleet, "route-1")
        for end in (fleet.stop, fleet.kill):
            fleet.until_both_work(by=100)
            end("route-1")
            fleet.start("route-1")
            fleet.until(lambda: assigned(fleet, "route-1", 2), "back")
            assert moves(fleet, "route-1") == [moved[-1]]
            fleet.until_both_work(by=100)
    fleet.settle()
    assert moves(fleet, "route-0") == kept
    fleet.assert_exact(traffic)


@pytest.mark.parametrize("busy", [True, False])
def test_second_process_of_a_static_id_fences_the_first(make, seed, busy):
    """The older one ends with 75 and says why, whether it works or has nothing to do; the newer one goes on."""
    fleet = make({"route_lane:": "route_lane:\n  static_membership: true"})
    fleet.start("route-0", "tables-0")
    with Traffic(fleet.stack, seed, rate=200) as traffic:
        fleet.until_both_work(by=100)
        if busy:
            older = fleet.running.pop("route-0")
            fleet.start("route-0")
            assert older.wait() == FENCED
            fleet.until_both_work(by=200)
    if not busy:
        fleet.settle()
        older = fleet.running.pop("route-0")
        fleet.start("route-0")
        assert older.wait() == FENCED
    assert "another process runs under the same instance name" in older.text()
    fleet.settle()
    fleet.assert_exact(traffic)
    assert fleet.fenced == []


def test_frozen_between_offsets_and_records(cluster, make, seed):
    """The coordinator has its offsets, its records are on their way: it sleeps, another goes on, the records arrive."""
    fleet = make()
    fleet.start("route-0", "route-1", "tables-0")
    group = f"{fleet.stack.name}-route"
    mine = transactional_id(fleet, "route-0").encode()
    with Traffic(fleet.stack, seed, rate=200) as traffic:
        fleet.until(lambda: assigned(fleet, "route-0", 2) and assigned(fleet, "route-1", 2), "shared")
        fleet.until_both_work(by=100)
        ended = cluster.proxy.add(Fault(Action.WATCH, Way.REQUEST, Api.END_TXN, containing=mine, times=None))
        offsets = cluster.proxy.add(Fault(Action.WATCH, Way.ANSWER, Api.TXN_OFFSET_COMMIT, containing=mine, times=None))
        ended.await_hit()
        # Requests for offsets must not wait behind records: those to the group's coordinator pass.
        others = set(BROKERS) - {cluster.coordinator(GROUPS, group)}
        records = [
            cluster.proxy.add(Fault(Action.HOLD, Way.REQUEST, Api.PRODUCE, node=node, containing=mine, times=None))
            for node in others
        ]
        fleet.until(
            lambda: any(r.hits for r in records) and offsets.hits and offsets.hits[-1].at > ended.hits[-1].at,
            "offsets without records",
        )
        frozen = fleet.running.pop("route-0")
        frozen.kill(signal.SIGSTOP)
        held, seen = sum(len(r.hits) for r in records), len(ended.hits)
        fleet.until(lambda: assigned(fleet, "route-1", 4), "the other one has all")
        fleet.until_both_work(by=200)
        for each in records:
            each.release()
        fleet.until_both_work(by=200)
        assert (held > 0, len(ended.hits)) == (True, seen)
        frozen.kill(signal.SIGCONT)
        fleet.running["route-0"] = frozen
        fleet.until(lambda: assigned(fleet, "route-0", 2), "shared again")
        fleet.until_both_work(by=100)
    fleet.settle()
    fleet.assert_exact(traffic)


def test_leaders_move_amid_the_stream(cluster, make, seed):
    """Nodes are restarted in turn, and what one led goes away from it and back: elections in order."""
    fleet = make()
    fleet.start("route-0", "route-1", "tables-0")
    with Traffic(fleet.stack, seed, rate=200) as traffic:
        fleet.until_both_work()
        for node in BROKERS[:2]:
            led = [p for p in range(4) if cluster.leader(fleet.stack.source, p) == node]
            assert led
            cluster.nodes[node].stop()
            fleet.until(
                lambda led=led, node=node: all(cluster.leader(fleet.stack.source, p) not in {-1, node} for p in led),
                "led by others",
            )
            fleet.until_both_work(by=50)
            cluster.heal()
            fleet.until(
                lambda led=led, node=node: all(cluster.leader(fleet.stack.source, p) == node for p in led), "given back"
            )
            fleet.until_both_work(by=50)
    fleet.settle()
    fleet.assert_exact(traffic)


def test_too_few_replicas_make_the_lane_wait(cluster, make, seed):
    """Two of three nodes go away for longer than a transaction may take: nothing is committed, and all of it later."""
    fleet = make()
    fleet.start("route-0", "tables-0")
    source = fleet.stack.source
    with Traffic(fleet.stack, seed, rate=200) as traffic:
        fleet.until_both_work()
        for node in BROKERS[1:]:
            cluster.nodes[node].kill()
        fleet.until(lambda: all(cluster.in_sync(source, p) == {BROKERS[0]} for p in range(4)), "one replica in sync")
        fleet.until(lambda: "broker_down" in fleet.running["route-0"].text(), "the lane says that it waits")
        before, by = fleet.routed(), time.monotonic() + 6
        fleet.until(lambda: time.monotonic() > by, "longer than a transaction may take")
        assert fleet.routed() == before
        cluster.heal()
        fleet.until_both_work(by=200)
    fleet.settle()
    fleet.assert_exact(traffic)


def transactional_id(fleet: Fleet, role: str) -> str:
    """That of a route process (docs/adr/0022), whose group has a hyphen in it."""
    return f"{fleet.stack.name}-route-:{role}"


def rebalances(fleet: Fleet, role: str) -> list[str]:
    """What the log of a route process says of partitions that came and went, without times."""
    return [line.partition(" ")[2] for line in fleet.running[role].text().splitlines() if " partitions_" in line]


def moves(fleet: Fleet, role: str) -> list[str]:
    """The same without rebalances in which nothing came or went."""
    return [said for said in rebalances(fleet, role) if "partitions=none" not in said]


def assigned(fleet: Fleet, role: str, count: int) -> bool:
    """Whether a route process has that many partitions now."""
    said = rebalances(fleet, role)
    return bool(said) and said[-1].endswith(f" assigned={count}")
