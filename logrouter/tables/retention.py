"""How long rows are kept, as arithmetic: time comes in as an argument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from logrouter.query.tiers import Tier
from logrouter.tables.rows import CODE

GRACE_MINUTES: Final = 5
"""How much longer than promised a row stays in the store.

A row is no longer written once it has expired, but deleted only after this: by then no flush that still holds it can be
under way, and a new owner whose clock is a little behind does not write a row whose tombstone is already out.
"""


class Cutoffs(NamedTuple):
    """The oldest bucket of each tier that is kept, in the order of `rows.TIERS`."""

    minute: int
    hour: int
    day: int
    life: int = 0

    def of_all(self) -> int:
        """The oldest epoch minute of which every row is kept."""
        return max(self.minute, self.hour * 60, self.day * 1440)

    def keeps(self, tier: Tier, bucket: int) -> bool:
        """Whether a bucket is kept."""
        return bucket >= self.oldest(tier)

    def oldest(self, tier: Tier) -> int:
        """The oldest bucket that is kept; 0 in the lifetime tier."""
        return self[CODE[tier]]


@dataclass(frozen=True, slots=True)
class BucketsKept:
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
