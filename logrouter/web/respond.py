"""From a request to its query, and from figures to a response: freshness, ETag, JSON or CSV."""

from __future__ import annotations

from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson
from aiohttp import web

from logrouter.core.text.timestamps import rfc3339
from logrouter.http_server import problems
from logrouter.http_server.problems import NOT_YET, RETRY_SOON, TOO_STALE, HttpProblem
from logrouter.query import parsing
from logrouter.query.answers import age_ms, freshness_summary, hole_in_answer, partition_freshness
from logrouter.query.parameters import AnswerFormat
from logrouter.query.schemas import FRESHNESS_HEADER, ROWS_HEADER
from logrouter.query.steps import collect, encode_members
from logrouter.web.large_body import body_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from logrouter.http_server.meter import RowCount
    from logrouter.http_server.work_queue import Job
    from logrouter.query.answers import Answer
    from logrouter.query.endpoints import Endpoint
    from logrouter.query.parsing import Query
    from logrouter.query.steps import Steps
    from logrouter.query.tiers import Hole, Position
    from logrouter.web.view import View

VARY: Final = "Accept, Authorization"
_MAX_HEADER: Final = 2000
_NOTHING: Final[Mapping[int, str]] = MappingProxyType({})


class AnsweredPartition(NamedTuple):
    """One partition that is in an answer: how far it is folded, who read it (a base URL), and what its rows lack."""

    partition: int
    position: Position
    url: str
    holes: Sequence[Hole] = ()


def parse_query(view: View, endpoint: Endpoint, pairs: Iterable[tuple[str, str]]) -> Query:
    """The query of a request to *endpoint*; a `HttpProblem` (400) that lists every fault if there are any."""
    query = parsing.parse_query(endpoint.parameters, pairs, view.clock(), view.kept, name=endpoint.name)
    if isinstance(query, tuple):
        raise problems.bad_parameters(query)
    return query


def with_freshness(
    body: Answer, query: Query, answered: Iterable[AnsweredPartition], missing: Mapping[int, str] = _NOTHING
) -> Answer:
    """*body* with the member ``freshness``; a `HttpProblem` (503) if it is not as fresh as the query demands.

    *missing* holds the reason for each partition that is not in the answer. It is marked as partial then, and where
    its time range touches a hole.
    """
    found = sorted(answered, key=lambda one: one.partition)
    min_offset, max_staleness = query.values.get("min_offset"), query.values.get("max_staleness")
    for partition, position, *_ in found:
        if min_offset is not None and position.offset < min_offset:
            detail = f"partition {partition} is folded up to offset {position.offset}, not yet up to {min_offset}"
            raise HttpProblem(NOT_YET, detail, partition=partition, retry_after=RETRY_SOON)
        if max_staleness is not None:
            age = age_ms(position, query.now_ms)
            if age is None or age > max_staleness * 1000:
                age_text = "of unknown age" if age is None else f"{age / 1000:.0f} s old"
                raise HttpProblem(
                    TOO_STALE, f"partition {partition} is {age_text}", partition=partition, retry_after=RETRY_SOON
                )
    holes = [hole_in_answer(one.partition, hole) for one in found for hole in one.holes if query.touches(hole)]
    return {
        **body,
        **({"partial": True} if missing or holes else {}),
        "freshness": {
            "at": rfc3339(query.now_ms),
            "partitions": [partition_freshness(one.partition, one.position, one.url) for one in found],
            "stale": any(one.position.standby for one in found),
            "missing": [{"partition": p, "reason": reason} for p, reason in sorted(missing.items())],
            **({"holes": holes} if holes else {}),
        },
    }


async def respond(request: web.Request, endpoint: Endpoint, body: Answer, job: Job, count: RowCount) -> web.Response:
    """The response with an answer: JSON or CSV, or 304 if the caller's ETag says that it has these figures.

    It is written by *job*, in turns. Headers say how fresh the figures are, as neither CSV nor 304 has another place
    for that, and how many rows were read.
    """
    wants_csv = endpoint.csv is not None and wants_csv_of(request)
    tag = f'W/"{await job.run(etag(body))}{"-csv" if wants_csv else ""}"'
    brief = orjson.dumps(freshness_summary(body)).decode()
    headers = {
        "ETag": tag,
        "Vary": VARY,
        FRESHNESS_HEADER: brief,
        ROWS_HEADER: str(count.total),
    }
    if has_figures(request, tag):
        return web.Response(status=304, headers=headers)
    if wants_csv and endpoint.csv is not None:
        pieces, kind, charset = await job.run(collect(endpoint.csv(body))), "text/csv", "utf-8"
        headers["Content-Disposition"] = f'attachment; filename="{_file_name(endpoint, body)}"'
        data = "".join(pieces).encode()
    else:
        data, kind, charset = b"".join(await job.run(collect(encode_members(body)))), "application/json", None
    return web.Response(body=body_of(data), content_type=kind, charset=charset, headers=headers)


def _file_name(endpoint: Endpoint, body: Answer) -> str:
    marks = ("-partial" if body.get("partial") else "") + ("" if body.get("exact", True) else "-inexact")
    return f"{endpoint.name}{marks}.csv"


_MOVING: Final = frozenset({"freshness", "from", "to"})
"""Members that change with time alone: the query says what they are about."""


def etag(body: Answer) -> Steps[str]:
    """A digest of the figures of an answer: the same as long as they are."""
    figures = {
        name: {key: item for key, item in value.items() if key not in _MOVING} if isinstance(value, dict) else value
        for name, value in body.items()
        if name not in _MOVING
    }
    digest = blake2b(digest_size=12)
    for piece in encode_members(figures, orjson.OPT_SORT_KEYS):
        digest.update(piece)
        yield
    return digest.hexdigest()


def has_figures(request: web.Request, tag: str) -> bool:
    """Whether the caller says that it has the figures of this ETag."""
    given = request.headers.get("If-None-Match", "")[:_MAX_HEADER]
    known = {one.strip().removeprefix("W/") for one in given.split(",")}
    return tag.removeprefix("W/") in known or "*" in known


def wants_csv_of(request: web.Request) -> bool:
    """Whether the caller wants CSV where there is any."""
    chosen = request.query.get("format")
    if chosen is not None:
        return chosen == AnswerFormat.CSV
    for item in request.headers.get("Accept", "")[:_MAX_HEADER].split(","):
        media = item.partition(";")[0].strip().lower()
        if media in ("text/csv", "application/json", "*/*", "application/*"):
            return media == "text/csv"
    return False
