"""Ids of topics: a topic that was deleted and made anew has the same name and another id (Kafka since 2.8, KIP-516)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from logrouter.kafka.client import make_client, plain_settings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class TopicIds:
    """Asks the cluster for ids of topics. Nothing connects before the first question."""

    def __init__(self, kafka: Mapping[str, Any]) -> None:
        """*kafka* is the `kafka:` block of topics.yaml."""
        self._kafka = plain_settings(kafka)
        self._admin: AdminClient | None = None

    def fetch(self, topics: Collection[str], seconds: float) -> dict[str, str]:
        """The ids, 22 characters each, by topic; without the topics of which none was to be had within *seconds*."""
        if not topics:
            return {}
        if self._admin is None:
            self._admin = make_client(AdminClient, self._kafka)
        found = {}
        for topic, asked in self._admin.describe_topics(
            TopicCollection(sorted(topics)), request_timeout=seconds
        ).items():
            try:
                found[topic] = str(asked.result().topic_id)
            except KafkaException:
                continue
        return found
