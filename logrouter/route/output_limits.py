"""How large a record the output topics take: read at the start, and anew when a broker has refused one.

A broker measures batches, compressed. Here key, value and framing of a record are counted as they are, which is more. A
batch is kept as small as the smallest limit, since a client sends one that was refused again as it is.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from logrouter.core.dead_letter import MAX_LETTER_BYTES, MIN_LETTER_BYTES
from logrouter.core.event import MAX_EVENT_BYTES
from logrouter.core.rollup.records import MAX_RECORD_BYTES
from logrouter.core.routing import DEFAULT_RECORD_BYTES
from logrouter.kafka.errors import ClientError
from logrouter.kafka.topic_facts import TopicFacts, warn_if_at_risk
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from logrouter.core.routing import RouteTable
    from logrouter.route.settings import LaneSettings

    Describe = Callable[[Collection[str]], Mapping[str, TopicFacts]]

FRAMING_BYTES: Final = 512
"""More than what surrounds key and value on the wire: 61 bytes of a batch, a record's lengths, and our header."""
_LETTER_FRAMING: Final = 1536
"""The same with the key and the headers of a dead letter, which hold names of a topic and a route."""
_ROOM: Final = 16 * 1024
"""What a partial sum or a held line may have beyond the bound of its value, and its key."""
_BATCH_SLACK: Final = 256
_CLIENT_DEFAULT: Final = 1_000_000
_BROKER_DEFAULT: Final = 1_048_588
_AGAIN_SECONDS: Final = 60.0
SUMS_NEED: Final = MAX_RECORD_BYTES + _ROOM
STATES_NEED: Final = MAX_EVENT_BYTES + _ROOM
LETTERS_NEED: Final = MIN_LETTER_BYTES + _LETTER_FRAMING


class OutputLimits:
    """The limits of a lane's output topics, and what follows from them for its settings and its table."""

    def __init__(self, describe: Describe, *, client_bytes: int = _CLIENT_DEFAULT) -> None:
        """*describe* asks the cluster; *client_bytes* is the producer's own `message.max.bytes`."""
        self._describe = describe
        self._client = client_bytes
        self._bytes: dict[str, int] = {}
        self._warned: set[str] = set()
        self._read_at = 0.0

    def read(self, topics: Iterable[str]) -> None:
        """Ask for the limits of *topics*. Of a topic that the cluster does not tell, the last one known counts."""
        wanted = sorted(set(topics))
        self._read_at = time.monotonic()
        found = self._describe(wanted)
        before, self._bytes = self._bytes, {}
        for topic in wanted:
            facts = found.get(topic, TopicFacts())
            self._bytes[topic] = facts.max_bytes or before.get(topic, _BROKER_DEFAULT)
            if topic not in self._warned and warn_if_at_risk(topic, facts):
                self._warned.add(topic)

    def read_again(self, refused: str) -> None:
        """Ask anew since a broker has refused a batch for the topic *refused*.

        If it tells nothing new, the topic's limit is taken to be half of what it was thought to be (all topics', if
        none is named), so that the lane gets to an end: what does not fit becomes dead letters.
        """
        before = dict(self._bytes)
        self.read(before)
        for topic in [refused] if refused in before else before:
            if self._bytes[topic] >= before[topic]:
                self._bytes[topic] = before[topic] // 2
        log(Log.TOPIC_LIMIT, topic=refused or None, max_message_bytes=self._bytes.get(refused))

    def knows(self, topics: Iterable[str]) -> bool:
        """Whether the limits of all these have been asked for."""
        return self._bytes.keys() >= set(topics)

    @property
    def is_due(self) -> bool:
        """Whether to ask again: a limit keeps us from something, and may have been raised."""
        return self.batch_bytes is not None and time.monotonic() > self._read_at + _AGAIN_SECONDS

    @property
    def batch_bytes(self) -> int | None:
        """The largest batch that all topics take; None if the client makes none that is larger."""
        taken = min(self._bytes.values(), default=_BROKER_DEFAULT) - _BATCH_SLACK
        return max(taken, 1) if taken < self._client else None

    def most(self, topic: str) -> int:
        """Bytes of key and value together that a record of the topic may have."""
        return min(self._bytes.get(topic, _BROKER_DEFAULT), self._client) - FRAMING_BYTES

    def fit(self, settings: LaneSettings, state_topics: Iterable[str]) -> LaneSettings:
        """*settings* with dead letters that fit.

        Raises:
            ClientError: a topic takes less than the lane must be able to write to it; the text names topic and size.
        """
        letters = settings.dead_letters
        needs = {settings.rollup_topic: ("partial sums", SUMS_NEED)}
        needs |= dict.fromkeys(state_topics, ("what the lane keeps there", STATES_NEED))
        needs[letters.topic] = ("dead letters", LETTERS_NEED)
        for topic, (what, need) in needs.items():
            self._require(topic, what, need)
        size = min(self._bytes.get(letters.topic, _BROKER_DEFAULT), self._client) - _LETTER_FRAMING
        return replace(settings, dead_letters=replace(letters, max_bytes=min(MAX_LETTER_BYTES, size)))

    def fit_table(self, table: RouteTable) -> RouteTable:
        """*table* with events that fit: those that do not are rejected and become dead letters."""
        usual = all(self.most(topic) >= DEFAULT_RECORD_BYTES for topic in table.event_topics())
        return table if usual else table.limited(lambda topic: min(self.most(topic), DEFAULT_RECORD_BYTES))

    def _require(self, topic: str, what: str, need: int) -> None:
        limit = self._bytes.get(topic, _BROKER_DEFAULT)
        if limit < need:
            raise ClientError(
                f"topic {topic} takes {limit} bytes at once (max.message.bytes), but {what} need {need}: raise it, "
                "or message.max.bytes of the brokers"
            )
        if self._client < need:
            raise ClientError(
                f"kafka: message.max.bytes is {self._client}, but {what} for topic {topic} need {need}: raise it"
            )
