"""What is told of a sink: its metrics, by its name, and a line in the log when its target is down and up again."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from logrouter.sinks.contract import TO_BE_MENDED, Delivered, Refused, Skipped
from logrouter.telemetry import metrics
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logrouter.sinks.contract import Retry, Settled, Trouble

_OK: Final = "ok"
_COUNTED: Final = {Delivered: "delivered", Refused: "refused"}
_SAID_SECONDS: Final = 60.0
"""A target that comes and goes, as one that has too much to do, is said to be down once in this time."""


class RequestEnd(NamedTuple):
    """How a request has ended: what was in its way, None for nothing, and how many of its events go again for that.

    *seconds* is how long it took, *limit* how many requests may be on their way from now on.
    """

    trouble: Trouble | None
    retries: int
    seconds: float
    limit: int


class DeliveryObserver(Protocol):
    """Hears how deliveries to one target go. Called in their event loop, so it never waits; *now* never goes back."""

    @property
    def subject(self) -> str:
        """Who is told of, as a line begins that says why something waits."""
        ...

    def note_request(self, end: RequestEnd) -> None:
        """A request has ended; one of the next two follows."""
        ...

    def note_failure(self, cause: Retry, now: float) -> None:
        """A request has brought none of its events to the target. The words of *cause* may be shown."""
        ...

    def note_success(self, now: float) -> None:
        """The target has answered a request for what is in it, whether or not it has taken all of that."""
        ...

    def forget(self) -> None:
        """Nobody asks a target that was failing any more: what is known of it grows old."""
        ...

    def note_bug(self, error: BaseException) -> None:
        """An error of ours, for which events were sent again or refused."""
        ...


class SinkObserver:
    """Tells of the sink *name*, which is a label of metrics."""

    def __init__(self, name: str) -> None:
        self._name = name
        for result in _COUNTED.values():
            metrics.SINK_EVENTS.labels(name, result)  # from 0 on, so that the first ones are an increase
        self._down_since: float | None = None
        self._last: Retry | None = None
        self._is_said = False
        """Whether the log says that the target is down."""
        self._said_at = -math.inf

    @property
    def subject(self) -> str:
        """The sink, by its name."""
        return f"sink {self._name}"

    def note_request(self, end: RequestEnd) -> None:
        """Count it."""
        metrics.SINK_REQUEST_SECONDS.labels(self._name).observe(end.seconds)
        metrics.SINK_REQUESTS.labels(self._name, end.trouble or _OK).inc()
        if end.retries:
            metrics.SINK_RETRIES.labels(self._name).inc(end.retries)
        metrics.SINK_REQUEST_LIMIT.labels(self._name).set(end.limit)

    def note_failure(self, cause: Retry, now: float) -> None:
        """Say so, if it is news."""
        if self._down_since is None:
            self._down_since = now
            metrics.SINK_UP.labels(self._name).set(0)
        is_other = self._last is None or _key_of(cause) != _key_of(self._last)
        is_lasting = is_other and cause.trouble in TO_BE_MENDED
        if is_lasting or (not self._is_said and now >= self._said_at + _SAID_SECONDS):
            self._is_said, self._said_at = True, now
            log(Log.SINK_DOWN, sink=self._name, trouble=cause.trouble, status=cause.status, detail=cause.detail)
        self._last = cause

    def note_success(self, now: float) -> None:
        """Say so, if it was said that the target is down."""
        if self._down_since is not None and self._is_said:
            log(Log.SINK_UP, sink=self._name, seconds=round(now - self._down_since))
            self._is_said = False
        self._down_since = None
        metrics.SINK_UP.labels(self._name).set(1)

    def forget(self) -> None:
        """The target is said to be neither up nor down."""
        self._down_since, self._is_said = None, False
        with contextlib.suppress(KeyError):
            metrics.SINK_UP.remove(self._name)

    def note_bug(self, error: BaseException) -> None:
        """Count it, and say it with its traceback."""
        metrics.INTERNAL_ERRORS.labels("sink").inc()
        log(Log.INTERNAL_ERROR, lane="sink", sink=self._name, exc_info=error)


def _key_of(cause: Retry) -> tuple[object, ...]:
    return cause.trouble, cause.status, cause.detail


def count_settled(name: str, settled: Sequence[Settled]) -> None:
    """Count what has become of events of the sink *name*."""
    for kind, word in _COUNTED.items():
        number = sum(isinstance(each, kind) for each in settled)
        if number:
            metrics.SINK_EVENTS.labels(name, word).inc(number)
    for each in settled:
        if isinstance(each, Skipped):
            metrics.SINK_EVENTS.labels(name, each.reason).inc()
