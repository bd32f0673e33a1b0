"""Answers while workers stop, die and come back: no error, no number that is not what its position says."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter

import pytest

from tests.conftest import HANG_SECONDS

pytestmark = pytest.mark.broker

CLIENTS = 12


class Balancer:
    """Asks without a pause, of each worker in turn; where a connection is refused or cut, of the next, as balancers do.

    It remembers for each partition what was answered at which offset: an answer that reaches at least as far must not
    count less.
    """

    def __init__(self, workers):
        self.workers = workers
        self.statuses = Counter()
        self.roles = Counter()
        self.faults = []
        self._best = {}
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(2)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def ask(self, path, first=0):
        """Status and body of the first worker that answers."""
        for number in range(len(self.workers)):
            port = self.workers[(first + number) % len(self.workers)].port
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANG_SECONDS)
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                return response.status, json.loads(response.read()), port
            except (ConnectionError, http.client.RemoteDisconnected):
                continue
            finally:
                connection.close()
        return 0, None, 0

    def _run(self, start):
        number = start
        while not self._stop.is_set():
            number += 2
            client = f"client{number % CLIENTS}"
            path = "/v1/clients?window=life" if number % 7 == 0 else f"/v1/clients/{client}"
            status, body, port = self.ask(path, number)
            self.statuses[status] += 1
            if status != 200:
                self.faults.append((time.time(), port, path, status, body))
                continue
            placed = body["freshness"]["partitions"]
            self.roles.update(one["role"] for one in placed)
            if "lifetime" in body:
                self._check(client, body["lifetime"]["count"], placed[0])
            else:
                offset = min((one["offset"] or 0) for one in placed)
                self._check("*", body["total"]["count"], {"offset": offset, "partition": "*"})

    def _check(self, client, count, placed):
        offset = -1 if placed["offset"] is None else placed["offset"]
        known = self._best.get(client, [])
        if any(offset >= at and count < least for at, least in known):
            self.faults.append((client, count, placed, known))
        if client != "*":
            # The best of what is known at any offset: few points, as both only rise.
            self._best[client] = [(at, n) for at, n in known if at > offset or n > count] + [(offset, count)]


def settled(workers):
    """Whether all workers are ready and share all partitions."""
    shares = []
    for worker in workers:
        status, body = worker.get("/readyz")
        if status != 200:
            return False
        shares += body["partitions"]
    return sorted(shares) == [0, 1, 2, 3]


def followed(worker):
    """Whether every partition is answered by its owner."""
    status, body = worker.get("/v1/totals?window=life")
    return status == 200 and not body["freshness"]["stale"]


@pytest.fixture
def three(lane, eventually):
    """Three workers with standbys that hold everything there is."""
    workers = [lane.worker(name, standby_replicas=1) for name in "abc"]
    eventually(lambda: settled(workers), message="shared")
    lane.feed(6, clients=CLIENTS)
    eventually(lane.caught_up, message="caught up")
    return workers


def test_rolling_restart_shows_in_no_answer_but_by_its_mark(lane, three, eventually):
    """Each worker is stopped and started again under constant questions: no error, no count that shrinks."""
    with Balancer(three) as balancer:
        for number, name in enumerate("abc"):
            lane.feed(4, clients=CLIENTS)
            assert three[number].stop() == 0
            three[number] = lane.worker(name, standby_replicas=1)
            eventually(lambda: settled(three), message=f"{name} is back")
    assert balancer.faults == []
    assert set(balancer.statuses) == {200}
    assert balancer.roles["standby"] > 0
    assert balancer.roles["active"] > 0
    eventually(lane.caught_up, message="caught up")
    for worker in three:
        # On a busy machine partitions may move once more; until they are settled answers are marked, and may be older.
        eventually(lambda w=worker: lane.lifetimes(w) == lane.expected_lifetimes() and followed(w), "exact, not stale")
    assert lane.differences() == {}


def test_standbys_answer_for_a_worker_that_was_killed(lane, three, eventually):
    """At once, marked as stale, and exactly what had been flushed; exact again when its partitions have moved."""
    expected = lane.expected_lifetimes()
    # Of three workers one may be given standbys alone.
    owned = {worker: set(worker.get("/readyz")[1]["partitions"]) for worker in three}
    victim, theirs = next((worker, owned[worker]) for worker in reversed(three) if owned[worker])
    left = [worker for worker in three if worker is not victim]
    eventually(lambda: replicated(lane, three), message="replicas are whole")
    victim.kill()
    for worker in left:
        status, body = worker.get("/v1/clients?window=life&limit=1000")
        assert (status, body["total"]["count"], body["freshness"]["stale"]) == (200, sum(expected.values()), True)
        roles = {one["partition"]: one["role"] for one in body["freshness"]["partitions"]}
        assert {partition for partition, role in roles.items() if role == "standby"} == theirs
        assert lane.lifetimes(worker) == expected
    lane.feed(4, clients=CLIENTS)
    with Balancer(left) as balancer:
        eventually(lambda: settled(left), message="moved")
        eventually(lane.caught_up, message="caught up")
    assert balancer.faults == []
    for worker in left:
        eventually(lambda w=worker: lane.lifetimes(w) == lane.expected_lifetimes() and followed(w), "exact, not stale")
    assert lane.differences() == {}


def replicated(lane, workers):
    """Whether every partition is held by an owner and a standby at least, and all of them have its last record.

    Asked as another worker would ask, a worker answers from its own rows, or says that it does not hold them (421).
    """
    for client, count in lane.expected_lifetimes().items():
        answers = [worker.get(f"/v1/clients/{client}", X_Logrouter_Hop="1") for worker in workers]
        held = [body["lifetime"]["count"] for status, body in answers if status == 200]
        if len(held) < 2 or set(held) != {count}:
            return False
    return True
