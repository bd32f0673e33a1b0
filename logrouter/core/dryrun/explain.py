"""One record's journey, stage by stage, for `logrouter explain`.

There is no second pipeline here that could drift from the first: the functions of a source and its routes are wrapped
in tracers, and `pipeline.process` runs on those. What it calls is noted in the order it is called, and what it returns
is the outcome. Whatever is noted is redacted and bounded; only events are shown as they would be published.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from logrouter.core.dryrun.steps import ExplainStep, outputs_of, record_step, ruled_out
from logrouter.core.dryrun.trace import trace_source
from logrouter.core.pipeline import process
from logrouter.core.sampling import unthrottled
from logrouter.model import UNMATCHED, Accepted, Ignored, Outcome, Reason, Rejected, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.core.routing import RouteTable, Source
    from logrouter.model import RawRecord


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of one record, and how: *outcomes* are those of `pipeline.process`, *steps* lead to them."""

    record: RawRecord
    source: str
    outcomes: tuple[Outcome, ...]
    steps: tuple[ExplainStep, ...] = field(default=())


def explain(
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
    """The journey of *record* through *table*, by the source of its topic or the one that is named. Never raises.

    A record that carries *loop_header* is our own output come back. The source must exist if it is named. Without
    *throttled* nothing is left out by sampling or a rate limit, which is of no use for single lines.
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
    named = named if throttled else unthrottled(named)
    steps += ruled_out(table, named, record.topic)
    outcomes = _outcomes(named, record, now_ms, event_id, steps)
    steps += _not_tried(named, steps)
    several = any(outcome.line for outcome in outcomes)
    for index, outcome in enumerate(outcomes):
        made = outputs_of(record, outcome, event_id(record.offset, index), dead_letter_topic)
        steps += (_of_line(step, outcome.line) for step in made) if several else made
    if several:
        steps.sort(key=lambda step: step.details.get("line", -1))  # all about one line, then all about the next
    return Explanation(record, named.name, outcomes, tuple(steps))


def _of_line(step: ExplainStep, line: int) -> ExplainStep:
    return replace(step, details={"line": line, **step.details})


def _outcomes(
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


def _not_tried(source: Source, steps: list[ExplainStep]) -> list[ExplainStep]:
    """The routes that were not asked because an earlier one has the record."""
    tried = {step.details.get("route") for step in steps if step.stage == "route"}
    left = [route.name for route in source.routes if route.name not in tried]
    if not tried or not left:
        return []
    return [ExplainStep("route", f"not tried: {', '.join(left)}", passed=None, details={"not_tried": left})]


def as_dict(explanation: Explanation) -> dict[str, Any]:
    """The explanation as plain data: one object per record, with the outcome that matters most at the top.

    Of several outcomes that is the first accepted one, else the first held, else the first rejected one. Where the
    record packs several lines, outcomes and steps say as `line` which one they are about, from 0.
    """
    outcomes = [outcome.as_dict() for outcome in explanation.outcomes]
    if any(outcome.line for outcome in explanation.outcomes):
        outcomes = [{"line": each.line, **found} for each, found in zip(explanation.outcomes, outcomes, strict=True)]
    kinds = ("accepted", "held", "rejected")
    first = next((o for kind in kinds for o in outcomes if o["outcome"] == kind), outcomes[0])
    record = explanation.record
    return {
        **first,
        "events": [outcome.event for outcome in explanation.outcomes if isinstance(outcome, Accepted)],
        "source": explanation.source,
        "record": {"topic": record.topic, "partition": record.partition, "offset": record.offset},
        "outcomes": outcomes,
        "steps": [step.as_dict() for step in explanation.steps],
    }
