"""Reports about one client or API: answered here or by another worker that holds its partition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

import orjson

from logrouter.http_server import problems
from logrouter.http_server.guard import caller_of
from logrouter.http_server.peers import PeerAwayError
from logrouter.http_server.problems import NOT_READY, OWNER_AWAY, RETRY_SOON, UNKNOWN_SUBJECT, HttpProblem
from logrouter.http_server.subject_names import subject_name
from logrouter.query.answers import SUBJECT_FIELD
from logrouter.query.reports.subject_rows import SubjectRows, UnknownSubjectError
from logrouter.web.respond import AnsweredPartition, parse_query, respond, with_freshness

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from logrouter.access.scopes import Caller
    from logrouter.http_server.peers import Reply
    from logrouter.query.answers import Answer
    from logrouter.query.parsing import Query
    from logrouter.query.reports.declaration import SubjectReport
    from logrouter.web.view import View


def subject_handler(view: View, report: SubjectReport) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of a report about one client or API."""

    async def handle(request: web.Request) -> web.Response:
        name = subject_name(report.kind, request) if report.subject is None else report.subject
        query = parse_query(view, report, request.query.items())
        path = report.path.replace(f"{{{SUBJECT_FIELD[report.kind]}}}", _path_segment(name))
        return await _answer_or_forward(view, request, report, name, query, path)

    return handle


async def _answer_or_forward(
    view: View, request: web.Request, report: SubjectReport, name: str, query: Query, path: str
) -> web.Response:
    """Answer from this worker's rows, or from those of the first other holder of the partition that answers."""
    partition = view.partition_of(report.kind + name)
    if view.peers.is_hop(request):
        if not view.holds([partition]):
            raise view.not_held(partition)
        return await respond(request, report, _answer_here(view, report, name, query, partition))
    # JSON or CSV is decided here; workers send each other JSON.
    text = urlencode([(key, value) for key, value in request.query.items() if key != "format"])
    target, problems_met = f"{path}?{text}" if text else path, list[HttpProblem]()
    urls = view.candidates(partition)
    for number, url in enumerate(urls, 1):
        last = 1 < number == len(urls)
        try:
            if url == view.reader.self_url():
                body = _answer_here(view, report, name, query, partition)
            else:
                body = await _ask_holder(view, url, target, caller_of(request), last=last)
        except HttpProblem as problem:
            if problem.kind not in _ELSEWHERE:
                raise
            problems_met.append(problem)
        else:
            return await respond(request, report, body)
    raise _worst_of(partition, problems_met)


_ELSEWHERE: Final = frozenset({OWNER_AWAY, NOT_READY, problems.NOT_YET, problems.TOO_STALE})
"""Problems of one holder of a partition that another one may not have."""


def _worst_of(partition: int, met: list[HttpProblem]) -> HttpProblem:
    """The problem to answer with when no holder answers: that of one that refused, else why none could be asked."""
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


def _answer_here(view: View, report: SubjectReport, name: str, query: Query, partition: int) -> Answer:
    # Nothing is awaited in here: what is held, rows and position are those of one moment.
    answered = [AnsweredPartition(partition, view.reader.position(partition), view.reader.self_url())]
    try:
        body = report.answer(SubjectRows(view.reader, report.kind, name, view.kept), query)
    except UnknownSubjectError as exc:
        # That a subject is unknown is an answer too: it says when, and is as fresh as the query demands.
        freshness = with_freshness({}, query, answered)
        raise HttpProblem(UNKNOWN_SUBJECT, str(exc), **freshness) from exc
    except LookupError as exc:
        if view.holds([partition]):
            raise
        raise view.not_ready() from exc
    return with_freshness(body, query, answered)


async def _ask_holder(view: View, url: str, target: str, caller: Caller, *, last: bool) -> Answer:
    seconds = view.limits.last_timeout if last else view.limits.point_timeout
    try:
        reply = await view.peers.get(url, target, seconds, caller)
    except PeerAwayError as exc:
        raise HttpProblem(OWNER_AWAY, str(exc)) from exc
    if (problem := _problem_of(reply)) is not None:
        raise problem
    body = _json_object(reply) if reply.status == 200 and reply.content_type == "application/json" else None
    if body is None or "freshness" not in body:
        raise HttpProblem(
            OWNER_AWAY, f"answered with status {reply.status}" if reply.status != 200 else "no answer of ours"
        )
    return body


_PASSED_ON: Final = {
    kind.uri: kind for kind in (UNKNOWN_SUBJECT, problems.BAD_PARAMETER, problems.NOT_YET, problems.TOO_STALE)
}
"""Problems of an owner with the query itself. All others are about the owner."""


def _problem_of(reply: Reply) -> HttpProblem | None:
    """The owner's problem with the query. A 404 of something else that listens there is not "unknown client"."""
    if reply.status == 200 or reply.content_type != problems.CONTENT_TYPE:
        return None
    body = _json_object(reply) or {}
    kind = _PASSED_ON.get(str(body.pop("type", "")))
    if kind is None or kind.status != reply.status:
        return None
    detail = str(body.pop("detail", ""))
    members = {name: value for name, value in body.items() if name not in ("title", "status", "instance")}
    return HttpProblem(kind, detail, retry_after=RETRY_SOON if kind.status == 503 else None, **members)


def _json_object(reply: Reply) -> Answer | None:
    try:
        body = orjson.loads(reply.body)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _path_segment(name: str) -> str:
    # "." and ".." alone would be taken for steps in the path by whoever normalises it.
    return quote(name, safe="").replace(".", "%2E")
