"""Reports about one client or API: answered here or by another worker that holds its partition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote, urlencode

import orjson
from aiohttp import web

from logrouter.http_server import problems
from logrouter.http_server.guard import caller_of
from logrouter.http_server.meter import rows_said
from logrouter.http_server.peers import PeerAwayError
from logrouter.http_server.problems import NOT_READY, OWNER_AWAY, RETRY_SOON, UNKNOWN_SUBJECT, HttpProblem
from logrouter.http_server.subject_names import subject_name
from logrouter.query.answers import SUBJECT_FIELD
from logrouter.query.parameters import AnswerFormat
from logrouter.query.reports.subject_rows import SubjectRows, UnknownSubjectError
from logrouter.query.schemas import FRESHNESS_HEADER, ROWS_HEADER
from logrouter.query.tiers import count_buckets
from logrouter.web.large_body import body_of
from logrouter.web.respond import (
    VARY,
    AnsweredPartition,
    has_figures,
    parse_query,
    respond,
    wants_csv_of,
    with_freshness,
)
from logrouter.web.view import READINGS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from logrouter.http_server.meter import RowCount
    from logrouter.http_server.peers import Reply
    from logrouter.http_server.work_queue import Job
    from logrouter.query.answers import Answer
    from logrouter.query.parsing import Query
    from logrouter.query.reader import SubjectMoment
    from logrouter.query.reports.declaration import SubjectReport
    from logrouter.query.tiers import Segment
    from logrouter.web.view import View


class AskedSubject(NamedTuple):
    """A question about one client or API: what it reads, and the count of the rows that are read for it."""

    request: web.Request
    report: SubjectReport
    name: str
    query: Query
    segments: tuple[Segment, ...]
    read: RowCount

    def target(self) -> str:
        """Path and query of the same question to another worker, whose answer is passed on as it is."""
        report, request = self.report, self.request
        path = report.path.replace(f"{{{SUBJECT_FIELD[report.kind]}}}", _path_segment(self.name))
        pairs = [(key, value) for key, value in request.query.items() if key != "format"]
        if report.csv is not None and wants_csv_of(request):
            pairs.append(("format", AnswerFormat.CSV))
        return f"{path}?{urlencode(pairs)}" if pairs else path


def subject_handler(view: View, report: SubjectReport) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of a report about one client or API."""

    async def handle(request: web.Request) -> web.Response:
        name = subject_name(report.kind, request) if report.subject is None else report.subject
        query = parse_query(view, report, request.query.items())
        segments = report.segments(query, view.kept)
        with view.meter.charge(request, count_buckets(segments)) as count:
            return await _answer_or_forward(view, AskedSubject(request, report, name, query, segments, count))

    return handle


async def _answer_or_forward(view: View, asked: AskedSubject) -> web.Response:
    """Answer from this worker's rows, or from those of the first other holder of the partition that answers."""
    partition = view.partition_of(asked.report.kind + asked.name)
    if view.peers.is_hop(asked.request):
        if not view.holds([partition]):
            raise view.not_held(partition)
        return await _answer_here(view, asked, partition)
    problems_met = list[HttpProblem]()
    urls = view.candidates(partition)
    for number, url in enumerate(urls, 1):
        last = 1 < number == len(urls)
        try:
            if url == view.reader.self_url():
                return await _answer_here(view, asked, partition)
            return await _ask_holder(view, asked, url, last=last)
        except HttpProblem as problem:
            if problem.kind not in _ELSEWHERE:
                raise
            problems_met.append(problem)
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


async def _answer_here(view: View, asked: AskedSubject, partition: int) -> web.Response:
    report, query = asked.report, asked.query
    async with view.job(asked.request) as job:
        moment = await _read_moment(view, asked, partition, job)
        # Rows and position are those of one moment, whatever is folded while the answer is made.
        holes = view.reader.holes(partition)
        answered = [AnsweredPartition(partition, moment.position, view.reader.self_url(), holes)]
        try:
            began = view.reader.counted_since() if query.compares else None
            rows = SubjectRows(moment, report.kind, asked.name, view.kept, began)
            body = await job.run(report.answer(rows, query))
        except UnknownSubjectError as exc:
            # That a subject is unknown is an answer too: it says when, and is as fresh as the query demands.
            freshness = with_freshness({}, query, answered)
            raise HttpProblem(UNKNOWN_SUBJECT, str(exc), **freshness) from exc
        return await respond(asked.request, report, with_freshness(body, query, answered), job, asked.read)


async def _read_moment(view: View, asked: AskedSubject, partition: int, job: Job) -> SubjectMoment:
    """The rows of the subject. They are read again if the partition changes hands and is still held here."""
    for _ in range(READINGS):
        try:
            moment = view.reader.moment(asked.report.kind + asked.name, asked.segments)
            asked.read.here += count_buckets(asked.segments)
            for _ in moment.fetch():
                if job.over():
                    await job.pause()
        except LookupError as exc:
            view.note_moved([partition], exc)
        else:
            return moment
    raise view.not_ready()


async def _ask_holder(view: View, asked: AskedSubject, url: str, *, last: bool) -> web.Response:
    """The answer of another worker, with its bytes and what its headers say of them."""
    seconds = view.limits.last_timeout if last else view.limits.point_timeout
    try:
        async with view.hop(asked.request):
            reply = await view.peers.get(url, asked.target(), seconds, caller_of(asked.request))
    except PeerAwayError as exc:
        raise HttpProblem(OWNER_AWAY, str(exc)) from exc
    asked.read.elsewhere += rows_said(reply.headers)
    if (problem := _problem_of(reply)) is not None:
        raise problem
    tag, fresh = reply.headers.get("ETag"), reply.headers.get(FRESHNESS_HEADER)
    if reply.status != 200 or reply.content_type not in _TYPES or not (tag and fresh):
        raise HttpProblem(
            OWNER_AWAY, f"answered with status {reply.status}" if reply.status != 200 else "no answer of ours"
        )
    headers = {"ETag": tag, "Vary": VARY, FRESHNESS_HEADER: fresh, ROWS_HEADER: str(asked.read.total)}
    if has_figures(asked.request, tag):
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = reply.headers["Content-Type"]
    if (name := reply.headers.get("Content-Disposition")) is not None:
        headers["Content-Disposition"] = name
    return web.Response(body=body_of(reply.body), headers=headers)


_TYPES: Final = frozenset({"application/json", "text/csv"})
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
