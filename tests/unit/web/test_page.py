"""The page's files: what is served, how, and that it is nothing else."""

import asyncio
import gzip
import re

from logrouter.access.policy import CLOSED
from logrouter.web import page

OWN = {name: asset for name, asset in page.load_assets().items() if not name.startswith("vendor/")}


def test_the_page_and_its_files_are_open_and_under_a_strict_policy(fleet):
    """Whoever may see figures or not: the page holds none. It may load and run its own files and nothing else."""

    async def main():
        async with fleet(1, access=CLOSED) as (worker,):
            for target in ("/", *(f"/assets/{name}" for name in OWN)):
                reply = await worker.get(target)
                assert reply.status == 200
                policy = dict(part.split(" ", 1) for part in reply.headers["Content-Security-Policy"].split("; "))
                assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
                assert {policy[f"{kind}-src"] for kind in ("script", "style", "img", "connect")} == {"'self'"}
                assert policy["require-trusted-types-for"] == "'script'"
                assert reply.headers["X-Content-Type-Options"] == "nosniff"

    asyncio.run(main())


def test_the_page_names_only_files_that_are_there():
    """Every script, style and image in the page, and every import, is one of the files or of the charting library."""
    html = OWN["index.html"].data.decode()
    named = set(re.findall(r'(?:src|href)="assets/([^"]+)"', html))
    for name, asset in OWN.items():
        if name.endswith(".js"):
            named |= set(re.findall(r'from "\./([^"]+)"', asset.data.decode()))
    vendor = {"vendor/uPlot.iife.min.js", "vendor/uPlot.min.css", "vendor/LICENSE"}
    assert named - vendor <= OWN.keys()
    assert {name for name in OWN if name.endswith((".js", ".css"))} <= named
    assert "<style" not in html
    assert re.findall(r"<script(?![^>]*src=)|\son\w+=|\sstyle=", html) == []


def test_nothing_in_the_page_makes_markup_from_text():
    """Text from logs has no way to become an element."""
    script = "\n".join(asset.data.decode() for name, asset in OWN.items() if name.endswith(".js"))
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|DOMParser", script)
        == []
    )


def test_the_page_is_small():
    """What a first visit sends, without the charting library, compressed as browsers ask for it."""
    assert sum(len(asset.gzipped or asset.data) for asset in OWN.values()) < 40_000


def test_files_are_revalidated_and_compressed_when_asked(fleet):
    """A file that has not changed is 304; compressed and plain bytes are the same file."""

    async def main():
        async with fleet(1) as (worker,):
            plain = await worker.get("/assets/main.js", Accept_Encoding="identity")
            assert plain.headers["Content-Type"] == "text/javascript; charset=utf-8"
            assert plain.headers["Cache-Control"] == "no-cache"
            assert "Content-Encoding" not in plain.headers
            again = await worker.get("/assets/main.js", If_None_Match=plain.headers["ETag"])
            assert (again.status, again.body) == (304, b"")
            raw = await worker.raw(
                b"GET /assets/main.js HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
            )
            head, body = raw.split(b"\r\n\r\n", 1)
            assert b"Content-Encoding: gzip" in head
            assert gzip.decompress(body) == plain.body

    asyncio.run(main())


def test_only_the_files_are_served(fleet):
    """No path leads anywhere else, and the page takes no parameters."""
    tricks = [
        "none.js",
        "../page.py",
        "..%2Fpage.py",
        "%2e%2e/page.py",
        "vendor/../../page.py",
        "/etc/passwd",
        "vendor",
    ]

    async def main():
        async with fleet(1) as (worker,):
            for trick in tricks:
                assert (await worker.get(f"/assets/{trick}")).status == 404
            assert (await worker.get("/assets/")).status == 404
            assert (await worker.get("/?client=x")).status == 400
            assert (await worker.get("/", "POST")).status == 405

    asyncio.run(main())
