"""Limits on the rate of requests and of rows read: a token bucket per caller, in bounded memory."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

UNKNOWN: Final = "unknown"
MAX_BUCKETS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """*per_second* in the long run and *burst* at once, of requests or of rows; *per_second* 0 means no limit."""

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

    def take(self, key: str, now: float, cost: float = 1.0) -> float:
        """Take *cost* from the caller's bucket; 0 if that may pass, else the seconds after which it will.

        *now* is seconds of a steady clock. What costs more than a full bucket holds passes when the bucket is full, and
        leaves a debt that is paid before anything else passes.
        """
        if self._rate.per_second <= 0:
            return 0.0
        left, needed = self._filled(key, now), min(cost, float(self._rate.burst))
        passes = left >= needed
        self._put(key, left - cost if passes else left, now)
        return 0.0 if passes else (needed - left) / self._rate.per_second

    def charge(self, key: str, now: float, cost: float) -> None:
        """Take *cost* whether or not it is there, or give back if it is negative: the bucket may be left in debt."""
        if self._rate.per_second > 0:
            self._put(key, min(self._filled(key, now) - cost, float(self._rate.burst)), now)

    def _filled(self, key: str, now: float) -> float:
        per_second, burst = self._rate.per_second, float(self._rate.burst)
        left, at = self._left.pop(key, (burst, now))
        return min(left + max(now - at, 0.0) * per_second, burst)

    def _put(self, key: str, left: float, now: float) -> None:
        self._left[key] = (left, now)
        if len(self._left) > self._most:
            self._left.popitem(last=False)


def bucket_key(address: str | None) -> str:
    """The bucket of a caller without a token: its IPv4 address, or the /64 network of its IPv6 address."""
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return UNKNOWN
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
