"""What a request says of its sender."""

from __future__ import annotations

import asyncio

import pytest

from logrouter.sinks.http_client import HttpBounds, HttpClient
from logrouter.sinks.http_messages import HttpAnswer, HttpRequest
from tests.unit.sinks.loopback import serve


@pytest.mark.parametrize(
    ("bounds", "headers", "agents"),
    [
        (HttpBounds(20), {}, ["logrouter"]),
        (HttpBounds(20), {"User-Agent": "of the file"}, ["of the file"]),
        (HttpBounds(20), {"user-agent": "of the file"}, ["of the file"]),
        (HttpBounds(20, user_agent=None), {}, []),
    ],
)
def test_the_user_agent_is_ours_or_that_of_the_file_or_none(bounds, headers, agents):
    """Never the library's, with its version."""

    async def run() -> str:
        async with serve() as heard:
            client = HttpClient(bounds)
            answer = await client.send(HttpRequest(f"http://127.0.0.1:{heard.port}/", b"{}", headers))
            await client.close()
        assert isinstance(answer, HttpAnswer)
        return heard.heads[0]

    lines = [line.partition(": ") for line in asyncio.run(run()).split("\r\n")]

    assert [value for name, _, value in lines if name.lower() == "user-agent"] == agents
