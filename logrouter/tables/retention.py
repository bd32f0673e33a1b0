"""How long rows are kept, as arithmetic on epoch minutes; the time is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from logrouter.query.tiers import Tier
from logrouter.tables.rows import CODE

GRACE_MINUTES: Final = 5
"""How much longer than promised a row stays in the store.

An expired row is no longer written, but deleted only after this time: by then no flush that holds it can be running,
and a new owner whose clock is a little behind does not write a row whose tombstone was sent already.
"""


class Cutoffs(NamedTuple):
    """The oldest bucket of each tier that is kept, in the order of `rows.TIERS`."""

    minute: int
    hour: int
    day: int
    life: int = 0

    def kept_by_all(self) -> int:
        """The oldest epoch minute whose rows are kept in every tier."""
        return max(self.minute, self.hour * 60, self.day * 1440)

    def keeps(self, tier: Tier, bucket: int) -> bool:
        """Whether rows of a bucket of a tier are kept."""
        return bucket >= self.oldest(tier)

    def oldest(self, tier: Tier) -> int:
        """The oldest bucket of a tier that is kept; 0 for the lifetime tier."""
        return self[CODE[tier]]


@dataclass(frozen=True, slots=True)
class BucketsKept:
    """How many buckets before the current one each tier keeps."""

    minutes: int = 24 * 60
    hours: int = 35 * 24
    days: int = 400

    def cutoffs(self, now_minute: int) -> Cutoffs:
        """What is kept at an epoch minute."""
        return Cutoffs(
            max(Tier.MINUTE.bucket(now_minute) - self.minutes, 0),
            max(Tier.HOUR.bucket(now_minute) - self.hours, 0),
            max(Tier.DAY.bucket(now_minute) - self.days, 0),
        )

    def deletion_cutoffs(self, now_minute: int) -> Cutoffs:
        """What must not be deleted yet at an epoch minute: `GRACE_MINUTES` more."""
        return self.cutoffs(now_minute - GRACE_MINUTES)
