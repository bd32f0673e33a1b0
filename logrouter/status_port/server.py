"""The server under such a port: a thread per connection, with a deadline for each and a bound for all.

Anybody who reaches the port may connect, so a connection gets so many seconds for its whole request, however the bytes
trickle in, and so many for its answer, however slowly they are taken. One request per connection; bodies are read and
ignored. What goes wrong on a connection is its client's affair: it is counted and never a traceback.
"""

from __future__ import annotations

import io
import socket
import sys
import threading
from collections import Counter
from http import HTTPStatus
from socketserver import ThreadingMixIn
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from wsgiref.handlers import SimpleHandler
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from logrouter.access.rates import bucket_key
from logrouter.telemetry.log import Log, log
from logrouter.telemetry.metrics import INTERNAL_ERRORS, ROUTE_PORT_REFUSED

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

MAX_LINE: Final = 8 * 1024
MAX_BODY: Final = 64 * 1024
_SERVER: Final = "logrouter"


class PortLimits(NamedTuple):
    """Bounds of a port: numbers of connections, and seconds.

    *request_seconds* are for the whole request, headers and body; *answer_seconds* for sending the answer, once it is
    computed. *per_address* leaves room for others beside one client that opens many connections.
    """

    connections: int = 64
    per_address: int = 32
    request_seconds: float = 10.0
    answer_seconds: float = 10.0


DEFAULT_LIMITS: Final = PortLimits()


class HealthServer(ThreadingMixIn, WSGIServer):
    """A WSGI server that refuses connections beyond its limits with 503 and a reason, and closes them."""

    daemon_threads = True
    request_queue_size = 128
    limits: PortLimits = DEFAULT_LIMITS

    def __init__(
        self,
        address: tuple[str, int],
        app: Callable[..., Any],
        limits: PortLimits = DEFAULT_LIMITS,
        *,
        lane: str = "route",
    ) -> None:
        """Listen on *address*, of IPv6 if there is a colon in it, in brackets or not; `OSError` if it can't be had.

        *lane* is whose port it is, for metrics and the log.
        """
        host, port = address[0].strip("[]"), address[1]
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.limits = limits
        self.lane = lane
        self._open = Counter[str]()
        self._lock = threading.Lock()
        super().__init__((host, port), HealthRequest)
        self.set_app(app)

    def server_bind(self) -> None:
        """Bind the socket. `::` is all addresses of both kinds, as for the table view."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, or refuse it."""
        refused = self._enter(bucket_key(client_address[0]))
        if refused is not None:
            ROUTE_PORT_REFUSED.labels(refused).inc()
            _refuse(request, refused)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread can be started
            self._leave(bucket_key(client_address[0]))
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The thread of one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._leave(bucket_key(client_address[0]))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what failed, unless it was the connection."""
        del request, client_address
        exc = sys.exception()
        if exc is not None:
            _note_error(exc, self.lane)

    def _enter(self, address: str) -> str | None:
        """Count a connection; the reason if there are too many."""
        with self._lock:
            if self._open.total() >= self.limits.connections:
                return "connections"
            if self._open[address] >= self.limits.per_address:
                return "address"
            self._open[address] += 1
            return None

    def _leave(self, address: str) -> None:
        with self._lock:
            self._open[address] -= 1
            if self._open[address] <= 0:
                del self._open[address]


class HealthRequest(WSGIRequestHandler):
    """Reads one request within its time and answers it."""

    server_version = _SERVER
    sys_version = ""

    def setup(self) -> None:
        """Begin the time of the request."""
        self._limits = cast("HealthServer", self.server).limits
        self.connection = self.request
        self._incoming = _DeadlineReader(self.connection, monotonic() + self._limits.request_seconds)
        self.rfile = io.BufferedReader(self._incoming)
        self.wfile = _DeadlineWriter(self.connection, self._limits.answer_seconds)

    def handle(self) -> None:
        """Read the request and let the application answer; 4xx for one that is too slow, too large or none."""
        try:
            if not self._read_request():
                return
        except TimeoutError:
            self._refuse_request(408, "deadline", "the request did not arrive in time")
            return
        handler = _Answer(self.rfile, cast("Any", self.wfile), self.get_stderr(), self.get_environ(), multithread=True)
        handler.request_handler = self
        handler.run(cast("Any", self.server).get_app())

    def finish(self) -> None:
        """Nothing is buffered."""
        self.rfile.close()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer with an error that the parser of requests has found, even if it has found no version of HTTP."""
        del message, explain
        self.wfile.write(_plain_answer(code, HTTPStatus(code).phrase))

    def log_message(self, *_args: object) -> None:
        """Scrapes are no news."""

    def _read_request(self) -> bool:
        self.raw_requestline = self.rfile.readline(MAX_LINE + 1)
        if len(self.raw_requestline) > MAX_LINE:
            return self._refuse_request(414, "size", "the request line is too long")
        if not self.raw_requestline or not self.parse_request():
            return False
        if "Transfer-Encoding" in self.headers:
            return self._refuse_request(411, "size", "a body must say its length")
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit()):
            return self._refuse_request(400, "size", "Content-Length must be a number")
        if len(length) > 9 or int(length) > MAX_BODY:
            return self._refuse_request(413, "size", "the body is too large")
        self.rfile.read(int(length))
        return True

    def _refuse_request(self, status: int, reason: str, detail: str) -> bool:
        ROUTE_PORT_REFUSED.labels(reason).inc()
        self.wfile.write(_plain_answer(status, detail))
        return False


