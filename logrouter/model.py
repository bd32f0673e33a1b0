"""The vocabulary every layer shares: records in, envelopes, outcomes out.

What every line makes one of is a struct of msgspec: it costs a third of a dataclass or a named tuple.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final, NamedTuple

from msgspec import Struct

ANONYMOUS: Final = "-"
"""Table name of requests that carry no client id. No real id can be "-": it means *absent* everywhere."""

UNMATCHED: Final = "_unmatched"
"""Route label of records that no route claims."""


ENCODED: Final = ""
"""What a dead letter shows of a record that is compressed or encoded: nothing, as secrets in it can't be found."""

PARTIAL: Final = "partial"
"""Envelope flag: the text is one fragment of a line that the container runtime has cut."""


class Stage(StrEnum):
    """The stage at which a line or record was rejected: a metric label and a field of dead letters."""

    READ = "read"
    DECODE = "decode"
    PARSE = "parse"
    ENRICH = "enrich"
    VALIDATE = "validate"
    PAIR = "pair"
    DELIVER = "deliver"


class Reason(StrEnum):
    """Every reason why a line or record is ignored or rejected.

    A closed set: these are metric labels and dead-letter fields.
    """

    # ignored: not ours, on purpose
    TOMBSTONE = "tombstone"
    EMPTY = "empty"
    UNMATCHED = "unmatched"
    NOT_REQUEST = "not_request"
    NOT_COUNTED = "not_counted"
    CONTROL = "control"
    UNWANTED = "unwanted"
    CANARY = "canary"
    SAMPLED = "sampled"
    RATE_LIMITED = "rate_limited"
    INVALID = "invalid"
    LOOP = "loop"
    # never read: a range of records, which no metric of outcomes counts
    RECORDS_LOST = "records_lost"
    # rejected while decoding the envelope
    INVALID_UTF8 = "invalid_utf8"
    INVALID_JSON = "invalid_json"
    TOO_DEEP = "too_deep"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"
    BAD_COMPRESSION = "bad_compression"
    NOT_OBJECT = "not_object"
    NO_MESSAGE = "no_message"
    PARTIAL = "partial"
    # rejected while parsing the message
    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    FIELD_CONFLICT = "field_conflict"
    # rejected by the schema
    SCHEMA = "schema"
    # rejected while the two lines of a request are put together
    NO_ROUTE = "no_route"
    # refused by the target of a sink
    REFUSED = "refused"
    # a programming error, caught so that the lane goes on; always alarming
    INTERNAL = "internal"


OutcomeLabels = tuple[str, str, str, str]
"""(route, outcome, stage, reason): the labels of the metric `logrouter_events_total`; "" where one does not apply."""


