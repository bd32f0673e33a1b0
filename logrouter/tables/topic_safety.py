"""Whether the topics that the tables rest on lie on more than one broker when a record counts as written."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from logrouter.kafka.topic_facts import SAFE_IN_SYNC, SAFE_REPLICAS, fetch_topic_facts, warn_if_at_risk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def safe_settings(replication_factor: int) -> dict[str, str]:
    """Settings of a new topic with so many replicas; -1, the brokers' default, is not known beforehand."""
    return {"min.insync.replicas": str(SAFE_IN_SYNC)} if replication_factor >= SAFE_REPLICAS else {}


async def warn_of_risks(kafka: Mapping[str, Any], topics: Sequence[str]) -> None:
    """Log each of *topics* whose records may lie on one broker alone though there are replicas enough.

    *kafka* are settings as librdkafka takes them. Says nothing where the cluster does not tell: the topic may not be
    there yet, or the right to ask may be missing.
    """
    for topic, facts in (await asyncio.to_thread(fetch_topic_facts, kafka, topics)).items():
        warn_if_at_risk(topic, facts)
