"""Targets that show what they were sent, and what is then shown of it: no secret, in whatever spelling."""

from __future__ import annotations

import asyncio
import html
import json
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter import config
from logrouter.deliver.targets import open_sink
from logrouter.model import RawRecord
from logrouter.sinks.contract import NoAnswer, Trouble
from logrouter.sinks.echoes import hide_texts
from logrouter.sinks.http_client import HttpBounds, HttpClient
from logrouter.sinks.http_messages import HttpRequest

from .hostile import hostile_target
from .test_hostile_targets import CHUNKED, HEAD, PATIENT, run, say

SECRET = "Bearer 0123-4567-89ab"  # noqa: S105 - of nobody


@given(st.text(st.characters(codec="utf-8"), min_size=8), st.sampled_from(["", "Sorry: "]))
def test_a_text_is_hidden_in_any_spelling(text, before):
    """As it is, in JSON as several languages write it, in HTML, and in a URL."""
    in_json = json.dumps(text)[1:-1]
    for spelling in (text, in_json, in_json.replace("/", "\\/"), html.escape(text), quote(text, safe="")):
        assert hide_texts(f"{before}<{spelling}>".encode(), [text]) == f"{before}<********>".encode()


def test_a_password_is_hidden_without_its_base64():
    """The target has decoded it."""
    header = b64encode(b"elastic:correct-horse").decode()

    assert hide_texts(b'{"reason": "not correct-horse"}', [header]) == b'{"reason": "not ********"}'
    assert hide_texts(b"user elastic", [b64encode(b"elastic:short").decode()]) == b"user elastic"


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"X\0Y: %b\r\n\r\n",
        HEAD + b"X: %b\0\r\n\r\n",
        HEAD + b"X %b\r\n\r\n",
        HEAD + b"Content-Length: %b\r\n\r\n",
        HEAD + b"X: " + b"%b" * 500 + b"\r\n\r\n",
        b"%b\r\n\r\n",
        b"HTTP/1.1 %b\r\n\r\n",
        b"HTTP/1.1 200 " + b"%b" * 500 + b"\r\n\r\n",
        CHUNKED + b"%b\r\n\r\n",
        CHUNKED + b"2\r\nok%b\r\n\r\n",
    ],
)
def test_what_is_no_http_is_not_quoted(data):
    """The library's own words for it have its bytes, which may be those that we have sent."""

    async def test() -> None:
        async with hostile_target(say(data.replace(b"%b", SECRET.encode()))) as target:
            client = HttpClient(PATIENT)
            answer = await client.send(HttpRequest(target.url, b"[]", {"Authorization": SECRET}))
            await client.close()
        assert isinstance(answer, NoAnswer)
        assert answer.trouble is Trouble.NONSENSE
        assert "0123" not in answer.detail
        assert answer.detail.strip(" :")

    run(test)


@pytest.mark.parametrize("host", ["[::1]]", "a..b", "127.1", "b" * 64])
def test_a_url_that_can_not_be_read_is_not_repeated(host):
    """Its path may be a secret."""
    client = HttpClient(HttpBounds(5))

    async def send() -> object:
        try:
            return await client.send(HttpRequest(f"https://{host}/T0/B0/very-private", b"", {}))
        finally:
            await client.close()

    assert asyncio.run(send()) == NoAnswer(Trouble.NONSENSE, "the URL can't be read")


def test_a_path_from_the_environment_is_hidden_in_answers():
    """Frameworks name the path that they do not have; of one that stands in the file nobody makes a secret."""
    page = b"Cannot POST /T0/B0/very-private"
    head = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n" % len(page)
    file = """
        version: 1
        sources: {in: {topics: [in], envelope: plain}}
        routes: [{name: r, from: in, format: apache, to: events}]
        sinks: {hook: {type: webhook, from: events, url: "URL"}}
    """

    async def test() -> None:
        for url in ("${HOOK_URL}", "${HOOK_HOST}/T0/B0/very-private"):
            async with hostile_target(say(head + page)) as target:
                place = target.url.removesuffix("/in")
                env = {"HOOK_URL": f"{place}/T0/B0/very-private", "HOOK_HOST": place}
                configured = config.parse(file.replace("URL", url, 1).encode(), env, folder=Path()).sinks["hook"]
                sink = open_sink(configured)
                answer = await sink.send(sink.encode([RawRecord("events", 0, 0, 0, b"{}")]).request)
                await sink.close()
            assert answer.body == b"Cannot POST ********"

    run(test)
