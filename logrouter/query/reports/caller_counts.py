"""Which clients called which URLs: collected from the rows of a window, in bounded memory, each between two bounds.

A *caller* is a client and a path template. What the rows of a client know of the template adds up to both bounds. A row
that does not list the template may have dropped it: its *floor*, which no URL that it dropped exceeds, is in the upper
bound of every template that it does not list (`core.rollup.ranked`).

Callers are collected in shards, by client. A shard that has too many keeps the larger half, and remembers the largest
that it has dropped: so many requests may have been forgotten of any caller that comes anew. Shards are small, so that
keeping half of one takes less than a millisecond.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar
from zlib import crc32

import msgspec
from msgspec import Struct

from logrouter.core.rollup.ranked import Bounds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logrouter.query.reports.url_counts import UrlCounts
    from logrouter.query.steps import Steps

SHARDS: Final = 64
ROOM: Final = 780
"""How many callers a shard has room for, and how many clients whose rows lack URLs: 50,000 in all."""


class ClientOfUrl(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A client and a path template with what is known of its requests, as `url_counts.UrlCount` has it."""

    client: str
    url: str
    count: int
    at_most: int
    status: dict[str, int]
    failed: int

    @property
    def at_least(self) -> int:
        """Requests that were counted for sure."""
        return sum(self.status.values())


class PartialCallers(msgspec.Struct, forbid_unknown_fields=True):
    """One worker's part: its largest callers, largest first.

    *count* is the requests of all callers that were counted for sure; none that is not listed has more than
    *max_unlisted*.
    """

    callers: list[ClientOfUrl]
    count: int
    max_unlisted: int


class _Gap(Struct):
    """How many requests rows may have dropped of a URL that they do not list; *forgotten* since an upgrade."""

    floor: int = 0
    forgotten: int = 0

    @property
    def size(self) -> int:
        return self.floor + self.forgotten


class _Collected(Struct):
    """The rows of a client that list a template: what they say of it, and what they lack of others."""

    status: dict[str, int]
    lacks: int
    failed: int = 0
    forgotten: int = 0
    gap: _Gap = msgspec.field(default_factory=_Gap)

    @property
    def size(self) -> int:
        """More requests cannot have been made within these rows."""
        return sum(self.status.values()) + self.lacks + self.forgotten


K = TypeVar("K")
V = TypeVar("V", _Gap, _Collected)


class _Shard:
    """The callers of some clients."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._callers: dict[tuple[str, str], _Collected] = {}
        self._gaps: dict[str, _Gap] = {}
        self._dropped = 0
        self._dropped_gap = 0

    def add(self, client: str, counts: UrlCounts, unassigned: int) -> None:
        """Add the URLs of a row; of *unassigned* requests in it an older version has forgotten the URL."""
        forgotten = min(unassigned, counts.max_unlisted)
        floor = counts.max_unlisted - forgotten
        if counts.max_unlisted:
            gap = self._gaps.get(client)
            if gap is None:
                gap = self._gaps[client] = _Gap(self._dropped_gap)
            gap.floor += floor
            gap.forgotten += forgotten
        for url in counts.urls:
            known = self._callers.get((client, url.template))
            if known is None:
                known = self._callers[client, url.template] = _Collected({}, self._dropped)
            for status, n in url.status.items():
                known.status[status] = known.status.get(status, 0) + n
            known.failed += url.failed
            known.lacks += url.lacks
            known.forgotten += url.forgotten
            known.gap.floor += floor
            known.gap.forgotten += forgotten
        if len(self._callers) > self._room:
            self._callers, self._dropped = _larger_half(self._callers, self._dropped)
        if len(self._gaps) > self._room:
            self._gaps, self._dropped_gap = _larger_half(self._gaps, self._dropped_gap)

    def callers(self) -> Iterable[ClientOfUrl]:
        """The callers that are known, in no order."""
        for (client, url), known in self._callers.items():
            gap = self._gaps.get(client) or _Gap(self._dropped_gap)
            bounds = Bounds(
                sum(known.status.values()),
                sum(known.status.values()) + known.lacks + max(gap.floor - known.gap.floor, 0),
            )
            at_most = bounds.at_most + known.forgotten + max(gap.forgotten - known.gap.forgotten, 0)
            yield ClientOfUrl(client, url, bounds.middle, at_most, known.status, known.failed)

    @property
    def max_unlisted(self) -> int:
        """No caller that is not known has more requests."""
        return self._dropped + max([self._dropped_gap, *(gap.size for gap in self._gaps.values())])


def _larger_half(known: dict[K, V], dropped: int) -> tuple[dict[K, V], int]:
    """The larger half of *known*, and the largest size of what was dropped, now or before."""
    ranked = sorted(known.items(), key=lambda item: -item[1].size)
    half = len(ranked) // 2
    return dict(ranked[:half]), max(dropped, ranked[half][1].size)


class CallerCollector:
    """Collects the rows of a window, in any order, and gives their largest callers."""

    def __init__(self, room: int = ROOM) -> None:
        self._shards = [_Shard(room) for _ in range(SHARDS)]
        self._count = 0

    def add(self, client: str, counts: UrlCounts, unassigned: int) -> None:
        """Add the URLs of one row that are wanted, and what it lacks."""
        self._count += sum(url.at_least for url in counts.urls)
        if counts.urls or counts.max_unlisted:
            self._shards[crc32(client.encode("utf-8", "replace")) % SHARDS].add(client, counts, unassigned)

    def result(self, limit: int) -> Steps[PartialCallers]:
        """The *limit* largest callers."""
        found = PartialCallers([], self._count, 0)
        for shard in self._shards:
            found = merge_callers([found, PartialCallers(list(shard.callers()), 0, shard.max_unlisted)], limit)
            yield
        return found


def merge_callers(partials: Iterable[PartialCallers], limit: int) -> PartialCallers:
    """The callers of several workers, or shards, as one list of *limit*; no client is in two of them."""
    partials = list(partials)
    callers = sorted(
        (caller for partial in partials for caller in partial.callers),
        key=lambda caller: (-caller.count, caller.client, caller.url),
    )
    unlisted = [partial.max_unlisted for partial in partials] + [caller.at_most for caller in callers[limit:]]
    return PartialCallers(callers[:limit], sum(partial.count for partial in partials), max(unlisted, default=0))
