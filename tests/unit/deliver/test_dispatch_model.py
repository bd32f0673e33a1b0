"""Batches, their delivery and what is committed, all of them real, over a target that does whatever it likes.

`test_lane_machine` has the group and its commits in every order; here is the thread with its event loop.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from logrouter.deliver.batching import BatchBounds
from logrouter.deliver.dispatch import Dispatcher
from logrouter.deliver.progress import Progress
from logrouter.model import RawRecord
from logrouter.sinks.contract import (
    DELIVERED,
    Encoded,
    NoAnswer,
    Refused,
    RefusedBeside,
    RefusedTogether,
    Retry,
    Skipped,
    SkipReason,
    Trouble,
)
from logrouter.sinks.delivery import Delivery
from logrouter.sinks.pacing import PaceLimits
from tests.conftest import HANG_SECONDS, examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logrouter.sinks.contract import Result

GOOD, BAD, ODD, BREAKS, LARGE = b"good", b"bad", b"not json", b"a bug", b"large" * 100
REFUSED = {BAD, ODD, BREAKS, LARGE}
PARTITIONS = [("s", 0), ("s", 1), ("s", 2)]


class WildSink:
    """Its target refuses what is bad, in every way there is; takes what is good, says so or not; and has bugs."""

    max_request_bytes = 200

    def __init__(self, rnd: random.Random, taken: Counter[tuple[str, int, int]]) -> None:
        self._rnd, self._taken = rnd, taken
        self.in_flight = self.most = 0
        self.is_closed = False

    def encode(self, events: Sequence[RawRecord]) -> Encoded:
        assert all(event.value != BREAKS for event in events)
        known = {None: Skipped(SkipReason.TOMBSTONE), ODD: Refused(0, "not JSON")}
        settled = [known.get(event.value) for event in events]
        return Encoded(None, sum(len(event.value or b"") for event in events), settled)

    async def send(self, _request: object) -> object:
        assert not self.is_closed
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            await asyncio.sleep(self._rnd.choice([0, 0, 0.001]))
        finally:
            self.in_flight -= 1
        number = self._rnd.random()
        if number < 0.03:
            raise RuntimeError
        if number < 0.06:
            raise asyncio.CancelledError  # not ours
        return NoAnswer(Trouble.BROKEN) if number < 0.15 else number

    def classify(self, number: float, events: Sequence[RawRecord]) -> Sequence[Result]:
        again = Retry(Trouble.OVERLOADED, 429, "", self._rnd.choice([None, 0, -1, float("nan")]))
        first_bad = next((event for event in events if event.value == BAD), None)
        if number < 0.2:
            return [DELIVERED] * (len(events) + 1)
        if number < 0.3:
            return [again] * len(events)
        if number < 0.4 and first_bad:
            return [RefusedTogether(400)] * len(events)
        if number < 0.5 and first_bad:
            return [Refused(400) if event is first_bad else RefusedBeside(400) for event in events]
        taken = [event for event in events if event.value == GOOD]
        said = {event.offset for event in taken if self._rnd.random() < 0.8}
        self._taken.update((event.topic, event.partition, event.offset) for event in taken)
        return [
            Refused(400) if event.value == BAD else DELIVERED if event.offset in said else again for event in events
        ]

    async def close(self) -> None:
        assert not self.in_flight
        self.is_closed = True


class Letters:
    """Letters that are the places of their events."""

    def refuse(self, event: RawRecord, _refused: Refused, _now_ms: int) -> tuple[object, bytes, list[object]]:
        return (event.topic, event.partition, event.offset), b"letter", []


class Member:
    """A process of a sink, and what its group has committed."""

    def __init__(self, rnd: random.Random) -> None:
        self.rnd = rnd
        self.taken: Counter[tuple[str, int, int]] = Counter()
        self.sinks: list[WildSink] = []
        self.logs: dict[tuple[str, int], list[bytes | str | None]] = {at: [] for at in PARTITIONS}
        self.committed = dict.fromkeys(PARTITIONS, 0)
        self.next: dict[tuple[str, int], int] = {}
        self.letters: Counter[tuple[str, int, int]] = Counter()
        self.progress = Progress()
        self.dispatcher = Dispatcher(self.version(), self.progress, Letters())

    def open_delivery(self) -> Delivery:
        self.sinks.append(WildSink(self.rnd, self.taken))
        return Delivery("wild", self.sinks[-1], PaceLimits(self.rnd.choice([1, 3, 8]), 0, 0))

    def version(self) -> SimpleNamespace:
        bounds = BatchBounds(self.rnd.choice([1, 3, 10]), self.rnd.choice([20, 1_000]), self.rnd.choice([0, 0.01]))
        return SimpleNamespace(name="wild", target=object(), batch=bounds, open_delivery=self.open_delivery)

    def turn(self) -> None:
        """Something happens: partitions come or go, another target is named, records are read, a commit is made."""
        at = self.rnd.choice(PARTITIONS)
        ticket, now = self.progress.ticket(at), time.monotonic()
        match self.rnd.choice(["come", "go", "edit", "commit", "wait", "send", *["read"] * 5]):
            case "come" if ticket is None:
                self.progress.add_partition(at)
                self.next[at] = self.committed[at]
            case "go" if ticket is not None:
                self.progress.forget(at)
                self.dispatcher.abandon_left()
            case "edit":
                self.dispatcher.replace(self.version())
            case "commit":
                self.commit()
            case "wait":
                self.dispatcher.settle(0.002)
            case "send":
                self.dispatcher.submit_if_old(now)
            case "read" if ticket is not None:
                for _ in range(self.rnd.randint(1, 8)):
                    self.read(at, ticket, now)
        self.dispatcher.settle()

    def read(self, at: tuple[str, int], ticket: int, now: float) -> None:
        offset = self.next[at]
        self.next[at] += 1
        if offset == len(self.logs[at]):
            self.logs[at].append(self.rnd.choice([*[GOOD] * 5, *REFUSED, None, "gap"]))
        value = self.logs[at][offset]
        if value != "gap":
            self.progress.read(at, offset, len(value or b""))
            self.dispatcher.add(RawRecord(*at, offset, 0, value), ticket, len(value or b""), now)

    def commit(self) -> None:
        due = self.progress.due()
        for at, end in due.positions.items():
            passed = range(self.committed[at], end)
            assert passed
            lost = [n for n in passed if self.logs[at][n] == GOOD and not self.taken[*at, n]]
            assert not lost, "passed and not taken"
            self.committed[at] = end
        self.letters.update(place for letters in due.letters.values() for place, _, _ in letters)
        self.progress.committed(due.positions)

    def end(self) -> None:
        """All that was read is settled, and committed; each refused event has one letter, no other has any."""
        self.dispatcher.submit_rest()
        by = time.monotonic() + HANG_SECONDS
        while not self.dispatcher.is_idle:
            assert time.monotonic() < by, "a batch does not come to its end"
            self.dispatcher.settle(0.1)
        self.commit()
        p = self.progress
        assert (p.records, p.bytes, p.uncommitted, p.letter_bytes) == (0, 0, 0, 0)
        passed = {(*at, n): value for at in PARTITIONS for n, value in enumerate(self.logs[at][: self.committed[at]])}
        assert self.letters == dict.fromkeys((place for place, value in passed.items() if value in REFUSED), 1)
        self.dispatcher.close()
        assert all(sink.is_closed and sink.most <= 8 for sink in self.sinks)


@settings(max_examples=examples(160), deadline=None)
@given(st.integers(0, 1 << 32), st.integers(10, 100))
def test_whatever_a_target_does_each_event_is_taken_or_has_one_letter(seed, turns):
    """In any order of batches, rebalances, edits and commits; and all connections are closed in the end."""
    logging.disable(logging.CRITICAL)  # bugs are said, with their tracebacks
    try:
        member = Member(random.Random(seed))
        for _ in range(turns):
            member.turn()
        member.end()
    finally:
        logging.disable(logging.NOTSET)