class _Answer(SimpleHandler):
    """Runs the application for one request. A client that has gone away, or takes too long, ends the answer quietly."""

    server_software = _SERVER
    request_handler: HealthRequest
    environ: Any
    headers_sent: bool

    def log_exception(self, exc_info: tuple[type[BaseException], BaseException, TracebackType] | Any) -> None:
        """Called with what the application or the connection raised."""
        _note_error(exc_info[1], cast("HealthServer", self.request_handler.server).lane)

    def handle_error(self) -> None:
        """Answer 500 unless it was the connection that failed."""
        exc = sys.exception()
        self.log_exception(sys.exc_info())
        if not isinstance(exc, OSError) and not self.headers_sent:
            self.result = self.error_output(self.environ, self.start_response)
            self.finish_response()


class _DeadlineReader(io.RawIOBase):
    """What a socket receives until a point of time; `TimeoutError` from then on, whatever has come by then."""

    def __init__(self, connection: socket.socket, until: float) -> None:
        super().__init__()
        self._connection = connection
        self._until = until

    def readable(self) -> bool:
        """It is for reading."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Wait for bytes as long as there is time."""
        left = self._until - monotonic()
        if left <= 0:
            raise TimeoutError("the time of the request is over")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class _DeadlineWriter(io.BufferedIOBase):
    """Sends to a socket, for so many seconds from the first byte on; `TimeoutError` after them."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        super().__init__()
        self._connection = connection
        self._seconds = seconds
        self._until: float | None = None

    def writable(self) -> bool:
        """It is for writing."""
        return True

    def write(self, data: Any) -> int:
        """Send all of *data*."""
        if self._until is None:
            self._until = monotonic() + self._seconds
        left = self._until - monotonic()
        if left <= 0:
            raise TimeoutError("the time of the answer is over")
        self._connection.settimeout(left)
        self._connection.sendall(data)
        return len(data)


def _note_error(exc: BaseException, lane: str) -> None:
    """Log what was raised on a connection, unless it was the connection that failed."""
    if not isinstance(exc, OSError):
        INTERNAL_ERRORS.labels(lane).inc()
        log(Log.INTERNAL_ERROR, lane=lane, exc_info=exc)


def _refuse(connection: socket.socket, reason: str) -> None:
    """Say why a connection is closed, without waiting for anything."""
    detail = "too many connections" if reason == "connections" else "too many connections from one address"
    try:
        connection.setblocking(False)
        connection.send(_plain_answer(503, detail))
    except OSError:
        return
    try:
        connection.recv(MAX_LINE)  # what is left unread would reset the connection before the answer is read
    except OSError:
        return


def _plain_answer(status: int, detail: str) -> bytes:
    retry = "Retry-After: 1\r\n" if status == 503 else ""
    body = f"{detail}\n"
    return (
        f"HTTP/1.0 {status} {HTTPStatus(status).phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n{retry}Connection: close\r\n\r\n{body}"
    ).encode()
