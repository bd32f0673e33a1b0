"""The problems that the drains API has beyond those of every application (docs/drains-api.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.http_server.problems import WRONG_CONTENT, HttpProblem, ProblemType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logrouter.core.drains.wanted import WantedFault

NO_JSON: Final = ProblemType("no-json", 400, "The body is not JSON")
UNKNOWN_DRAIN: Final = ProblemType("unknown-drain", 404, "This owner has no such drain")
SLOW_BODY: Final = ProblemType("slow-body", 408, "The body did not come in time")
AMBIGUOUS_NAME: Final = ProblemType("ambiguous-name", 409, "The name means several apps")
LARGE_BODY: Final = ProblemType("large-body", 413, "The body is too large")
UNUSABLE_DRAIN: Final = ProblemType("unusable-drain", 422, "The drain can't be made as it is asked for")
TOO_MANY_DRAINS: Final = ProblemType("too-many-drains", 429, "The owner has as many drains as it may have")
REGISTRY_AWAY: Final = ProblemType("registry-away", 503, "The cluster takes no change at the moment")
NOT_STARTED: Final = ProblemType("not-started", 503, "This process does not know all drains yet")

DRAIN_PROBLEM_TYPES: Final = (
    *(NO_JSON, UNKNOWN_DRAIN, SLOW_BODY, AMBIGUOUS_NAME, LARGE_BODY, WRONG_CONTENT, UNUSABLE_DRAIN),
    *(TOO_MANY_DRAINS, REGISTRY_AWAY, NOT_STARTED),
)


def unusable_drain(faults: Iterable[WantedFault]) -> HttpProblem:
    """The problem (422) that lists every fault of what was asked for, each with its JSON pointer."""
    errors = [fault._asdict() for fault in faults]
    detail = "; ".join(f"{error['pointer'] or 'the body'} {error['detail']}" for error in errors)
    return HttpProblem(UNUSABLE_DRAIN, detail, errors=errors)
