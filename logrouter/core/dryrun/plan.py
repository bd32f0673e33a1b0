"""What a change of topics.yaml does to real records: both tables run over the same ones, and everything that differs.

    comparison = Comparison(samples=3)
    timing = run(records, Side(old, cluster), Side(new, cluster), comparison, now_ms=…, clock=perf_counter)

Counts are exact for the records given; distinct names are counted up to a bound. Nothing here reads or prints anything.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from logrouter.core import ids
from logrouter.core.dryrun.effects import (
    LOSSES,
    Effect,
    Rejection,
    accepted_of,
    describe_outcomes,
    effects_of,
    pairs_of,
    rejections_of,
)
from logrouter.core.dryrun.event_diff import Change, diff_events
from logrouter.core.pipeline import process
from logrouter.model import Accepted, Ignored, Outcome, Reason, Rejected, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from logrouter.core.routing import RouteTable, Source
    from logrouter.model import RawRecord

CHUNK: Final = 500
"""Records that one table is given before the other has its turn: long enough to time, short enough to be fair."""

MAX_DISTINCT: Final = 100_000
MAX_PAIRS: Final = 20
MAX_LABELS: Final = 20


class Side:
    """One of the two tables that are compared, for records of any topic of one cluster.

    *loop_header* is the header that marks outputs of this program.
    """

    def __init__(self, table: RouteTable, cluster: str, *, loop_header: str = "") -> None:
        self._table = table
        self._cluster = cluster
        self._loop_header = loop_header
        self._sources: dict[str, Source | None] = {}
        self._ids: dict[tuple[str, int], Callable[[int, int], str]] = {}

    @property
    def routes(self) -> frozenset[str]:
        """The names of the table's routes."""
        return frozenset(route.name for source in self._table.sources for route in source.routes)

    def outcomes(self, record: RawRecord, now_ms: int) -> tuple[Outcome, ...]:
        """The outcomes of the record, as the route lane would have them. Never raises."""
        topic, place = record.topic, (record.topic, record.partition)
        if topic not in self._sources:
            self._sources[topic] = self._table.source_of(topic)
        source = self._sources[topic]
        if source is None:
            return (Ignored(Reason.UNMATCHED),)
        if record.headers and any(name == self._loop_header for name, _ in record.headers):
            return (Ignored(Reason.LOOP),)
        if place not in self._ids:
            self._ids[place] = ids.for_partition(self._cluster, *place)
        try:
            return process(source, record, now_ms, self._ids[place])
        except Exception as exc:  # noqa: BLE001 - the lane makes the same of a bug of ours
            return (Rejected(Stage.PARSE, Reason.INTERNAL, type(exc).__name__),)


@dataclass(slots=True)
class RouteTally:
    """What one route did: outcomes by kind, schema failures among them, bytes of records in and of events out."""

    accepted: int = 0
    ignored: int = 0
    rejected: int = 0
    held: int = 0
    schema_failures: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


@dataclass(slots=True)
class TableCounts:
    """What one table did. *names* holds the distinct values of what becomes a metric label or a key, up to a bound."""

    routes: dict[str, RouteTally] = field(default_factory=dict)
    names: dict[str, set[str]] = field(
        default_factory=lambda: {name: set() for name in ("routes", "reasons", "topics", "apis", "clients")}
    )

    def add(self, record: RawRecord, outcomes: tuple[Outcome, ...]) -> None:
        """Count one record."""
        for outcome in outcomes:
            route, kind, stage, reason = outcome.labels
            tally = self.routes.setdefault(route, RouteTally())
            setattr(tally, kind, getattr(tally, kind) + 1)
            tally.schema_failures += stage == Stage.VALIDATE and reason == Reason.SCHEMA
            tally.bytes_in += len(record.value or b"")
            self._add_name("routes", route)
            self._add_name("reasons", reason)
            if isinstance(outcome, Accepted):
                tally.bytes_out += len(outcome.value) * (1 + len(outcome.also))
                for topic in (outcome.topic, *outcome.also):
                    self._add_name("topics", topic)
                self._add_name("apis", str(outcome.event.get("api", "")))
                self._add_name("clients", str(outcome.event.get("client_id", "")))

    def _add_name(self, kind: str, name: str) -> None:
        names = self.names[kind]
        if name and len(names) < MAX_DISTINCT:
            names.add(name)


