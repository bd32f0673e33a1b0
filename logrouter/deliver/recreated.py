"""Notices that a topic was deleted and made anew while its partitions are ours.

librdkafka reads on at the same offset if the new topic has as many records: what is before it would never be read.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from logrouter.kafka.topic_ids import TopicIds, answer_of
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from concurrent.futures import Future

    from logrouter.kafka.assignment import Assignment
    from logrouter.kafka.records import Partition

_CHECK_SECONDS: Final = 10.0
_ASK_SECONDS: Final = 5.0


class RecreatedPartitions:
    """Asks for the ids of topics that are read, every ten seconds; never waits for an answer."""

    def __init__(
        self, kafka: Mapping[str, Any], assignment: Assignment, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """*kafka* is the `kafka:` block of topics.yaml; *clock* gives seconds that never go back."""
        self._ids = TopicIds(kafka)
        self._assignment = assignment
        self._clock = clock
        self._ask_at = clock() + _CHECK_SECONDS
        self._asked: Mapping[str, Future[Any]] = {}

    def ask_soon(self) -> None:
        """A topic may be another one: ask at once."""
        self._ask_at = 0.0

    def take(self) -> Collection[Partition]:
        """Partitions of topics that have another id than the one that was read."""
        now = self._clock()
        if not self._asked:
            if now >= self._ask_at:
                self._ask_at = now + _CHECK_SECONDS
                self._asked = self._ids.ask({topic for topic, _ in self._assignment.topic_ids}, _ASK_SECONDS)
            return ()
        if not all(each.done() for each in self._asked.values()):
            return ()
        asked, self._asked = self._asked, {}
        found: list[Partition] = []
        for topic, answer in asked.items():
            present = answer_of(answer).topic_id
            anew = [at for at, known in self._assignment.topic_ids.items() if at[0] == topic and known]
            anew = [at for at in anew if present and self._assignment.topic_ids[at] != present]
            if anew:
                log(Log.SOURCE_RECREATED, topic=topic, topic_id=present, former=self._assignment.topic_ids[anew[0]])
            found += anew
        return found
