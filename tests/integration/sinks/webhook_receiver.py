"""A receiver of webhooks: it stores what is genuine before it answers, and answers as it is told.

As a program it listens until it is ended:

    python -m tests.integration.sinks.webhook_receiver --port 8080 --store kept.jsonl --mode mode.txt

The file *mode* says how it answers: `ok`, `busy` (503), or `hang` (it stores, and never answers).
"""

from __future__ import annotations

import argparse
import threading
from base64 import b64encode
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY: Final = "whsec_" + b64encode(bytes(range(32))).decode()


class WebhookReceiver:
    """What it has stored is in a file, a line for each request: the id of the message, and its body as text."""

    def __init__(self, store: Path, mode: Path) -> None:
        self._store = store
        self._mode = mode
        self._ended = threading.Event()
        self._lock = threading.Lock()

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """The status of the answer to a request."""
        try:
            Webhook(KEY).verify(body, headers, json_parse=False)
        except WebhookVerificationError:
            return 401
        mode = self._mode.read_text() if self._mode.exists() else "ok"
        if mode == "busy":
            return 503
        line = orjson.dumps({"id": headers["webhook-id"], "body": body.decode()}) + b"\n"
        with self._lock, self._store.open("ab") as store:
            store.write(line)
        if mode == "hang":
            self._ended.wait()
        return 204

    def server(self, port: int) -> ThreadingHTTPServer:
        """An HTTP server on loopback; port 0 is any."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.take({name.lower(): value for name, value in self.headers.items()}, body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        made = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        made.daemon_threads = True
        return made

    @contextmanager
    def listening(self) -> Iterator[str]:
        """In this process; the URL."""
        with self.server(0) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            yield f"http://127.0.0.1:{server.server_address[1]}/in"
            self._ended.set()
            server.shutdown()
            thread.join()


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--mode", type=Path, required=True)
    parser.add_argument("--config", help="ignored: each command of a stack gets it")
    arguments = parser.parse_args()
    WebhookReceiver(arguments.store, arguments.mode).server(arguments.port).serve_forever()


if __name__ == "__main__":
    _main()
