"""The one place with stage order: bytes -> envelope -> route -> parse -> enrich -> validate -> event.

A record has one outcome for each route that has it: with `routing: first-match`, which is usual, one in all. An
outcome's place in the tuple is its *index*, which makes its event's id differ from those of its siblings. A line that
waits for the other one of its request leaves the order before validation; `core.pairing` has it from there.

Pure: the record's coordinates, the time and the id function come in as arguments, and nothing here raises on any
input.  What a record ends as is a value (`model.Outcome`); counting and publishing are the caller's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.core.event import finish, finish_with, hold
from logrouter.core.ids import MAX_INDEX
from logrouter.core.requestfields import Request
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

_TOMBSTONE: Final = (Ignored(Reason.TOMBSTONE),)
_EMPTY: Final = (Ignored(Reason.EMPTY),)
_UNMATCHED: Final = (Ignored(Reason.UNMATCHED),)


def process(source: Source, record: RawRecord, now_ms: int, event_id: Callable[[int, int], str]) -> tuple[Outcome, ...]:
    """What becomes of one record: one outcome per event in it and route that has it, one at least.

    *now_ms* is the wall clock; the record's own timestamp goes before it, so that replays give the same event.
    """
    value = record.value
    if value is None:
        return _TOMBSTONE
    if not value:
        return _EMPTY
    if source.may_match is not None and not source.may_match(value):
        return _UNMATCHED
    return process_matching(source, record, value, now_ms, event_id)


def process_matching(
    source: Source, record: RawRecord, value: bytes, now_ms: int, event_id: Callable[[int, int], str]
) -> tuple[Outcome, ...]:
    """`process` for a record that the pre-filter has let through."""
    if len(value) > source.max_bytes:
        if source.might_be_ours is not None and not source.might_be_ours(value):
            return _UNMATCHED
        detail = f"{len(value)} bytes, at most {source.max_bytes} are read"
        return (Rejected(Stage.DECODE, Reason.TOO_LARGE, detail, raw=None if source.verbatim else ENCODED),)
    return process_decoded(source, source.decode(value), record, value, now_ms, event_id)


def process_decoded(
    source: Source,
    found: Decoded,
    record: RawRecord,
    value: bytes,
    now_ms: int,
    event_id: Callable[[int, int], str],
) -> tuple[Outcome, ...]:
    """`process` for what a record has been decoded to; *value* is its bytes."""
    if isinstance(found, Envelope):
        outcomes = _of_line(source, found, record, now_ms, event_id)
        return outcomes if source.verbatim else _of_place(outcomes, 0, found.text)
    if isinstance(found, Rejected):
        ours = source.might_be_ours
        return _UNMATCHED if ours is not None and not ours(value) else (found,)
    if isinstance(found, Ignored):
        return (found,)
    return _of_lines(source, found, record, now_ms, event_id)


def _of_lines(
    source: Source,
    lines: Sequence[Envelope | Ignored | Rejected],
    record: RawRecord,
    now_ms: int,
    event_id: Callable[[int, int], str],
) -> tuple[Outcome, ...]:
    """The outcomes of every line that a record packs, in their order; a record that packs none is empty."""
    if len(lines) * (max(len(source.routes), 1) if source.all_matches else 1) > MAX_INDEX:
        detail = f"{len(lines)} lines in one record"
        return (Rejected(Stage.DECODE, Reason.TOO_MANY, detail, raw=None if source.verbatim else ENCODED),)
    outcomes: list[Outcome] = []
    for place, line in enumerate(lines):
        if isinstance(line, Envelope):
            found = _of_line(source, line, record, now_ms, event_id, len(outcomes), place)
            outcomes.extend(_of_place(found, place, line.text))
        else:
            outcomes.append(line._replace(line=place))
    return tuple(outcomes) or _EMPTY


def _of_place(outcomes: tuple[Outcome, ...], place: int, text: str) -> tuple[Outcome, ...]:
    """The outcomes of one line as those of the line at *place*: a dead letter shows its text, not the whole record."""
    return tuple(
        each._replace(line=place, raw=text) if isinstance(each, Rejected) else each._replace(line=place)
        for each in outcomes
    )


def _of_line(
    source: Source,
    envelope: Envelope,
    record: RawRecord,
    now_ms: int,
    event_id: Callable[[int, int], str],
    index: int = 0,
    place: int = 0,
) -> tuple[Outcome, ...]:
    """The outcomes of the line at *place* in its record; *index* is that of the first of them among the record's."""
    envelope.headers = record.headers
    if source.all_matches:
        return _every_match(source, envelope, record, now_ms, event_id, index, place)
    left: Ignored | None = None
    for route in source.routes:
        if not route.select(envelope):
            continue
        if envelope.flags and PARTIAL in envelope.flags:
            return (Rejected(Stage.DECODE, Reason.PARTIAL, "one piece of a line cut by the runtime", "", route.name),)
        parsed = route.parse(envelope)
        if isinstance(parsed, Parsed):
            half = parsed.half
            if half is not None and half.opens and route.pair_ms is None:
                return (Ignored(Reason.NOT_COUNTED, route.name),)
            if route.request is not None and not route.request.test(Request(parsed, route)):
                left = left or Ignored(Reason.UNWANTED, route.name)
                continue
            if half is not None and route.pair_ms is not None:
                return (hold(route, half, envelope, parsed, record, now_ms, event_id, index),)
            if route.extras is not None:
                return (finish_with(route, route.extras, envelope, parsed, record, now_ms, event_id, index, place),)
            return (finish(route, envelope, parsed, record, now_ms, event_id, index),)
        if isinstance(parsed, Rejected):
            return (parsed._replace(route=route.name),)
        if not (route.request_only and parsed.reason is Reason.NOT_REQUEST):
            return (Ignored(parsed.reason, route.name),)
        # `looks_like: request` is a condition too, only a dear one: a later route may still want the line.
        left = left or Ignored(parsed.reason, route.name)
    return (left,) if left is not None else _UNMATCHED


