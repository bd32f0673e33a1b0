"""All registrations at one moment, by id and by owner. A change gives another view, and leaves this one as it is."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from logrouter.core.drains.registration import Registration, decode

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from logrouter.core.drains.owner import Owner

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")

_BUCKETS: Final = 256
"""A change copies a list of so many, and one bucket: of 10,000 registrations some 40."""
_KEY_BYTES: Final = 64
"""So much of the key of a record that can't be read is kept: it may be anything."""

_CHANGES: Final = 256
"""So many changes are known by their ids: more than are made while somebody asks what has become of one."""


class BucketMap(Generic[K, V]):
    """An immutable mapping of which a changed copy shares all buckets but one with the original."""

    __slots__ = ("_buckets", "_size")

    def __init__(self) -> None:
        empty: dict[K, V] = {}
        self._buckets: list[dict[K, V]] = [empty] * _BUCKETS
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[V]:
        """The values, in no order."""
        return (value for bucket in self._buckets for value in bucket.values())

    def get(self, key: K) -> V | None:
        """The value at *key*, None if there is none."""
        return self._buckets[hash(key) % _BUCKETS].get(key)

    def with_value(self, key: K, value: V | None) -> BucketMap[K, V]:
        """A copy with *value* at *key*; without that key if *value* is None."""
        at = hash(key) % _BUCKETS
        bucket = self._buckets[at].copy()
        if value is None:
            bucket.pop(key, None)
        else:
            bucket[key] = value
        changed: BucketMap[K, V] = BucketMap.__new__(BucketMap)
        changed._size = self._size + len(bucket) - len(self._buckets[at])
        changed._buckets = self._buckets.copy()
        changed._buckets[at] = bucket
        return changed


@dataclass(frozen=True, slots=True)
class Directory:
    """An immutable view of the registrations, of none at first; `apply` gives the next one.

    A drain whose latest record can't be read is not in it, as nobody knows where its owner wants it to go now. It
    counts as `unreadable` until another record of its key can be read, or deletes it.
    """

    _by_id: BucketMap[str, Registration] = field(default_factory=BucketMap)
    _by_owner: BucketMap[Owner, tuple[Registration, ...]] = field(default_factory=BucketMap)
    _unreadable: BucketMap[bytes, bool] = field(default_factory=BucketMap)
    _changes: tuple[bytes, ...] = ()

    def __len__(self) -> int:
        """How many drains there are."""
        return len(self._by_id)

    def __iter__(self) -> Iterator[Registration]:
        """All of them, in no order."""
        return iter(self._by_id)

    @property
    def unreadable(self) -> int:
        """Of how many keys the latest record can't be read, such as what a later version has written otherwise."""
        return len(self._unreadable)

    def drain(self, drain_id: str) -> Registration | None:
        """The registration with this id."""
        return self._by_id.get(drain_id)

    def drains_of(self, owner: Owner) -> tuple[Registration, ...]:
        """Those of exactly this owner, the oldest first: an app without pair is another owner than one with it."""
        return self._by_owner.get(owner) or ()

    def with_url(self, owner: Owner, url: str) -> Registration | None:
        """The oldest drain of exactly this owner with exactly this URL."""
        return next((each for each in self.drains_of(owner) if each.url == url), None)

    def has_change(self, change: bytes) -> bool:
        """Whether the record of this change is among the latest."""
        return change in self._changes

    def apply(self, key: bytes | None, value: bytes | None, change: bytes = b"") -> Directory:
        """The view after one record of the topic: *key* is the drain's id, *value* None deletes it. Never raises.

        *change* is what the writer calls this change, for `has_change`; empty if it has no such name.
        """
        drain_id = _id_in(key)
        found = decode(value) if drain_id is not None and value is not None else None
        if found is not None and found.id != drain_id:
            found = None
        changed = self._with_unreadable(key or b"", unreadable=value is not None and found is None)
        if drain_id is not None:
            changed = changed._with_drain(drain_id, found)  # noqa: SLF001 - of the same class
        return replace(changed, _changes=(*self._changes[1 - _CHANGES :], change)) if change else changed

    def _with_unreadable(self, key: bytes, *, unreadable: bool) -> Directory:
        known = key[:_KEY_BYTES]
        if unreadable == (self._unreadable.get(known) is not None):
            return self
        return replace(self, _unreadable=self._unreadable.with_value(known, True if unreadable else None))

    def _with_drain(self, drain_id: str, new: Registration | None) -> Directory:
        old = self._by_id.get(drain_id)
        if old == new:
            return self
        owners = self._by_owner
        if old is not None:
            others = tuple(each for each in owners.get(old.owner) or () if each.id != drain_id)
            owners = owners.with_value(old.owner, others or None)
        if new is not None:
            present = owners.get(new.owner) or ()
            at = bisect_left(present, _age(new), key=_age)
            owners = owners.with_value(new.owner, (*present[:at], new, *present[at:]))
        return replace(self, _by_id=self._by_id.with_value(drain_id, new), _by_owner=owners)


def _age(registration: Registration) -> tuple[int, str]:
    return registration.created_ms, registration.id


def _id_in(key: bytes | None) -> str | None:
    try:
        return key.decode() if key else None
    except UnicodeDecodeError:
        return None
