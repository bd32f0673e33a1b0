"""The port of the table view: which addresses it listens on, and the URL by which other workers come."""

from __future__ import annotations

import asyncio
import re
import socket

import pytest
from aiohttp import web

from logrouter.http_server.server import app_runner
from logrouter.tables.http import base_url, bind_socket, open_port


def reaches(host, port):
    """Whether a connection to the address is accepted."""
    try:
        socket.create_connection((host, port), timeout=10).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "from_ipv4", "from_ipv6"),
    [
        ("127.0.0.1", True, False),
        ("0.0.0.0", True, False),  # noqa: S104 - what is tested
        ("", True, False),
        ("localhost", True, False),
        ("::1", False, True),
        ("[::1]", False, True),
        ("::", True, True),
    ],
)
def test_addresses_that_a_host_listens_on(host, from_ipv4, from_ipv6):
    """`::` is all addresses of both kinds."""
    if not reaches_ipv6():
        pytest.skip("this machine has no IPv6 on its loopback interface")
    with bind_socket(host, 0) as bound:
        bound.listen()
        port = bound.getsockname()[1]
        assert (reaches("127.0.0.1", port), reaches("::1", port)) == (from_ipv4, from_ipv6)


def test_a_bound_port_is_nobody_elses_before_it_is_opened():
    """Two that start at the same moment: the later one is told at once, not when it begins to listen."""
    with bind_socket("127.0.0.1", 0) as one:
        port = one.getsockname()[1]
        with pytest.raises(OSError, match=rf"^cannot listen on 127\.0\.0\.1:{port}: Address already in use$"):
            bind_socket("127.0.0.1", port)


def test_a_port_can_be_bound_again_while_connections_of_before_linger():
    """A worker that is started again does not wait for a minute, as TIME_WAIT takes."""

    async def main():
        runner = app_runner(web.Application())
        await runner.setup()
        one = bind_socket("127.0.0.1", 0)
        port = one.getsockname()[1]
        await open_port(runner, one, None, "127.0.0.1")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"404" in await reader.read()  # the server has closed first
        writer.close()
        await runner.cleanup()
        one.close()
        with socket.socket() as plain, pytest.raises(OSError, match="in use"):
            plain.bind(("127.0.0.1", port))
        with bind_socket("127.0.0.1", port) as again:
            assert again.getsockname()[1] == port

    asyncio.run(main())


def test_a_port_that_another_opens_first_is_named():
    """After a process that has just ended two may bind it, as neither listens yet."""

    async def main():
        runner = app_runner(web.Application())
        await runner.setup()
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            other = bind_socket("127.0.0.1", port)
            one.listen()
            with pytest.raises(OSError, match=rf"^cannot listen on 127\.0\.0\.1:{port}: Address already in use$"):
                await open_port(runner, other, None, "127.0.0.1")
            other.close()
        await runner.cleanup()

    asyncio.run(main())


def reaches_ipv6():
    """Whether ::1 can be listened on."""
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("10.0.0.1", "http://10.0.0.1:6066"),
        ("::1", "http://[::1]:6066"),
        ("[::1]", "http://[::1]:6066"),
        ("fd00::7", "http://[fd00::7]:6066"),
        ("::", f"http://{socket.gethostname()}:6066"),
        ("", f"http://{socket.gethostname()}:6066"),
    ],
)
def test_url_of_an_address(host, url):
    """An IPv6 address stands in brackets; in place of all addresses stands this machine's name."""
    assert base_url(host, 6066) == url


def test_address_that_cannot_be_had_is_one_line():
    """With the address as it was given."""
    with bind_socket("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"^cannot listen on 127\.0\.0\.1:{port}: Address already in use$"):
            bind_socket("127.0.0.1", port)
    with pytest.raises(OSError, match=re.escape("cannot listen on no-such-host.invalid:1: ")):
        bind_socket("no-such-host.invalid", 1)
    with pytest.raises(OSError, match=re.escape("cannot listen on [2001:db8::1]:1: ")):
        bind_socket("2001:db8::1", 1)
