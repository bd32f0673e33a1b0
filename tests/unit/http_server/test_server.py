"""Serving an application: what every answer says by https, and by http."""

from __future__ import annotations

import asyncio
import ssl

import aiohttp
import pytest
from aiohttp import web

from logrouter.http_server import server
from logrouter.http_server.credentials import TlsFiles
from tests.certificates import certificate


async def answer_ok(_request):
    """Any answer."""
    return web.Response(text="ok")


async def answer_own(_request):
    """An answer with a header of its own."""
    return web.Response(headers={"Strict-Transport-Security": "max-age=1"})


@pytest.mark.parametrize(
    ("encrypted", "path", "said"),
    [
        (True, "/", "max-age=604800"),
        (True, "/nothing-there", "max-age=604800"),
        (True, "/own", "max-age=1"),
        (False, "/", None),
    ],
)
def test_browsers_that_have_come_by_https_are_told_to_stay_with_it(tmp_path, encrypted, path, said):
    """Also by an answer that is an error; by http the header means nothing (RFC 6797, 7.2)."""
    certificate(tmp_path, "localhost")
    files = TlsFiles(tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "cert.pem")

    async def main():
        app = web.Application()
        app.router.add_get("/", answer_ok)
        app.router.add_get("/own", answer_own)
        runner = await server.start(app, "127.0.0.1", 0, tls=files.server() if encrypted else None)
        try:
            port = runner.addresses[0][1]
            trusted = ssl.create_default_context(cafile=files.ca)
            url = f"{'https' if encrypted else 'http'}://127.0.0.1:{port}{path}"
            async with (
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusted)) as session,
                session.get(url, server_hostname="localhost" if encrypted else None) as answer,
            ):
                return answer.headers.get("Strict-Transport-Security")
        finally:
            await runner.cleanup()

    assert asyncio.run(main()) == said
