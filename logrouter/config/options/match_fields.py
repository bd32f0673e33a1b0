"""The fields that conditions may use: those of an envelope (`match`) and those of a parsed request (`request`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from logrouter.core.envelopes.fields import FIELD_NAMES, FIELD_PREFIXES, getter
from logrouter.core.outcomes import OUTCOMES
from logrouter.core.request_fields import REQUEST_FIELDS, REQUEST_NUMBERS, REQUEST_PREFIXES, request_getter

if TYPE_CHECKING:
    from collections.abc import Callable

TOPIC_FIELD: Final = "topic"
LOWER: Final = frozenset({"severity", "facility"})
"""Fields that are lower case in every envelope, so that `NOTICE` in the file means what `notice` does."""
REWRITTEN: Final = LOWER | {"shape", "text"}
"""Fields that need not occur in the record's bytes as conditions see them: decoding makes them up, folds their case or
strips colour codes out of them. They give the pre-filter nothing to look for."""
RECORD_HEADER: Final = "header."
"""Headers are no part of the record's value, so they give the pre-filter nothing either."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The fields of an envelope or of a request.

    *named* is what a message calls one of them. *names* are all fixed names; *prefixes* begin free ones, such as
    `label.app`. *get* makes a function that returns a field's text or None. *numbers* and *addresses* can be compared
    with numbers and networks, as free names can. *known* has all values of the fields with a closed set of them. *raw*
    says whether values occur in the record's bytes.
    """

    named: str
    names: frozenset[str]
    prefixes: tuple[str, ...]
    get: Callable[[str], Callable[[Any], str | None]]
    numbers: frozenset[str]
    addresses: frozenset[str]
    known: dict[str, frozenset[str]]
    raw: bool

    def has(self, field: str) -> bool:
        """Whether there is a field of this name."""
        return field in self.names or self.is_free(field)

    def is_free(self, field: str) -> bool:
        """Whether it is a free name: a prefix and any name."""
        return any(field.startswith(prefix) and field != prefix for prefix in self.prefixes)

    def is_number(self, field: str) -> bool:
        """Whether the field can be compared with numbers."""
        return field in self.numbers or self.is_free(field)

    def is_address(self, field: str) -> bool:
        """Whether the field can be compared with networks."""
        return field in self.addresses or self.is_free(field)

    def gives_tokens(self, field: str) -> bool:
        """Whether the field's text occurs in the record's bytes, so that the pre-filter can look for it."""
        return self.raw and field not in REWRITTEN and not field.startswith(RECORD_HEADER)

    def listed(self) -> str:
        """Every name, for messages."""
        free = [f"{prefix}<name>" for prefix in self.prefixes]
        return f"{', '.join(sorted(self.names))}, {', '.join(free[:-1])} and {free[-1]}"


_SEVERITIES: Final = (
    "emerg alert crit err warning notice info debug panic error warn emergency critical informational fatal trace"
)
_FACILITIES: Final = (
    "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp security console solaris-cron audit clock "
    "local0 local1 local2 local3 local4 local5 local6 local7"
)

_METHODS: Final = (
    "GET HEAD POST PUT PATCH DELETE CONNECT OPTIONS TRACE QUERY SEARCH REPORT PURGE PROPFIND PROPPATCH MKCOL COPY MOVE "
    "LOCK UNLOCK"
)

ENVELOPE: Final = Vocabulary(
    named="envelope field",
    names=FIELD_NAMES | {TOPIC_FIELD},
    prefixes=FIELD_PREFIXES,
    get=getter,
    numbers=frozenset(),
    addresses=frozenset({"host"}),
    known={
        "severity": frozenset(_SEVERITIES.split()),
        "facility": frozenset(_FACILITIES.split()),
        "shape": frozenset({"docker", "containerd", "ecs", "plain", "cee", "kubernetes", "json", "cloudwatch"}),
        "stream": frozenset({"stdout", "stderr"}),
    },
    raw=True,
)

REQUEST: Final = Vocabulary(
    named="field of the request",
    names=REQUEST_FIELDS,
    prefixes=REQUEST_PREFIXES,
    get=request_getter,
    numbers=REQUEST_NUMBERS,
    addresses=frozenset({"client_ip"}),
    known={
        "method": frozenset(_METHODS.split()),
        "outcome": frozenset(OUTCOMES),
        "status_code": frozenset(map(str, (0, *range(100, 600)))),
        "status_class": frozenset({"0xx", "1xx", "2xx", "3xx", "4xx", "5xx"}),
    },
    raw=False,
)
