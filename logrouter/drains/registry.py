"""Changes of registrations, one after the other in all processes, each on all that was there before it.

Whoever changes something uses one transactional id, the same in all processes. To take it is to fence whoever had it:
what that has not committed is aborted, and whatever it writes later is refused. So a process that has taken it, then
has read the topic to its end, knows all that there is; and what it commits was decided on just that, as nobody else has
committed in between. It keeps the id until it hears that it is fenced.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from logrouter.core.drains.directory import Directory
from logrouter.core.drains.registration import Registration, encode
from logrouter.drains.follower import Follower
from logrouter.drains.registry_errors import DrainLimitError, RegistryUnavailableError
from logrouter.kafka.errors import ClientError, FatalError, StoppedError, TransactionAbortedError
from logrouter.kafka.transaction import BatchSize, open_producer
from logrouter.process.daemon_threads import DaemonThreads
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.core.drains.owner import Owner
    from logrouter.kafka.connection import BrokerState
    from logrouter.kafka.tail import TailRecord
    from logrouter.kafka.transaction import TransactionalProducer

_TRANSACTION_MS: Final = 10_000
"""What a process that dies amid a change leaves open holds up readers for so long, or until the next change."""
_DECIDE_SECONDS: Final = 10.0
"""So long a change may wait; none begins to commit later."""
_LEARN_SECONDS: Final = 10.0
"""So long beyond that it may take to find out what has become of a commit."""
_HANG_SECONDS: Final = 30.0
"""What a client that hangs may need beyond that: see `kafka.transaction`."""
_ASK_SECONDS: Final = 2.0
_CURRENT_SECONDS: Final = 1.0
"""If the end is not read by then, somebody else has a transaction open, and may be suspended."""
_SHOW_SECONDS: Final = 5.0
_LONGEST_PAUSE: Final = 0.5
_MOST_WAITING: Final = 256

CHANGE_HEADER: Final = "logrouter-change"
"""The header of each record, with 16 random bytes: so whoever has not heard how a commit ended finds it in the topic.

By its content a record is not to be known: somebody else may have written the same meanwhile, or something else since.
"""

Answer = TypeVar("Answer")


def follow_registrations(kafka: Mapping[str, Any], topic: str, broker: BrokerState) -> Follower[Directory]:
    """A follower of the topic of registrations, for a `Registry` and whoever else reads them. Raises as `Follower`."""

    def apply(directory: Directory, record: TailRecord) -> Directory:
        changes = [value for name, value in record.headers if name == CHANGE_HEADER]
        return directory.apply(record.key, record.value, (changes[-1:] or [b""])[0] or b"")

    return Follower(kafka, topic, broker, Directory, apply)


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """*kafka* is the `kafka:` block of topics.yaml, *group* the drains' consumer group; an owner has *most* drains."""

    kafka: Mapping[str, Any]
    topic: str
    group: str
    most: int = 100
    decide_seconds: float = _DECIDE_SECONDS
    learn_seconds: float = _LEARN_SECONDS

    @property
    def transactional_id(self) -> str:
        """The one of all processes."""
        return f"{self.group}-registry"


class _Decision(NamedTuple, Generic[Answer]):
    """What to write, and what to answer then; *drain_id* "" if nothing is to be written."""

    answer: Answer
    drain_id: str = ""
    value: Registration | None = None


class _Change(Generic[Answer]):
    """One change on its way: made by the loop that asks for it, and given up there."""

    def __init__(self, decide: Callable[[Directory], _Decision[Answer]], settings: RegistrySettings) -> None:
        self.decide = decide
        self.decide_by = time.monotonic() + settings.decide_seconds
        """By the monotonic clock; no commit begins later."""
        self.learn_by = self.decide_by + settings.learn_seconds
        """Nobody asks later how a commit has ended."""
        self.is_given_up = False
        """Whether nobody waits for it any more: no commit begins."""


