"""One client or one API: what is asked of it, answered here or by the worker that holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

import orjson

from logrouter.http_server import problems
from logrouter.http_server.guard import caller_of
from logrouter.http_server.peers import PeerAwayError
from logrouter.http_server.problems import NOT_READY, OWNER_AWAY, RETRY_SOON, UNKNOWN_SUBJECT, HttpProblem
from logrouter.http_server.subject_names import name_of
from logrouter.query import answers
from logrouter.query.answers import SUBJECT_FIELD
from logrouter.query.reports import breakdowns
from logrouter.query.row_ranges import Window, rows_of_window
from logrouter.query.tiers import Tier
from logrouter.web.respond import Placed, dated, parse_query, respond

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from logrouter.access.scopes import Caller
    from logrouter.core.rollup.cells import Cell
    from logrouter.http_server.peers import Reply
    from logrouter.query.answers import Answer
    from logrouter.query.endpoints import Endpoint
    from logrouter.query.parsing import Query
    from logrouter.query.row_ranges import RowRange
    from logrouter.web.view import View

    Local = Callable[["View", "Endpoint", str, Query], Answer]

LAST_24H: Final = Window("24h", 24 * 60)
NO_API: Final = "-"


def subject(view: View, endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of an endpoint about the client or the API in its path."""

    async def handle(request: web.Request) -> web.Response:
        name = name_of(endpoint.kind, request)
        query = parse_query(view, endpoint, request.query.items())
        field = f"{{{SUBJECT_FIELD[endpoint.kind]}}}"
        return await _answer(view, request, endpoint, name, query, endpoint.path.replace(field, _segment(name)))

    return handle


