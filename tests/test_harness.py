"""What tests share tells as much of a failure as the tests themselves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.fake_kafka.cluster import FakeCluster
from tests.integration.fleet import Fleet


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
