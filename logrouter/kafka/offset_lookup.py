"""Asks the cluster how far a group has read, which topic has a name now, and which offsets can be read; never waits.

librdkafka's own look-up asks for all partitions together and repeats the question while one of them is part of an open
transaction: what a dead process has left open would then hold up all partitions, for as long as that transaction may
take. Here each partition has an answer of its own.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from confluent_kafka import (
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # re-exported without saying so

from logrouter.kafka.client import make_client, plain_settings, retire_client
from logrouter.kafka.group_offsets import COORDINATOR_ERRORS, GroupOffsets
from logrouter.kafka.offset_reset import LogRange
from logrouter.kafka.topic_ids import id_of
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from concurrent.futures import Future

    from logrouter.kafka.records import Partition

_ASK_SECONDS: Final = 10.0
_AGAIN_SECONDS: Final = 0.1
_MAX_RANGES: Final = 200
"""Partitions in one round of questions of which the range is asked for, in two requests each."""
_BOTH_ENDS: Final = (
    OffsetSpec.earliest(),  # type: ignore[no-untyped-call]
    OffsetSpec.latest(),  # type: ignore[no-untyped-call]
)


class Found(NamedTuple):
    """What the cluster says about one partition.

    *offset* is the group's committed one, None if it has none, with the *text* and the leader's *epoch* (None: unknown)
    kept beside it. *topic_id* is the id of the topic that has the name now. *log* is None unless it was asked for.
    """

    offset: int | None
    text: str
    epoch: int | None
    topic_id: str
    log: LogRange | None


@dataclass(slots=True)
class _OffsetQuestion:
    """One round of questions, about all partitions that were waiting when it began."""

    partitions: set[Partition]
    committed: GroupOffsets
    topics: Mapping[str, Future[Any]]
    ranges: dict[Partition, tuple[Future[Any], Future[Any]]] = field(default_factory=dict)
    ask_again_at: float = field(default_factory=lambda: time.monotonic() + 2 * _ASK_SECONDS)
    """When every answer has long been due, if only to say that there is none in time."""

    def is_done(self, at: Partition) -> bool:
        """Whether all answers about a partition are there."""
        ranges = self.ranges.get(at, ())
        return self.committed.is_done() and self.topics[at[0]].done() and all(each.done() for each in ranges)


class OffsetLookup:
    """Questions about partitions of one group. Nothing connects before the first; whoever makes this closes it."""

    def __init__(self, kafka: Mapping[str, Any], group: str) -> None:
        """*kafka* is the `kafka:` block of topics.yaml."""
        self._kafka = plain_settings(kafka)
        self._group = group
        self._admin: AdminClient | None = None
        self._waiting: dict[Partition, bool] = {}
        self._question: _OffsetQuestion | None = None
        self._ask_at = 0.0
        self._causes: set[str] = set()

    def ask(self, partitions: Collection[Partition], *, with_range: bool = False) -> None:
        """Ask about these, anew if they are asked about already."""
        for at in partitions:
            self._waiting[at] = with_range
            if self._question is not None:
                self._question.partitions.discard(at)
        if self._question is None and self._waiting:
            self._question = self._begin()
        self._ask_at = 0.0

    def discard(self, at: Partition) -> None:
        """No answer is wanted any more."""
        self._waiting.pop(at, None)
        if self._question is not None:
            self._question.partitions.discard(at)

    def take(self) -> dict[Partition, Found]:
        """The answers that have come since the last call; it asks again about partitions without one."""
        if not self._waiting:
            self._question = None
            return {}
        question = self._question
        found: dict[Partition, Found] = {}
        if question is not None:
            done = [at for at in question.partitions if question.is_done(at)]
            committed = self._committed(question.committed) if done else {}
            for at in done:
                question.partitions.discard(at)
                answer = self._answer(at, committed.get(at), question)
                with_range = self._waiting.pop(at)
                if answer is not None:
                    found[at] = answer
                else:
                    self._waiting[at] = with_range  # behind the others, of which not all may have been asked about
            if time.monotonic() > question.ask_again_at:
                self._replace_client()
            if question.partitions and self._admin is not None:
                return found
            self._question = None  # what a client has not answered yet it never will, once it is replaced
            self._ask_at = time.monotonic() + _AGAIN_SECONDS
        if self._waiting and time.monotonic() >= self._ask_at:
            self._question = self._begin()
        return found

    def close(self) -> None:
        """Forget all questions; `ask` makes a new client."""
        self._waiting.clear()
        if self._question is not None:
            self._replace_client()
        self._question = self._admin = None

    def _replace_client(self) -> None:
        """Let the next question make a new client."""
        if self._admin is not None:
            retire_client(self._admin)
        self._admin = None

    def _begin(self) -> _OffsetQuestion:
        if self._admin is None:
            self._admin = make_client(AdminClient, self._kafka)
        ranged = [at for at, with_range in self._waiting.items() if with_range]
        later = frozenset(ranged[_MAX_RANGES:])
        waiting = {at: with_range for at, with_range in self._waiting.items() if at not in later}
        committed = GroupOffsets(self._admin, self._group, waiting.keys(), _ASK_SECONDS)
        topics = self._admin.describe_topics(
            TopicCollection(sorted({topic for topic, _ in waiting})), request_timeout=_ASK_SECONDS
        )
        ranges = {at: self._ask_range(at) for at, with_range in waiting.items() if with_range}
        return _OffsetQuestion(set(waiting), committed, topics, ranges)

    def _ask_range(self, at: Partition) -> tuple[Future[Any], Future[Any]]:
        """Each partition in questions of its own: those about several wait for the slowest leader."""
        assert self._admin is not None  # noqa: S101 - made by `_begin`
        place = TopicPartition(*at)
        low, high = (
            self._admin.list_offsets(
                {place: spec}, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=_ASK_SECONDS
            )[place]
            for spec in _BOTH_ENDS
        )
        return low, high

    def _committed(self, answer: GroupOffsets) -> dict[Partition, TopicPartition]:
        try:
            return answer.result()
        except KafkaException as exc:
            self._note(exc.args[0])
            return {}

    def _answer(self, at: Partition, committed: TopicPartition | None, question: _OffsetQuestion) -> Found | None:
        """The answer about one partition; None if it has to be asked again."""
        error = committed.error if committed is not None else None
        if committed is None or error is not None:
            # Mostly an open transaction holds an offset of it, which ends by itself.
            if error is not None and error.code() != KafkaError.UNSTABLE_OFFSET_COMMIT:
                self._note(error)
            return None
        try:
            topic_id = id_of(question.topics[at[0]])
            ranges = [int(each.result().offset) for each in question.ranges.get(at, ())]
        except KafkaException as exc:
            self._note(exc.args[0])
            return None
        self._causes.clear()
        offset = committed.offset if committed.offset >= 0 else None
        return Found(
            offset, committed.metadata or "", committed.leader_epoch, topic_id, LogRange(*ranges) if ranges else None
        )

    def _note(self, error: KafkaError) -> None:
        """Log why there is no answer, once for each error until there is one."""
        if error.code() == KafkaError._TIMED_OUT:  # noqa: SLF001 - librdkafka's own codes begin so
            # After an outage a client may have no connection left and make none: a new one asks the next question.
            self._replace_client()
        if error.code() in COORDINATOR_ERRORS:
            self._replace_client()
            return
        if error.name() not in self._causes:
            self._causes.add(error.name())
            log(Log.OFFSETS_UNKNOWN, group=self._group, error=error.name(), detail=error.str())
