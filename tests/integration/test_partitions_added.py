"""A source topic gets more partitions while the route lane runs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from tests.conftest import HANG_SECONDS
from tests.integration.fleet import Fleet, last_lines
from tests.integration.stack import Stack, request_line

if TYPE_CHECKING:
    from collections.abc import Iterator

# librdkafka looks for new partitions every ten seconds.
pytestmark = [pytest.mark.broker, pytest.mark.long]


@pytest.fixture
def fleet(broker, tmp_path, unique) -> Iterator[Fleet]:
    """Processes on a source of one partition."""
    stack = Stack(broker.bootstrap, tmp_path, unique("more"), partitions=1, session_timeout_ms=3000)
    made = Fleet(stack)
    yield made
    made.close()
    for process in stack.processes:
        print(f"--- {process.log.name}\n{last_lines(process)}")  # noqa: T201 - pytest shows it for a failed test


def test_partitions_that_are_added_are_read_from_their_start(fleet):
    """What was written to them before the group knew of them is not skipped, and nothing is read twice."""
    stack = fleet.stack
    fleet.start("route-0", "route-1")
    stack.feed([request_line(number, "a") for number in range(50)])
    fleet.until(lambda: fleet.routed() >= 50, "the first partition is routed")
    admin = AdminClient(stack.kafka)
    admin.create_partitions([NewPartitions(stack.source, 4)])[stack.source].result(HANG_SECONDS)
    for partition in range(4):
        first = 50 + 25 * partition
        stack.feed([request_line(number, "a") for number in range(first, first + 25)], partition=partition)
    fleet.until(lambda: stack.numbers().total() >= 150, "all is routed")
    assigned = "".join(fleet.running[role].text() for role in fleet.running).count(f"{stack.source}:3")
    fleet.stop("route-0", "route-1")

    assert assigned > 0
    assert stack.numbers() == Counter(range(150))
