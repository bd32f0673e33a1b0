"""The points of a series: what series of one subject and the series over everything have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.core.rollup.cells import Cell
from logrouter.query import csv_text, schemas
from logrouter.query.answers import (
    by_api,
    by_error_label,
    by_status,
    by_status_class,
    interval_of_rows,
    numbers_of,
    rank_counts,
)
from logrouter.query.parameters import By, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from logrouter.query.answers import Answer
    from logrouter.query.parsing import Series
    from logrouter.query.schemas import Schema
    from logrouter.query.steps import Steps

_SPLIT: Final[Mapping[By, Callable[[Cell], dict[str, int]]]] = {
    By.STATUS: by_status,
    By.STATUS_CLASS: by_status_class,
    By.OUTCOME: lambda cell: rank_counts(cell.outcome),
    By.API: lambda cell: rank_counts(by_api(cell)),
    By.ERROR: lambda cell: rank_counts(by_error_label(cell)),
}


def points_answer(
    series: Series, cells: Iterable[Cell | None], split: Sequence[dict[str, int]] | None = None
) -> Steps[Answer]:
    """One point per bucket of *series*, zeros where nothing happened; *cells* are its sums in order.

    *split* holds the counts of each point by what the cells themselves do not know, None where they do.
    """
    empty = Cell(0)
    points, keys = [], set[str]()
    for index, cell in enumerate(cells):
        point = {"time": series.time_of(series.start + index), **numbers_of(cell or empty)}
        if series.by is not None:
            point["by"] = rank_counts(split[index]) if split is not None else _SPLIT[series.by](cell or empty)
            keys.update(point["by"])
        points.append(point)
        yield
    return {
        **interval_of_rows(series.rows),
        "step": series.step,
        "by": series.by,
        **({} if series.by is None else {"keys": sorted(keys)}),
        "points": points,
    }


def points_schema(field: str | None = None) -> Schema:
    """JSON Schema of a series; *field* is the name of the subject's member, None without one."""
    return schemas.object_of(
        {
            **({} if field is None else {field: schemas.TEXT}),
            "from": schemas.TIME,
            "to": schemas.TIME,
            "step": {"enum": [member.value for member in Step]},
            "by": {"enum": [*(member.value for member in By), None]},
            "points": schemas.list_of(schemas.ref("Point")),
        },
        {"keys": schemas.list_of(schemas.TEXT)},
    )


def write_points(answer: Answer) -> Iterator[str]:
    """A series as CSV. Every point has all keys, so that columns do not depend on what happened first."""
    keys: list[str] = answer.get("keys", [])
    return csv_text.write_entries(
        {**point, "by": {key: point["by"].get(key, 0) for key in keys}} if "by" in point else point
        for point in answer["points"]
    )
