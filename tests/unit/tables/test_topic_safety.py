"""A tables worker warns of topics whose records may lie on one broker alone."""

from __future__ import annotations

import asyncio

import pytest

from logrouter.kafka.topic_facts import TopicFacts
from logrouter.tables import topic_safety


def test_topics_on_one_broker_alone_are_warned_of(caplog, monkeypatch):
    """Of those where another broker could have the record, too; a changelog that is not there yet says nothing."""
    cluster = {"rollup": TopicFacts(1 << 20, 1, 3), "changelog": TopicFacts()}
    monkeypatch.setattr(topic_safety, "fetch_topic_facts", lambda _kafka, topics: {t: cluster[t] for t in topics})

    asyncio.run(topic_safety.warn_of_risks({}, ("rollup", "changelog")))

    assert [(r.getMessage(), r.fields["topic"]) for r in caplog.records] == [("topic_at_risk", "rollup")]


@pytest.mark.parametrize(("replicas", "in_sync"), [(-1, None), (1, None), (2, None), (3, "2"), (5, "2")])
def test_a_new_changelog_asks_for_two_replicas_where_one_may_fail(replicas, in_sync):
    """With two replicas, two in sync would stop all writes when one broker is away."""
    assert topic_safety.safe_settings(replicas).get("min.insync.replicas") == in_sync
