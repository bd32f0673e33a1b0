"""Top lists, totals and reports: what each is made of, and their handlers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from logrouter.http_server.guard import caller_of
from logrouter.query.reports import calls, outcomes, tally, top_list, totals
from logrouter.web.respond import dated, parse_query, respond
from logrouter.web.scatter_gather import Recipe, answer_part, gather

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from logrouter.query.endpoints import Endpoint
    from logrouter.web.view import View

_TOP: Final = msgspec.msgpack.Decoder(tally.PartialTop).decode

RECIPES: Final = {
    "clients": Recipe(partial(top_list.TopReport, "c"), _TOP, partial(top_list.answer, "c")),
    "apis": Recipe(partial(top_list.TopReport, "a"), _TOP, partial(top_list.answer, "a")),
    "totals": Recipe(totals.TotalsReport, msgspec.msgpack.Decoder(totals.PartialTotals).decode, totals.answer),
    "totals_series": Recipe(
        totals.TotalsSeries, msgspec.msgpack.Decoder(totals.SeriesPart).decode, totals.series_answer
    ),
    "calls": Recipe(calls.CallsReport, msgspec.msgpack.Decoder(calls.GridPart).decode, calls.calls_answer),
    "outcomes": Recipe(
        outcomes.OutcomesReport, msgspec.msgpack.Decoder(outcomes.PartialOutcomes).decode, outcomes.answer
    ),
}
"""The endpoints that every worker has a share in."""


def report(view: View, endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of one of `RECIPES`."""
    recipe = RECIPES[endpoint.name]

    async def handle(request: web.Request) -> web.Response:
        pairs = list(request.query.items())
        query = parse_query(view, endpoint, pairs)
        found = await gather(view, endpoint, recipe, query, pairs, caller_of(request))
        body = recipe.answer(query, found.parts)
        return await respond(request, endpoint, dated(body, query, found.placed, found.missing))

    return handle


def part(view: View, endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of the share in one of `RECIPES` that other workers ask for."""
    recipe = RECIPES[endpoint.name]

    async def handle(request: web.Request) -> web.Response:
        return await answer_part(view, request, endpoint, recipe)

    return handle