class RawRecord(Struct, frozen=True):
    """One Kafka record as it was read.

    *value* is the untouched bytes, None for a tombstone. *timestamp_ms* is the record's timestamp in epoch
    milliseconds, -1 if it has none. *headers* are (name, value) in the order of the record.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Envelope(Struct):
    """One log line, and what the transport says about it.

    *shape* names how it was wrapped ("docker", "plain", ...). *text* is the line that the application wrote; where it
    wrote JSON that the transport merged into the envelope, *document* is that object. *fields* is the decoded record,
    which conditions read through `core.envelopes.fields.getter`. *program* and *host* are those of the transport and
    *time* is its timestamp as written, None where it has none. *flags* go to the event. *headers* are those of the
    Kafka record.
    """

    shape: str
    text: str
    document: dict[str, Any] | None = None
    program: str | None = None
    host: str | None = None
    time: str | None = None
    fields: dict[str, Any] = {}
    flags: tuple[str, ...] = ()
    headers: tuple[tuple[str, bytes | None], ...] = ()


class PairKey(NamedTuple):
    """Which of the two lines about a request a line is, for gateways that write two.

    *key* is the same in both lines. *opens* is True for the first one; the second says how the request ended and is
    what counts. Where a route pairs the two, the first gives the event its beginning.
    """

    key: str
    opens: bool


class Parsed(Struct):
    """A request line as a format has read it, from which its event is made.

    *event* has canonical names only (docs/canonical-event.md) and no null, "" or "-". *fields* is the line's own
    object, flat or nested as it was written, for client-id and API sources; it may share parts with *event*. *time* is
    the start of the request as written, or None. *outcome* is one of `core.outcomes.OUTCOMES` where the format knows
    better than the status, else None. *pair_key* is set if the gateway writes two lines for a request. *format* is the
    name of the format that has read the line, where the route leaves that open. *detail* is for `logrouter explain`:
    what the format has left out. *secrets* is what it has dropped because of its name, by source (`header:x-api-key`,
    `api_key`), None if that is nothing or not kept: it is for client ids that are hashed, and for the consumer that
    `core.enrich.oauth` reads out of `header:authorization`, and for nothing else.
    """

    event: dict[str, Any]
    fields: dict[str, Any]
    time: str | None = None
    flags: tuple[str, ...] = ()
    outcome: str | None = None
    pair_key: PairKey | None = None
    format: str | None = None
    detail: str = ""
    secrets: dict[str, Any] | None = None

    def __repr__(self) -> str:
        """All but the secrets: texts of errors and tests may quote it."""
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name != "secrets")
        return f"Parsed({', '.join(shown)})"


class Ignored(Struct, frozen=True):
    """A line or record that is not for us, on purpose: it is counted by *reason* and never published.

    *route* is the route that matched it, `UNMATCHED` where none did. *line* is the place of its line in a record that
    packs several, from 0. *detail* is for `logrouter explain`: what a format has missed in the line.
    """

    reason: Reason
    route: str = UNMATCHED
    line: int = 0
    detail: str = ""

    @property
    def labels(self) -> OutcomeLabels:
        """The labels it is counted by."""
        return self.route, "ignored", "", self.reason

    def as_dict(self) -> dict[str, Any]:
        """How it ended as plain data: outcome, route, stage (None) and reason."""
        return {"outcome": "ignored", "route": self.route, "stage": None, "reason": self.reason.value}

    def describe(self) -> str:
        """How it ended in one line: ``ignored by _unmatched (empty)``."""
        return f"ignored by {self.route} ({self.reason})"


NO_REQUEST: Final = Ignored(Reason.NOT_REQUEST)
"""What a format makes of a line that is not a request in its format."""


class Rejected(Struct, frozen=True):
    """A line or record that may be ours and cannot be used: it becomes a dead letter.

    *detail* is one line of bounded length that says what is wrong, *pointer* the JSON pointer (RFC 6901) of the field
    that the schema refuses, "" for none. *raw* is the text that the dead letter shows instead of the record's whole
    value, for instance one line of several; None shows the value. *route* and *line* are as in `Ignored`.
    """

    stage: Stage
    reason: Reason
    detail: str = ""
    pointer: str = ""
    route: str = UNMATCHED
    line: int = 0
    raw: str | None = None

    @property
    def labels(self) -> OutcomeLabels:
        """The labels it is counted by."""
        return self.route, "rejected", self.stage, self.reason

    def as_dict(self) -> dict[str, Any]:
        """How it ended as plain data: outcome, route, stage, reason, detail and pointer; no payload."""
        return {
            "outcome": "rejected",
            "route": self.route,
            "stage": self.stage.value,
            "reason": self.reason.value,
            "detail": self.detail,
            "pointer": self.pointer,
        }

    def describe(self) -> str:
        """How it ended in one line: ``rejected by api-gateway (validate: schema /api)``."""
        where = f" {self.pointer}" if self.pointer else ""
        return f"rejected by {self.route} ({self.stage}: {self.reason}{where})"


class Accepted(Struct, frozen=True):
    """One event to publish.

    *event* is the canonical event (docs/canonical-event.md) and *value* the same as JSON; *key* is the Kafka key, the
    client id as a rule, or None. It goes to *topic* and, with the same key and value, to the topics in *also*.
    *time_ms* is the event time in epoch milliseconds, not later than five minutes after the record. *tables* names the
    tables that count it: "clients", "apis", "urls". *route* and *line* are as in `Ignored`.
    """

    route: str
    topic: str
    key: bytes | None
    value: bytes
    event: dict[str, Any]
    time_ms: int
    tables: tuple[str, ...]
    also: tuple[str, ...] = ()
    line: int = 0

    @property
    def labels(self) -> OutcomeLabels:
        """The labels it is counted by."""
        return self.route, "accepted", "", ""

    def as_dict(self) -> dict[str, Any]:
        """How it ended as plain data: outcome, route, stage and reason (None), topic; without the event."""
        return {"outcome": "accepted", "route": self.route, "stage": None, "reason": None, "topic": self.topic}

    def describe(self) -> str:
        """How it ended in one line: ``accepted by api-gateway for clean and audit``."""
        return f"accepted by {self.route} for {' and '.join((self.topic, *self.also))}"


class Held(Struct, frozen=True):
    """One of the two lines of a request, which waits for the other one for *window_ms* milliseconds at most.

    *event* is the draft of its event, before the route's changes of fields and before validation, and *value* the same
    as JSON. *pair_key* says which line it is of which request; the rest is as in `Accepted`.
    """

    route: str
    pair_key: PairKey
    window_ms: int
    event: dict[str, Any]
    value: bytes
    time_ms: int
    tables: tuple[str, ...]
    line: int = 0

    @property
    def labels(self) -> OutcomeLabels:
        """The labels it is counted by."""
        return self.route, "held", "", ""

    def as_dict(self) -> dict[str, Any]:
        """How it ended as plain data: outcome and route; stage and reason are None."""
        return {"outcome": "held", "route": self.route, "stage": None, "reason": None}

    def describe(self) -> str:
        """How it ended in one line: ``held by api-gateway for the other line of its request``."""
        return f"held by {self.route} for the other line of its request"


Outcome = Accepted | Ignored | Rejected | Held

Decoded = Envelope | Ignored | Rejected | tuple[Envelope | Ignored | Rejected, ...]
"""What is in a record: one line as a rule, several where the transport packs them."""

Parser = Callable[[Envelope], Parsed | Ignored | Rejected]
"""Reads one line by one format; it never raises, whatever the bytes."""
