"""The port of the table view: which addresses it listens on, and the URL by which other workers come."""

from __future__ import annotations

import re
import socket

import pytest

from logrouter.tables.http import base_url, bind_socket


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
