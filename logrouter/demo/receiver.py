"""A small receiver of webhooks, the demo's target: verifies signatures (Standard Webhooks) and keeps what came."""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from base64 import b64decode, b64encode
from collections import OrderedDict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Self

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

KEY_PREFIX: Final = "whsec_"
EVENTS_PATH: Final = "/events"
_TOLERANCE_SECONDS: Final = 300
"""A request whose time is further away may be one that somebody has recorded and sends again."""
_REMEMBERED_IDS: Final = 200_000
"""Requests that are sent again come within seconds; older ids need not be known."""
_MAX_BODY: Final = 32 << 20
_IDLE_SECONDS: Final = 60.0


class ReceivedEvents:
    """What a receiver was sent, each event once, by its `meta.id`. May be used by several threads."""

    def __init__(self, key: str, *, clock: Callable[[], float] = time.time) -> None:
        """*key* is the signing key, base64 behind `whsec_`; *clock* gives epoch seconds."""
        self._key = b64decode(key.removeprefix(KEY_PREFIX), validate=True)
        self._clock = clock
        self._lock = threading.Lock()
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._newest: Any = None
        self.held = 0
        """Events that it holds."""
        self.again = 0
        """Events that it was sent once more, and held already."""
        self.denied = 0
        """Requests whose signature or time was not right."""

    def take(self, headers: Mapping[str, str], body: bytes) -> HTTPStatus:
        """Keep the events of a request, lines of JSON; the status to answer with. Names of *headers* in lower case."""
        if not self._is_ours(headers, body):
            with self._lock:
                self.denied += 1
            return HTTPStatus.UNAUTHORIZED
        try:
            events = [orjson.loads(line) for line in body.splitlines()]
            ids = [event["meta"]["id"] for event in events]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return HTTPStatus.BAD_REQUEST
        if not all(isinstance(event_id, str) for event_id in ids):
            return HTTPStatus.BAD_REQUEST
        with self._lock:
            for event_id in ids:
                self._keep(event_id)
            self._newest = events[-1] if events else self._newest
        return HTTPStatus.NO_CONTENT

    def summary(self) -> dict[str, Any]:
        """What it holds, as a JSON document with the event that came last."""
        with self._lock:
            counts = {"held": self.held, "sent_again": self.again, "requests_denied": self.denied}
            return {**counts, "newest": self._newest}

    def _keep(self, event_id: str) -> None:
        if event_id in self._ids:
            self.again += 1
            return
        self.held += 1
        self._ids[event_id] = None
        if len(self._ids) > _REMEMBERED_IDS:
            self._ids.popitem(last=False)

    def _is_ours(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether somebody with the key has signed the request just now."""
        stamp = headers.get("webhook-timestamp", "")
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
            return False
        if abs(self._clock() - int(stamp)) > _TOLERANCE_SECONDS:
            return False
        signed = f"{headers.get('webhook-id', '')}.{stamp}.".encode() + body
        right = b"v1," + b64encode(hmac.digest(self._key, signed, hashlib.sha256))
        given = headers.get("webhook-signature", "").encode().split()
        return any(hmac.compare_digest(right, signature) for signature in given)


class Receiver:
    """An HTTP server on loopback, in threads of this process: takes events at `/events`, shows what it holds at `/`.

    A context manager, closed on exit.
    """

    def __init__(self, events: ReceivedEvents, *, port: int = 0) -> None:
        """*port* 0 takes any that is free."""

        class Handler(_Handler):
            received = events

        self.events = events
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="receiver", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Take no further connections, and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    received: ReceivedEvents

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit() and len(length) <= 10):
            self._answer(HTTPStatus.LENGTH_REQUIRED, close=True)
        elif int(length) > _MAX_BODY:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, close=True)
        else:
            body = self.rfile.read(int(length))
            named = {name.lower(): value for name, value in self.headers.items()}
            self._answer(self.received.take(named, body) if self.path == EVENTS_PATH else HTTPStatus.NOT_FOUND)

    def do_GET(self) -> None:
        if self.path == "/":
            self._answer(HTTPStatus.OK, orjson.dumps(self.received.summary(), option=orjson.OPT_INDENT_2) + b"\n")
        else:
            self._answer(HTTPStatus.NOT_FOUND)

    def _answer(self, status: HTTPStatus, body: bytes = b"", *, close: bool = False) -> None:
        self.send_response(status)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        if body:
            self.send_header("Content-Type", "application/json")
        if close:
            self.send_header("Connection", "close")  # its body is not read, and would be taken for the next request
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server uses
        """Nothing: the demo's screen is not a log."""
