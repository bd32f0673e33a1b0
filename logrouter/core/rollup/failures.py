"""The names of failed requests in the tables, from which status, outcome and the gateway's message can be told again.

A *fault* is one text: the status as three digits or `NO_STATUS`, the outcome or ``-``, and where the event has an
`error`, a space and its code and message: ``404not_found``, ``500backend_error 101503 Refused``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_FAULT: Final = 160
STATUS: Final = tuple(f"{code:03d}" for code in range(1000))
NO_STATUS: Final = "---"
"""Stands for the three digits when the status is not known."""
NO_OUTCOME: Final = "-"
NO_FAILURE: Final = frozenset({"ok", "aborted"})
"""Outcomes that are no failure of anybody's: of an aborted request the client went away."""


class FailureKey(NamedTuple):
    """The parts of a fault; *label* is what is shown for it."""

    status: str
    outcome: str
    label: str


def fault_of(digits: str, outcome: str | None, error: Mapping[str, Any] | None) -> str:
    """The fault of a failed request, cut at `MAX_FAULT`. *digits* is its status, *error* the event's `error`."""
    fault = digits + (outcome or NO_OUTCOME)
    if error:
        words = (error.get("code"), error.get("message"))
        label = " ".join([word for word in words if type(word) is str and word])
        if label:
            fault = f"{fault} {label}"
    return fault if len(fault) <= MAX_FAULT else fault[:MAX_FAULT]


def parse_fault(fault: str) -> FailureKey:
    """The parts of a fault. Without a code or message of the gateway, the label is status and outcome."""
    outcome, space, label = fault[3:].partition(" ")
    return FailureKey(fault[:3], outcome, label if space else f"{fault[:3]} {outcome}")
