"""Rates of requests: a bucket per caller that fills steadily, and a bounded number of buckets."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

UNKNOWN: Final = "unknown"
MAX_BUCKETS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """*per_second* requests in the long run and *burst* at once; *per_second* 0 is no bound at all."""

    per_second: float
    burst: int


class Buckets:
    """What is left to each caller. Who has not asked for longest is forgotten first, and begins with a full one."""

    def __init__(self, rate: Rate, most: int = MAX_BUCKETS) -> None:
        self._rate = rate
        self._most = most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._left)

    def take(self, key: str, now: float) -> float:
        """0 if the request may pass, else the seconds after which one may. *now* is in seconds of any steady clock."""
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


def neighbourhood(address: str | None) -> str:
    """What is counted together of peers without a token: an IPv4 address, or the /64 that one IPv6 host may fill."""
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return UNKNOWN
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
