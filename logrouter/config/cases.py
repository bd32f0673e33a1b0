"""The `tests:` of a topics.yaml: each line through the pipeline, and what became of it against what was expected.

Sampling and rate limits are off, as they ask where a record is and not what it says. Of several outcomes the one of
the expected route is compared, else the first; `outcomes` and `events` compare all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from logrouter.core import ids
from logrouter.core.event import complete_draft
from logrouter.core.join.held_lines import PairResult, build_event, encode
from logrouter.core.pipeline import process
from logrouter.core.sampling import without_limits
from logrouter.core.text.timestamps import epoch_ms
from logrouter.model import Accepted, Held, RawRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logrouter.config.options.cases import CaseOptions, ExpectOptions
    from logrouter.config.settings import Settings
    from logrouter.model import Outcome

# A test must give the same result tomorrow: its record was written at this moment, in a topic that is no topic.
_NOW_MS: Final = epoch_ms("2100-01-01T00:00:00Z") or 0
_TOPIC: Final = "topics.yaml"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as expected; *at* is a dotted path into the outcome."""

    at: str
    expected: Any
    found: Any


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How one test went: its number from 1, and every difference."""

    number: int
    differences: tuple[Difference, ...]

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.differences


def run(settings: Settings) -> list[CaseResult]:
    """Run all tests of the file, in order. Needs no broker."""
    return [CaseResult(number, _run(settings, case, number)) for number, case in enumerate(settings.tests, 1)]


def _run(settings: Settings, case: CaseOptions, number: int) -> tuple[Difference, ...]:
    name = case.source or settings.table.sources[0].name
    source = settings.table.source_named(name)
    if source is None:
        return (Difference("source", name, None),)
    headers = tuple((key, value.encode()) for key, value in (case.headers or {}).items())
    before: list[Held] = []
    outcomes: tuple[Outcome, ...] = ()
    for line in (*case.after, case.line):
        before += [outcome for outcome in outcomes if isinstance(outcome, Held)]
        record = RawRecord(_TOPIC, 0, number, _NOW_MS, line.encode(), headers)
        outcomes = process(without_limits(source), record, _NOW_MS, ids.for_partition("test", _TOPIC, 0))
    outcomes = tuple(_met(settings, outcome, before) for outcome in outcomes)
    ours = next((outcome for outcome in outcomes if outcome.route == case.expect.route), outcomes[0])
    return (*_compare(case.expect, ours), *_compare_all(case.expect, outcomes))


def _met(settings: Settings, outcome: Outcome, before: Sequence[Held]) -> Outcome:
    """What a held line becomes if the other one of its request is among those *before*."""
    if not isinstance(outcome, Held):
        return outcome
    (_, opens), route = outcome.pair_key, outcome.route
    for other in before:
        if other.route == route and other.pair_key == (outcome.pair_key.key, not opens):
            opening, closing = (outcome, other) if opens else (other, outcome)
            event = build_event(PairResult.PAIRED, encode(opening), encode(closing))
            return complete_draft(settings.table.routes()[route], *event, RawRecord(_TOPIC, 0, 0, _NOW_MS, None))
    return outcome


def _compare(expect: ExpectOptions, outcome: Outcome) -> list[Difference]:
    found = outcome.as_dict()
    wanted = {name: getattr(expect, name) for name in ("outcome", "route", "stage", "reason") if getattr(expect, name)}
    differences = [
        Difference(name, value, found.get(name)) for name, value in wanted.items() if found.get(name) != value
    ]
    if expect.event is not None:
        differences += _within(expect.event, getattr(outcome, "event", None), "event")
    return differences


def _compare_all(expect: ExpectOptions, outcomes: tuple[Outcome, ...]) -> list[Difference]:
    """Differences of what is expected of every outcome, for records that have several."""
    differences = []
    if expect.outcomes:
        found = tuple(outcome.as_dict()["outcome"] for outcome in outcomes)
        if found != expect.outcomes:
            differences.append(Difference("outcomes", list(expect.outcomes), list(found[: 2 * len(expect.outcomes)])))
    if expect.events is not None:
        events = [outcome.event for outcome in outcomes if isinstance(outcome, Accepted)]
        if len(events) != len(expect.events):
            differences.append(Difference("events", f"{len(expect.events)} events", f"{len(events)} events"))
        for place, (wanted, event) in enumerate(zip(expect.events, events, strict=False)):
            differences += _within(wanted, event, f"events[{place}]")
    return differences


def _within(expected: Any, found: Any, at: str) -> list[Difference]:
    """Differences of what is expected alone: an object may hold more than is named."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return [d for name, value in expected.items() for d in _within(value, found.get(name), f"{at}.{name}")]
    same = expected == found and isinstance(expected, bool) == isinstance(found, bool)
    return [] if same else [Difference(at, expected, found)]
