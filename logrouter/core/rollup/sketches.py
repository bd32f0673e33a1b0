"""Latencies in a bounded number of counts, within 2 %.

They are counted in buckets whose bounds grow by a constant factor (the mapping of Masson, Rim and Lee,
"DDSketch", VLDB 2019).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAX_LATENCY_MS: Final = 2**31 - 1
_GAMMA: Final = 1.02 / 0.98
_INVERSE_LOG_GAMMA: Final = 1 / math.log(_GAMMA)
ZERO: Final = -1
"""The bucket of 0 ms."""


def _exact_bucket(ms: int) -> int:
    return math.ceil(math.log(ms) * _INVERSE_LOG_GAMMA) if ms > 0 else ZERO


_SMALL: Final = tuple(_exact_bucket(ms) for ms in range(8192))
MAX_BUCKET: Final = _exact_bucket(MAX_LATENCY_MS)


def latency_bucket(ms: int) -> int:
    """The bucket of a latency in milliseconds. Any int is accepted; those out of range are clamped."""
    if 0 <= ms < 8192:
        return _SMALL[ms]
    return ZERO if ms < 0 else _exact_bucket(min(ms, MAX_LATENCY_MS))


COARSE: Final = 4
"""So many buckets together are a coarse one."""


def coarse_bucket(index: int) -> int:
    """The coarse bucket that a bucket is part of; `ZERO` is one by itself."""
    return index // COARSE if index > ZERO else ZERO


def coarse_value(index: int) -> float:
    """The latency in milliseconds that stands for a coarse bucket, at most 8 % away from every latency in it."""
    return 0.0 if index <= ZERO else math.sqrt(bucket_value(COARSE * index) * bucket_value(COARSE * index + COARSE - 1))


def bucket_value(index: int) -> float:
    """The latency in milliseconds that stands for a bucket, at most 2 % away from every latency in it."""
    return 0.0 if index <= ZERO else float(2 * _GAMMA**index / (_GAMMA + 1))


def quantiles(
    counts: Mapping[int, int], shares: Sequence[float], value_of: Callable[[int], float]
) -> list[float] | None:
    """Latencies in milliseconds below which the given shares of the requests lie; None without latencies.

    *counts* are by bucket, of which *value_of* says what stands for it; *shares* lie between 0 and 1 and rise.
    """
    total = sum(counts.values())
    if total <= 0:
        return None
    found: list[float] = []
    left = iter(shares)
    rank, seen = next(left) * (total - 1), 0
    for index in sorted(counts):
        seen += counts[index]
        while seen > rank:
            found.append(value_of(index))
            if len(found) == len(shares):
                return found
            rank = next(left) * (total - 1)
    return found
