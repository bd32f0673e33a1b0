"""Publishing fewer events, by rules that give the same result in a replay: sampling and rate limits.

Both decide by the id and the timestamp of the record and never by the wall clock.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.core.routing import Source
    from logrouter.model import RawRecord

    Sample = Callable[[str], bool]
    Limit = Callable[[RawRecord, int, int], bool]

_DIGEST_BYTES: Final = 8
_MAX_BACK_MS: Final = 60_000
"""Timestamps within a partition may go back this far; by more, a clock was wrong and is believed again."""


def compile_sample(rate: float) -> Callable[[str], bool]:
    """A function that says whether the id is in the sample.

    *rate* lies between 0 and 1; a smaller sample is part of a larger.
    """
    below = int(rate * 256.0**_DIGEST_BYTES)

    def sample(record_id: str) -> bool:
        return int.from_bytes(blake2b(record_id.encode(), digest_size=_DIGEST_BYTES).digest(), "big") < below

    return sample


class _Bucket:
    """A token bucket of one partition. *at_ms* is the latest timestamp seen, *last* what was asked for last."""

    __slots__ = ("at_ms", "last", "tokens")

    def __init__(self, tokens: float, at_ms: int, last: tuple[int, int]) -> None:
        self.tokens = tokens
        self.at_ms = at_ms
        self.last = last


def compile_limit(events_per_second: float, burst: int) -> Limit:
    """A function that says whether a line is within the rate limit, to be called once for each line, in order.

    It takes the record, the wall clock in epoch milliseconds for a record without a timestamp, and the index of the
    line in the record. Each partition has a token bucket that the timestamps of its records fill, so that the result
    does not depend on which process reads the partition, what else it reads, or how fast. A record that is read again
    after a rewind finds a full bucket.
    """
    per_ms = events_per_second / 1000
    buckets: dict[tuple[str, int], _Bucket] = {}

    def limit(record: RawRecord, now_ms: int, index: int) -> bool:
        at_ms = record.timestamp_ms if record.timestamp_ms > 0 else now_ms
        bucket = buckets.get((record.topic, record.partition))
        asked = record.offset, index
        if bucket is None or asked <= bucket.last:
            bucket = buckets[record.topic, record.partition] = _Bucket(burst, at_ms, asked)
        bucket.last = asked
        if at_ms > bucket.at_ms:
            bucket.tokens = min(burst, bucket.tokens + (at_ms - bucket.at_ms) * per_ms)
            bucket.at_ms = at_ms
        elif at_ms < bucket.at_ms - _MAX_BACK_MS:
            # One record from the future must not keep the bucket from filling until then.
            bucket.at_ms = at_ms
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    return limit


def without_limits(source: Source) -> Source:
    """The source without sampling and rate limits, weights unchanged: for looking at single lines."""
    routes = tuple(
        route if route.extras is None else replace(route, extras=replace(route.extras, sample=None, limit=None))
        for route in source.routes
    )
    return replace(source, routes=routes)
