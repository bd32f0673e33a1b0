"""Logs, transactions and a group as far as log drains need them, in memory, and owners of partitions that may die.

What makes Kafka hard is here: a transaction ends in each log at another time, readers stop before those that are open,
a former owner goes on until it meets the group, and the answer to a commit may be lost.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from logrouter.core.drains.line import Line
from logrouter.core.drains.place import PlaceBounds
from logrouter.core.drains.source_lines import SourceLines
from logrouter.core.drains.status import (
    DeliveredKey,
    MovedKey,
    MovedUpTo,
    decode_line,
    encode_key,
    encode_line,
    encode_value,
)
from logrouter.core.drains.status_view import StatusView
from logrouter.core.drains.sweep import DroppedLines, Sweep, SweepBounds, SweptRecord
from logrouter.deliver.progress import Progress

RETRY = ("retry", 0)
DRAINS = ("a", "b", "c")
PLACE = PlaceBounds(lines=4, bytes=10_000, seconds=10.0, few=3)
SWEEP = SweepBounds(lines=4, bytes=1_000)


class FencedError(Exception):
    """The group has given the partition to somebody else."""


@dataclass(eq=False)
class Transaction:
    """Open until it is *committed* or aborted; in each place that it has written to it ends later than that."""

    committed: bool | None = None
    places: set[str] = field(default_factory=set)
    offsets: dict[Any, int] = field(default_factory=dict)


class Log:
    """Records with their transactions; a marker has an offset of its own."""

    def __init__(self, name):
        self.name = name
        self.start = 0
        self.records = []
        self.ended = set()

    def append(self, transaction, key, value):
        transaction.places.add(self.name)
        self.records.append((transaction, key, value))

    def mark(self, transaction):
        transaction.places.discard(self.name)
        self.ended.add(transaction)
        self.records.append((transaction, None, None))

    @property
    def end(self):
        """The high watermark."""
        return len(self.records)

    @property
    def stable(self):
        """The first offset that a reader of committed records does not see."""
        return next((at for at, each in enumerate(self.records) if each[0] not in self.ended), len(self.records))

    def read(self, start, count):
        """At most *count* committed records from an offset on, and the position behind them."""
        found, at, stable = [], max(start, self.start), self.stable
        while at < stable and len(found) < count:
            transaction, key, value = self.records[at]
            if transaction.committed and key is not None:
                found.append((at, key, value))
            at += 1
        return found, max(at, start)


class World:
    """The cluster, the targets, and what may be doubled."""

    def __init__(self, sources):
        self.now = 0.0
        self.status, self.retry = Log("status"), Log("retry")
        self.sources = {at: [] for at in sources}
        self.committed = dict.fromkeys([*sources, RETRY], 0)
        self.generations = dict.fromkeys([*sources, RETRY], 0)
        self.transactions = []
        self.up = dict.fromkeys(DRAINS, True)
        self.gone = set()
        self.arrived = defaultdict(list)
        self.told = defaultdict(int)
        self.limbo = []
        self.excused = set()
        self.deleted = defaultdict(set)

    def begin(self):
        transaction = Transaction()
        self.transactions.append(transaction)
        return transaction

    def send_offset(self, transaction, at, generation, offset):
        if self.generations[at] != generation:
            raise FencedError
        transaction.offsets[at] = offset
        transaction.places.add("offsets")

    def mark(self, place):
        """Transactions that have ended end in this place, too."""
        for each in self.transactions:
            if each.committed is not None and place in each.places:
                if place == "offsets":
                    if each.committed:
                        self.committed |= each.offsets
                    each.places.discard(place)
                else:
                    (self.status if place == "status" else self.retry).mark(each)

    def is_stable(self, at):
        return not any(at in each.offsets and "offsets" in each.places for each in self.transactions)

    def let_arrive(self, owner, drain, request, *, is_answered):
        """A request that was cancelled arrives after all, and its sender may get to know it."""
        self.arrive(drain, request.items)
        if is_answered and not owner.is_dead and owner.is_running:
            owner.settle(drain, request.ticket, len(request.items))

    def arrive(self, drain, items):
        for each in items:
            if isinstance(each, DroppedLines):
                self.told[drain] += each.lines
            else:
                self.arrived[drain].append(each.id)

    def excuse(self, drain, items):
        self.excused |= {(drain, each.id) for each in items if isinstance(each, Line)}

    def excuse_moved(self):
        """What is in the retry topic and not known as delivered may come twice: its owner dies, or has another one."""
        view = StatusView()
        for _, key, value in self.status.read(0, 10_000)[0]:
            view.apply(key, value)
        for transaction, key, value in self.retry.records:
            if key is None or transaction.committed is False:
                continue
            drain, line = key.decode(), decode_line(value)
            known = view.delivered(drain)
            reached = known.numbers().get((line.topic, line.partition)) if known else None
            if reached is None or reached.number < line.number:
                self.excuse(drain, [line.line])

    def delete(self, count):
        """Retention: the oldest records of the retry topic are gone."""
        start = min(self.retry.start + count, self.retry.stable)
        for _, key, value in self.retry.records[self.retry.start : start]:
            if key is not None:
                self.deleted[key.decode()].add(decode_line(value).line.id)
        self.retry.start = start


class Owner:
    """What both kinds of owners have: a generation, a view of the status topic, a transaction, requests."""

    def __init__(self, world, at):
        world.generations[at] += 1
        self.world, self.at, self.generation = world, at, world.generations[at]
        self.view, self.position = StatusView(), 0
        self.transaction = None
        self.requests = {}
        self.status_end = None
        self.is_running = False
        self.is_dead = False

    @property
    def is_zombie(self):
        return self.world.generations[self.at] != self.generation

    def follow(self, count=1_000):
        found, self.position = self.world.status.read(self.position, count)
        for _, key, value in found:
            self.saw(self.view.apply(key, value))

    def saw(self, key):
        pass

    def start(self):
        """One step of taking over; nothing happens while it has to wait."""
        if self.status_end is None:
            if self.world.is_stable(self.at):
                self.before_status()
                self.status_end = self.world.status.end
        elif not self.is_running:
            self.follow()
            if self.position >= self.status_end:
                self.is_running = True
                self.begin_running()

    def before_status(self):
        pass

    def may_begin(self):
        """One transaction after the other: the next one has to wait for the former to end everywhere."""
        mine = self.transaction
        return self.is_running and (mine is None or (mine.committed is not None and not mine.places))

    def cancel(self, drain):
        request = self.requests.pop(drain, None)
        if request is not None:
            self.world.excuse(drain, request.items)
            self.world.limbo.append((self, drain, request))

    def die(self):
        """At once."""
        if not self.is_dead:
            self.end()
            self.excuse_open()

    def end(self):
        self.is_dead = True
        for drain in [*self.requests]:
            self.cancel(drain)

    def answer(self, drain, outcome):
        """What becomes of the request that is on its way: `ok`, `part`, `refused` (not there), `lost` (the answer)."""
        request = self.requests.pop(drain, None)
        if request is None:
            return
        if not self.world.up[drain] and outcome != "lost":
            outcome = "refused"
        done = {"ok": len(request.items), "part": len(request.items) // 2}.get(outcome, 0)
        self.world.arrive(drain, request.items if outcome == "lost" else request.items[:done])
        if outcome == "lost":
            self.world.excuse(drain, request.items)
        if self.is_zombie:
            self.world.excuse(drain, request.items)
        self.settle(drain, request.ticket, done)


class SourceOwner(Owner):
    """Reads a source partition, as its lane does: with the offsets of what is done, and the lines of what is not."""

    def begin_running(self):
        self.next = self.world.committed[self.at]
        self.progress = Progress()
        self.ticket = self.progress.add_partition(self.at)
        self.lines = SourceLines(self.at, PLACE, self.numbers)

    def numbers(self, drain):
        return self.view.moved(drain).get(self.at, MovedUpTo()).number, self.delivered(drain)

    def saw(self, key):
        if self.is_running and isinstance(key, DeliveredKey):
            self.lines.note_delivered(key.drain, self.delivered(key.drain))

    def delivered(self, drain):
        known = self.view.delivered(drain)
        reached = known.numbers().get(self.at) if known else None
        return reached.number if reached else 0

    def read(self):
        log = self.world.sources[self.at]
        if not self.is_running or self.next >= len(log):
            return
        offset, self.next = self.next, self.next + 1
        self.progress.read(self.at, offset, 10)
        drains = sorted(log[offset] - self.world.gone)
        if self.lines.add(offset, [(self.line(offset), drains)], self.world.now):
            self.pass_on([offset])

    def pass_on(self, offsets):
        """These are done."""
        for offset in offsets:
            self.progress.settle(self.at, self.ticket, offset)

    def line(self, offset):
        return Line(f"{self.at[0]}-{offset}", None, "shop", "web", 6, b"text")

    def send(self, drain, lines=3):
        taken = self.lines.take(drain, lines, 1_000) if self.is_running else None
        if taken is not None:
            self.requests[drain] = taken

    def settle(self, drain, ticket, done):
        self.pass_on(self.lines.settle(drain, ticket, done))

    def drop(self, drain):
        """The drain is gone."""
        self.requests.pop(drain, None)
        if self.is_running:
            self.pass_on(self.lines.drop(drain))

    def begin_commit(self, *, everything=False):
        """Lines that are due are moved, with the offset behind all that is done by that."""
        if not self.may_begin():
            return
        moves = self.lines.begin_move(self.world.now, int(self.world.now), everything=everything)
        self.pass_on(moves.done)
        for drain in moves.cancelled:
            self.cancel(drain)
        self.transaction = self.world.begin()
        for drain, line in moves.lines:
            self.world.retry.append(self.transaction, drain.encode(), encode_line(line))
        self.last = moves.last
        try:
            offset = self.progress.due().positions.get(self.at, self.world.committed[self.at])
            self.world.send_offset(self.transaction, self.at, self.generation, offset)
        except FencedError:
            self.end_commit("aborted")
            self.die()

    def end_commit(self, end):
        """`committed`, `aborted`, or `doubt`: it is committed, and nobody has told."""
        if self.transaction is None or self.transaction.committed is not None:
            return
        for drain, last in self.last.items():
            self.world.status.append(self.transaction, encode_key(MovedKey(drain, *self.at)), encode_value(last))
        self.transaction.committed = end != "aborted"
        self.lines.end_move(is_committed=end == "committed")
        if end == "committed":
            self.progress.committed(self.transaction.offsets)

    def leave_in_order(self):
        """What waits is moved, and all is committed."""
        self.begin_commit(everything=True)
        self.end_commit("committed")
        if not self.is_dead:
            assert self.lines.bytes == 0
            self.end()

    def excuse_open(self):
        """What is not committed may come twice; what is, and not known everywhere, may not."""
        decided = [each.offsets.get(self.at, 0) for each in self.world.transactions if each.committed]
        for offset in range(max(decided, default=0), len(self.world.sources[self.at])):
            for drain in self.world.sources[self.at][offset]:
                self.world.excuse(drain, [self.line(offset)])


class RetryOwner(Owner):
    """Reads the retry partition for all drains."""

    def before_status(self):
        self.head = self.world.retry.stable

    def begin_running(self):
        self.sweep = Sweep(SWEEP, self.head)
        self.snapshot = self.fetched = None
        for drain in self.view.drains():
            self.sweep.add(drain, self.view.delivered(drain), self.view.moved(drain))

    def read(self, count=2):
        """First records are asked for, and in another step they are there."""
        if not self.is_running:
            return
        if self.fetched is None:
            start = self.sweep.offset()
            found, position = self.world.retry.read(start, count)
            records = [SweptRecord(at, key.decode(), decode_line(value), 10) for at, key, value in found]
            self.fetched = start, records, position
            return
        self.sweep.take(*self.fetched)
        self.fetched = None
        for drain in self.world.gone:
            self.drop(drain)

    def drop(self, drain):
        self.requests.pop(drain, None)
        if self.is_running:
            self.sweep.forget(drain)

    def look_for_end(self):
        """First what was moved, and in another step the end of the log."""
        if not self.is_running:
            return
        if self.snapshot is None:
            self.snapshot = {each: dict(self.view.moved(each)) for each in self.view.drains() - self.world.gone}
        else:
            self.sweep.note_end(self.world.retry.end, self.snapshot)
            self.snapshot = None

    def send(self, drain, lines=3):
        batch = self.sweep.batch(drain, lines, 1_000) if self.is_running else None
        if batch is not None:
            self.requests[drain] = batch

    def settle(self, drain, ticket, done):
        self.sweep.settle(drain, ticket, done)

    def begin_commit(self):
        if not self.may_begin():
            return
        self.changes = self.sweep.changes()
        if not self.changes:
            return
        self.transaction = self.world.begin()
        for drain, state in self.changes.items():
            self.world.status.append(self.transaction, encode_key(DeliveredKey(drain)), encode_value(state))
        try:
            self.world.send_offset(self.transaction, self.at, self.generation, self.sweep.offset())
        except FencedError:
            self.end_commit("aborted")
            self.die()

    def end_commit(self, end):
        if self.transaction is None or self.transaction.committed is not None:
            return
        self.transaction.committed = end != "aborted"
        if end == "committed":
            self.sweep.written(self.changes)

    def leave_in_order(self):
        """Requests that are on their way are over, and all is written."""
        for drain in [*self.requests]:
            self.answer(drain, "ok")
        self.begin_commit()
        self.end_commit("committed")
        if not self.is_dead:
            self.end()

    def excuse_open(self):
        """What is not known as delivered may come twice."""
        self.world.excuse_moved()
