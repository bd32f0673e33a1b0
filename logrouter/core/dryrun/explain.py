"""What happens to one record, stage by stage, for `logrouter explain`.

This is the pipeline itself and not a second one that could differ from it: the functions of a source and its routes are
wrapped in tracers, and `pipeline.process` runs on those. Every call becomes a step, and what the pipeline returns is
the outcome. Steps are redacted and bounded; only events are shown as they would be published.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from logrouter.core.dryrun.steps import ExplainStep, outputs_of, record_step, ruled_out_routes
from logrouter.core.dryrun.trace import trace_source
from logrouter.core.pipeline import process
from logrouter.core.sampling import without_limits
from logrouter.model import UNMATCHED, Accepted, Ignored, Outcome, Reason, Rejected, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.core.routing import RouteTable, Source
    from logrouter.model import RawRecord


@dataclass(frozen=True, slots=True)
class Explanation:
    """What happens to one record: the outcomes of `pipeline.process` and the steps that lead to them."""

    record: RawRecord
    source: str
    outcomes: tuple[Outcome, ...]
    steps: tuple[ExplainStep, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """The explanation as plain data, with the members of the most important outcome at the top.

        That is the first accepted outcome, else the first held, else the first rejected one. Where the record packs
        several lines, every outcome and step has the place of its line as `line`, from 0.
        """
        outcomes = [outcome.as_dict() for outcome in self.outcomes]
        if any(outcome.line for outcome in self.outcomes):
            outcomes = [{"line": each.line, **found} for each, found in zip(self.outcomes, outcomes, strict=True)]
        kinds = ("accepted", "held", "rejected")
        first = next((o for kind in kinds for o in outcomes if o["outcome"] == kind), outcomes[0])
        record = self.record
        return {
            **first,
            "events": [outcome.event for outcome in self.outcomes if isinstance(outcome, Accepted)],
            "source": self.source,
            "record": {"topic": record.topic, "partition": record.partition, "offset": record.offset},
            "outcomes": outcomes,
            "steps": [step.as_dict() for step in self.steps],
        }


def explain_record(
    table: RouteTable,
    record: RawRecord,
    *,
    now_ms: int,
    event_id: Callable[[int, int], str],
    source_name: str | None = None,
    loop_header: str = "",
    dead_letter_topic: str = "",
    throttled: bool = True,
) -> Explanation:
    """What *table* makes of *record*, by the source of its topic or the one called *source_name*. Never raises.

    The source must exist if it is named. A record that carries the header *loop_header* is an output of this program.
    Without *throttled*, sampling and rate limits leave nothing out, as is of use for single lines. *now_ms* is the wall
    clock in epoch milliseconds, *event_id* makes an event id of offset and index.
    """
    named = table.source_named(source_name, record.topic) if source_name else table.source_of(record.topic)
    steps = [record_step(record, named.name if named is not None else None)]
    if named is None:
        why = "is written by logrouter or Kafka itself" if table.is_own(record.topic) else "is in no source"
        steps.append(ExplainStep("source", f"topic {record.topic} {why}", passed=False))
        return Explanation(record, UNMATCHED, (Ignored(Reason.UNMATCHED),), tuple(steps))
    if loop_header and any(name == loop_header for name, _ in record.headers):
        steps.append(
            ExplainStep("source", f"header {loop_header}: it is an output of logrouter come back", passed=False)
        )
        return Explanation(record, named.name, (Ignored(Reason.LOOP),), tuple(steps))
    named = named if throttled else without_limits(named)
    steps += ruled_out_routes(table, named, record.topic)
    outcomes = _trace_outcomes(named, record, now_ms, event_id, steps)
    steps += _untried_routes(named, steps)
    several = any(outcome.line for outcome in outcomes)
    for index, outcome in enumerate(outcomes):
        made = outputs_of(record, outcome, event_id(record.offset, index), dead_letter_topic)
        steps += (_with_line(step, outcome.line) for step in made) if several else made
    if several:
        steps.sort(key=lambda step: step.details.get("line", -1))  # all about one line, then all about the next
    return Explanation(record, named.name, outcomes, tuple(steps))


def _with_line(step: ExplainStep, line: int) -> ExplainStep:
    return replace(step, details={"line": line, **step.details})


def _trace_outcomes(
    source: Source, record: RawRecord, now_ms: int, event_id: Callable[[int, int], str], steps: list[ExplainStep]
) -> tuple[Outcome, ...]:
    traced = trace_source(source, steps)
    try:
        outcomes = process(traced, record, now_ms, event_id)
        if steps[-1].stage == "prefilter" and not steps[-1].passed:
            # The lane stops here. What the routes have against the record is what people want to know all the same.
            process(replace(traced, may_match=None), record, now_ms, event_id)
    except Exception as exc:  # noqa: BLE001 - the lane makes the same of a bug of ours
        return (Rejected(Stage.PARSE, Reason.INTERNAL, type(exc).__name__),)
    return outcomes


def _untried_routes(source: Source, steps: list[ExplainStep]) -> list[ExplainStep]:
    """The routes that were not asked because an earlier one has the record."""
    tried = {step.details.get("route") for step in steps if step.stage == "route"}
    left = [route.name for route in source.routes if route.name not in tried]
    if not tried or not left:
        return []
    return [ExplainStep("route", f"not tried: {', '.join(left)}", passed=None, details={"not_tried": left})]
