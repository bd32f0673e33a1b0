"""Names of failed requests in the tables, from which status, outcome and the gateway's message can be read back.

A *failure key* is one text: the status as three digits or `NO_STATUS`, the outcome or ``-``, and where the event has an
`error`, a space and its code and message: ``404not_found``, ``500backend_error 101503 Refused``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_FAILURE_KEY: Final = 160
STATUS: Final = tuple(f"{code:03d}" for code in range(1000))
NO_STATUS: Final = "---"
"""Stands for the three digits when the status is not known."""
NO_OUTCOME: Final = "-"
NO_FAILURE: Final = frozenset({"ok", "aborted"})
"""Outcomes that are no failure of anybody's: of an aborted request the client went away."""


class FailureKey(NamedTuple):
    """The parts of a failure key; *label* is what is shown for it."""

    status: str
    outcome: str
    label: str


def failure_key_of(digits: str, outcome: str | None, error: Mapping[str, Any] | None) -> str:
    """The failure key of a request, cut at `MAX_FAILURE_KEY`. *digits* is its status, *error* the event's `error`."""
    failure_key = digits + (outcome or NO_OUTCOME)
    if error:
        words = (error.get("code"), error.get("message"))
        label = " ".join([word for word in words if type(word) is str and word])
        if label:
            failure_key = f"{failure_key} {label}"
    return failure_key if len(failure_key) <= MAX_FAILURE_KEY else failure_key[:MAX_FAILURE_KEY]


def parse_failure_key(failure_key: str) -> FailureKey:
    """The parts of a failure key. Without a code or message of the gateway, the label is status and outcome."""
    outcome, space, label = failure_key[3:].partition(" ")
    return FailureKey(failure_key[:3], outcome, label if space else f"{failure_key[:3]} {outcome}")
