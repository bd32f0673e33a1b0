"""What is known of a drain that fails: how often in a row, and why, in no words but ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from logrouter.telemetry import metrics
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from logrouter.sinks.contract import Retry, Trouble
    from logrouter.sinks.sink_observer import RequestEnd


class LastFailure(NamedTuple):
    """Why a request has failed: *status* is that of HTTP, 0 where there was no answer."""

    trouble: Trouble
    status: int


class DrainHealth:
    """Hears how deliveries to one drain go, as a `DeliveryObserver`; the drain is no label of any metric.

    May be read in any thread. It outlives deliveries: a drain that is opened anew goes on with its number of failures.
    """

    def __init__(self, drain_id: str) -> None:
        self.subject = f"drain {drain_id}"
        self.failures = 0
        """Requests in a row that have brought nothing to the target."""
        self.retried = 0
        """Lines that were sent again, or are going to be."""
        self.last: LastFailure | None = None
        """Stays when the target is back, as what has been wrong."""

    @property
    def is_gone(self) -> bool:
        """Whether the target's last word was that it wants nothing any more (410)."""
        return self.failures > 0 and self.last is not None and self.last.status == 410

    def note_request(self, end: RequestEnd) -> None:
        """Add up what goes again."""
        self.retried += end.retries

    def note_failure(self, cause: Retry, now: float) -> None:  # noqa: ARG002 - of the protocol
        """One more in a row."""
        self.failures += 1
        self.last = LastFailure(cause.trouble, cause.status)

    def note_success(self, now: float) -> None:  # noqa: ARG002 - of the protocol
        """None in a row."""
        self.failures = 0

    def forget(self) -> None:
        """Nothing: failures count on when somebody asks again."""

    def note_bug(self, error: BaseException) -> None:
        """Count it, and say it with its traceback."""
        metrics.INTERNAL_ERRORS.labels("drains").inc()
        log(Log.INTERNAL_ERROR, lane="drains", drain=self.subject, exc_info=error)
