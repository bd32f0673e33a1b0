"""What holds for drains of every scheme and form, at real receivers: all lines, in order, with all of their fields."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from logrouter.core.drains.registration import DrainForm
from logrouter.drains.health import DrainHealth
from logrouter.drains.targets import open_drain
from logrouter.sinks.contract import DELIVERED
from logrouter.sinks.lines.messages import render_line
from logrouter.sinks.pacing import PaceLimits
from tests.conftest import HANG_SECONDS
from tests.integration.drains.targets import (
    NGINX,
    connections_to,
    http_target,
    line,
    nginx_target,
    registration,
    rsyslog_target,
    syslog_ng_target,
    wait_for,
)
from tests.integration.sinks.syslog_receivers import HAS_TLS, RSYSLOGD, fetch_syslog_ng

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from logrouter.core.drains.line import Line
    from tests.integration.drains.targets import Target

QUICK = PaceLimits(max_requests=1, first_pause=0.05, longest_pause=0.05)
KINDS: dict[str, Callable[[Path], AbstractAsyncContextManager[Target]]] = {
    "tcp": lambda folder: rsyslog_target(folder, "tcp"),
    "tcp-newline": lambda folder: rsyslog_target(folder, "tcp", "newline"),
    "tls": lambda folder: rsyslog_target(folder, "tls-anonymous"),
    "udp": lambda folder: rsyslog_target(folder, "udp"),
    "syslog-ng": lambda folder: syslog_ng_target(folder, fetch_syslog_ng()),
    "logplex": lambda folder: http_target(folder, "http", DrainForm.LOGPLEX),
    "ndjson": lambda folder: http_target(folder, "http", DrainForm.NDJSON),
    "nginx": nginx_target,
    "https": lambda folder: http_target(folder, "https", DrainForm.LOGPLEX),
}
HOSTILE = 'forged\n5 hello\n<14>1 - - - - - - x\r\n\x00\tquo"te ] \\ 100% %msg% $x {} é 𝄞'
IN_MESSAGES = 'forged 5 hello <14>1 - - - - - - x   \tquo"te ] \\ 100% %msg% $x {} é 𝄞'


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    """One scheme and form, with a receiver that is there."""
    name = request.param
    if name in ("tcp", "tcp-newline", "tls", "udp") and not RSYSLOGD:
        pytest.skip("rsyslogd is not installed (Debian: rsyslog)")
    if name == "tls" and not HAS_TLS:
        pytest.skip("rsyslogd with TLS is not installed (Debian: rsyslog-openssl)")
    if name == "nginx" and not NGINX:
        pytest.skip("nginx is not installed (Debian: nginx)")
    if name == "syslog-ng" and fetch_syslog_ng() is None:
        pytest.skip("syslog-ng can't be had as packages of Debian 12, which can be unpacked beside rsyslog")
    return name


async def deliver(target: Target, batches: list[list[Line]], **options: Any) -> list[object]:
    """What becomes of batches, by a drain to *target*."""
    drain = registration(target.url, **(target.options | options))
    connections = connections_to(int(target.url.split("127.0.0.1:")[1].split("/")[0]))
    delivery = open_drain(drain, connections, DrainHealth(drain.id), pace=QUICK)
    try:
        return [settled for batch in batches for settled in await delivery.deliver(batch)]
    finally:
        await delivery.close()
        await connections.close()


def run(main: Any) -> None:
    """Run a coroutine, with a guard against hangs."""
    asyncio.run(asyncio.wait_for(main, HANG_SECONDS))


def test_every_line_comes_with_its_fields_and_in_order(kind, tmp_path):
    """Of twenty batches; a receiver that is not there yet is waited for.

    Over UDP what was sent before its host has said that nobody listens comes again.
    """
    texts = ["plain", HOSTILE, "é" * 100]
    lines = [line(number, texts[number % 3]) for number in range(200)]
    shown = [text if kind == "ndjson" else text.replace(HOSTILE, IN_MESSAGES) for text in texts]
    understood = [line(number, shown[number % 3]) for number in range(200)]

    async def main() -> None:
        async with KINDS[kind](tmp_path) as target:
            batches = [lines[at : at + 10] for at in range(0, 200, 10)]
            assert await deliver(target, batches) == [DELIVERED] * 200
            await wait_for(lambda: target.received()[-1:] == understood[-1:])
            assert target.received()[-200:] == understood
            assert len(target.received()) == 200 or kind == "udp"

    run(main())


def test_a_line_that_is_too_long_is_cut_between_two_characters(kind, tmp_path):
    """By the number of bytes that the drain asks for; its fields stay whole."""

    async def main() -> None:
        async with KINDS[kind](tmp_path) as target:
            assert await deliver(target, [[line(1, "é" * 1_000)]], max_message_bytes=500) == [DELIVERED]
            await wait_for(lambda: bool(target.received()))
            [received] = target.received()
            text = received.text.decode()
            assert received == line(1, text)
            assert set(text) == {"é"}
            size = len(text.encode() if kind == "ndjson" else render_line(received, 1_000))
            assert 498 <= size <= 500

    run(main())
