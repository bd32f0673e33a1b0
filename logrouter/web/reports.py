"""The handlers of reports over many subjects: for callers, and for other workers that put the parts together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logrouter.http_server.guard import caller_of
from logrouter.query.tiers import count_buckets
from logrouter.web.respond import parse_query, respond, with_freshness
from logrouter.web.scatter_gather import Asked, answer_partial_report, scatter_gather

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from logrouter.query.reports.declaration import ScatterGatherReport
    from logrouter.web.view import View


def report_handler(view: View, report: ScatterGatherReport) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of a report."""

    async def handle(request: web.Request) -> web.Response:
        pairs = list(request.query.items())
        query = parse_query(view, report, pairs)
        only = caller_of(request).confined_to(report.confined_by)
        # What a scan costs shows only when it is done; a caller without anything left is refused before.
        expected = 1 if only is None else max(len(only.names) * count_buckets(query.segments), 1)
        with view.meter.charge(request, expected) as count:
            gathered = await scatter_gather(view, Asked(request, report, query, count), pairs)
            async with view.job(request) as job:
                body = await job.run(report.answer(query, gathered.partial_reports))
                fresh = with_freshness(body, query, gathered.answered, gathered.missing)
                return await respond(request, report, fresh, job, count)

    return handle


def partial_report_handler(view: View, report: ScatterGatherReport) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of this worker's part of a report, for other workers."""

    async def handle(request: web.Request) -> web.Response:
        return await answer_partial_report(view, request, report)

    return handle