class Registry:
    """Reads and changes registrations. Coroutines run in any event loop; whoever makes it calls `close`.

    *Owners.* An app that is named by one segment of a path, `shop-prod`, and the same app of which both names are known
    are different owners here, with drains, limits and URLs of their own. Whoever reads or deletes by a segment has to
    look at `drains_of` of the owner without pair and of those with each pair of `core.drains.owner.pairs_spelled`; who
    adds by a segment decides first which of them is meant, and lets *check* of `add` refuse if that is not so any more.
    """

    def __init__(self, settings: RegistrySettings, follower: Follower[Directory], broker: BrokerState) -> None:
        """*follower* is of `follow_registrations`, started and closed by others. Nothing connects before a change."""
        self._settings = settings
        self._follower = follower
        self._broker = broker
        self._threads = DaemonThreads(1, "registry")
        self._producer: TransactionalProducer | None = None
        self._holds = False
        """Whether the transactional id was ours when last heard of."""
        self._give_up_at = 0.0
        self._stopping = False
        self._waiting = 0
        self._counting = threading.Lock()

    # Reads

    def drain(self, drain_id: str) -> Registration | None:
        """The drain with this id, from memory."""
        return self._follower.state.drain(drain_id)

    def drains_of(self, owner: Owner) -> tuple[Registration, ...]:
        """The drains of exactly this owner, the oldest first, from memory."""
        return self._follower.state.drains_of(owner)

    # Changes

    async def add(self, new: Registration, check: Callable[[Directory], None] | None = None) -> Registration:
        """Store *new* and return it once Kafka has committed it; the oldest with its owner and URL if there is one.

        *check* is called with all registrations as they are when it is decided, possibly several times, in another
        thread; what it raises is raised here, and nothing is stored.

        Raises:
            DrainLimitError: the owner has as many as it may have.
            RegistryUnavailableError: the cluster does not answer in time.
        """

        def decide(directory: Directory) -> _Decision[Registration]:
            if check is not None:
                check(directory)
            present = directory.with_url(new.owner, new.url)
            if present is not None:
                return _Decision(present)
            if len(directory.drains_of(new.owner)) >= self._settings.most:
                raise DrainLimitError(self._settings.most)
            return _Decision(new, new.id, new)

        return await self._submit(decide)

    async def remove(self, owner: Owner, drain_id: str) -> bool:
        """Delete a drain; whether exactly this owner had one with this id.

        Raises:
            RegistryUnavailableError: the cluster does not answer in time.
        """

        def decide(directory: Directory) -> _Decision[bool]:
            found = directory.drain(drain_id)
            return _Decision(True, drain_id) if found is not None and found.owner == owner else _Decision(False)

        return await self._submit(decide)

    async def change(self, drain_id: str, edit: Callable[[Registration], Registration | None]) -> Registration | None:
        """Store what *edit* makes of a drain, and return that; None if there is no such drain, or *edit* returns None.

        *edit* is called with the drain as it is when it is decided, possibly several times, in another thread; what it
        raises is raised here. It keeps id, owner and URL.

        Raises:
            RegistryUnavailableError: the cluster does not answer in time.
            ValueError: *edit* changes what it has to keep.
        """

        def decide(directory: Directory) -> _Decision[Registration | None]:
            found = directory.drain(drain_id)
            edited = edit(found) if found is not None else None
            if found is None or edited is None or edited == found:
                return _Decision(edited)
            if (edited.id, edited.owner, edited.url) != (found.id, found.owner, found.url):
                raise ValueError("an edit of a drain keeps its id, its owner and its URL")
            return _Decision(edited, drain_id, edited)

        return await self._submit(decide)

    def close(self) -> None:
        """Take no further changes, and make none that waits; one that is being made ends by itself."""
        if not self._stopping:
            self._stopping = True
            self._threads.submit(self._close_producer)
            self._threads.shutdown(wait=False)

    async def _submit(self, decide: Callable[[Directory], _Decision[Answer]]) -> Answer:
        """Have the thread of changes make one, unless too many wait for that."""
        change = _Change(decide, self._settings)
        with self._counting:
            if self._stopping or self._waiting >= _MOST_WAITING:
                raise RegistryUnavailableError("too many changes of drains are waiting, or this process ends")
            self._waiting += 1
        made = self._threads.submit(self._take_turn, change)
        try:
            async with asyncio.timeout(change.learn_by - time.monotonic() + _HANG_SECONDS):
                # Not cancelled with its caller: it has its place in the queue, which is counted, until its turn comes.
                return await asyncio.shield(asyncio.wrap_future(made))
        except TimeoutError:
            raise RegistryUnavailableError("the Kafka client does not come back", may_be_stored=True) from None
        finally:
            change.is_given_up = True

    # In the thread of changes

    def _take_turn(self, change: _Change[Answer]) -> Answer:
        with self._counting:
            self._waiting -= 1
        return self._make(change)

    def _make(self, change: _Change[Answer]) -> Answer:
        unknown: _Decision[Answer] | None = None
        name = b""
        for attempt in count():
            if unknown is None:
                self._check_is_wanted(change)
            try:
                directory = self._read_all(change.learn_by if unknown is not None else change.decide_by)
            except RegistryUnavailableError as error:
                error.may_be_stored = unknown is not None
                raise
            if unknown is not None and directory.has_change(name):
                return unknown.answer
            unknown = None  # it is not there, and nothing of ours is on its way any more
            self._check_is_wanted(change)
            decision = change.decide(directory)
            if not decision.drain_id:
                return decision.answer
            if time.monotonic() > change.decide_by:
                raise RegistryUnavailableError("the Kafka cluster is slow, or others change drains all the time")
            self._give_up_at, name = change.learn_by, os.urandom(16)
            try:
                self._write(decision, name)
            except (FatalError, StoppedError, TransactionAbortedError) as error:
                # Fenced, mostly. A commit may have come through all the same: the answer was lost, and the next to take
                # the id has let it end.
                self._holds, unknown = False, decision
                if not isinstance(error, FatalError) or not error.fenced:
                    log(Log.TRANSACTION_ABORTED, error=str(error) or type(error).__name__)
                time.sleep(random.uniform(0, min(0.02 * 2**attempt, _LONGEST_PAUSE)))  # noqa: S311 - others try, too
                continue
            self._show(name)
            return decision.answer
        raise AssertionError("there is no last attempt")

    def _check_is_wanted(self, change: _Change[Any]) -> None:
        if self._stopping or change.is_given_up:
            raise RegistryUnavailableError("nobody waits for the change any more, or this process ends")

    def _write(self, decision: _Decision[Any], name: bytes) -> None:
        """Commit one record. Raises as `TransactionalProducer` does."""
        assert self._producer is not None  # noqa: S101 - made by `_read_all`
        value = encode(decision.value) if decision.value is not None else None
        self._producer.begin()
        self._producer.produce(self._settings.topic, value, decision.drain_id.encode(), [(CHANGE_HEADER, name)])
        self._producer.commit_later()
        self._producer.await_commit()
        self._broker.mark_up()

    def _show(self, name: bytes) -> None:
        """Wait until our own reads show what is committed."""
        if not self._follower.await_state(lambda directory: directory.has_change(name), _SHOW_SECONDS):
            log(Log.SOURCE_ERROR, topic=self._settings.topic, error="a change is committed and can't be read yet")

    def _read_all(self, by: float) -> Directory:
        """All registrations, while the transactional id is ours.

        Raises:
            RegistryUnavailableError: the cluster does not answer by then.
        """
        if self._holds and self._is_current(min(by, time.monotonic() + _CURRENT_SECONDS)):
            return self._follower.state
        self._holds, self._give_up_at = False, by
        while time.monotonic() < by:
            try:
                self._take_id()
            except StoppedError:
                break
            except FatalError as error:
                if not error.fenced:
                    raise RegistryUnavailableError(str(error)) from None
                continue  # another process takes it at the same moment
            if self._is_current(by):
                self._holds = True
                return self._follower.state
        raise RegistryUnavailableError(self._follower.why_waiting or "the Kafka cluster does not answer")

    def _close_producer(self) -> None:
        if self._producer is not None:
            self._producer.close()

    def _take_id(self) -> None:
        """Fence whoever has the transactional id. Raises as `TransactionalProducer.initialise`."""
        if self._producer is not None:
            self._producer.renew()
            return
        self._producer = open_producer(
            self._settings.kafka,
            transactional_id=self._settings.transactional_id,
            timeout_ms=_TRANSACTION_MS,
            broker=self._broker,
            give_up=lambda: self._stopping or time.monotonic() > self._give_up_at,
            batches=BatchSize(),
        )
        self._producer.initialise()

    def _is_current(self, by: float) -> bool:
        """Whether by then all is read that is there now."""
        while (left := by - time.monotonic()) > 0:
            try:
                ends = self._follower.fetch_ends(min(left, _ASK_SECONDS))
            except ClientError:
                time.sleep(min(left, 0.1))
            else:
                return self._follower.await_read(ends, by - time.monotonic())
        return False
