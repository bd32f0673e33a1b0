"""The application on the port of a process without a table view.

Served beside the lane by daemon threads; `status_port.server` bounds how many and how long.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

import orjson
from prometheus_client import make_wsgi_app

from logrouter.config.options.endpoint import authority
from logrouter.printable import escape
from logrouter.reload.versions import ReloadResult
from logrouter.status_port.server import HealthServer
from logrouter.telemetry.log import Log, log
from logrouter.telemetry.metrics import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from logrouter.config import Secret
    from logrouter.reload.reloader import Reloader
    from logrouter.reload.versions import ConfigVersions, ReloadOutcome

S = TypeVar("S")
"""What a lane takes of topics.yaml."""

Start = Any
"""wsgiref's start_response."""

RELOAD_SECONDS: Final = 10.0
"""How long `POST /v1/admin/reload` waits for its answer before it says 202: the reload goes on."""

_STATUS: Final = {
    ReloadResult.APPLIED: "200 OK",
    ReloadResult.UNCHANGED: "200 OK",
    ReloadResult.INVALID: "422 Unprocessable Content",
    ReloadResult.REFUSED: "409 Conflict",
    ReloadResult.ROLLED_BACK: "409 Conflict",
}


_MAX_REASON: Final = 500


class ServedLane(Protocol[S]):
    """What the port tells about: a lane, and which configuration it follows."""

    versions: ConfigVersions[S]

    @property
    def unready_reason(self) -> str:
        """In one line why the lane does not work now; empty if it does."""
        ...


class PortTakenError(Exception):
    """The port cannot be listened on, in one line."""


def serve(lane: ServedLane[S], host: str, port: int, reloader: Reloader[S] | None = None, *, name: str) -> int:
    """Listen on *host*:*port* (0 takes a free one) and return the port; *name* is the lane's.

    Raises:
        PortTakenError: the address is in use or not ours.
    """
    app = application(
        lambda: lane.unready_reason,
        config=lane.versions.report,
        reload=None if reloader is None else lambda: reloader.reload(RELOAD_SECONDS),
        token=lambda: lane.versions.version.admin_token,
    )
    try:
        server = HealthServer((host, port), app, lane=name)
    except OSError as exc:
        raise PortTakenError(f"cannot listen on {authority(host, port)}: {exc.strerror}") from None
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    log(Log.METRICS_SERVING, url=f"http://{authority(host, server.server_port)}/metrics")
    return server.server_port


def application(
    unready: Callable[[], str],
    *,
    config: Callable[[], dict[str, Any]] = dict,
    reload: Callable[[], ReloadOutcome | None] | None = None,
    token: Callable[[], Secret | None] = lambda: None,
) -> Callable[[dict[str, Any], Start], Iterable[bytes]]:
    """The WSGI application.

    *unready* is in one line why the lane does not work, empty if it does; *config* is what `/v1/config` says. *reload*
    reads the file, None if that takes too long; *token* is what a request must carry to be allowed to, and without one
    nobody is.
    """
    metrics = make_wsgi_app(REGISTRY)

    def app(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        path, method = environ.get("PATH_INFO"), environ.get("REQUEST_METHOD")
        secret = token()
        if path == "/v1/admin/reload" and reload is not None and secret is not None:
            if not _is_authorised(environ, secret):
                return _respond_text(start, "401 Unauthorized", "needs the admin token", ("WWW-Authenticate", "Bearer"))
            if method != "POST":
                return _respond_text(start, "405 Method Not Allowed", "try POST", ("Allow", "POST"))
            return _answer_reload(start, reload())
        if method not in {"GET", "HEAD"}:
            return _respond_text(start, "404 Not Found", "there is no such request, or no admin.token in topics.yaml")
        match path:
            case "/metrics":
                return cast("Iterable[bytes]", metrics(environ, start))
            case "/v1/config":
                return _respond_json(start, "200 OK", config())
            case "/livez":
                return _respond_text(start, "200 OK", "alive")
            case "/readyz":
                why = unready()
                status = "503 Service Unavailable" if why else "200 OK"
                return _respond_text(start, status, escape(why[:_MAX_REASON]) or "ready")
        return _respond_text(start, "404 Not Found", "try /metrics, /v1/config, /livez or /readyz")

    return app


def _is_authorised(environ: dict[str, Any], secret: Secret) -> bool:
    """Whether the request carries the token. The time this takes depends on neither."""
    scheme, _, given = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    wanted = sha256(secret.reveal().encode()).digest()
    # The server has read the header as Latin-1, whatever it was.
    same = hmac.compare_digest(sha256(given.strip().encode("latin-1", "replace")).digest(), wanted)
    return same and scheme.lower() == "bearer"


def _answer_reload(start: Start, outcome: ReloadOutcome | None) -> Iterable[bytes]:
    if outcome is None:
        return _respond_json(start, "202 Accepted", {"result": "pending", "reason": "GET /v1/config tells how it went"})
    return _respond_json(start, _STATUS[outcome.result], outcome._asdict())


def _respond_json(start: Start, status: str, document: dict[str, Any]) -> Iterable[bytes]:
    return _respond(start, status, orjson.dumps(document) + b"\n", "application/json")


def _respond_text(start: Start, status: str, text: str, *headers: tuple[str, str]) -> Iterable[bytes]:
    return _respond(start, status, f"{text}\n".encode(), "text/plain; charset=utf-8", *headers)


def _respond(start: Start, status: str, body: bytes, kind: str, *headers: tuple[str, str]) -> Iterable[bytes]:
    start(status, [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store"), *headers])
    return [body]