def _every_match(
    source: Source,
    envelope: Envelope,
    record: RawRecord,
    now_ms: int,
    event_id: Callable[[int, int], str],
    first: int,
    place: int,
) -> tuple[Outcome, ...]:
    """The outcome of every route that has the record. A table counts it once, for the first route that names it."""
    outcomes: list[Outcome] = []
    counted: set[str] = set()
    left: Ignored | None = None
    for route in source.routes:
        if not route.select(envelope):
            continue
        if envelope.flags and PARTIAL in envelope.flags:  # so it is for every route: one dead letter is enough
            return (Rejected(Stage.DECODE, Reason.PARTIAL, "one piece of a line cut by the runtime", "", route.name),)
        parsed = route.parse(envelope)
        if isinstance(parsed, Rejected):
            outcomes.append(parsed._replace(route=route.name))
        elif isinstance(parsed, Ignored):
            if route.request_only and parsed.reason is Reason.NOT_REQUEST:
                left = left or Ignored(parsed.reason, route.name)
            else:
                outcomes.append(Ignored(parsed.reason, route.name))
        elif parsed.half is not None and parsed.half.opens and route.pair_ms is None:
            outcomes.append(Ignored(Reason.NOT_COUNTED, route.name))
        elif route.request is not None and not route.request.test(Request(parsed, route)):
            left = left or Ignored(Reason.UNWANTED, route.name)
        else:
            index = first + len(outcomes)
            if parsed.half is not None and route.pair_ms is not None:
                outcome = hold(route, parsed.half, envelope, parsed, record, now_ms, event_id, index)
            elif route.extras is None:
                outcome = finish(route, envelope, parsed, record, now_ms, event_id, index)
            else:
                outcome = finish_with(route, route.extras, envelope, parsed, record, now_ms, event_id, index, place)
            outcomes.append(_counted_once(route, outcome, counted))
    if outcomes:
        return tuple(outcomes)
    return (left,) if left is not None else _UNMATCHED


def _counted_once(route: Route, outcome: Outcome, counted: set[str]) -> Outcome:
    """The outcome without the tables that count the record already; *counted* grows by those that do from now on."""
    if isinstance(outcome, Accepted | Held):
        tables = tuple(table for table in outcome.tables if table not in counted and table != "urls")
        counted.update(tables)
        # URLs are no table of their own: they are counted within those that count this one.
        return outcome._replace(tables=(*tables, "urls") if tables and "urls" in outcome.tables else tables)
    if isinstance(outcome, Ignored) and outcome.reason is Reason.SAMPLED:
        # The weight of those that stay stands for this one: counted by another route it would be there twice.
        counted.update(route.tables)
    return outcome
