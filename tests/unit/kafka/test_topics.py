"""Topics as they are made: how many replicas must have a record."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from logrouter.kafka.topics import WantedTopic, _find_drift, make_safe


@pytest.mark.parametrize(
    ("factor", "default", "config", "in_sync"),
    [
        (3, None, {}, "2"),
        (5, None, {}, "2"),
        (2, None, {}, None),
        (1, 3, {}, None),
        (-1, 3, {}, "2"),
        (-1, 1, {}, None),
        (-1, None, {}, None),
        (3, None, {"min.insync.replicas": "3"}, "3"),
    ],
)
def test_two_replicas_in_sync_where_one_may_fail(factor, default, config, in_sync):
    """With two replicas, two in sync would stop all writes when one broker is away; -1 is the cluster's default."""
    made = make_safe(WantedTopic("t", 1, factor, config), default)

    assert made.config.get("min.insync.replicas") == in_sync


@pytest.mark.parametrize(
    ("replicas", "in_sync", "drifts"), [(3, "1", True), (3, "2", False), (2, "1", False), (1, "1", False)]
)
def test_a_topic_that_lies_on_one_broker_alone_has_drifted(replicas, in_sync, drifts):
    """Where there are replicas enough to ask for two."""
    partitions = {0: SimpleNamespace(replicas=[*range(replicas)])}

    assert bool(_find_drift(WantedTopic("t", 1), partitions, {"min.insync.replicas": in_sync})) == drifts
