"""How long rows are kept, as arithmetic: time comes in as an argument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from logrouter.query.reader import Tier

GRACE_MINUTES: Final = 5
"""How much longer than promised a row stays in the store.

A row is no longer written once it has expired, but deleted only after this: by then no flush that still holds it can be
under way, and a new owner whose clock is a little behind does not write a row whose tombstone is already out.
"""


class Cutoffs(NamedTuple):
    """The oldest bucket of each tier that is kept."""

    minute: int
    hour: int
    day: int

    def keeps(self, tier: Tier, bucket: int) -> bool:
        """Whether a bucket is kept."""
        if tier is Tier.MINUTE:
            return bucket >= self.minute
        if tier is Tier.HOUR:
            return bucket >= self.hour
        return tier is Tier.LIFE or bucket >= self.day

    def oldest(self, tier: Tier) -> int:
        """The oldest bucket that is kept; 0 in the lifetime tier."""
        return {Tier.MINUTE: self.minute, Tier.HOUR: self.hour, Tier.DAY: self.day}.get(tier, 0)


@dataclass(frozen=True, slots=True)
class Retention:
    """How many buckets before the current one each tier keeps."""

    minutes: int = 24 * 60
    hours: int = 35 * 24
    days: int = 400

    def cutoffs(self, now_minute: int) -> Cutoffs:
        """What is kept at a time."""
        return Cutoffs(
            max(Tier.MINUTE.bucket(now_minute) - self.minutes, 0),
            max(Tier.HOUR.bucket(now_minute) - self.hours, 0),
            max(Tier.DAY.bucket(now_minute) - self.days, 0),
        )

    def deletions(self, now_minute: int) -> Cutoffs:
        """What must not be deleted yet at a time."""
        return self.cutoffs(now_minute - GRACE_MINUTES)