def unmatched(view: View, endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of the report of requests that matched no API: these are those of one subject."""

    async def handle(request: web.Request) -> web.Response:
        query = parse_query(view, endpoint, request.query.items())
        return await _answer(view, request, endpoint, NO_API, query, endpoint.path)

    return handle


def _summary(view: View, endpoint: Endpoint, name: str, query: Query) -> Answer:
    kind = endpoint.kind
    life = _life(view, kind, name)
    day = rows_of_window(LAST_24H, query.now_ms, view.kept)
    body = answers.summary(kind, name, life, _rows(view, kind + name, day), day)
    time_range = query.time_range_or_none
    if time_range is None:
        return body
    previous = [] if time_range.previous is None else _rows(view, kind + name, time_range.previous)
    return {**body, **answers.range_figures(kind, time_range, _rows(view, kind + name, time_range.rows), previous)}


def _series(view: View, endpoint: Endpoint, name: str, query: Query) -> Answer:
    kind, points = endpoint.kind, query.points
    _life(view, kind, name)
    rows = view.reader.rows(kind + name, points.step.tier, range(points.start, points.stop))
    return answers.series(kind, name, points, rows)


def _apis(view: View, endpoint: Endpoint, name: str, query: Query) -> Answer:
    return _broken_down(view, endpoint, name, query, breakdowns.apis(_sum(view, endpoint, name, query), query))


def _urls(view: View, endpoint: Endpoint, name: str, query: Query) -> Answer:
    return _broken_down(view, endpoint, name, query, breakdowns.urls(_sum(view, endpoint, name, query), query))


def _clients(view: View, endpoint: Endpoint, name: str, query: Query) -> Answer:
    return _broken_down(view, endpoint, name, query, breakdowns.clients(_sum(view, endpoint, name, query), query))


def _errors(view: View, endpoint: Endpoint, name: str, query: Query) -> Answer:
    kind = endpoint.kind
    content = breakdowns.errors(kind, _sum(view, endpoint, name, query), _life(view, kind, name))
    return _broken_down(view, endpoint, name, query, content)


def _unmatched(view: View, _: Endpoint, name: str, query: Query) -> Answer:
    whole = answers.total(_rows(view, "a" + name, query.time_range.rows))
    return _timed(query, breakdowns.urls(whole, query))


_LOCAL: Final[dict[str, Local]] = {
    "client": _summary,
    "client_series": _series,
    "client_apis": _apis,
    "client_urls": _urls,
    "client_errors": _errors,
    "api": _summary,
    "api_series": _series,
    "api_clients": _clients,
    "api_urls": _urls,
    "api_errors": _errors,
    "unmatched": _unmatched,
}
"""What each endpoint answers from the rows of its subject."""


def _life(view: View, kind: str, name: str) -> Cell:
    life = view.reader.rows(kind + name, Tier.LIFE, (0,))[0]
    if life is None:
        raise HttpProblem(UNKNOWN_SUBJECT, f"no request of this {SUBJECT_FIELD[kind]} has been counted")
    return life


def _rows(view: View, subject: str, row_range: RowRange) -> list[Cell | None]:
    return [
        cell
        for segment in row_range.segments
        for cell in view.reader.rows(subject, segment.tier, range(segment.start, segment.stop))
    ]


def _sum(view: View, endpoint: Endpoint, name: str, query: Query) -> Cell:
    _life(view, endpoint.kind, name)
    return answers.total(_rows(view, endpoint.kind + name, query.time_range.rows))


def _broken_down(_: View, endpoint: Endpoint, name: str, query: Query, content: Answer) -> Answer:
    return {SUBJECT_FIELD[endpoint.kind]: name, **_timed(query, content)}


def _timed(query: Query, content: Answer) -> Answer:
    window = {} if query.time_range.window is None else {"window": query.time_range.window}
    return {**window, **answers.interval(query.time_range.rows), **content}


async def _answer(
    view: View, request: web.Request, endpoint: Endpoint, name: str, query: Query, path: str
) -> web.Response:
    """Answers from our tables or, once, from those of another worker that holds the subject."""
    partition = view.partition_of(endpoint.kind + name)
    if view.peers.is_hop(request):
        if not view.holds([partition]):
            raise view.not_held(partition)
        return await respond(request, endpoint, _local(view, endpoint, name, query, partition))
    # How the answer is written is our affair.
    text = urlencode([(key, value) for key, value in request.query.items() if key != "format"])
    target, problems_met = f"{path}?{text}" if text else path, list[HttpProblem]()
    urls = view.candidates(partition)
    for number, url in enumerate(urls, 1):
        last = 1 < number == len(urls)
        try:
            if url == view.reader.self_url():
                body = _local(view, endpoint, name, query, partition)
            else:
                body = await _remote(view, url, target, caller_of(request), last=last)
        except HttpProblem as problem:
            if problem.kind not in _ELSEWHERE:
                raise
            problems_met.append(problem)
        else:
            return await respond(request, endpoint, body)
    raise _of_all(partition, problems_met)


_ELSEWHERE: Final = frozenset({OWNER_AWAY, NOT_READY, problems.NOT_YET, problems.TOO_STALE})
"""Problems of one holder of a partition that another one may not have."""


def _of_all(partition: int, met: list[HttpProblem]) -> HttpProblem:
    """The problem to tell when no holder answers: that one of them is asked too much, else why none could be asked."""
    if met and all(problem.kind is NOT_READY for problem in met):
        return met[0]
    refused = next((problem for problem in met if problem.kind not in (OWNER_AWAY, NOT_READY)), None)
    reasons = dict.fromkeys(problem.detail for problem in met) or ["no worker holds it at the moment"]
    return refused or HttpProblem(
        OWNER_AWAY,
        f"partition {partition} cannot be asked: {', '.join(reasons)}",
        partition=partition,
        retry_after=RETRY_SOON,
    )


def _local(view: View, endpoint: Endpoint, name: str, query: Query, partition: int) -> Answer:
    # Nothing is awaited in here: what is held, rows and position are those of one moment.
    placed = [Placed(partition, view.reader.position(partition), view.reader.self_url())]
    try:
        body = _LOCAL[endpoint.name](view, endpoint, name, query)
    except LookupError as exc:
        if view.holds([partition]):
            raise
        raise view.not_ready() from exc
    except HttpProblem as problem:
        # Not to know a client is an answer too: as fresh as asked for, and of a time.
        problem.members |= dated({}, query, placed)
        raise
    return dated(body, query, placed)


async def _remote(view: View, url: str, target: str, caller: Caller, *, last: bool) -> Answer:
    seconds = view.limits.last_timeout if last else view.limits.point_timeout
    try:
        reply = await view.peers.get(url, target, seconds, caller)
    except PeerAwayError as exc:
        raise HttpProblem(OWNER_AWAY, str(exc)) from exc
    if (problem := _problem(reply)) is not None:
        raise problem
    body = _object(reply) if reply.status == 200 and reply.content_type == "application/json" else None
    if body is None or "freshness" not in body:
        raise HttpProblem(
            OWNER_AWAY, f"answered with status {reply.status}" if reply.status != 200 else "no answer of ours"
        )
    return body


_PASSED_ON: Final = {
    kind.uri: kind for kind in (UNKNOWN_SUBJECT, problems.BAD_PARAMETER, problems.NOT_YET, problems.TOO_STALE)
}
"""Problems that an owner has with the question itself. All others are about the owner."""


def _problem(reply: Reply) -> HttpProblem | None:
    """The owner's problem with the question. A 404 of something else that listens there is not "unknown client"."""
    if reply.status == 200 or reply.content_type != problems.CONTENT_TYPE:
        return None
    body = _object(reply) or {}
    kind = _PASSED_ON.get(str(body.pop("type", "")))
    if kind is None or kind.status != reply.status:
        return None
    detail = str(body.pop("detail", ""))
    members = {name: value for name, value in body.items() if name not in ("title", "status", "instance")}
    return HttpProblem(kind, detail, retry_after=RETRY_SOON if kind.status == 503 else None, **members)


def _object(reply: Reply) -> Answer | None:
    try:
        body = orjson.loads(reply.body)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _segment(name: str) -> str:
    # "." and ".." alone would be taken for steps in the path by whoever normalises it.
    return quote(name, safe="").replace(".", "%2E")
