"""The route process's own port against clients that are slow, many or gone: real sockets, and only what hangs fails."""

from __future__ import annotations

import socket
import struct
from contextlib import contextmanager
from threading import Thread

import pytest

from logrouter.status_port.server import HealthServer, PortLimits
from logrouter.telemetry.metrics import ROUTE_PORT_REFUSED
from tests.conftest import HANG_SECONDS

SHORT = PortLimits(request_seconds=1.0, answer_seconds=1.0)
GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


def small(_environ, start):
    """An application that answers with one byte."""
    start("200 OK", [("Content-Length", "1")])
    return [b"."]


def large(_environ, start):
    """An application that answers with more than any socket takes unread."""
    start("200 OK", [])
    return [b"." * 65536] * 1000


def broken(_environ, _start):
    """An application with a bug."""
    raise ZeroDivisionError


@contextmanager
def serving(app=small, limits=PortLimits(), host="127.0.0.1"):  # noqa: B008 - immutable
    """A function that connects to a port which is served; whoever sends nothing is a client."""
    server = HealthServer((host, 0), app, limits)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    sockets = []

    def connect(sent=b"", to=host):
        address = {"::": "::1"}.get(to, to), server.server_port
        sockets.append(socket.create_connection(address, timeout=HANG_SECONDS))
        sockets[-1].sendall(sent)
        return sockets[-1]

    try:
        yield connect
    finally:
        for one in sockets:
            one.close()
        server.shutdown()
        server.server_close()


def read_all(connection):
    """What comes until the server closes; a reset is a close as well."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def status_of(answer):
    """The status code of an answer."""
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(("host", "to"), [("::1", "::1"), ("[::1]", "::1"), ("::", "::1"), ("::", "127.0.0.1")])
def test_the_port_may_be_of_ipv6(host, to):
    """One address of it, or all of both kinds."""
    with serving(host=host) as connect:
        assert status_of(read_all(connect(GET, to))) == 200


def refused(reason):
    """How often something was refused for that reason."""
    return ROUTE_PORT_REFUSED.labels(reason)._value.get()


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET /livez HTT",
        b"GET /livez HTTP/1.1\r\nHost: x\r\n",
        b"POST /livez HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345",
    ],
    ids=["nothing", "line", "headers", "body"],
)
def test_a_request_that_does_not_arrive_is_ended(begun):
    """Wherever it stops: the connection is answered and closed, and its place is free again."""
    before = refused("deadline")
    with serving(limits=SHORT._replace(connections=1)) as connect:
        assert status_of(read_all(connect(begun))) == 408
        connection = connect(GET)
        while status_of(answer := read_all(connection)) == 503:  # the thread of the first one ends a moment later
            connection = connect(GET)
        assert status_of(answer) == 200
    assert refused("deadline") == before + 1


@pytest.mark.parametrize("begun", [b"GET /livez HTTP/1.1\r\nX: ", b"POST / HTTP/1.1\r\nContent-Length: 60000\r\n\r\n"])
def test_a_byte_now_and_then_buys_no_time(begun):
    """The deadline is for the whole request, headers or body, not for the next byte."""
    with serving(limits=SHORT) as connect:
        connection = connect(begun)
        connection.settimeout(0.02)
        answer = None
        while answer is None:
            try:
                connection.sendall(b"x")
                answer = connection.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:  # a byte that came too late has reset the connection before the answer was read
                break
        assert answer is None or status_of(answer) == 408


def test_an_answer_that_nobody_takes_is_given_up():
    """A client that asks and does not read holds its place for so long and no longer."""
    with serving(large, SHORT._replace(connections=1)) as connect:
        idle = connect(GET)
        connection = connect(GET)
        while (answer := connection.recv(65536)).startswith(b"HTTP/1.0 503"):
            connection = connect(GET)
        assert answer.startswith(b"HTTP/1.0 200")
        assert len(read_all(idle)) < 65536 * 1000


def test_too_many_connections_are_closed_with_a_reason(eventually):
    """Those beyond the bound get 503 at once; when one ends there is room again."""
    before = refused("connections")
    with serving(limits=PortLimits(connections=2, request_seconds=HANG_SECONDS)) as connect:
        first, _second = connect(), connect()
        answer = read_all(connect(GET))
        assert (status_of(answer), answer.endswith(b"\r\n\r\ntoo many connections\n")) == (503, True)
        assert b"\r\nRetry-After: 1\r\n" in answer
        assert refused("connections") == before + 1
        first.close()
        eventually(lambda: status_of(read_all(connect(GET))) == 200)


def test_one_address_leaves_room_for_others():
    """A bound of its own for each address, and it says so."""
    with serving(limits=PortLimits(connections=9, per_address=1, request_seconds=HANG_SECONDS)) as connect:
        connect()
        assert read_all(connect(GET)).endswith(b"too many connections from one address\n")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"POST / HTTP/1.1\r\nContent-Length: 70000\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 200),
        (b"HEAD / HTTP/1.1\r\n\r\n", 200),
    ],
)
def test_what_is_too_large_or_no_request_is_refused(request_, status):
    """With the status that says why, and nothing is kept of it."""
    with serving() as connect:
        assert status_of(read_all(connect(request_))) == status


def reset(connection):
    """Close a connection so that the other side gets a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("sent", [b"", b"GET /", GET, b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n1"])
def test_a_client_that_drops_the_connection_leaves_no_traceback(sent, capfd, caplog, eventually):
    """Before, within and after its request, and while it is answered."""
    before = refused("connections")
    with serving(large, PortLimits(connections=1, request_seconds=HANG_SECONDS)) as connect:
        connection = connect(sent)
        if sent == GET:
            assert connection.recv(1000)
        reset(connection)

        def served():
            last = connect(GET)
            return last.recv(9) == b"HTTP/1.0 " and last.recv(3) == b"200"

        eventually(served)
    out, err = capfd.readouterr()
    assert (out, err, caplog.records) == ("", "", [])
    assert refused("connections") >= before


def test_a_fault_of_ours_is_an_answer_and_a_line_of_the_log(caplog, capfd):
    """500, and the log has it once."""
    with serving(broken) as connect:
        assert status_of(read_all(connect(GET))) == 500
    assert [(record.getMessage(), record.fields["lane"]) for record in caplog.records] == [("internal_error", "route")]
    assert capfd.readouterr().err == ""
