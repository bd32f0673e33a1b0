"""Query parameters, each declared once: name, kind, default and documentation.

The same declarations parse requests, fill the index page and the OpenAPI document.  Parsing finds every problem of a
request at once and echoes no more than a few characters of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from logrouter.core.rollup.cells import MAX_URL
from logrouter.query.kinds import (
    COMPARISON,
    DURATION,
    INSTANT,
    LENGTH,
    STATUS,
    WINDOW,
    Invalid,
    ParameterKind,
    choice,
    integer,
    quoted,
    text,
)
from logrouter.query.tiers import Tier

if TYPE_CHECKING:
    from collections.abc import Iterable

T_co = TypeVar("T_co", covariant=True)

MAX_FAULTS: Final = 20
MAX_REPEATS: Final = 20
MAX_PATTERN: Final = 128


class Step(StrEnum):
    """The width of a point in a series."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"

    @property
    def tier(self) -> Tier:
        """The tier whose rows are the points."""
        return Tier[self.name]


class By(StrEnum):
    """What the counts of each point are split by."""

    STATUS = "status"
    STATUS_CLASS = "status_class"
    OUTCOME = "outcome"
    API = "api"
    ERROR = "error"


class Sort(StrEnum):
    """What a top list is ordered by, largest first."""

    COUNT = "count"
    ERRORS = "errors"
    BYTES = "bytes"
    LATENCY = "latency"


class AnswerFormat(StrEnum):
    """How an answer is written."""

    JSON = "json"
    CSV = "csv"


class Partial(StrEnum):
    """Whether a list may lack partitions."""

    ALLOW = "allow"
    REFUSE = "refuse"


class ParameterFault(NamedTuple):
    """What is wrong with one parameter, as a sentence that says what would be right."""

    parameter: str
    detail: str


@dataclass(frozen=True, slots=True)
class Parameter(Generic[T_co]):
    """One query parameter. Without it the answer is made as if *default* (in the same spelling) had been given.

    One that *repeats* may be given several times; its value is a tuple. *example* is a good value, where the kind alone
    does not give one.
    """

    name: str
    kind: ParameterKind[T_co]
    doc: str
    default: str | None = None
    repeats: bool = False
    example: str | None = None


_SINCE: Final = "Begin, rounded down to the finest step that is kept there. "
_WINDOW_DOC: Final = (
    "The time range before now to count: 15m, 1h, 24h, 7d, ... or life. Longer ones begin at a full hour or day. "
    "Not together with from."
)
_WINDOW_24H: Final = Parameter("window", WINDOW, _WINDOW_DOC, "24h")
_WINDOW: Final = Parameter("window", WINDOW, _WINDOW_DOC)
_FROM: Final = Parameter("from", INSTANT, _SINCE + "Instead of window.", example="2026-09-21T12:00:00Z")
_TO: Final = Parameter(
    "to",
    INSTANT,
    "End, exclusive, rounded up to the finest step that is kept there. Only with from. Default: now.",
    example="2026-09-21T13:00:00Z",
)
_COMPARE: Final = Parameter(
    "compare",
    COMPARISON,
    "Add the figures of another time range, as the member previous: of the one of equal length just before "
    "(`previous`), or of any (`2026-09-14T00:00:00Z/2026-09-15T00:00:00Z`).",
    example="previous",
)
TIME_RANGE: Final = (_WINDOW_24H, _FROM, _TO)
COMPARED: Final = (*TIME_RANGE, _COMPARE)
ANY_TIME_RANGE: Final = (_WINDOW, _FROM, _TO, _COMPARE)

LIMIT: Final = Parameter("limit", integer(1, 1000), "How many to list.", "100")
_PATTERN: Final = text(MAX_PATTERN)
_INCLUDE: Final = Parameter(
    "include",
    _PATTERN,
    "Only names that match this: `*` stands for any characters, `?` for one, case does not matter. May be repeated.",
    repeats=True,
    example="core*",
)
_EXCLUDE: Final = Parameter(
    "exclude",
    _PATTERN,
    "No names that match this, written as include. May be repeated.",
    repeats=True,
    example="*test*",
)
NAMES: Final = (_INCLUDE, _EXCLUDE)
_STATUS_DOC: Final = "Only these statuses: 404, or a pattern such as 4??, 50* or 5xx; --- is none. May be repeated."
STATUSES: Final = Parameter("status", STATUS, _STATUS_DOC, repeats=True)
CONTAINS: Final = Parameter(
    "contains",
    text(MAX_URL),
    "Only URLs with this in them, or that match all of it if it has `*` or `?`, as in include; case does not matter.",
    example="core",
)

