"""The lease: until when no other worker can own the partitions of this one."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable

EXIT_FENCED: Final = 75
SAFE_SHARE: Final = 0.8
"""Part of the coordinator's time-outs, counted from before the request that it answered. The rest is for clocks that
run at different speed and for requests that are on their way already."""
_NEVER: Final = float("-inf")
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Counts while the machine is suspended, where the system has such a clock: the coordinator does not wait for it."""


def steady_seconds() -> float:
    """Seconds by a clock that nobody sets."""
    return time.clock_gettime(_CLOCK)


class SentRequest(NamedTuple):
    """A request to the group coordinator: when it was sent, by the lease's clock, and in which term."""

    at: float
    term: int


class Lease:
    """Valid for `SAFE_SHARE` of the session time-out after the last heartbeat that the coordinator answered.

    A process that was stopped or cut off for longer finds it expired and must not write: its partitions may have a new
    owner, whose newer rows it would overwrite.

    While a rebalance is prepared, heartbeats are answered by "rebalance in progress". The coordinator then keeps every
    member and its partitions until it joins again, or until *rebalance_seconds* after the rebalance began; it cannot
    have begun before the last heartbeat that was answered without error was sent. A member that asks to join again, or
    to leave, gives its partitions away with that request: a new term begins, in which answers to older requests say
    nothing.

    The consumer's thread changes it, any thread may read it.
    """

    def __init__(
        self, session_seconds: float, rebalance_seconds: float, clock: Callable[[], float] = steady_seconds
    ) -> None:
        self._session = session_seconds * SAFE_SHARE
        self._rebalance = rebalance_seconds * SAFE_SHARE
        self._join_seconds = rebalance_seconds
        self._clock = clock
        self._term = 0
        self._stable = _NEVER
        self._until = _NEVER
        self._answer_due = _NEVER

    def ask(self) -> SentRequest:
        """What to give to `renew` with the answer to a request; call it before the request is sent."""
        return SentRequest(self._clock(), self._term)

    def renew(self, asked: SentRequest) -> None:
        """Extend the lease: the coordinator has answered a heartbeat or sync request without error."""
        if asked.term == self._term:
            self._stable = max(self._stable, asked.at)
            self._extend(asked.at + self._session)

    def renew_in_rebalance(self, asked: SentRequest) -> None:
        """Extend the lease: the coordinator has answered a heartbeat by "rebalance in progress"."""
        if asked.term == self._term:
            self._extend(min(asked.at + self._session, self._stable + self._rebalance))

    def _extend(self, until: float) -> None:
        self._until = max(self._until, until)
        self._answer_due = max(self._answer_due, self._until)

    def give_up(self) -> None:
        """End the lease: we are about to ask to join or to leave, or the coordinator does not know us any more."""
        self._term += 1
        self._stable = self._until = _NEVER
        # The answer to a join request may wait for the slowest member.
        self._answer_due = self._clock() + self._join_seconds

    def valid(self) -> bool:
        """Whether no other worker can own our partitions yet."""
        return self._clock() < self._until

    def silent(self) -> bool:
        """Whether the coordinator owes us an answer for too long. False before the first request to it."""
        return _NEVER < self._answer_due <= self._clock()


def exit_fenced(why: str) -> NoReturn:
    """End the process at once with `EXIT_FENCED`; nothing more is written, flushed or committed.

    A supervisor starts it again, and it recovers from the changelog and the records that are not committed.
    """
    log(Log.FENCED, lane="tables", error=why)
    sys.stderr.flush()
    os._exit(EXIT_FENCED)
