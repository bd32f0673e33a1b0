"""A real OpenSearch node for the whole run, and a sink between it and the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from logrouter.devsearch.node import OpenSearchNode
from tests.integration.sinks.stack import SinkStack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SMALL = {
    "thread_pool.write.size": "1",
    "thread_pool.write.queue_size": "1",
    "indexing_pressure.memory.limit": "1mb",
    # Tests make many indices, none of which they look after.
    "cluster.max_shards_per_node": "10000",
}
"""A node that is overloaded by a handful of requests: it refuses items, or whole requests, with 429."""


@pytest.fixture(scope="session")
def node(pytestconfig: pytest.Config) -> Iterator[OpenSearchNode]:
    """One node for all tests: each has an index of its own."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def progress(line: str) -> None:
        if line.startswith("downloading"):  # a first one takes a while
            with capture.global_and_fixture_disabled():
                print(f"\n[search] {line}", end="", flush=True)  # noqa: T201

    with OpenSearchNode(progress=progress, settings=SMALL) as started:
        yield started


@pytest.fixture
def make_sink(broker, node, tmp_path, unique) -> Iterator[Callable[..., SinkStack]]:
    """Make a stack with these options of the sink; its processes end with the test."""
    made: list[SinkStack] = []

    def make(**options: Any) -> SinkStack:
        stack = SinkStack(broker.bootstrap, tmp_path, unique("search"), node.url, **options)
        made.append(stack)
        return stack

    yield make
    for stack in made:
        stack.close()
