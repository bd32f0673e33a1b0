"""What held lines become when they wait no longer: events, dead letters, partial sums and counts. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from logrouter.core.event import MAX_AHEAD_MS, complete_draft
from logrouter.core.join import held_lines
from logrouter.core.join.held_lines import PairResult
from logrouter.core.join.pairs import MAX_PARKED_BYTES
from logrouter.core.redact.disclosure import STRICT
from logrouter.core.rollup.accumulator import Accumulator
from logrouter.core.rollup.counting import add_event
from logrouter.core.rollup.records import pack_records
from logrouter.core.templates.learning import TemplateLearner
from logrouter.model import UNMATCHED, Accepted, Ignored, RawRecord, Reason, Rejected, Stage
from logrouter.route.batch import internal_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from logrouter.core.dead_letter import DeadLetterSettings
    from logrouter.core.join.pairs import Resolved
    from logrouter.core.routing import RouteTable
    from logrouter.model import Outcome
    from logrouter.route.output import BatchOutput

_LETTERS_OF_THEIR_OWN = frozenset({PairResult.NO_ROUTE, PairResult.TOO_LARGE})
_NO_EVENT = frozenset({PairResult.DUPLICATE, PairResult.FORGOTTEN})


class PairFinisher:
    """Takes held lines through the rest of the pipeline, with one route table.

    *known_routes* are the names of its routes: lines of others can't be finished here. *templates* knows the path
    templates that URLs are counted by.
    """

    def __init__(
        self,
        table: RouteTable,
        *,
        rollup_partitions: int,
        dead_letters: DeadLetterSettings,
        clock_ms: Callable[[], int],
        emitter: str = "logrouter",
        templates: TemplateLearner | None = None,
    ) -> None:
        self._routes = table.routes()
        self._templates = TemplateLearner() if templates is None else templates
        self._rollup_partitions = rollup_partitions
        self._dead_letters = dead_letters
        self._clock_ms = clock_ms
        self._emitter = emitter
        self.known_routes = frozenset(self._routes)

    def add(self, left: Sequence[Resolved], output: BatchOutput, malformed: Iterable[RawRecord] = ()) -> None:
        """Put into *output* what becomes of the lines, each of a known route. Never raises.

        *malformed* are records of the pairing topic that are no held lines: each becomes a dead letter.
        """
        sums = Accumulator(self._templates)
        now_ms = self._clock_ms()
        for each in left:
            self._finish(each, output, sums, now_ms)
        for record in malformed:
            rejected = Rejected(Stage.PAIR, Reason.MALFORMED, "a record of the pairing topic that is no held line")
            self._reject(record, rejected, "", output, now_ms)
            _count(output, UNMATCHED, PairResult.REJECTED)
        output.rollup.extend(pack_records(sums.take(now_ms + MAX_AHEAD_MS), self._rollup_partitions))

    def _finish(self, left: Resolved, output: BatchOutput, sums: Accumulator, now_ms: int) -> None:
        line = held_lines.decode(left.closing or left.opening or b"")
        route = line.route if line is not None else UNMATCHED
        how = left.how
        if how in _NO_EVENT:
            _count(output, route, how)
            return
        record, identity = RawRecord("", 0, 0, -1, None), ""
        try:
            event = held_lines.build_event(how, left.opening, left.closing)
            record, identity = _record_of(event.event), event.event["meta"]["id"]
            how, outcome = self._complete(route, left, event, record)
        except Exception as exc:  # noqa: BLE001 - a bug of ours must not stop the lane, nor lose the request
            outcome = internal_error(exc, record)
        if isinstance(outcome, Accepted):
            add_event(output.events, sums, outcome)
        elif isinstance(outcome, Ignored) or (left.closing is None and how is not PairResult.NO_ROUTE):
            # A request that was never completed has no line of its own to become a dead letter.
            how = PairResult.DROPPED
        elif isinstance(outcome, Rejected):
            self._reject(replace(record, value=left.closing or left.opening), outcome, identity, output, now_ms)
            how = how if how in _LETTERS_OF_THEIR_OWN else PairResult.REJECTED
        _count(output, route, how)

    def _complete(
        self, name: str, left: Resolved, event: held_lines.Event, record: RawRecord
    ) -> tuple[PairResult, Outcome]:
        if left.how is PairResult.TOO_LARGE:
            size = len(left.opening or b"") + len(left.closing or b"")
            detail = f"two lines of {size} bytes can't wait for their route: at most {MAX_PARKED_BYTES}"
            return left.how, Rejected(Stage.PAIR, Reason.TOO_LARGE, detail, "", name)
        if left.how is PairResult.NO_ROUTE or name not in self._routes:
            # Not known to this process, and there was no room to wait until it is.
            detail = f"topics.yaml has no route {name} any more"
            return PairResult.NO_ROUTE, Rejected(Stage.PAIR, Reason.NO_ROUTE, detail, "", name)
        route = self._routes[name]
        outcome = complete_draft(route, *event, record)
        if isinstance(outcome, Rejected) and left.opening is not None and left.closing is not None:
            # What the opening line adds may be what the schema refuses: the request is worth more than that.
            alone = held_lines.build_event(PairResult.UNPAIRED, None, left.closing)
            tables = alone.tables if left.how is not PairResult.LATE else ()
            return PairResult.UNPAIRED, complete_draft(route, alone.event, alone.time_ms, tables, record)
        return left.how, outcome

    def _reject(self, record: RawRecord, rejected: Rejected, identity: str, output: BatchOutput, now_ms: int) -> None:
        # The line itself is not here any more: what was kept of it stands for it.
        route = self._routes.get(rejected.route)
        disclosure = STRICT if route is None else route.disclosure
        letter = self._dead_letters.make_letter(record, rejected, identity, self._emitter, now_ms, disclosure)
        output.dead_letters.append(letter)


def _record_of(event: dict[str, Any]) -> RawRecord:
    """The record that the event's line was in, without its value."""
    source = event["source"]
    return RawRecord(source["topic"], source["partition"], source["offset"], -1, None)


def _count(output: BatchOutput, route: str, how: PairResult) -> None:
    output.pairing[route, how] = output.pairing.get((route, how), 0) + 1
