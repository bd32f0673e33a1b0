"""Which version of topics.yaml is in force, which one is to come next, and how the last change went.

Three threads meet here: the reloader proposes a version, the lane activates it between two batches, and the HTTP port
reports. With the option `canary` a new version is on trial: if what becomes of its records crosses a bound, the last
version that passed comes into force again.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from logrouter.core.text.timestamps import rfc3339
from logrouter.core.trial import Trial, TrialState
from logrouter.model import Reason
from logrouter.telemetry import metrics
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.config import Secret
    from logrouter.core.routing import RouteTable
    from logrouter.core.trial import Partition, TrialBounds
    from logrouter.model import OutcomeLabels

S = TypeVar("S")
"""What a lane takes of topics.yaml besides the route table: nothing here looks into it."""


class ReloadResult(StrEnum):
    """How a reload went."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    INVALID = "invalid"
    REFUSED = "refused"
    ROLLED_BACK = "rolled_back"


class ReloadOutcome(NamedTuple):
    """How a reload went; the *reason* if topics.yaml is not in force, and its *generation* if it could be read."""

    result: ReloadResult
    reason: str = ""
    generation: str = ""


@dataclass(frozen=True, slots=True)
class Version(Generic[S]):
    """One version of topics.yaml, as far as a running lane follows it.

    *trial_bounds* are what it has to keep to stay in force, None if it stays whatever happens. *admin_token* is what
    `POST /v1/admin/reload` takes. *files* names what further files hold that this lane alone uses: a version with
    others is another one, though of the same generation.
    """

    settings: S
    table: RouteTable
    trial_bounds: TrialBounds | None = None
    admin_token: Secret | None = None
    files: str = ""

    @property
    def generation(self) -> str:
        """The hash that names the version."""
        return self.table.generation


_KEPT: Final = frozenset({ReloadResult.INVALID, ReloadResult.REFUSED, ReloadResult.ROLLED_BACK})
"""After these the file is not what routes."""

_EVENTS: Final = {
    ReloadResult.APPLIED: Log.CONFIG_APPLIED,
    ReloadResult.UNCHANGED: Log.CONFIG_UNCHANGED,
    ReloadResult.INVALID: Log.CONFIG_REJECTED,
    ReloadResult.REFUSED: Log.CONFIG_REJECTED,
    ReloadResult.ROLLED_BACK: Log.CONFIG_ROLLED_BACK,
}


def _clock_ms() -> int:
    return time.time_ns() // 1_000_000


