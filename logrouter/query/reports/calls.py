"""Calls per API over time: the largest APIs one by one, the others together."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from logrouter.core.rollup.subjects import SubjectKind
from logrouter.query import csv_text, schemas
from logrouter.query.answers import interval_of_rows
from logrouter.query.kinds import integer
from logrouter.query.parameters import FORMAT, NAMES, OF_ALL, SERIES, Parameter, Step
from logrouter.query.reports.declaration import ScatterGatherReport
from logrouter.query.reports.work import Scan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from logrouter.core.rollup.cells import Cell
    from logrouter.query.answers import Answer
    from logrouter.query.parsing import Query, Series
    from logrouter.query.steps import Steps
    from logrouter.query.tiers import Tier


class PartialCalls(msgspec.Struct, forbid_unknown_fields=True):
    """Calls on one worker: names with their count of each bucket, largest first; *other* sums all other names."""

    rows: list[tuple[str, list[int]]]
    other: list[int]


class CallsCollector:
    """Sums rows to counts by name and bucket, for the *limit* largest names."""

    def __init__(self, limit: int, series: Series) -> None:
        self._limit = limit
        self._start, self._width = series.start, series.stop - series.start
        self._counts: dict[str, dict[int, int]] = {}

    def add(self, name: str, bucket: int, cell: Cell) -> None:
        """Count one row."""
        counts = self._counts.get(name)
        if counts is None:
            counts = self._counts[name] = {}
        counts[bucket] = counts.get(bucket, 0) + cell.count

    def result(self) -> Steps[PartialCalls]:
        """The largest names and the rest."""
        rows = ((name, self._row(counts)) for name, counts in self._counts.items())
        return (yield from _keep_largest(rows, self._limit, [0] * self._width))

    def _row(self, counts: dict[int, int]) -> list[int]:
        row = [0] * self._width
        for bucket, n in counts.items():
            row[bucket - self._start] = n
        return row


def merge_calls(partials: Iterable[PartialCalls], limit: int, width: int) -> Steps[PartialCalls]:
    """The calls of several workers as one; no name is on two of them."""
    rows: list[tuple[str, list[int]]] = []
    other = [0] * width
    for part in partials:
        rows += part.rows
        for index, n in enumerate(part.other):
            other[index] += n
    return (yield from _keep_largest(rows, limit, other))


def _keep_largest(rows: Iterable[tuple[str, list[int]]], limit: int, other: list[int]) -> Steps[PartialCalls]:
    best: list[tuple[tuple[int, str], list[int]]] = []
    for name, row in rows:
        best.append(((-sum(row), name), row))
        if len(best) > 2 * limit:
            best = yield from _split_rest(best, limit, other)
        yield
    best = yield from _split_rest(best, limit, other)
    return PartialCalls([(key[1], row) for key, row in best], other)


def _split_rest(
    best: list[tuple[tuple[int, str], list[int]]], limit: int, other: list[int]
) -> Steps[list[tuple[tuple[int, str], list[int]]]]:
    ordered = sorted(best, key=lambda item: item[0])
    for _, row in ordered[limit:]:
        for index, n in enumerate(row):
            other[index] += n
        yield
    return ordered[:limit]


class CallsBuilder:
    """Makes one worker's part of the report."""

    def __init__(self, query: Query) -> None:
        self._series = query.series
        self._wanted = query.names.predicate()
        self._calls = CallsCollector(query.values["limit"], query.series)

    def work(self) -> Iterator[Scan]:
        """The APIs in every bucket."""
        for segment in self._series.segments:
            yield Scan(SubjectKind.API, segment, partial(self._add, segment.tier))

    def _add(self, tier: Tier, name: str, bucket: int, cell: Cell) -> None:
        if self._wanted is None or self._wanted(name):
            self._calls.add(name, self._series.number_of(tier, bucket), cell)

    def result(self) -> Steps[PartialCalls]:
        """The part of this worker, once all work is done."""
        return self._calls.result()


def _answer(query: Query, partials: Sequence[PartialCalls]) -> Steps[Answer]:
    series = query.series
    merged_calls = yield from merge_calls(partials, query.values["limit"], series.stop - series.start)
    return {
        "step": series.step,
        **interval_of_rows(series.rows),
        "apis": [{"api": name, "count": sum(row), "points": row} for name, row in merged_calls.rows],
        "times": [series.time_of(number) for number in range(series.start, series.stop)],
        "other": merged_calls.other,
    }


def _write_csv(answer: Answer) -> Iterator[str]:
    """A line for each API and time; the other APIs together are called ``~other``."""
    yield csv_text.write_line(("time", "api", "count"))
    for row in [*answer["apis"], {"api": "~other", "points": answer["other"]}]:
        api = csv_text.write_cell(row["api"])
        yield "".join(f"{time},{api},{n}\r\n" for time, n in zip(answer["times"], row["points"], strict=True))


CALLS: Final = ScatterGatherReport(
    name="calls",
    path="/v1/reports/calls",
    summary="Calls per API over time",
    parameters=(
        *SERIES,
        *NAMES,
        Parameter("limit", integer(1, 100), "How many APIs to show one by one, the largest.", "20"),
        FORMAT,
        *OF_ALL,
    ),
    schema=schemas.object_of(
        {
            "step": {"enum": [member.value for member in Step]},
            "from": schemas.TIME,
            "to": schemas.TIME,
            "apis": schemas.list_of(
                schemas.object_of(
                    {"api": schemas.TEXT, "count": schemas.COUNT, "points": schemas.list_of(schemas.COUNT)}
                )
            ),
            "times": schemas.list_of(schemas.TIME),
            "other": schemas.list_of(schemas.COUNT),
        }
    ),
    csv=_write_csv,
    builder=CallsBuilder,
    partial_report=PartialCalls,
    answer=_answer,
    confined_by=SubjectKind.API,
)