_SERIES_FROM: Final = Parameter(
    "from",
    INSTANT,
    "Begin of the series, rounded down to the step. Default: 1 hour, 24 hours or 30 days before to.",
    example="2026-09-21T12:00:00Z",
)
_SERIES_TO: Final = Parameter(
    "to",
    INSTANT,
    "End of the series, exclusive, rounded up to the step. Default: now.",
    example="2026-09-21T13:00:00Z",
)
_SERIES_WINDOW: Final = Parameter("window", LENGTH, "Instead of from and to: a time range that ends now, such as 24h.")
_STEP: Final = Parameter(
    "step", choice(Step), "Width of a point, in UTC. Minutes are kept for 24 h, hours 35 d.", "hour"
)
SERIES: Final = (_SERIES_WINDOW, _SERIES_FROM, _SERIES_TO, _STEP)


def split_by(*members: By) -> Parameter[By]:
    """The parameter that splits the counts of each point by one of *members*."""
    return Parameter("by", choice(members), "Also split the counts of each point by this.")


FORMAT: Final = Parameter(
    "format", choice(AnswerFormat), "json, or csv for a spreadsheet; Accept: text/csv does the same.", "json"
)
MIN_OFFSET: Final = Parameter(
    "min_offset",
    integer(0, 2**63 - 1),
    "Answer only when the partition has folded the rollup record with this offset, else 503 not-yet.",
)
MAX_STALENESS: Final = Parameter(
    "max_staleness", DURATION, "Answer only with figures not older than this, else 503 too-stale.", example="30s"
)
PARTIAL: Final = Parameter(
    "partial",
    choice(Partial),
    "allow: answer even if some partitions cannot be asked, say which, and set partial.",
    "refuse",
)

OF_SUBJECT: Final = (MIN_OFFSET, MAX_STALENESS)
"""What every report about one subject takes."""
OF_ALL: Final = (PARTIAL, MAX_STALENESS)
"""What every report over many subjects takes."""


def read_parameters(
    parameters: Iterable[Parameter[Any]], pairs: Iterable[tuple[str, str]]
) -> tuple[dict[str, Any], tuple[ParameterFault, ...]]:
    """Values by name, defaults filled in (None or () where there is none), and every fault, up to `MAX_FAULTS`."""
    known = {parameter.name: parameter for parameter in parameters}
    values = {parameter.name: _default(parameter) for parameter in known.values()}
    seen: dict[str, int] = {}
    faults: list[ParameterFault] = []
    unknown = False
    for name, given in pairs:
        parameter = known.get(name)
        if parameter is None:
            # Said once: twenty times over it would be a flood.
            wanted = "" if unknown else f"; known here: {', '.join(known) or 'none'}"
            unknown = True
            faults.append(ParameterFault(quoted(name), f"unknown parameter{wanted}"))
            continue
        times = seen[name] = seen.get(name, 0) + 1
        if times > (MAX_REPEATS if parameter.repeats else 1):
            faults.append(ParameterFault(name, f"given more than {MAX_REPEATS} times" if parameter.repeats else _ONCE))
            continue
        value = parameter.kind.read(given)
        if isinstance(value, Invalid):
            faults.append(ParameterFault(name, value.detail))
        elif parameter.repeats:
            values[name] = (value,) if times == 1 else (*values[name], value)
        else:
            values[name] = value
    return values, tuple(faults[:MAX_FAULTS])


_ONCE: Final = "given more than once"


def _default(parameter: Parameter[Any]) -> Any:
    value = None if parameter.default is None else parameter.kind.read(parameter.default)
    return (() if value is None else (value,)) if parameter.repeats else value
