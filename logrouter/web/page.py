"""The page: files that ship with the package, read once, open to everybody because they hold no data.

Whatever the page shows it asks of the API, with the caller's token. Its policy lets it load nothing from elsewhere and
run nothing but its own files, and makes the browser refuse text as markup.
"""

from __future__ import annotations

import gzip
import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Final, NamedTuple

from aiohttp import web

from logrouter.http_server import problems
from logrouter.http_server.problems import UNKNOWN_PATH, HttpProblem
from logrouter.query import parsing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from importlib.resources.abc import Traversable

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
INDEX: Final = "index.html"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    "": "text/plain; charset=utf-8",
}
_SMALL: Final = 500
"""Bytes below which compressing gains nothing."""


class Asset(NamedTuple):
    """One file as it is served; *gzipped* is None for a small file."""

    data: bytes
    gzipped: bytes | None
    content_type: str
    etag: str


def load_assets() -> dict[str, Asset]:
    """Read every file of the page, by its path below ``/assets/``; the charting library only if it was packed."""
    folder = resources.files("logrouter.web") / "assets"
    return {name: _asset(name, file.read_bytes()) for name, file in _files(folder, "")}


def _files(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _files(entry, f"{prefix}{entry.name}/")
        elif _suffix(entry.name) in _TYPES:
            yield prefix + entry.name, entry


def _suffix(name: str) -> str:
    return name[name.rfind(".") :] if "." in name else ""


def _asset(name: str, data: bytes) -> Asset:
    gzipped = gzip.compress(data, mtime=0) if len(data) > _SMALL else None
    return Asset(data, gzipped, _TYPES[_suffix(name)], f'W/"{hashlib.sha256(data).hexdigest()[:32]}"')


def page_handler(files: dict[str, Asset]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of ``/``. What the page shows stands behind the ``#`` of its address, and is never sent here."""

    async def handle(request: web.Request) -> web.Response:
        if faults := parsing.reject_parameters(request.query.items()):
            raise problems.bad_parameters(faults)
        return _answer(request, files[INDEX])

    return handle


def asset_handler(files: dict[str, Asset]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of ``/assets/{file}``: the files above, by exactly these names."""

    async def handle(request: web.Request) -> web.Response:
        found = files.get(request.match_info["file"])
        if found is None:
            raise HttpProblem(UNKNOWN_PATH, "the page has no such file")
        return _answer(request, found)

    return handle


def _answer(request: web.Request, found: Asset) -> web.Response:
    # Checked at each visit, so that a new version of the page is never mixed with an old one.
    headers = {
        "Content-Security-Policy": POLICY,
        "Cache-Control": "no-cache",
        "ETag": found.etag,
        "Vary": "Accept-Encoding",
    }
    if found.etag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = found.content_type
    if found.gzipped is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
        return web.Response(body=found.gzipped, headers={**headers, "Content-Encoding": "gzip"})
    return web.Response(body=found.data, headers=headers)
