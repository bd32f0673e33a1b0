"""The pipeline, and the only place that knows the order of its stages: decode, route, parse, draft, check, write.

Records go through the stages in blocks: all records of a block are decoded, then all are routed and parsed, then the
requests among them become drafts, are checked, and are written. What a stage runs stays in the processor's caches for
the next record. A record alone is a block of one. Outcomes of a block stay in the order of its records.

A record has one outcome for each line in it, and with `routing: all-matches` for each route that takes the line. The
place of an outcome in that list is its *index*, which is part of its event's id. A line that waits for the other one of
its request leaves the pipeline before it is checked and goes on in `core.join.pairs`.

Pure: the record's coordinates, the time and the id function come in as arguments. The result is a value
(`model.Outcome`); counting and publishing are up to the caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from logrouter.core.event import STAGES, PendingEvent
from logrouter.core.ids import MAX_INDEX
from logrouter.core.request_fields import Request
from logrouter.core.text.json_objects import bare_object
from logrouter.model import (
    ENCODED,
    PARTIAL,
    Accepted,
    Envelope,
    Held,
    Ignored,
    Outcome,
    Parsed,
    RawRecord,
    Reason,
    Rejected,
    Stage,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logrouter.core.routing import Route, Source
    from logrouter.model import Decoded

BLOCK_SIZE: Final = 64
"""Records of a block, and requests that go on together: enough to gain from caches, few enough to stay in them."""

_TOMBSTONE: Final = (Ignored(Reason.TOMBSTONE),)
_EMPTY: Final = (Ignored(Reason.EMPTY),)
_UNMATCHED: Final = (Ignored(Reason.UNMATCHED),)
_UNDECIDED: Final = Ignored(Reason.UNMATCHED)
"""Stands for the outcome of a request that is still on its way."""


class Work(Struct):
    """One record on its way through the stages; its value is not None.

    *decoded* is None until the record is decoded. *outcomes* is the result, unless a bug in this program raised *bug*.
    *counted* says that the record was counted before, so that these are further outcomes of it. *event_id* makes an
    event id of offset and index.
    """

    source: Source
    record: RawRecord
    event_id: Callable[[int, int], str]
    decoded: Decoded | None = None
    counted: bool = False
    outcomes: list[Outcome] = []
    bug: Exception | None = None


def process(source: Source, record: RawRecord, now_ms: int, event_id: Callable[[int, int], str]) -> tuple[Outcome, ...]:
    """The outcomes of one record, at least one.

    *now_ms* is the wall clock in epoch milliseconds. The record's own timestamp takes precedence, so that a replay
    gives the same event. Raises only what a bug in this program raises.
    """
    value = record.value
    if value is None:
        return _TOMBSTONE
    if not value:
        return _EMPTY
    if source.may_match is not None and not source.may_match(value):
        return _UNMATCHED
    work = Work(source, record, event_id)
    process_block((work,), now_ms, 1)
    if work.bug is not None:
        raise work.bug
    return tuple(work.outcomes)


def process_block(block: Sequence[Work], now_ms: int, block_size: int = BLOCK_SIZE) -> None:
    """Give every record of *block* its outcomes, or the exception that a bug in this program raised. Never raises.

    The records have passed the pre-filter. *block_size* limits how many requests go through the stages together, as one
    record may hold thousands.
    """
    for work in block:
        if work.decoded is None and work.bug is None:
            try:
                work.decoded = _decode_record(work.source, work.record.value or b"")
            except Exception as exc:  # noqa: BLE001 - a bug of ours costs the record and not the block
                work.bug = exc
    pending = _Pending(now_ms, block_size)
    for work in block:
        if work.bug is None:
            try:
                _route_record(work, work.decoded, pending)
            except Exception as exc:  # noqa: BLE001 - as above
                work.bug = exc
    pending.finish()


class _Pending:
    """Requests on their way from their formats to their outcomes."""

    def __init__(self, now_ms: int, block_size: int) -> None:
        self._now_ms = now_ms
        self._block_size = block_size
        self._requests: list[tuple[Work, PendingEvent, str | None, set[str] | None]] = []

    def add(self, work: Work, request: PendingEvent, raw: str | None, counted: set[str] | None) -> None:
        """One more request; *raw* is the text for a dead letter, *counted* the tables that count it already."""
        work.outcomes.append(_UNDECIDED)
        self._requests.append((work, request, raw, counted))
        if len(self._requests) >= self._block_size:
            self.finish()

    def finish(self) -> None:
        """Take all of them through the remaining stages, each stage for all before the next."""
        requests, self._requests = self._requests, []
        now_ms = self._now_ms
        for stage in STAGES:
            for work, request, _, _ in requests:
                if request.outcome is None and work.bug is None:
                    try:
                        request.outcome = stage(request, now_ms)
                    except Exception as exc:  # noqa: BLE001 - a bug of ours costs the record and not the block
                        work.bug = exc
        for work, request, raw, counted in requests:
            outcome = request.outcome
            if outcome is not None:
                if counted is not None:
                    outcome = _count_once(request.route, outcome, counted)
                work.outcomes[request.index] = outcome if raw is None else _place_outcome(outcome, request.place, raw)


def _decode_record(source: Source, value: bytes) -> Decoded:
    if len(value) > source.max_bytes:
        detail = f"{len(value)} bytes, at most {source.max_bytes} are read"
        return Rejected(Stage.DECODE, Reason.TOO_LARGE, detail, raw=None if source.searchable else ENCODED)
    return source.decode(value)


def _route_record(work: Work, decoded: Decoded | None, pending: _Pending) -> None:
    """Give the record its outcomes; those of requests follow when these are finished."""
    source = work.source
    if isinstance(decoded, Envelope):
        _route_line(work, decoded, 0, None if source.searchable else decoded.text, pending)
    elif isinstance(decoded, Rejected):
        ours = source.might_be_ours
        work.outcomes += _UNMATCHED if ours is not None and not ours(work.record.value or b"") else (decoded,)
    elif isinstance(decoded, Ignored):
        work.outcomes.append(decoded)
    elif decoded is not None:
        _route_lines(work, decoded, pending)


def _route_lines(work: Work, lines: Sequence[Envelope | Ignored | Rejected], pending: _Pending) -> None:
    """The outcomes of every line that a record packs, in their order; a record that packs none is empty."""
    source, outcomes = work.source, work.outcomes
    if len(lines) * (max(len(source.routes), 1) if source.all_matches else 1) > MAX_INDEX:
        detail = f"{len(lines)} lines in one record"
        outcomes.append(Rejected(Stage.DECODE, Reason.TOO_MANY, detail, raw=None if source.searchable else ENCODED))
        return
    for place, line in enumerate(lines):
        if isinstance(line, Envelope):
            _route_line(work, line, place, line.text, pending)
        else:
            outcomes.append(replace(line, line=place))
    if not outcomes:
        outcomes += _EMPTY


def _route_line(work: Work, envelope: Envelope, place: int, raw: str | None, pending: _Pending) -> None:
    """The outcomes of the line at *place* in its record; *raw* is what its dead letters show, None for the record."""
    source, record = work.source, work.record
    envelope.headers = record.headers
    first = len(work.outcomes)
    counted: set[str] | None = set() if source.all_matches else None
    left: Ignored | None = None
    for route in source.routes:
        if not route.select(envelope):
            continue
        outcome: Outcome
        if envelope.flags and PARTIAL in envelope.flags:  # so it is for every route: one dead letter is enough
            detail = "one piece of a line cut by the runtime"
            work.outcomes.append(Rejected(Stage.DECODE, Reason.PARTIAL, detail, "", route.name, place, raw))
            return
        parsed = route.parse(envelope)
        if not isinstance(parsed, Parsed) and (text := bare_object(envelope.text)) is not None:
            parsed = route.parse(replace(envelope, text=text))
        if isinstance(parsed, Parsed):
            pair_key = parsed.pair_key
            if pair_key is not None and pair_key.opens and route.pair_ms is None:
                outcome = Ignored(Reason.NOT_COUNTED, route.name, place)
            elif route.request is not None and not route.request.test(Request(parsed, route)):
                left = left or Ignored(Reason.UNWANTED, route.name, place)
                continue
            else:
                index = len(work.outcomes)
                request = PendingEvent(
                    route=route,
                    record=record,
                    event=parsed.event,
                    time_ms=0,
                    tables=route.tables,
                    topics=route.topics,
                    envelope=envelope,
                    parsed=parsed,
                    event_id=work.event_id,
                    index=index,
                    place=place,
                )
                pending.add(work, request, raw, counted)
                if counted is None:
                    return
                continue
        elif isinstance(parsed, Rejected):
            outcome = replace(parsed, route=route.name, line=place, raw=raw)
        elif route.request_only and parsed.reason is Reason.NOT_REQUEST:
            # `looks_like: request` is a condition too, only a dear one: a later route may still want the line.
            left = left or Ignored(parsed.reason, route.name, place)
            continue
        else:
            outcome = Ignored(parsed.reason, route.name, place)
        work.outcomes.append(outcome)
        if counted is None:
            return
    if len(work.outcomes) == first:
        work.outcomes.append(left or Ignored(Reason.UNMATCHED, line=place))


def _place_outcome(outcome: Outcome, place: int, raw: str) -> Outcome:
    """The outcome as that of the line at *place*: a dead letter shows its text, not the whole record."""
    if isinstance(outcome, Rejected):
        return replace(outcome, line=place, raw=raw)
    return replace(outcome, line=place)


def _count_once(route: Route, outcome: Outcome, counted: set[str]) -> Outcome:
    """The outcome without the tables that count the record already; *counted* grows by those that do from now on."""
    if isinstance(outcome, Accepted | Held):
        tables = tuple(table for table in outcome.tables if table not in counted and table != "urls")
        counted.update(tables)
        # URLs are no table of their own: they are counted within those that count this one.
        return replace(outcome, tables=(*tables, "urls") if tables and "urls" in outcome.tables else tables)
    if isinstance(outcome, Ignored) and outcome.reason is Reason.SAMPLED:
        # The weight of those that stay stands for this one: counted by another route it would be there twice.
        counted.update(route.tables)
    return outcome
