"""From a request to its query, and from figures to a response: freshness, ETag, JSON or CSV."""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson
from aiohttp import web

from logrouter.core.text.timestamps import rfc3339
from logrouter.http_server import problems
from logrouter.http_server.problems import NOT_YET, RETRY_SOON, TOO_STALE, HttpProblem
from logrouter.query import parsing
from logrouter.query.answers import age_ms, freshness_summary, partition_freshness
from logrouter.query.parameters import AnswerFormat
from logrouter.query.schemas import FRESHNESS_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from logrouter.query.answers import Answer
    from logrouter.query.endpoints import Endpoint
    from logrouter.query.parsing import Query
    from logrouter.query.tiers import Position
    from logrouter.web.view import View

_MAX_HEADER: Final = 2000
_SLICE: Final = 0.004
_NOTHING: Final[Mapping[int, str]] = MappingProxyType({})


class AnsweredPartition(NamedTuple):
    """One partition that is in an answer: how far it is folded, and the base URL of the worker that read it."""

    partition: int
    position: Position
    url: str


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

    *missing* holds the reason for each partition that is not in the answer, which then is marked as partial.
    """
    found = sorted(answered)
    min_offset, max_staleness = query.values.get("min_offset"), query.values.get("max_staleness")
    for partition, position, _ in found:
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
    return {
        **body,
        **({"partial": True} if missing else {}),
        "freshness": {
            "at": rfc3339(query.now_ms),
            "partitions": [partition_freshness(*one) for one in found],
            "stale": any(position.standby for _, position, _ in found),
            "missing": [{"partition": p, "reason": reason} for p, reason in sorted(missing.items())],
        },
    }


async def respond(request: web.Request, endpoint: Endpoint, body: Answer) -> web.Response:
    """The response with an answer: JSON or CSV, or 304 if the caller's ETag says that it has these figures.

    A header says how fresh they are, as neither CSV nor 304 has another place for it.
    """
    wants_csv = endpoint.csv is not None and _wants_csv(request)
    tag = f'W/"{etag(body)}{"-csv" if wants_csv else ""}"'
    brief = orjson.dumps(freshness_summary(body)).decode()
    headers = {"ETag": tag, "Vary": "Accept, Authorization", FRESHNESS_HEADER: brief}
    if _has_figures(request, tag):
        return web.Response(status=304, headers=headers)
    if wants_csv and endpoint.csv is not None:
        text = await _join_pieces(endpoint.csv(body))
        marks = ("-partial" if body.get("partial") else "") + ("" if body.get("exact", True) else "-inexact")
        file = f"{endpoint.name}{marks}.csv"
        name = {"Content-Disposition": f'attachment; filename="{file}"'}
        return web.Response(text=text, content_type="text/csv", charset="utf-8", headers=headers | name)
    return web.Response(body=orjson.dumps(body), content_type="application/json", headers=headers)


async def _join_pieces(pieces: Iterable[str]) -> str:
    """All pieces as one text; other requests are served in between, as writing a long table takes a while."""
    made, until = [], perf_counter() + _SLICE
    for piece in pieces:
        made.append(piece)
        if perf_counter() > until:
            await asyncio.sleep(0)
            until = perf_counter() + _SLICE
    return "".join(made)


_MOVING: Final = frozenset({"freshness", "from", "to"})
"""Members that change with time alone: the query says what they are about."""


def etag(body: Answer) -> str:
    """A digest of the figures of an answer: the same as long as they are."""
    figures = {
        name: {key: item for key, item in value.items() if key not in _MOVING} if isinstance(value, dict) else value
        for name, value in body.items()
        if name not in _MOVING
    }
    return blake2b(orjson.dumps(figures, option=orjson.OPT_SORT_KEYS), digest_size=12).hexdigest()


def _has_figures(request: web.Request, tag: str) -> bool:
    given = request.headers.get("If-None-Match", "")[:_MAX_HEADER]
    known = {one.strip().removeprefix("W/") for one in given.split(",")}
    return tag.removeprefix("W/") in known or "*" in known


def _wants_csv(request: web.Request) -> bool:
    chosen = request.query.get("format")
    if chosen is not None:
        return chosen == AnswerFormat.CSV
    for item in request.headers.get("Accept", "")[:_MAX_HEADER].split(","):
        media = item.partition(";")[0].strip().lower()
        if media in ("text/csv", "application/json", "*/*", "application/*"):
            return media == "text/csv"
    return False
