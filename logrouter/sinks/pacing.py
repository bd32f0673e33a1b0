"""When the next request may go out: back-off, adaptive concurrency and rate. Pure: times are arguments, in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logrouter.sinks.contract import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_ASKED: Final = 3600.0
"""A target that asks to be left alone for longer is asked again after this time."""
_CROWDED: Final = frozenset({Trouble.OVERLOADED, Trouble.TIMEOUT})
"""Signs of too many requests at a time; after any other trouble one at a time is enough to find out."""
_MAX_DOUBLINGS: Final = 30


@dataclass(frozen=True, slots=True)
class PaceLimits:
    """*max_requests* at a time; pauses after failures from *first_pause* to *longest_pause*; *rate* in events a second.

    Without a *rate* events go as fast as the target takes them.
    """

    max_requests: int
    first_pause: float
    longest_pause: float
    rate: float | None = None


class Pace:
    """Additive increase, multiplicative decrease of the number of requests at a time, and pauses that double.

    While a target fails, one request at a time tries whether it is back.
    """

    def __init__(self, limits: PaceLimits, random: Callable[[], float]) -> None:
        """*random* gives numbers from 0 to 1: a pause is drawn from the upper half of its length."""
        self._limits = limits
        self._random = random
        self.limit = min(2, limits.max_requests)
        """How many requests may be on their way now."""
        self.in_flight = 0
        self.failures = 0
        """Failures in a row."""
        self._successes = 0
        self._open_at = -math.inf
        self._rate_at = -math.inf
        self._lowered_at = -math.inf

    def seconds_to_wait(self, now: float) -> float:
        """How long the next request has to wait; infinite if it waits for one that is on its way."""
        if self.in_flight >= (1 if self.failures else self.limit):
            return math.inf
        return max(self._open_at - now, self._rate_at - now, 0.0)

    def start(self, events: int, now: float) -> None:
        """A request with so many events goes out."""
        self.in_flight += 1
        if self._limits.rate is not None:
            self._rate_at = max(self._rate_at, now) + events / self._limits.rate

    def cancel(self) -> None:
        """A request has ended of which nothing is known."""
        self.in_flight -= 1

    def succeed(self) -> None:
        """A request has ended well."""
        self.in_flight -= 1
        self.failures = 0
        self._successes += 1
        if self._successes >= self.limit:
            self._successes = 0
            self.limit = min(self.limit + 1, self._limits.max_requests)

    def fail(self, trouble: Trouble, started: float, now: float, after: float | None = None) -> None:
        """A request that began at *started* has ended in trouble; *after* is how long the target asks us to wait."""
        self.in_flight -= 1
        self._successes = 0
        if started < self._lowered_at:
            return  # it was on its way together with the one that has told us
        self._lowered_at = now
        self.limit = max(self.limit // 2, 1) if trouble in _CROWDED else 1
        pause = self._limits.first_pause * 2 ** min(self.failures, _MAX_DOUBLINGS)
        pause = min(pause, self._limits.longest_pause)
        self.failures += 1
        pause *= 0.5 + 0.5 * self._random()
        self._open_at = now + max(pause, min(after or 0.0, LONGEST_ASKED))
