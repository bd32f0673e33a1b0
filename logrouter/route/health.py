"""The route process's own HTTP port: /metrics, /livez and /readyz, served beside the lane by a daemon thread."""

from __future__ import annotations

from socketserver import ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING, Any, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from logrouter import telemetry
from logrouter.telemetry import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from logrouter.route.lane import RouteLane

Start = Any
"""wsgiref's start_response."""


class PortTakenError(Exception):
    """The port cannot be listened on, in one line."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    timeout = 5
    """A client that sends nothing holds a thread no longer than this."""

    def log_message(self, *_args: object) -> None:
        """Scrapes are no news."""


def serve(lane: RouteLane, host: str, port: int) -> int:
    """Listen on *host*:*port* (0 takes a free one) and return the port.

    Raises:
        PortTakenError: the address is in use or not ours.
    """
    try:
        server = make_server(host, port, application(lambda: lane.ready), _Server, _Quiet)
    except OSError as exc:
        raise PortTakenError(f"cannot listen on {host}:{port}: {exc.strerror}") from None
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    telemetry.log(Log.METRICS_SERVING, url=f"http://{host}:{server.server_port}/metrics")
    return server.server_port


def application(ready: Callable[[], bool]) -> Callable[[dict[str, Any], Start], Iterable[bytes]]:
    """The WSGI application; *ready* is whether the lane has joined its group."""
    metrics = make_wsgi_app(telemetry.REGISTRY)

    def app(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        match environ.get("PATH_INFO"):
            case "/metrics":
                return cast("Iterable[bytes]", metrics(environ, start))
            case "/livez":
                return _text(start, "200 OK", "alive")
            case "/readyz" if ready():
                return _text(start, "200 OK", "ready")
            case "/readyz":
                return _text(start, "503 Service Unavailable", "waiting for partitions")
        return _text(start, "404 Not Found", "try /metrics, /livez or /readyz")

    return app


def _text(start: Start, status: str, text: str) -> Iterable[bytes]:
    body = f"{text}\n".encode()
    start(status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]
