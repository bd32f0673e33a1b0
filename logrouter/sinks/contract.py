"""What becomes of each event of a request, and what a sink has to say for it: the interface of all sinks.

A sink is a pure `encode`, a thin `send` and a pure `classify`. It decides nothing about trying again: `sinks.delivery`
does, by the results alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence


Event_contra = TypeVar("Event_contra", contravariant=True)
"""What is sent: a record with an event of the topic for a sink, a line for a drain."""


class Trouble(StrEnum):
    """Why a request has not delivered everything, where that may pass: a closed set, as these are metric labels."""

    CONNECT = "connect"
    """No connection: refused, unreachable, no such name."""
    TLS = "tls"
    """A certificate that is not accepted, by us or by the target."""
    TIMEOUT = "timeout"
    BROKEN = "broken"
    """The connection ended before the answer did."""
    NONSENSE = "nonsense"
    """An answer that the target's documentation does not name, or that is too large to be one."""
    OVERLOADED = "overloaded"
    """The target asks for patience: 429, 503, a full queue."""
    UNAVAILABLE = "unavailable"
    """The target has failed: 500, 502, 504."""
    DENIED = "denied"
    """Nothing about the event: credentials, permissions, a wrong path, a redirect. Somebody has to mend that."""
    GUARDED = "guarded"
    """The address may not be connected to (`sinks.target_guard`)."""


IN_OUR_WORDS: Final = frozenset({Trouble.CONNECT, Trouble.TLS, Trouble.GUARDED})
"""Of these there is no answer: what is said of them names the address that was tried, and repeats no event."""

TO_BE_MENDED: Final = frozenset({Trouble.DENIED, Trouble.TLS, Trouble.GUARDED})
"""These do not pass by themselves: somebody has to change something."""


class SkipReason(StrEnum):
    """Why an event is not sent, as the configuration says: a closed set, as these are metric labels."""

    BLOCKED = "blocked"
    """Its client is on the block list."""
    THROTTLED = "throttled"
    """Its client has more events than it may have."""
    TOMBSTONE = "tombstone"
    """A record without a value."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The target has the event."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The target will never take the event, for what it is: it becomes a dead letter.

    *status* is the answer's, 0 where there was none; *detail* says why, in words that may be the target's.
    """

    status: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """The event is not meant to be sent."""

    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Retry:
    """The target was not able or willing to take the event now: it is sent again.

    *after_seconds* is how long the target asks to be left alone, None if it does not say. *in_halves*: the target has
    no room for a request of this size, so its events go again in smaller ones; an event alone goes again as it is.
    """

    trouble: Trouble
    status: int = 0
    detail: str = ""
    after_seconds: float | None = None
    in_halves: bool = False


@dataclass(frozen=True, slots=True)
class RefusedTogether:
    """The request was refused for its content as a whole: nobody knows yet for which of its events."""

    status: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RefusedBeside:
    """The request was refused for another of its events, which the target has named: it is sent again without that."""

    status: int = 0
    detail: str = ""


Settled = Delivered | Refused | Skipped
"""What an event may have become when its delivery is over."""
Result = Settled | Retry | RefusedTogether | RefusedBeside
"""What may have become of an event of one request."""

DELIVERED: Final = Delivered()


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No answer: why, and in one line more about it, which names no secret."""

    trouble: Trouble
    detail: str = ""


class Encoded(NamedTuple):
    """A request made of events.

    *settled* has an entry per event: None if it is in the *request*, else what becomes of it without one. *size* is the
    length of the request's body in bytes; *request* is None if no event is in it.
    """

    request: Any
    size: int
    settled: Sequence[Refused | Skipped | None]


class Sink(Protocol[Event_contra]):
    """One target. Used in one event loop, by several requests at a time."""

    @property
    def max_request_bytes(self) -> int:
        """The largest body that the target takes."""
        ...

    def encode(self, events: Sequence[Event_contra]) -> Encoded:
        """One request with those of *events* that are to be sent, in order. Pure; raises nothing for any bytes."""
        ...

    async def send(self, request: Any) -> Any:
        """Send what `encode` has made and return the answer, or a `NoAnswer`. Ends in bounded time and memory."""
        ...

    def classify(self, answer: Any, events: Sequence[Event_contra]) -> Sequence[Result]:
        """What an answer that is no `NoAnswer` says of each of the *events* that were in the request. Pure."""
        ...

    async def close(self) -> None:
        """Close its connections; nothing is on its way."""
        ...
