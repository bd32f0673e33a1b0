"""Gathers records into batches, bounded by number, bytes and age. Pure: times are arguments, in seconds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")


class BatchBounds(NamedTuple):
    """A batch has at most so many records and bytes, unless one record alone has more, and waits for so long."""

    max_records: int
    max_bytes: int
    max_wait_seconds: float


class Batcher(Generic[T]):
    """The batch that is being filled."""

    def __init__(self, bounds: BatchBounds) -> None:
        self.bounds = bounds
        self._items: list[T] = []
        self._bytes = 0
        self._since = 0.0

    def add(self, item: T, size: int, now: float) -> Iterator[list[T]]:
        """Add one; the batches that are complete by that."""
        if self._items and self._bytes + size > self.bounds.max_bytes:
            yield self.take()
        if not self._items:
            self._since = now
        self._items.append(item)
        self._bytes += size
        if len(self._items) >= self.bounds.max_records or self._bytes >= self.bounds.max_bytes:
            yield self.take()

    def seconds_left(self, now: float) -> float:
        """How long the batch may wait on; infinite if it is empty."""
        return max(self._since + self.bounds.max_wait_seconds - now, 0.0) if self._items else math.inf

    def take(self) -> list[T]:
        """The batch as it is; an empty one begins."""
        taken, self._items, self._bytes = self._items, [], 0
        return taken

    def __len__(self) -> int:
        return len(self._items)
