"""Summaries of a bounded size with a stated error: latencies within 2 %, and the most frequent of any number of names.

*Latencies* are counted in buckets whose bounds grow by a constant factor (the mapping of Masson, Rim and Lee,
"DDSketch", VLDB 2019).

*Names* are counted by Misra and Gries's algorithm in the mergeable form of Agarwal et al., "Mergeable Summaries",
PODS 2012: when there are more than *room* names, the count of the largest one that finds no room is taken off all, and
what has nothing left is dropped. What was taken off in all is the *error bound*: the true count of a name lies between
its estimate (0 for a name that is not kept) and its estimate plus the error bound. Whatever the order and the grouping,
the error bound is at most the sum of all counts divided by *room* + 1.
"""

from __future__ import annotations

import math
from typing import Final

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


def bucket_value(index: int) -> float:
    """The latency in milliseconds that stands for a bucket, at most 2 % away from every latency in it."""
    return 0.0 if index <= ZERO else float(2 * _GAMMA**index / (_GAMMA + 1))


def trim_counts(counts: dict[str, int], room: int) -> int:
    """Leave at most *room* names in *counts*; returns what every count lost by it, to be added to the error bound."""
    if len(counts) <= room:
        return 0
    taken = sorted(counts.values(), reverse=True)[room]
    kept = [(name, n - taken) for name, n in counts.items() if n > taken]
    counts.clear()
    counts.update(kept)
    return taken


def merge_counts(into: dict[str, int], counts: dict[str, int], room: int) -> int:
    """Add the counts of another summary to *into*, which keeps at most *room* names.

    Returns what was taken off every count; the error bound of *into* grows by that and by that of the other summary.
    """
    get = into.get
    for name, n in counts.items():
        into[name] = get(name, 0) + n
    return trim_counts(into, room) if len(into) > room else 0