@dataclass(frozen=True, slots=True)
class ChangedRecord:
    """A record with different outcomes: its place, its worst effect, both outcomes in words, the changed members."""

    place: str
    effect: Effect
    old: str
    new: str
    changes: tuple[Change, ...]


class Comparison:
    """All differences over the records added, with the first *samples* records for each effect."""

    def __init__(self, samples: int = 3) -> None:
        self._samples = samples
        self.records = 0
        self.bytes = 0
        self.old = TableCounts()
        self.new = TableCounts()
        self.effects: Counter[Effect] = Counter()
        self.rejections: Counter[Rejection] = Counter()
        self.samples: list[ChangedRecord] = []

    def add(self, record: RawRecord, old: tuple[Outcome, ...], new: tuple[Outcome, ...]) -> None:
        """Compare the outcomes of one record by the old and by the new table."""
        self.records += 1
        self.bytes += len(record.value or b"")
        self.old.add(record, old)
        self.new.add(record, new)
        found = effects_of(old, new) if old != new else []
        for effect in found:
            self.effects[effect] += 1
        if found:
            self.rejections.update(rejections_of(new) - rejections_of(old))
            if self.effects[found[0]] <= self._samples:
                self.samples.append(_sample(record, found[0], old, new))

    @property
    def differs(self) -> bool:
        """Whether any record has different outcomes."""
        return bool(self.effects)

    @property
    def loses(self) -> bool:
        """Whether the new table loses requests or rejects records that the old one did not."""
        return any(self.effects[effect] for effect in LOSSES)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds that each table took for *records* records."""

    records: int = 0
    old: float = 0.0
    new: float = 0.0

    def us_per_record(self) -> tuple[float, float]:
        """Microseconds per record, old and new; 0 where nothing was measured."""
        count = max(self.records, 1)
        return self.old / count * 1e6, self.new / count * 1e6


def compare_tables(
    records: Iterable[RawRecord],
    old: Side,
    new: Side,
    comparison: Comparison,
    *,
    now_ms: int,
    clock: Callable[[], float],
) -> Timing:
    """Run the records through both tables in turns, add everything to *comparison*, and return how long each took.

    Which table goes first changes with each chunk, as the first one fills the processor's caches. The very first chunk
    is not timed, if there are others. *clock* returns seconds.
    """
    stream = iter(records)
    spent = {old: 0.0, new: 0.0}
    timed = number = 0
    while chunk := list(islice(stream, CHUNK)):
        outcomes = {}
        if number == 1:
            spent, timed = {old: 0.0, new: 0.0}, 0
        for side in (old, new) if number % 2 else (new, old):
            start = clock()
            outcomes[side] = [side.outcomes(record, now_ms) for record in chunk]
            spent[side] += clock() - start
        timed += len(chunk)
        number += 1
        for record, before, after in zip(chunk, outcomes[old], outcomes[new], strict=True):
            comparison.add(record, before, after)
    return Timing(timed, spent[old], spent[new])


def _sample(record: RawRecord, effect: Effect, old: tuple[Outcome, ...], new: tuple[Outcome, ...]) -> ChangedRecord:
    # Of a record that packs thousands of lines a few say it all.
    pairs = list(
        islice((pair for pair in pairs_of(accepted_of(old), accepted_of(new)) if pair[0] != pair[1]), MAX_PAIRS)
    )
    found = [change for one, other in pairs for change in diff_events(one.event, other.event)]
    keys = [(one.key, other.key) for one, other in pairs if one.key != other.key]
    found += [Change("key", _key_text(one), _key_text(other)) for one, other in keys]
    place = f"{record.topic}:{record.partition}:{record.offset}"
    return ChangedRecord(place, effect, _describe_ends(old), _describe_ends(new), tuple(found))


def _describe_ends(outcomes: tuple[Outcome, ...]) -> str:
    """How a record ended in words; what several outcomes share is said once."""
    labels = Counter(describe_outcomes(outcomes))
    told = [label if count == 1 else f"{count} times {label}" for label, count in labels.most_common(MAX_LABELS)]
    return "; ".join([*told, "…"] if len(labels) > MAX_LABELS else told)


def _key_text(key: bytes | None) -> Any:
    return key.decode("utf-8", "replace") if key is not None else None
