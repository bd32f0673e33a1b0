"""Which clients' events are sent: a block list, and a limit on the rate of each client.

Rates go by the times at which the records came to their topic and never by the wall clock, as those of routes do
(`core.sampling`): events that have waited for a target that was down are not too many for that. Each partition counts
for itself, so that it does not matter which process reads it and what else; the events of a client are in one
partition, as long as they have its id as their key.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from logrouter.sinks.contract import Skipped, SkipReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from logrouter.model import RawRecord

ANONYMOUS: Final = "-"
"""What stands in tables for the client of an event that has none."""
MAX_BUCKETS: Final = 10_000

_MAX_BACK_MS: Final = 60_000
"""Times within a partition may go back this far; by more, a clock was wrong and is believed again."""
_MAX_CLIENT: Final = 1024

_BLOCKED: Final = Skipped(SkipReason.BLOCKED)
_THROTTLED: Final = Skipped(SkipReason.THROTTLED)


class ClientRate(NamedTuple):
    """Events of one client: so many *per_second* on average, and *burst* at once."""

    per_second: float
    burst: int


@dataclass(slots=True)
class _ClientBucket:
    """A token bucket. *at_ms* is the latest time seen, *offset* the last record that has asked."""

    tokens: float
    at_ms: int
    offset: int


class ClientRules:
    """Decides once for each event, in the order in which they are read.

    At most *most_buckets* clients are remembered; the one that has been silent for the longest time is forgotten first
    and begins with a full bucket when it comes back.
    """

    def __init__(
        self,
        blocked: Iterable[str],
        rate: ClientRate | None,
        clock_ms: Callable[[], int],
        *,
        most_buckets: int = MAX_BUCKETS,
    ) -> None:
        """*blocked* are ids or globs of such, in which `*` is any text.

        *clock_ms* gives epoch milliseconds, for records without a time.
        """
        names = set(blocked)
        self._blocked = frozenset(name for name in names if "*" not in name)
        globs = [_expression(name) for name in sorted(names - self._blocked)]
        self._patterns = re.compile("|".join(globs), re.DOTALL) if globs else None
        self._rate = rate
        self._clock_ms = clock_ms
        self._most = most_buckets
        self._buckets: OrderedDict[tuple[str, int, str], _ClientBucket] = OrderedDict()

    def __call__(self, events: Sequence[RawRecord]) -> list[Skipped | None]:
        """For each event why it is not sent, None if it may be. What can't be read is for others to refuse."""
        return [self._decide(event) for event in events]

    def _decide(self, event: RawRecord) -> Skipped | None:
        client = client_of(event.value)
        if client is None:
            return None
        if client in self._blocked or (self._patterns is not None and self._patterns.fullmatch(client)):
            return _BLOCKED
        if self._rate is None or client == ANONYMOUS or self._take(event, client, self._rate):
            return None
        return _THROTTLED

    def _take(self, event: RawRecord, client: str, rate: ClientRate) -> bool:
        """Whether the bucket of the client has one more."""
        at_ms = event.timestamp_ms if event.timestamp_ms > 0 else self._clock_ms()
        key = event.topic, event.partition, client
        bucket = self._buckets.pop(key, None)
        if bucket is None or event.offset <= bucket.offset:  # a record that is read again finds a full bucket
            bucket = _ClientBucket(float(rate.burst), at_ms, event.offset)
        bucket.offset = event.offset
        if at_ms > bucket.at_ms:
            bucket.tokens = min(bucket.tokens + (at_ms - bucket.at_ms) / 1000 * rate.per_second, rate.burst)
            bucket.at_ms = at_ms
        elif at_ms < bucket.at_ms - _MAX_BACK_MS:
            bucket.at_ms = at_ms
        passes = bucket.tokens >= 1
        if passes:
            bucket.tokens -= 1
        self._buckets[key] = bucket
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return passes


def client_of(value: bytes | None) -> str | None:
    """The client of an event, `-` if it has none; None if the value is no event."""
    try:
        fields = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return None
    if not isinstance(fields, dict):
        return None
    client = fields.get("client_id")
    return client[:_MAX_CLIENT] if isinstance(client, str) else ANONYMOUS


def _expression(glob: str) -> str:
    """A regular expression for a glob, for `fullmatch`, in linear time: each part is searched for once."""
    first, *middle, last = glob.split("*")
    return re.escape(first) + "".join(f"(?>.*?{re.escape(part)})" for part in middle if part) + f".*{re.escape(last)}"
