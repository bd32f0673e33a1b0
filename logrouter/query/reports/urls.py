"""The most frequent URLs, by path template: of one client, of one API, and of all requests that matched no API."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from logrouter.core.rollup.sketches import coarse_value, quantiles
from logrouter.core.rollup.subjects import SubjectKind
from logrouter.query import csv_text, schemas
from logrouter.query.answers import interval_of_query
from logrouter.query.kinds import choice
from logrouter.query.parameters import CONTAINS, FORMAT, LIMIT, OF_SUBJECT, STATUSES, TIME_RANGE, Parameter
from logrouter.query.reports.declaration import SubjectReport
from logrouter.query.reports.subject_rows import breakdown_of
from logrouter.query.reports.url_counts import count_urls, write_statuses
from logrouter.query.url_filter import url_predicate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.core.rollup.cells import Cell
    from logrouter.query.answers import Answer
    from logrouter.query.parsing import Query
    from logrouter.query.reports.subject_rows import SubjectRows
    from logrouter.query.reports.url_counts import UrlCount
    from logrouter.query.steps import Steps

NO_API: Final = "-"
"""The name under which requests that matched no API are counted."""

_SHARES: Final = {"p50": 0.5, "p95": 0.95}


class UrlSort(StrEnum):
    """What URLs are ordered by, largest first."""

    COUNT = "count"
    FAILED = "failed"
    LATENCY = "latency"


def _answer(subject: SubjectRows, query: Query) -> Steps[Answer]:
    return breakdown_of(subject, query, _urls)


def _unmatched_answer(subject: SubjectRows, query: Query) -> Steps[Answer]:
    """Without the subject's name; that there was never such a request is no problem but an empty list."""
    cell = yield from subject.sum_in(query.time_range.rows)
    return {**interval_of_query(query), **_urls(cell, query)}


def _urls(cell: Cell, query: Query) -> Answer:
    """The most frequent URLs, each between two bounds; *other* counts all that are not surely of one of them."""
    found, max_unlisted, values = count_urls(cell, query.statuses, url_predicate(query.values.get("contains")))
    sketches, shares = _latencies(cell, values), tuple(_SHARES.values())
    latencies = {url.template: quantiles(sketches.get(url.template, {}), shares, coarse_value) for url in found}
    order = _ORDERS[query.values["sort"]]
    found.sort(key=lambda url: (*order(url, latencies), -url.count, url.template))
    listed = found[: query.values["limit"]]
    return {
        "urls": [_url(url, latencies[url.template]) for url in listed],
        "max_unlisted": max([max_unlisted, *(url.at_most for url in found[len(listed) :])]),
        "other": max(cell.count - sum(url.at_least for url in listed), 0),
        "count": cell.count,
    }


def _latencies(cell: Cell, values: Mapping[str, str]) -> Mapping[str, Mapping[int, int]]:
    """Latencies by template and coarse bucket, with those of the paths that are counted under a template."""
    known = cell.parts.url_latency if cell.parts else {}
    if not values:
        return known
    found: dict[str, dict[int, int]] = {}
    for path, sketch in known.items():
        sums = found.setdefault(values.get(path, path), {})
        for index, n in sketch.items():
            sums[index] = sums.get(index, 0) + n
    return found


def _url(url: UrlCount, latency: list[float] | None) -> Answer:
    return {
        "url": url.template,
        "count": url.count,
        "at_least": url.at_least,
        "at_most": url.at_most,
        "failed": url.failed,
        "status": write_statuses(url.status),
        "latency_ms": latency and {name: round(ms, 1) for name, ms in zip(_SHARES, latency, strict=True)},
    }


def _by_latency(url: UrlCount, latencies: Mapping[str, list[float] | None]) -> tuple[float, ...]:
    known = latencies[url.template]
    return (-known[-1],) if known is not None else (1.0,)


_ORDERS: Final[Mapping[UrlSort, Callable[[UrlCount, Mapping[str, list[float] | None]], tuple[float, ...]]]] = {
    UrlSort.COUNT: lambda _url, _latencies: (),
    UrlSort.FAILED: lambda url, _latencies: (-url.failed,),
    UrlSort.LATENCY: _by_latency,
}


_SORT: Final = Parameter(
    "sort", choice(UrlSort), "What to order by, largest first; latency is the 95th percentile, of APIs only.", "count"
)
_PARAMETERS: Final = (*TIME_RANGE, CONTAINS, STATUSES, _SORT, LIMIT, FORMAT, *OF_SUBJECT)
_SCHEMA: Final = {
    "urls": schemas.list_of(
        schemas.object_of(
            {
                "url": schemas.TEXT,
                **schemas.BOUNDED,
                "failed": schemas.COUNT | {"description": "How many of at_least failed."},
                "status": schemas.COUNTS,
                "latency_ms": schemas.nullable(schemas.object_of(dict.fromkeys(_SHARES, schemas.NUMBER))),
            }
        )
    ),
    "max_unlisted": schemas.UNLISTED,
    "other": schemas.COUNT,
    "count": schemas.COUNT,
}

CLIENT_URLS: Final = SubjectReport(
    name="client_urls",
    path="/v1/clients/{client_id}/urls",
    summary="Most frequent URLs of one client",
    parameters=_PARAMETERS,
    schema=schemas.broken_down("client_id", _SCHEMA),
    csv=csv_text.list_writer("urls"),
    kind=SubjectKind.CLIENT,
    answer=_answer,
)
API_URLS: Final = SubjectReport(
    name="api_urls",
    path="/v1/apis/{api}/urls",
    summary="Most frequent URLs of one API",
    parameters=_PARAMETERS,
    schema=schemas.broken_down("api", _SCHEMA),
    csv=csv_text.list_writer("urls"),
    kind=SubjectKind.API,
    answer=_answer,
)
UNMATCHED: Final = SubjectReport(
    name="unmatched",
    path="/v1/reports/unmatched",
    summary="Requested URLs that matched no API",
    parameters=(*TIME_RANGE, CONTAINS, replace(STATUSES, default="404"), _SORT, LIMIT, FORMAT, *OF_SUBJECT),
    schema=schemas.broken_down(None, _SCHEMA),
    csv=csv_text.list_writer("urls"),
    kind=SubjectKind.API,
    subject=NO_API,
    answer=_unmatched_answer,
    segments=lambda query, _: query.segments,
)
