"""What a group has committed, asked without waiting and without being a member.

In two steps: librdkafka (2.16) dies of a segmentation fault if the broker that is asked for offsets answers that it is
not the group's coordinator, any more or yet: it tells that to a consumer, which an admin client does not have. So the
coordinator is asked for a description of the group first, which may be refused; offsets are asked for right after that.
"""

from __future__ import annotations

import time
from concurrent.futures import wait
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Collection
    from concurrent.futures import Future

    from confluent_kafka.admin import AdminClient

    from logrouter.kafka.records import Partition

_NEVER_SECONDS: Final = 3600.0
"""A question that times out while the coordinator is looked for aborts the process when an answer comes after all
(librdkafka 2.16, `rd_kafka_enq_once`): so none does, and who asks looks at the time."""
_MOMENT_SECONDS: Final = 0.05
"""How long the first step is waited for: it usually takes a few milliseconds, else a turn of the lane."""

COORDINATOR_ERRORS: Final = frozenset(
    {
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.NOT_COORDINATOR,
    }
)
"""They end by themselves, but a client remembers who was the coordinator: a new one asks anew."""


class GroupOffsets:
    """One question: which offsets *group* has committed for *partitions*. Called from one thread."""

    def __init__(self, client: AdminClient, group: str, partitions: Collection[Partition], seconds: float) -> None:
        """After *seconds* it is overdue; *client* must live until the answer is there (`retire_client`)."""
        self._client, self._group, self._due_at = client, group, time.monotonic() + seconds
        self._partitions = [TopicPartition(*at) for at in partitions]
        self._answer: Future[Any] | None = None
        self._described: Future[Any] = client.describe_consumer_groups([group], request_timeout=_NEVER_SECONDS)[group]
        wait([self._described], _MOMENT_SECONDS)
        self.is_done()

    def is_done(self) -> bool:
        """Whether the answer is there; goes on to the second step."""
        if self._answer is None and self._described.done():
            self._answer = self._described if self._described.exception() else self._ask_offsets()
        return self._answer is not None and self._answer.done()

    @property
    def is_overdue(self) -> bool:
        """Whether the answer should be there by now: another client may have better luck."""
        return time.monotonic() > self._due_at

    def _ask_offsets(self) -> Future[Any]:
        asked = [ConsumerGroupTopicPartitions(self._group, self._partitions)]
        answers = self._client.list_consumer_group_offsets(asked, require_stable=True, request_timeout=_NEVER_SECONDS)
        answer: Future[Any] = answers[self._group]
        return answer

    def result(self) -> dict[Partition, TopicPartition]:
        """The answer: each partition with its offset, or its own error, such as that the offset is not stable yet.

        Raises:
            KafkaException: there is no answer about any of them.
        """
        assert self._answer is not None  # noqa: S101 - `is_done` was true
        return {(each.topic, each.partition): each for each in self._answer.result().topic_partitions}
