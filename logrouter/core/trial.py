"""Whether a route table that has just become active may stay: its outcomes so far against given bounds.

The option `canary` of topics.yaml starts a trial. It has nothing to do with canary events, which test a producer.

trial = Trial(bounds, began_ms=now_ms)
trial = trial.add_batch(accepted=90, rejected=5, unmatched=5, read=100).with_lag(lags)
match trial.verdict(now_ms): ...        # WATCHING, PASSED, or CROSSED with a reason
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

Partition = tuple[str, int]


class TrialState(StrEnum):
    """How a trial stands."""

    WATCHING = "watching"
    PASSED = "passed"
    CROSSED = "crossed"


class TrialVerdict(NamedTuple):
    """The state of a trial; *reason* says which bound was crossed and by what value."""

    state: TrialState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TrialBounds:
    """The limits that a new table must keep for *window_ms* milliseconds; None means no limit.

    A ratio is between 0 and 1, and is judged only when it is made of *min_records* records at least: a single bad line
    is no trend.
    """

    window_ms: int
    min_records: int
    max_rejected_ratio: float | None = None
    max_unmatched_ratio: float | None = None
    max_lag_growth_records: int | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """One table on trial. An immutable value: every observation gives another one.

    The counts are of records since *began_ms* (epoch milliseconds). *lag_before* is each partition's lag in records
    when it was first seen in this trial, *lag* the latest: what a partition had before it came from another worker says
    nothing about the table.
    """

    bounds: TrialBounds
    began_ms: int
    read: int = 0
    accepted: int = 0
    rejected: int = 0
    unmatched: int = 0
    lag_before: Mapping[Partition, int] = field(default_factory=dict)
    lag: Mapping[Partition, int] = field(default_factory=dict)

    def add_batch(self, *, read: int, accepted: int, rejected: int, unmatched: int) -> Trial:
        """The trial after another batch of the new table."""
        return replace(
            self,
            read=self.read + read,
            accepted=self.accepted + accepted,
            rejected=self.rejected + rejected,
            unmatched=self.unmatched + unmatched,
        )

    def with_lag(self, lag: Mapping[Partition, int]) -> Trial:
        """The trial after another look at the lag, in records, of the partitions that this worker has."""
        before = {at: self.lag_before.get(at, records) for at, records in lag.items()}
        return replace(self, lag_before=before, lag=dict(lag))

    @property
    def rejected_ratio(self) -> float | None:
        """Rejected records over accepted and rejected ones; None before *min_records* of them."""
        return self._ratio(self.rejected, self.accepted + self.rejected)

    @property
    def unmatched_ratio(self) -> float | None:
        """Records that no route took over all records; None before *min_records* of them."""
        return self._ratio(self.unmatched, self.read)

    @property
    def lag_growth(self) -> int:
        """How many records the lag has grown by."""
        return sum(self.lag.values()) - sum(self.lag_before.values())

    def verdict(self, now_ms: int) -> TrialVerdict:
        """CROSSED once a bound is crossed, even after the window; PASSED when the window has ended; else WATCHING."""
        bounds = self.bounds
        for name, value, bound in (
            ("rejected_ratio", self.rejected_ratio, bounds.max_rejected_ratio),
            ("unmatched_ratio", self.unmatched_ratio, bounds.max_unmatched_ratio),
            ("lag_growth_records", self.lag_growth, bounds.max_lag_growth_records),
        ):
            if value is not None and bound is not None and value > bound:
                return TrialVerdict(TrialState.CROSSED, f"{name} is {value:.4g}, max_{name} is {bound:.4g}")
        if now_ms - self.began_ms >= bounds.window_ms:
            return TrialVerdict(TrialState.PASSED)
        return TrialVerdict(TrialState.WATCHING)

    def _ratio(self, part: int, whole: int) -> float | None:
        return part / whole if whole >= max(self.bounds.min_records, 1) else None
