"""What the status topic says, record by record: how far each drain has come, what was done for it, what names mean.

The last record of a key counts, so the order of records of different keys does not matter. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from logrouter.core.drains.status import (
    Counts,
    CountsKey,
    DeliveredKey,
    DeliveredUpTo,
    MovedKey,
    MovedUpTo,
    SeenPair,
    SeenPairKey,
    decode_key,
    decode_value,
)
from logrouter.core.formats.families.app_space import AppSpace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from logrouter.core.drains.status import SourcePartition, StatusKey, StatusValue

MAX_PAIRS: Final = 16
"""Pairs that are known of a name: with two it is ambiguous, more change nothing."""
_NOTHING: Final[Mapping[Any, Any]] = MappingProxyType({})


class StatusView:
    """A fold over the records of the topic. What the properties give is not a copy."""

    def __init__(self) -> None:
        self.undecodable = 0
        """Records that were not understood."""
        self._moved: defaultdict[str, dict[SourcePartition, MovedUpTo]] = defaultdict(dict)
        self._delivered: dict[str, DeliveredUpTo] = {}
        self._counts: defaultdict[str, dict[str, Counts]] = defaultdict(dict)
        self._pairs: defaultdict[str, dict[AppSpace, int]] = defaultdict(dict)

    def apply(self, raw_key: bytes | None, value: bytes | None) -> StatusKey | None:
        """A record was read; its key, None if it was not understood. A value that is None deletes what was there."""
        key = decode_key(raw_key)
        decoded = decode_value(key, value) if key is not None and value is not None else None
        if key is None or (value is not None and decoded is None):
            self.undecodable += 1
            return None
        self._set(key, decoded)
        return key

    def moved(self, drain: str) -> Mapping[SourcePartition, MovedUpTo]:
        """The last lines that were moved, by source partition."""
        return self._moved.get(drain, _NOTHING)

    def delivered(self, drain: str) -> DeliveredUpTo | None:
        """What of these is delivered; None if nothing is known."""
        return self._delivered.get(drain)

    def moved_of(self, at: SourcePartition) -> Iterator[tuple[str, MovedUpTo]]:
        """Drains to which lines of a source partition were moved."""
        return ((drain, sources[at]) for drain, sources in self._moved.items() if at in sources)

    def drains(self) -> set[str]:
        """All of which anything is known, also those that are gone."""
        return {*self._moved, *self._delivered, *self._counts}

    def counts(self, drain: str) -> Mapping[str, Counts]:
        """What each process has done for a drain."""
        return self._counts.get(drain, _NOTHING)

    def pairs(self, name: str) -> tuple[AppSpace, ...]:
        """The pairs that a name was seen to mean, the one that was seen first before the others."""
        seen = self._pairs.get(name, _NOTHING)
        return tuple(sorted(seen, key=lambda pair: (seen[pair], pair)))

    def keys_of(self, drain: str) -> list[StatusKey]:
        """The keys of all records about a drain: those to be deleted when it is gone."""
        keys: list[StatusKey] = [MovedKey(drain, *at) for at in self.moved(drain)]
        keys += [CountsKey(drain, instance) for instance in self.counts(drain)]
        return [*keys, DeliveredKey(drain)] if drain in self._delivered else keys

    def _set(self, key: StatusKey, value: StatusValue | None) -> None:
        match key:
            case MovedKey():
                _put(self._moved, key.drain, (key.topic, key.partition), value)
            case DeliveredKey():
                if isinstance(value, DeliveredUpTo):
                    self._delivered[key.drain] = value
                else:
                    self._delivered.pop(key.drain, None)
            case CountsKey():
                _put(self._counts, key.drain, key.instance, value)
            case SeenPairKey():
                seen_ms = value.at_ms if isinstance(value, SeenPair) else None
                if len(self._pairs.get(key.name, _NOTHING)) < MAX_PAIRS or seen_ms is None:
                    _put(self._pairs, key.name, AppSpace(key.app, key.space), seen_ms)


def _put(table: defaultdict[str, dict[Any, Any]], name: str, key: object, value: object) -> None:
    """None deletes, and a row without anything in it, too."""
    if value is not None:
        table[name][key] = value
    elif name in table:
        table[name].pop(key, None)
        if not table[name]:
            del table[name]
