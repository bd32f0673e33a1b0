"""A compacted topic as a value in memory, which follows what others write to it. A thread of its own reads."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from logrouter.kafka.tail import TopicEnds, TopicTail
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from logrouter.kafka.connection import BrokerState
    from logrouter.kafka.tail import TailRecord

State = TypeVar("State")

_READ_SECONDS: Final = 0.1
_AFTER_BUG_SECONDS: Final = 1.0


class Follower(Generic[State]):
    """What the records of *topic* add up to. Whoever makes it calls `start`, and `close` in the end.

    After an outage it goes on where it was. Where it has to begin again, as the topic was made anew or its log was cut
    off, the state of before stays until all is read again.
    """

    def __init__(
        self,
        kafka: Mapping[str, Any],
        topic: str,
        broker: BrokerState,
        begin: Callable[[], State],
        apply: Callable[[State, TailRecord], State],
    ) -> None:
        """*begin* makes the state before any record, *apply* the one after the next record of a partition.

        Both are pure, and run in the follower's thread: what `state` returns is not to be changed by either.
        *kafka* is the `kafka:` block of topics.yaml; *broker* hears of errors and answers.

        Raises:
            ClientError: the block has a setting that is ours alone to make, or that no configuration may name.
        """
        self.topic = topic
        self._begin_state, self._apply = begin, apply
        self._broker = broker
        self._tail = TopicTail(kafka, topic, broker)
        self._ends = TopicEnds(kafka, topic)
        self._changed = threading.Condition()
        self._state = begin()
        self._is_whole = False
        self._positions: dict[int, int] = {}
        self._next = self._state
        self._beginnings = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"follow-{topic}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self, seconds: float = 5.0) -> None:
        """Read no further; waits for the thread, for *seconds* at most."""
        self._stopping = True
        if self._thread.is_alive():
            self._thread.join(seconds)

    @property
    def state(self) -> State:
        """As of the last record read; what *begin* makes until all that was there has been read for the first time."""
        return self._state

    @property
    def why_waiting(self) -> str:
        """In one line why `state` lacks what was there when it began; empty when it has all of that."""
        if self._is_whole:
            return ""
        if self._tail.is_missing:
            return f"topic {self.topic} is missing, or hidden from us; run `logrouter topics`"
        return self._broker.why_waiting or f"reading topic {self.topic} to its end"

    def fetch_ends(self, seconds: float) -> dict[int, int]:
        """By partition, where the topic ends now, what transactions have written that are still open included.

        Blocks for *seconds* at most, about. For any thread.

        Raises:
            ClientError: the cluster does not answer, or the topic is not known yet.
        """
        return self._ends.fetch([*self._positions], seconds)

    def has_read(self, ends: Mapping[int, int]) -> bool:
        """Whether `state` has all that is committed before *ends* (by partition)."""
        with self._changed:
            return self._has_read(ends)

    def await_read(self, ends: Mapping[int, int], seconds: float) -> bool:
        """Wait until `has_read(ends)`, for *seconds* at most; whether it has. For any thread."""
        with self._changed:
            return self._changed.wait_for(lambda: self._has_read(ends), max(seconds, 0.0))

    def await_state(self, is_wanted: Callable[[State], bool], seconds: float) -> bool:
        """Wait until `state` is as wanted, for *seconds* at most; whether it is. For any thread."""
        with self._changed:
            return self._changed.wait_for(lambda: is_wanted(self._state), max(seconds, 0.0))

    def _has_read(self, ends: Mapping[int, int]) -> bool:
        return self._is_whole and all(self._positions.get(partition, -1) >= end for partition, end in ends.items())

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._fold(self._tail.read(_READ_SECONDS))
            except Exception as exc:  # noqa: BLE001 - what follows still has to be read
                log(Log.INTERNAL_ERROR, topic=self.topic, error=type(exc).__name__, exc_info=exc)
                time.sleep(_AFTER_BUG_SECONDS)
        self._tail.close()

    def _fold(self, records: Sequence[TailRecord]) -> None:
        """Take *records* into the state, and show it unless it is being made again."""
        if self._tail.beginnings != self._beginnings:
            self._beginnings = self._tail.beginnings
            self._next = self._begin_state()
            with self._changed:
                self._is_whole, self._positions = False, {}
        for record in records:
            self._take(record)
        with self._changed:
            self._positions = self._tail.positions
            if self._tail.is_whole or self._is_whole:
                self._is_whole = True
                self._state = self._next
            self._changed.notify_all()

    def _take(self, record: TailRecord) -> None:
        """A bug that one record shows is logged, and costs that record alone."""
        try:
            self._next = self._apply(self._next, record)
        except Exception as exc:  # noqa: BLE001 - others count all the same
            # Without its text, which may quote the record.
            log(Log.INTERNAL_ERROR, topic=self.topic, error=type(exc).__name__)