class ConfigVersions(Generic[S]):
    """The version in force and the one to come, for one lane. Every method may be called from any thread.

    `is_swap_due`, `record_commit` and `record_lag` are cheap enough for every batch.
    """

    def __init__(self, version: Version[S], *, file: str = "", clock_ms: Callable[[], int] = _clock_ms) -> None:
        """*version* is in force from the start, read from *file*; *clock_ms* gives epoch milliseconds."""
        self.version = version
        """The version in force."""
        self.pending: Version[S] | None = None
        """The version to come, as soon as the lane activates it."""
        self._file = file
        self._clock_ms = clock_ms
        self._changed = threading.Condition()
        self._since_ms = clock_ms()
        self._trial: Trial | None = None
        self._passed: bool | None = None
        self._fallback = version
        self._crossed = ""
        self._failed = ""
        self._in_doubt = False
        self._last = ReloadOutcome(ReloadResult.APPLIED, "", version.generation)
        self._last_ms = self._since_ms
        _export_version(version.generation, "", self._since_ms)

    def is_swap_due(self) -> bool:
        """For the lane, before each batch: whether there is a version to activate. Ends a trial whose time is over.

        That the lane asks shows that it goes on with the version that it activated last.
        """
        if self._in_doubt:
            self._end_doubt()
        if self._trial is not None:
            self._judge()
        return self.pending is not None

    def activate(self) -> Version[S] | None:
        """Put the version to come into force, and return it; None if there is none.

        For the lane, once all that the former one has routed is committed. It calls `reject` if it can't go on so.
        """
        with self._changed:
            version, self.pending = self.pending, None
            if version is None:
                return None
            former, now_ms = self.version, self._clock_ms()
            crossed, self._crossed = self._crossed, ""
            if crossed:
                self._trial = None
            else:
                # While a trial runs, the last version that has passed stays the one to come back to.
                self._fallback = self._fallback if self._trial is not None else former
                self._trial = None if version.trial_bounds is None else Trial(version.trial_bounds, now_ms)
                self._passed = None
            self.version, self._since_ms = version, now_ms
            self._in_doubt = True
            metrics.CANARY_ACTIVE.set(self._trial is not None)
            _export_version(version.generation, former.generation, now_ms)
            if crossed:
                self._record_outcome(ReloadOutcome(ReloadResult.ROLLED_BACK, crossed, former.generation))
            else:
                self._record_outcome(ReloadOutcome(ReloadResult.APPLIED, "", version.generation))
            return version

    def reject(self, former: Version[S], reason: str) -> None:
        """The version just activated can't be used for *reason*: the lane goes on with *former*."""
        with self._changed:
            generation, self.version = self.version.generation, former
            self._trial = None
            metrics.CANARY_ACTIVE.set(0)
            _export_version(former.generation, generation, self._clock_ms())
            self._record_outcome(ReloadOutcome(ReloadResult.REFUSED, reason, generation))
        self._end_doubt()

    def _end_doubt(self) -> None:
        """The version in force is really used: wake who waits for that."""
        with self._changed:
            self._in_doubt = False
            self._changed.notify_all()

    def record_commit(self, read: Mapping[str, list[int]], counts: Mapping[OutcomeLabels, int]) -> None:
        """For the lane: a batch of the version in force is committed.

        *read* are records and bytes by source, *counts* the first outcomes of the records.
        """
        if self._trial is None:
            return
        by = {"accepted": 0, "rejected": 0, "unmatched": 0}
        for (_route, outcome, _stage, reason), n in counts.items():
            name = "unmatched" if reason == Reason.UNMATCHED else "accepted" if outcome == "held" else outcome
            if name in by:
                by[name] += n
        self._trial = self._trial.add_batch(read=sum(records for records, _ in read.values()), **by)
        self._judge()

    def record_lag(self, lag: Mapping[Partition, int]) -> None:
        """For the lane: how many records it is behind, in each of its partitions."""
        if self._trial is not None:
            self._trial = self._trial.with_lag(lag)
            self._judge()

    def _judge(self) -> None:
        with self._changed:
            if self._trial is None or self._crossed or self.pending is not None:
                return
            verdict = self._trial.verdict(self._clock_ms())
            if verdict.state is TrialState.PASSED:
                self._trial, self._passed = None, True
                metrics.CANARY_ACTIVE.set(0)
                log(Log.CANARY_PASSED, file=self._file, generation=self.version.generation)
            elif verdict.state is TrialState.CROSSED:
                self._crossed, self._passed = verdict.reason, False
                self._failed, self.pending = self.version.generation, self._fallback

    def propose(self, version: Version[S], *, asked: bool) -> ReloadOutcome:
        """For the reloader: *version* is to come, unless it is in force already or has failed its trial.

        APPLIED says that the lane will activate it; `wait_decided` that it has. With *asked* somebody wants an answer,
        so the outcome is logged and counted even if it is the same as last time.
        """
        generation = version.generation
        with self._changed:
            if generation == self._failed:
                why = "the canary has taken it back: it is tried again when the file changes"
                return self._record_outcome(ReloadOutcome(ReloadResult.REFUSED, why, generation), again=asked)
            self._failed = ""
            same = (generation, version.files) == (self.version.generation, self.version.files)
            if same and not self._crossed:
                self.pending = None
                return self._record_outcome(ReloadOutcome(ReloadResult.UNCHANGED, "", generation), again=asked)
            self.pending, self._crossed = version, ""
            return ReloadOutcome(ReloadResult.APPLIED, "", generation)

    def record_failure(self, outcome: ReloadOutcome, *, asked: bool) -> ReloadOutcome:
        """For the reloader: topics.yaml can't be used. The version in force stays, and one to come still comes."""
        with self._changed:
            return self._record_outcome(outcome, again=asked)

    def wait_decided(self, generation: str, timeout: float) -> ReloadOutcome | None:
        """Wait until the lane routes by *generation* or has rejected it; None after *timeout* seconds."""

        def decided() -> ReloadOutcome | None:
            if self._in_doubt or (self.pending is not None and self.pending.generation == generation):
                return None
            if self.version.generation == generation:
                return ReloadOutcome(ReloadResult.APPLIED, "", generation)
            refused = self._last.generation == generation and self._last.result is ReloadResult.REFUSED
            return self._last if refused else None

        with self._changed:
            return self._changed.wait_for(decided, timeout)

    def report(self) -> dict[str, Any]:
        """The body of `GET /v1/config` (docs/operator.md)."""
        with self._changed:
            last, trial = self._last, self._trial
            return {
                "file": self._file,
                "generation": self.version.generation,
                "since": rfc3339(self._since_ms),
                "valid": last.result not in _KEPT,
                "last_reload": {"at": rfc3339(self._last_ms), **last._asdict()},
                "last_error": last.reason if last.result in _KEPT else None,
                "canary": self._describe_trial(trial),
            }

    def _describe_trial(self, trial: Trial | None) -> dict[str, Any]:
        if trial is None:
            state = {None: "off", True: "passed", False: "rolled_back"}[self._passed]
            return {"state": state, "rolled_back_generation": self._failed or None}
        return {
            "state": TrialState.WATCHING,
            "until": rfc3339(trial.began_ms + trial.bounds.window_ms),
            "falls_back_to": self._fallback.generation,
            "records": trial.read,
            "rejected_ratio": trial.rejected_ratio,
            "unmatched_ratio": trial.unmatched_ratio,
            "lag_growth_records": trial.lag_growth,
        }

    def _record_outcome(self, outcome: ReloadOutcome, *, again: bool = False) -> ReloadOutcome:
        """Remember how it went. Log and count it if that is new, or if somebody has asked *again*."""
        kept = outcome.result in _KEPT
        news = outcome != self._last and outcome.result is not ReloadResult.UNCHANGED
        metrics.CONFIG_VALID.set(not kept)
        if news or again or outcome.result is ReloadResult.APPLIED:
            self._last_ms = self._clock_ms()
            metrics.CONFIG_RELOADS.labels(outcome.result).inc()
            about: dict[str, Any] = {"generation": outcome.generation} if outcome.generation else {}
            about |= {"reason": outcome.reason, "running": self.version.generation} if kept else {}
            log(_EVENTS[outcome.result], file=self._file, **about)
        self._last = outcome
        return outcome


def _export_version(generation: str, former: str, now_ms: int) -> None:
    if former and former != generation:
        metrics.drop_config_info(former)
    metrics.CONFIG_INFO.labels(generation).set(1)
    metrics.CONFIG_VALID.set(1)
    metrics.CONFIG_LAST_RELOAD.set(now_ms / 1000)
