"""A Kafka in memory: logs with open, committed and aborted transactions, and one consumer group with generations.

`clients` stand on it. It refuses what Kafka refuses: offsets of former generations, and of former members.
"""

from __future__ import annotations

import zlib
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka import KafkaError, KafkaException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from logrouter.kafka.records import Partition

OPEN, COMMITTED, ABORTED = "open", "committed", "aborted"


def refusal(code: int) -> KafkaException:
    """What librdkafka raises with an error of this code."""
    return KafkaException(KafkaError(code))


class FakeTransaction:
    """One transaction of the producer of that name; its *offsets* are those that the group has accepted."""

    def __init__(self, name: str, began: float) -> None:
        self.name, self.began, self.state = name, began, OPEN
        self.partitions: set[Partition] = set()
        self.offsets: dict[Partition, tuple[int, str]] = {}


class FakeRecord(NamedTuple):
    """A record in a log. One without a transaction is visible at once."""

    value: bytes | None
    key: bytes | None
    headers: list
    transaction: FakeTransaction | None


class FakeCluster:
    """Logs, the group's offsets and members, and the transactions that are open."""

    def __init__(self, topics: Mapping[str, int], *, transaction_seconds: float = 15.0) -> None:
        """*topics* are the numbers of partitions; transactions end after *transaction_seconds*."""
        self.logs: dict[Partition, list[FakeRecord | None]] = {}
        """The records of each partition; None is the marker that the end of a transaction leaves."""
        self.committed: dict[Partition, tuple[int, str]] = {}
        """The group's offsets, with the text beside them."""
        self.generation = 0
        self.members: list[str] = []
        self.owners: dict[Partition, str] = {}
        """The member that each partition is given to, until that has given it back or has been expelled."""
        self.now = 0.0
        self.away_until = 0.0
        """Until then no client hears of it; members and transactions grow old meanwhile."""
        self.open: list[FakeTransaction] = []
        self.epochs: dict[str, int] = {}
        self.before_accept: Callable[[dict, object], None] = lambda _offsets, _member: None
        """Called before offsets of a member are taken into a transaction."""
        self.before_commit: Callable[[FakeTransaction], None] = lambda _transaction: None
        """Called before a transaction is committed."""
        self.on_sleep: Callable[[], None] = lambda: None
        """Called whenever time passes."""
        self._seconds = transaction_seconds
        self._joined = 0
        for topic, partitions in topics.items():
            self.add_partitions(topic, partitions)

    def add_partitions(self, topic: str, total: int) -> None:
        """The topic has so many partitions from now on."""
        for partition in range(total):
            self.logs.setdefault((topic, partition), [])

    def partitions(self, topic: str) -> list[Partition]:
        """Those of the topic."""
        return sorted(at for at in self.logs if at[0] == topic)

    # Time

    def monotonic(self) -> float:
        """Seconds; this, `time_ns` and `sleep` let a cluster stand in for the module `time`."""
        return self.now

    def time_ns(self) -> int:
        """The same in nanoseconds, since the epoch."""
        return int(self.now * 1e9)

    def sleep(self, seconds: float) -> None:
        """Time passes: transactions that have been open for too long are aborted."""
        self.now += seconds
        self.on_sleep()
        for each in [each for each in self.open if each.began + self._seconds < self.now]:
            self.abort(each)

    @property
    def is_away(self) -> bool:
        """Whether no client hears of it now."""
        return self.now < self.away_until

    def await_return(self) -> None:
        """Time passes until clients hear of it."""
        if self.is_away:
            seconds, self.away_until = self.away_until - self.now, inf
            self.sleep(seconds)
            self.away_until = 0.0

    # Logs and transactions

    def append(
        self, at: Partition, value: bytes | None, key: bytes | None = None, headers: Iterable = (), *, transaction=None
    ) -> None:
        """Add a record to the end of a partition."""
        self.logs[at].append(FakeRecord(value, key, [*headers], transaction))
        if transaction is not None:
            transaction.partitions.add(at)

    def place(self, topic: str, key: bytes | None) -> Partition:
        """The partition of a key."""
        return topic, zlib.crc32(key or b"") % len(self.partitions(topic))

    def begin(self, name: str) -> FakeTransaction:
        """Open a transaction of the producer of that name."""
        self.open.append(FakeTransaction(name, self.now))
        return self.open[-1]

    def register(self, name: str) -> int:
        """A producer of that name starts: what the former one has left open is aborted. The new one's epoch."""
        for each in [each for each in self.open if each.name == name]:
            self.abort(each)
        self.epochs[name] = self.epochs.get(name, 0) + 1
        return self.epochs[name]

    def accept_offsets(self, transaction: FakeTransaction, offsets: dict, member: object) -> bool:
        """Whether the group takes *offsets* into the transaction, from a member as `group_metadata` says it.

        It takes them from nobody in particular, too.
        """
        if member is not None and (member[0] not in self.members or member[1] != self.generation):
            return False
        self.before_accept(offsets, member)
        transaction.offsets |= offsets
        return True

    def commit(self, transaction: FakeTransaction) -> None:
        """Its records and offsets become visible."""
        assert transaction.state == OPEN
        self.before_commit(transaction)
        self.committed |= transaction.offsets
        self._end(transaction, COMMITTED)

    def abort(self, transaction: FakeTransaction) -> None:
        """None of it ever will be visible."""
        assert transaction.state == OPEN
        self._end(transaction, ABORTED)

    def _end(self, transaction: FakeTransaction, state: str) -> None:
        transaction.state = state
        self.open.remove(transaction)
        for at in transaction.partitions:
            self.logs[at].append(None)

    def is_unstable(self, at: Partition) -> bool:
        """Whether offsets of the partition are in an open transaction."""
        return any(at in each.offsets for each in self.open)

    def committed_offset(self, at: Partition) -> int:
        """Where whoever gets the partition begins."""
        return self.committed.get(at, (0, ""))[0]

    def stable_end(self, at: Partition) -> int:
        """Where a reader of committed records has to stop."""
        for offset, record in enumerate(self.logs[at]):
            if record is not None and record.transaction is not None and record.transaction.state == OPEN:
                return offset
        return len(self.logs[at])

    def read(self, at: Partition, start: int, most: int, until: int | None = None) -> list[tuple[int, FakeRecord]]:
        """The next visible records from an offset on, *most* of them, each with its offset."""
        found: list[tuple[int, FakeRecord]] = []
        for offset in range(start, self.stable_end(at) if until is None else until):
            record = self.logs[at][offset]
            if len(found) == most:
                break
            if record is not None and (record.transaction is None or record.transaction.state == COMMITTED):
                found.append((offset, record))
        return found

    # The group

    def join(self) -> str:
        """A new member's id; the group has another generation."""
        self._joined += 1
        member = f"member-{self._joined}"
        self.members.append(member)
        self.generation += 1
        return member

    def expel(self, member: str) -> None:
        """The member has left, or was not heard of for too long: what it had is free."""
        if member in self.members:
            self.members.remove(member)
            self.generation += 1
            self.owners = {at: owner for at, owner in self.owners.items() if owner != member}
