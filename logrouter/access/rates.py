"""Limits on the rate of requests: a token bucket per caller, in bounded memory."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

UNKNOWN: Final = "unknown"
MAX_BUCKETS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """*per_second* requests in the long run and *burst* at once; *per_second* 0 means no limit."""

    per_second: float
    burst: int


class Buckets:
    """A token bucket per caller.

    The number of buckets is bounded: the caller that has not asked for the longest time is forgotten first, and starts
    with a full bucket when it comes back.
    """

    def __init__(self, rate: Rate, most: int = MAX_BUCKETS) -> None:
        self._rate = rate
        self._most = most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._left)

    def take(self, key: str, now: float) -> float:
        """Take one request from the caller's bucket; 0 if it may pass, else seconds to wait.

        *now* is seconds of a steady clock.
        """
        per_second, burst = self._rate.per_second, float(self._rate.burst)
        if per_second <= 0:
            return 0.0
        left, at = self._left.pop(key, (burst, now))
        left = min(left + max(now - at, 0.0) * per_second, burst)
        passes = left >= 1
        self._left[key] = (left - passes, now)
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return 0.0 if passes else (1 - left) / per_second


def bucket_key(address: str | None) -> str:
    """The bucket of a caller without a token: its IPv4 address, or the /64 network of its IPv6 address."""
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return UNKNOWN
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
