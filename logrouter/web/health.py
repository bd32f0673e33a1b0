"""Readiness, the OpenAPI document, and an index page that says what there is."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from logrouter import __version__
from logrouter.http_server.probes import refuse_parameters
from logrouter.http_server.problems import json_response
from logrouter.query.openapi import openapi_document
from logrouter.query.reports.registry import ENDPOINTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from logrouter.query.endpoints import Endpoint
    from logrouter.query.parameters import Parameter
    from logrouter.web.view import View

_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "code{font-family:ui-monospace,monospace}dt{margin-top:.8rem}dd{margin-left:1.5rem}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
INDEX_POLICY: Final = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'"


def ready_handler(view: View) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of ``/readyz``: 200 while this worker's tables are recovered and not being moved."""

    async def handle(request: web.Request) -> web.Response:
        refuse_parameters(request)
        if not view.reader.ready():
            raise view.not_ready(view.waits_for())
        return json_response({"ready": True, "partitions": sorted(view.reader.owned())})

    return handle


def openapi_handler(_: View) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of ``/openapi.json``."""
    described = openapi_document(__version__, ENDPOINTS)

    async def handle(request: web.Request) -> web.Response:
        refuse_parameters(request)
        return json_response(described)

    return handle


def index_handler(_: View) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of ``/reference``: a page that lists every endpoint and its parameters."""
    page = _index_page()

    async def handle(request: web.Request) -> web.Response:
        refuse_parameters(request)
        headers = {"Content-Security-Policy": INDEX_POLICY}
        return web.Response(text=page, content_type="text/html", headers=headers)

    return handle


def _index_page() -> str:
    entries = "".join(
        f"<dt>{_endpoint_link(endpoint)}</dt><dd>{escape(endpoint.summary)}.{_parameter_list(endpoint.parameters)}</dd>"
        for endpoint in ENDPOINTS
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>logrouter table view</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        "<h1>logrouter table view</h1><p>API usage per client and per API. Any worker answers for all of them; answers"
        f" are JSON, times are UTC.</p><dl>{entries}</dl></body></html>"
    )


def _endpoint_link(endpoint: Endpoint) -> str:
    code = f"<code>GET {escape(endpoint.path)}</code>"
    return code if endpoint.example is None else f'<a href="{escape(endpoint.example)}">{code}</a>'


def _parameter_list(parameters: Iterable[Parameter[Any]]) -> str:
    items = "".join(
        f"<li><code>{escape(p.name)}</code>: {escape(p.doc)}"
        + (f" Default: <code>{escape(p.default)}</code>.</li>" if p.default else "</li>")
        for p in parameters
    )
    return f"<ul>{items}</ul>" if items else ""
