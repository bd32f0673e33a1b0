"""Handlers that every application has: liveness and metrics."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from logrouter.http_server import problems
from logrouter.http_server.problems import json_response
from logrouter.query import parsing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from prometheus_client import CollectorRegistry


def refuse_parameters(request: web.Request) -> None:
    """`HttpProblem` 400 for a request that has any, to a handler that takes none."""
    if faults := parsing.reject_parameters(request.query.items()):
        raise problems.bad_parameters(faults)


def live_handler() -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of ``/livez``: it answers, so the process lives."""

    async def handle(request: web.Request) -> web.Response:
        refuse_parameters(request)
        return json_response({"live": True})

    return handle


def metrics_handler(registry: CollectorRegistry) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of ``/metrics``.

    Writing thousands of series takes tens of milliseconds, so it is done in a thread, which shares the interpreter with
    the event loop every 5 ms, and for one request at a time.
    """
    alone = asyncio.Lock()

    async def handle(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        async with alone:
            body = await asyncio.to_thread(encode, registry)
        return web.Response(body=body, headers={"Content-Type": content_type})

    return handle
