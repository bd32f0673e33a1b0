"""The pairing partitions that this process owns: their state, what comes into it, and what leaves it.

The state of a partition changes with the transaction that publishes what leaves it. Every change that outlives a batch
is written to a changelog in the same transaction, from which whoever owns the partition next begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from logrouter.config.compile.pairing import pairing_changelog
from logrouter.core.join import held_lines, pairs
from logrouter.core.join.held_lines import PairResult
from logrouter.core.join.pairs import PairingBuffer, Resolved
from logrouter.model import RawRecord
from logrouter.route.pairing_restore import Restore
from logrouter.telemetry import metrics
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from logrouter.kafka.records import Message
    from logrouter.route.output import BatchOutput

QUIET_MS: Final = 2_000
"""A partition in which nothing has come for so long is read to its end: then the clock tells whose time is over."""

BREAK_MS: Final = 5_000
"""Between two turns lies as much only if something was in the way: an outage, or a process that was stopped."""

_STEP_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class PairingSettings:
    """The two topics, of *partitions* each, and what a partition may keep."""

    topic: str
    partitions: int
    max_lines: int
    max_bytes: int

    @property
    def state_topic(self) -> str:
        """The changelog."""
        return pairing_changelog(self.topic)


class PairingStates:
    """States of partitions by number. A partition is ready once its state is restored; until then it must be paused."""

    def __init__(self, settings: PairingSettings, kafka: Mapping[str, Any], known: frozenset[str]) -> None:
        self.settings = settings
        self._known = known
        self._restore = Restore(kafka, settings.state_topic)
        self._pending: dict[int, PairingBuffer] = {}
        self._seen_ms: dict[int, int] = {}
        self._turn_ms = 0
        self.malformed: list[RawRecord] = []
        """Records of the last `take` that are no lines."""

    # --- partitions

    def assigned(self, partition: int) -> None:
        """The partition is ours; its state has to be restored."""
        self.forget(partition)
        self._restore.add(partition)

    def forget(self, partition: int) -> None:
        """The partition is not ours (any more)."""
        self._restore.discard(partition)
        if self._pending.pop(partition, None) is not None:
            metrics.drop_pairing_pending(partition)

    def without_unready(self, messages: list[Message]) -> list[Message]:
        """The messages, but for lines of partitions that are not ready: these must be read again when they are."""
        if not self._restore:
            return messages
        topic = self.settings.topic
        return [m for m in messages if m.topic() != topic or m.partition() in self._pending]

    def restored(self, now_ms: int) -> list[int]:
        """Go on restoring, if there is something to restore: the partitions that are ready now."""
        if not self._restore:
            return []
        done = self._restore.step(_STEP_SECONDS)
        for partition, entries in done.items():
            pending = PairingBuffer(
                max_lines=self.settings.max_lines, max_bytes=self.settings.max_bytes, resumed_ms=now_ms
            )
            pending.restore(entries.items())
            self._pending[partition], self._seen_ms[partition] = pending, now_ms
            log(Log.PAIRING_RESTORED, partition=partition, pending=len(entries))
        return list(done)

    def close(self) -> None:
        """Let go of everything."""
        for partition in list(self._pending):
            self.forget(partition)
        self._restore.close()

    # --- lines

    def know(self, routes: frozenset[str]) -> None:
        """Another route table is in force: what waits for its route is tried again with the next turn."""
        self._known = routes

    def resume(self, now_ms: int) -> None:
        """Lines could not come until now."""
        for partition, pending in self._pending.items():
            pending.resume(now_ms)
            self._seen_ms[partition] = now_ms

    def take(self, messages: Sequence[Message], output: BatchOutput, now_ms: int) -> list[Resolved]:
        """What leaves because of time and *messages*, of which *output* gets the places. Their partitions are ready."""
        if now_ms > self._turn_ms + BREAK_MS:
            self.resume(now_ms)
        self._turn_ms = now_ms
        self.malformed = []
        left: list[tuple[int, Resolved]] = []
        for message in messages:
            partition, value = message.partition(), message.value() or b""
            at = message.topic(), partition
            output.first.setdefault(at, message.offset())
            output.positions[at] = message.offset() + 1
            output.halves_read[0] += 1
            output.halves_read[1] += len(value)
            self._seen_ms[partition] = now_ms
            key, line = message.key(), held_lines.decode(value)
            if key is None or line is None:
                self.malformed.append(
                    RawRecord(message.topic(), partition, message.offset(), message.timestamp()[1], value)
                )
                continue
            pending = self._pending[partition]
            left += ((partition, each) for each in pending.take(key, line, value, message.timestamp()[1]))
        for partition, pending in self._pending.items():
            if not pending:
                continue
            quiet = now_ms >= self._seen_ms[partition] + QUIET_MS
            left += ((partition, each) for each in pending.unpark(self._known))
            left += ((partition, each) for each in pending.expire(now_ms if quiet else pending.at_ms))
        return self._of_known_routes(left, now_ms)

    def _of_known_routes(self, left: Iterable[tuple[int, Resolved]], now_ms: int) -> list[Resolved]:
        """Those that can be finished here; the others wait until their route is known or surely gone."""
        found: list[Resolved] = []
        for partition, each in left:
            line = held_lines.decode(each.closing or each.opening or b"")
            if each.how is PairResult.NO_ROUTE or line is None or line.route in self._known:
                found.append(each)
            else:
                found += self._pending[partition].park(each, now_ms)
        return found

    # --- transactions

    def changes(self) -> list[tuple[int, bytes, bytes | None]]:
        """(partition, key, value) for the changelog: what the transaction that is published now changes."""
        return [
            (partition, key, pairs.encode(entry) if entry is not None else None)
            for partition, pending in self._pending.items()
            for key, entry in pending.changes()
        ]

    def settled(self) -> None:
        """What was published last is committed."""
        for partition, pending in self._pending.items():
            pending.settled()
            metrics.PAIRING_PENDING.labels(partition).set(len(pending))

    def rollback(self) -> None:
        """What was published last is not committed, nor anything since: every state goes back to what is."""
        for pending in self._pending.values():
            pending.rollback()
