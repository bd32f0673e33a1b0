"""Rows to answers: the JSON documents of the table view, as plain values.

Everything here is computed from rows that were read at one moment; nothing is estimated but the percentiles (2 %).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from logrouter.core.rollup.cells import OTHER, Cell, latency_quantiles, merge_cells
from logrouter.core.rollup.failures import parse_failure_key
from logrouter.core.rollup.subjects import SubjectKind
from logrouter.core.text.timestamps import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from logrouter.core.rollup.cells import CellTotals
    from logrouter.core.rollup.ranked import Bounds
    from logrouter.query.parsing import Query
    from logrouter.query.row_ranges import RowRange
    from logrouter.query.tiers import Hole, Position

Answer = dict[str, Any]

SUBJECT_FIELD: Final = {SubjectKind.CLIENT: "client_id", SubjectKind.API: "api"}
"""The member of answers and the part of paths that holds the name of a subject."""

_QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_SHARES: Final = tuple(_QUANTILES.values())
_BREAKDOWNS: Final = ("peer", "url", "failed", "clients")


def sum_cells(cells: Iterable[Cell | None]) -> Cell:
    """The sum of cells; one with a count of 0 when there are none."""
    into = Cell(0)
    for cell in cells:
        if cell is not None and cell.count:
            merge_cells(into, cell)
    return into


def without_breakdowns(cell: Cell, *, errors: bool = False) -> Cell:
    """*cell* without its maps of peers, clients and URLs, and without *errors* its errors: most of the work of a merge.

    The maps that are left are those of *cell* itself, not copies.
    """
    error = cell.error if errors else {}
    nothing: dict[str, Any] = {name: {} for name in _BREAKDOWNS}
    return replace(cell, **nothing, error=error, recent=[], slack=None, parts=None)


def write_bounds(bounds: Bounds) -> Answer:
    """The members of a figure that is known between two bounds."""
    return {"count": bounds.middle, "at_least": bounds.at_least, "at_most": bounds.at_most}


def count_errors(cell: Cell | CellTotals) -> int:
    """How many requests failed: all but successes and those that the client aborted."""
    return cell.count - cell.outcome.get("ok", 0) - cell.outcome.get("aborted", 0)


def figures_of(cell: Cell, *, apis: bool) -> Answer:
    """All figures of a cell as a JSON object; with *apis*, also its requests by API (its peers must be APIs)."""
    return {
        **numbers_of(cell),
        "status": by_status(cell),
        "status_class": by_status_class(cell),
        "outcome": rank_counts(cell.outcome),
        "error": rank_counts(by_error_label(cell)),
        **({"apis": rank_counts(by_api(cell))} if apis else {}),
        "first_seen": rfc3339(cell.first_ms) if cell.count else None,
        "last_seen": rfc3339(cell.last_ms) if cell.count else None,
    }


def numbers_of(cell: Cell) -> Answer:
    """The figures of a cell that are single numbers, as a JSON object."""
    return {
        "count": cell.count,
        "weighted": round_weight(cell.weight),
        "errors": count_errors(cell),
        "bytes": {"in": cell.bytes_in, "out": cell.bytes_out},
        "latency_ms": _latency(cell),
    }


def by_status(cell: Cell) -> dict[str, int]:
    """Requests by status code, as three digits, in order."""
    return {f"{code:03d}": n for code, n in sorted(cell.status.items())}


def by_status_class(cell: Cell) -> dict[str, int]:
    """Requests by the first digit of their status, as "2xx", in order."""
    found: dict[str, int] = {}
    for code, n in sorted(cell.status.items()):
        name = f"{code // 100}xx"
        found[name] = found.get(name, 0) + n
    return found


def by_api(cell: Cell) -> dict[str, int]:
    """Requests of a client by API, whatever their status."""
    found: dict[str, int] = {}
    for pair, n in cell.peer.items():
        api = pair if pair == OTHER else pair[3:]
        found[api] = found.get(api, 0) + n
    return found


def by_error_label(cell: Cell) -> dict[str, int]:
    """Failed requests by the label of their error."""
    found: dict[str, int] = {}
    for key, n in cell.error.items():
        label = key if key == OTHER else parse_failure_key(key).label
        found[label] = found.get(label, 0) + n
    return found


def round_weight(weight: float) -> float:
    """A sum of weights, rounded to hide the error of floating-point addition; a whole number, too, is a float."""
    return round(float(weight), 6)


def mean_latency(latency_sum: int, latency_count: int) -> float | None:
    """The mean latency in ms, None if no request had one."""
    return round(latency_sum / latency_count, 3) if latency_count else None


def _latency(cell: Cell) -> Answer | None:
    if not cell.latency_count:
        return None
    values = latency_quantiles(cell, _SHARES)
    return {
        "count": cell.latency_count,
        "mean": mean_latency(cell.latency_sum, cell.latency_count),
        "max": cell.latency_max,
        **{name: values and round(values[index], 3) for index, name in enumerate(_QUANTILES)},
    }


def rank_counts(names: Mapping[str, int]) -> dict[str, int]:
    """Counts by name, largest first, ties by name."""
    return dict(sorted(names.items(), key=lambda item: (-item[1], item[0])))


def interval_of_rows(rows: RowRange) -> Answer:
    """The members ``from`` and ``to`` of an answer: the time that its rows cover, which may exceed the query."""
    return {
        "from": None if rows.start_ms is None else rfc3339(rows.start_ms),
        "to": rfc3339(rows.stop_ms),
    }


def interval_of_query(query: Query) -> Answer:
    """The members of an answer that say which time range it covers."""
    time_range = query.time_range
    window = {} if time_range.window is None else {"window": time_range.window}
    return {**window, **interval_of_rows(time_range.rows)}


def comparison(rows: RowRange, cell: Cell, began_ms: int | None, *, apis: bool) -> Answer:
    """The member ``previous`` of an answer: the sum of the *rows* that a time range is compared with.

    Null, with ``counted_since``, if counting began within them or later, at *began_ms* (None: not known): what is
    counted of such a time says nothing about it.
    """
    if began_ms is not None and rows.start_ms is not None and began_ms >= rows.start_ms:
        return {"previous": None, "counted_since": rfc3339(began_ms)}
    return {"previous": {**interval_of_rows(rows), **figures_of(cell, apis=apis)}}


def partition_freshness(partition: int, position: Position, answered_by: str) -> Answer:
    """Which rollup records of one partition an answer includes, and how many it lacks (``lag``), as a JSON object.

    *answered_by* is the base URL of the worker that read the rows.
    """
    return {
        "partition": partition,
        "offset": position.offset if position.offset >= 0 else None,
        "end": position.end if position.end >= 0 else None,
        "lag": max(position.end - position.offset - 1, 0) if position.end >= 0 else None,
        "watermark": None if position.watermark_ms is None else rfc3339(position.watermark_ms),
        "answered_by": answered_by,
        "role": "standby" if position.standby else "active",
    }


def hole_in_answer(partition: int, hole: Hole) -> Answer:
    """What an answer says of requests that it lacks for good: how many offsets, and when they were made."""
    return {
        "partition": partition,
        "records": hole.stop - hole.first,
        "from": None if hole.from_ms is None else rfc3339(hole.from_ms),
        "to": None if hole.to_ms is None else rfc3339(hole.to_ms),
        "reason": "rollup records were deleted before they were counted",
    }


def freshness_summary(answer: Answer) -> Answer:
    """The freshness of an answer as one small JSON object for a header: the worst of its partitions."""
    fresh = answer["freshness"]
    lags = [one["lag"] for one in fresh["partitions"] if one["lag"] is not None]
    return {
        "at": fresh["at"],
        "stale": fresh["stale"],
        "lag": max(lags, default=None),
        "watermark": max((one["watermark"] for one in fresh["partitions"] if one["watermark"]), default=None),
        "missing": [one["partition"] for one in fresh["missing"]],
        **({"holes": len(fresh["holes"])} if "holes" in fresh else {}),
        **({} if answer.get("exact", True) else {"max_unlisted": answer["max_unlisted"]}),
    }


def age_ms(position: Position, now_ms: int) -> int | None:
    """How old the figures of a partition are at most, in ms: 0 if nothing is left to fold, None if that is unknown.

    With records behind it, a partition is as old as the newest event that it has.
    """
    if 0 <= position.end <= position.offset + 1:
        return 0
    return None if position.watermark_ms is None else max(now_ms - position.watermark_ms, 0)
