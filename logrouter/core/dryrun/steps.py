"""The steps of an explanation that come before and after the pipeline; `core.dryrun.trace` makes those within."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from logrouter.core.redact.disclosure import STRICT, Disclosure
from logrouter.core.rollup.accumulator import Accumulator
from logrouter.core.rollup.counting import add_event
from logrouter.core.rollup.failures import parse_failure_key
from logrouter.core.rollup.subjects import SubjectKind
from logrouter.core.templates.learning import TemplateLearner
from logrouter.core.text.timestamps import rfc3339
from logrouter.model import Accepted, Held, Ignored, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from logrouter.core.routing import Route, RouteTable, Source
    from logrouter.model import Outcome, RawRecord

MAX_TEXT: Final = 400
MAX_NAME: Final = 100
MAX_MEMBERS: Final = 60
MAX_DEPTH: Final = 6


@dataclass(frozen=True, slots=True)
class ExplainStep:
    """One step: *says* is a line of text, *details* plain data. *passed* is None where nothing was decided."""

    stage: str
    says: str
    passed: bool | None = True
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The step as plain data."""
        return {"stage": self.stage, "passed": self.passed, "says": self.says, **self.details}


def show_redacted(value: Any, name: str = "", disclosure: Disclosure = STRICT) -> Any:
    """*value* as it may be shown: without secrets, and bounded in length, depth and number of members.

    *name* is the field that it is the value of: some names tell that what they hold is secret. *disclosure* says what
    else may be shown of a line.
    """
    if isinstance(value, str):
        return disclosure.shown(name, value, MAX_TEXT)
    return _bounded(disclosure.value(value, name))


def show_record(fields: Mapping[str, Any], disclosure: Disclosure) -> Any:
    """What a record holds besides its line, as it may be shown: nothing of it is an event's."""
    return _bounded(disclosure.record(fields))


def _bounded(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else value[:MAX_TEXT] + "…"
    if isinstance(value, dict | list) and depth == MAX_DEPTH:
        return "…"
    if isinstance(value, dict):
        members = [(_cut_name(str(key)), item) for key, item in list(value.items())[:MAX_MEMBERS]]
        more = {"…": f"{len(value) - MAX_MEMBERS} more"} if len(value) > MAX_MEMBERS else {}
        return {key: _bounded(item, depth + 1) for key, item in members} | more
    if isinstance(value, list):
        return [_bounded(item, depth + 1) for item in value[:MAX_MEMBERS]]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)  # JSON writers refuse it
    return value


def _cut_name(name: str) -> str:
    return name if len(name) <= MAX_NAME else name[:MAX_NAME] + "…"


def record_step(record: RawRecord, source: str | None) -> ExplainStep:
    """The step that says where the record is and which source it belongs to."""
    details = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "time": rfc3339(record.timestamp_ms) if record.timestamp_ms > 0 else None,
        "bytes": None if record.value is None else len(record.value),
        "source": source,
    }
    size = "no value (a tombstone)" if record.value is None else f"{len(record.value)} bytes"
    return ExplainStep("record", f"{record.topic}:{record.partition}:{record.offset}, {size}", details=details)


def ruled_out_routes(table: RouteTable, source: Source, topic: str) -> Iterator[ExplainStep]:
    """A step for each route of the source that no record of the topic can match."""
    left = {route.name for route in source.routes}
    for one in table.sources:
        for route in one.routes if one.name == source.name else ():
            if route.name not in left:
                why = [f"no record of topic {topic} can satisfy: {route.condition.describe()}"]
                yield ExplainStep("route", f"{route.name} does not match", passed=False, details=_tried(route, why))


def _tried(route: Route, why: list[str]) -> dict[str, Any]:
    return {"route": route.name, "why": why}


def outputs_of(record: RawRecord, outcome: Outcome, event_id: str, dead_letter_topic: str) -> Iterator[ExplainStep]:
    """The steps that say what one outcome publishes and counts."""
    match outcome:
        case Accepted():
            yield _published_step(outcome)
            yield _counted_step(outcome)
        case Rejected():
            yield _rejected_step(record, outcome, event_id, dead_letter_topic)
        case Held():
            yield _held_step(outcome)
        case Ignored():
            yield ExplainStep("outcome", f"ignored: {outcome.reason}", passed=None)


def _published_step(accepted: Accepted) -> ExplainStep:
    key = accepted.key.decode("utf-8", "replace") if accepted.key is not None else "no key"
    identity = accepted.event.get("meta", {}).get("id")
    topics = [accepted.topic, *accepted.also]
    details = {"topics": topics, "key": key if accepted.key else None, "id": identity, "bytes": len(accepted.value)}
    says = f"{len(accepted.value)} bytes to {' and '.join(topics)}, key {key}, event id {identity}"
    return ExplainStep("output", says, details=details)


def _counted_step(accepted: Accepted) -> ExplainStep:
    cells = list(cells_of(accepted))
    says = ", ".join(f"{cell['table']} row {cell['row']}" for cell in cells) or "no tables count it"
    url = next((cell["url"] for cell in cells if cell["url"] is not None), None)
    says += "" if url is None else f", its URL as {url}"
    return ExplainStep("tables", says, passed=bool(cells) or None, details={"cells": cells})


def _rejected_step(record: RawRecord, rejected: Rejected, event_id: str, topic: str) -> ExplainStep:
    key = f"{record.topic}:{record.partition}:{record.offset}"
    where = f", a dead letter for {topic} with key {key}" if topic else ""
    says = f"rejected at {rejected.stage}: {rejected.reason}{where}"
    return ExplainStep("outcome", says, passed=False, details={"topic": topic, "key": key, "id": event_id})


def _held_step(held: Held) -> ExplainStep:
    which = "opens" if held.pair_key.opens else "closes"
    details = {
        "half": which,
        "key": show_redacted(held.pair_key.key),
        "window_seconds": held.window_ms / 1000,
        "draft": show_redacted(held.event),
    }
    return ExplainStep("outcome", f"held for its other half: the line {which} a request", passed=None, details=details)


def cells_of(accepted: Accepted) -> Iterator[dict[str, Any]]:
    """What the event adds to the tables, as the lane sums it: a cell for its client and one for its API, in its minute.

    What the event has of another type than the tables count is not in a cell: 0, or None.
    """
    sums = Accumulator(TemplateLearner())
    add_event([], sums, accepted)
    for subject, (cell,) in sums.take():
        failures = [parse_failure_key(key).label for key in cell.error]
        of_client = subject[0] == SubjectKind.CLIENT
        yield {
            "table": "clients" if of_client else "apis",
            "row": subject[1:],
            **({"api": next(iter(cell.peer))[3:]} if of_client else {}),
            "minute": rfc3339(cell.minute * 60_000),
            "count": cell.count,
            "weighted": cell.weight,
            "status": next(iter(cell.status), None),
            "outcome": next(iter(cell.outcome), None),
            "latency_ms": cell.latency_sum if cell.latency_count else None,
            "bytes_received": cell.bytes_in,
            "bytes_sent": cell.bytes_out,
            "url": next((url[3:] for url in (*cell.url, *cell.failed)), None),
            "error": next(iter(failures), None),
            "recent": bool(cell.recent),
        }
