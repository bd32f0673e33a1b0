"""What tests share tells as much of a failure as the tests themselves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest

from logrouter.devkafka.jars import DevKafkaError
from tests.fake_kafka.cluster import FakeCluster
from tests.integration.fleet import Fleet
from tests.one_broker import OneBroker, ask


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ({0: (["0:7"], ["0:9"]), 1: (["1:7"], ["1:8", "1:9"])}, "1 requests.* in the clean topic.*'1:8', '1:9'"),
        ({0: (["0:7"], ["0:9"]), 1: (["1:7"], [])}, "1 requests.* in the clean topic.*{1: .*'1:7'"),
        ({0: (["0:7"], ["0:9"])}, "once in the source topic.*{1: "),
        ({0: (["0:7"], ["0:9"]), 1: (["1:7", "1:8"], ["1:9", "1:10"])}, "once in the source topic.*'1:7', '1:8'"),
    ],
    ids=["doubled", "lost", "never stored", "stored twice"],
)
def test_a_fleet_that_is_not_exact_says_which_request_and_whose_doing_it_is(places, said):
    """A line that the feeder stored twice, or not at all, is told from one that the lanes doubled or lost."""
    stack, traffic = SimpleNamespace(places=lambda: places), SimpleNamespace(requests=2)

    with pytest.raises(AssertionError, match=f"(?s){said}"):
        Fleet(cast("Any", stack)).assert_exact(cast("Any", traffic))


def test_an_assertion_of_the_unit_tests_cluster_says_its_values():
    """What a transaction was when it was to be committed."""
    cluster = FakeCluster({})
    transaction = cluster.begin("name")
    cluster.abort(transaction)

    with pytest.raises(AssertionError, match="aborted"):
        cluster.commit(transaction)


class _FakeKafka:
    """As much of an embedded broker as a run has to do with."""

    bootstrap = "127.0.0.1:9"

    def __init__(self, done: list[str], error: str = "") -> None:
        self._done, self._error = done, error

    def __enter__(self):
        self._done.append("start")
        if self._error:
            raise DevKafkaError(self._error)
        return self

    def __exit__(self, *_: object) -> None:
        self._done.append("end")


def test_workers_share_one_broker_that_starts_when_one_of_them_asks():
    """However many ask at the same time; it ends with the run."""
    done: list[str] = []
    shared = OneBroker(cast("Any", lambda: _FakeKafka(done)))
    assert done == []

    with ThreadPoolExecutor(8) as workers:
        assert set(workers.map(ask, [shared.place] * 8)) == {"127.0.0.1:9"}
    assert done == ["start"]

    shared.close()
    assert done == ["start", "end"]


def test_a_broker_that_does_not_start_is_tried_once_and_said_to_every_worker():
    """Without it every test would wait for a start that fails."""
    done: list[str] = []
    shared = OneBroker(cast("Any", lambda: _FakeKafka(done, "no Java")))
    try:
        for _ in range(2):
            with pytest.raises(RuntimeError, match="no Java"):
                ask(shared.place)
    finally:
        shared.close()
    assert done == ["start"]


def test_a_run_in_which_nobody_asks_for_a_broker_starts_none():
    """As one of unit tests alone."""
    done: list[str] = []
    OneBroker(cast("Any", lambda: _FakeKafka(done))).close()
    assert done == []
